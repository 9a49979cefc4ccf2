//! Runs psql(1) on the warehouse, with the address and the password of the database in its environment (O5).

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use store::{Authorities, DatabaseAddress, TlsMode, TlsSettings};
use tokio::process::Command;
use tokio_postgres::config::{ChannelBinding, Host};

use crate::stop_signals::StopSignals;

/// How long psql may take to cancel its query.
const CANCEL_PATIENCE: Duration = Duration::from_millis(500);
/// How long psql may take to end after SIGTERM.
const PSQL_PATIENCE: Duration = Duration::from_secs(3);

/// The reason why psql could not be run.
#[derive(Debug, thiserror::Error)]
pub enum PsqlError {
    /// The program is not installed.
    #[error("psql is not installed; install it with `apt-get install postgresql-client`")]
    Missing,
    /// The program did not start, or could not be waited for.
    #[error("cannot run psql: {0}")]
    Run(#[from] std::io::Error),
}

/// Runs psql on this terminal until it ends. Ctrl-C goes to psql (it cancels a query) and is ignored here. On a stop
/// request psql is signalled and awaited, and the result is `None`.
///
/// # Errors
/// psql is missing or cannot be started.
pub async fn open(
    program: &Path,
    database: &DatabaseAddress,
    arguments: &[OsString],
    stop: &StopSignals,
) -> Result<Option<ExitStatus>, PsqlError> {
    let _interrupts = stop.leave_interrupts_to_a_child();
    let mut command = Command::new(program);
    command.args(arguments).envs(environment(database));
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(PsqlError::Missing);
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(status) = stop.unless_requested(child.wait()).await {
        return Ok(Some(status?));
    }
    // SIGINT first, like Ctrl-C: it cancels the query in the server, which would otherwise continue without psql.
    for (signal, patience) in [
        (Signal::SIGINT, CANCEL_PATIENCE),
        (Signal::SIGTERM, PSQL_PATIENCE),
    ] {
        if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended at this moment.
            let _ = kill(Pid::from_raw(pid), signal);
        }
        if tokio::time::timeout(patience, child.wait()).await.is_ok() {
            return Ok(None);
        }
    }
    child.kill().await?;
    Ok(None)
}

/// The environment variables with the address for psql. Other users cannot read a password in the environment, as they
/// could in the arguments that `ps` shows (O5).
fn environment(address: &DatabaseAddress) -> Vec<(&'static str, OsString)> {
    let database = &address.config;
    let hosts: Vec<String> = database
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    let ports: Vec<String> = database.get_ports().iter().map(u16::to_string).collect();
    let mut variables: Vec<(&'static str, OsString)> = Vec::new();
    if !hosts.is_empty() {
        variables.push(("PGHOST", hosts.join(",").into()));
    }
    if !ports.is_empty() {
        variables.push(("PGPORT", ports.join(",").into()));
    }
    if let Some(user) = database.get_user() {
        variables.push(("PGUSER", user.into()));
    }
    if let Some(name) = database.get_dbname() {
        variables.push(("PGDATABASE", name.into()));
    }
    if let Some(password) = database.get_password() {
        use std::os::unix::ffi::OsStringExt;
        variables.push(("PGPASSWORD", OsString::from_vec(password.to_vec())));
    }
    let TlsSettings {
        mode,
        authorities,
        client,
    } = &address.tls;
    let mode = match mode {
        TlsMode::Disable => "disable",
        TlsMode::Prefer => "prefer",
        TlsMode::Require => "require",
        TlsMode::VerifyCa => "verify-ca",
        TlsMode::VerifyFull => "verify-full",
    };
    variables.push(("PGSSLMODE", mode.into()));
    match authorities {
        Authorities::Usual => {}
        Authorities::System => variables.push(("PGSSLROOTCERT", "system".into())),
        Authorities::File(file) => variables.push(("PGSSLROOTCERT", file.into())),
    }
    if let Some((certificate, key)) = client {
        variables.push(("PGSSLCERT", certificate.into()));
        variables.push(("PGSSLKEY", key.into()));
    }
    match database.get_channel_binding() {
        ChannelBinding::Disable => variables.push(("PGCHANNELBINDING", "disable".into())),
        ChannelBinding::Require => variables.push(("PGCHANNELBINDING", "require".into())),
        _ => {}
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_goes_by_the_environment() {
        let database: DatabaseAddress = "postgres://me:hun%20ter2@db:5433/funds_db?sslmode=verify-full&sslrootcert=/etc/ca.crt&channel_binding=require"
            .parse()
            .expect("an address");
        let shown = environment(&database);
        for pair in [
            ("PGHOST", "db"),
            ("PGPORT", "5433"),
            ("PGUSER", "me"),
            ("PGDATABASE", "funds_db"),
            ("PGPASSWORD", "hun ter2"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/etc/ca.crt"),
            ("PGCHANNELBINDING", "require"),
        ] {
            assert!(
                shown.contains(&(pair.0, pair.1.into())),
                "{pair:?} in {shown:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_missing_psql_is_named_with_the_package() {
        let database: DatabaseAddress = "host=/nowhere".parse().expect("an address");
        let error = open(
            Path::new("/nowhere/psql"),
            &database,
            &[],
            &StopSignals::listen(),
        )
        .await
        .expect_err("missing");
        assert!(
            error
                .to_string()
                .contains("apt-get install postgresql-client")
        );
    }
}
