//! Opens psql(1) on the warehouse.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitStatus;

use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// psql could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum PsqlError {
    /// There is no such program.
    #[error("psql is not installed; install it with `apt-get install postgresql-client`")]
    Missing,
    /// It did not start, or could not be waited for.
    #[error("cannot run psql: {0}")]
    Run(#[from] std::io::Error),
}

/// Runs psql on this terminal until it ends. Ctrl-C is psql's own affair (it cancels a query) and leaves us alone.
///
/// # Errors
/// psql is missing or cannot be started.
pub async fn open(
    program: &Path,
    database: &Config,
    arguments: &[OsString],
) -> Result<ExitStatus, PsqlError> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut command = Command::new(program);
    command.args(arguments).envs(environment(database));
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(PsqlError::Missing);
        }
        Err(error) => return Err(error.into()),
    };
    loop {
        tokio::select! {
            status = child.wait() => return Ok(status?),
            _ = interrupts.recv() => {}
        }
    }
}

/// How psql finds the database: by the environment, where other users do not see the password as they would in `ps` (O5).
fn environment(database: &Config) -> Vec<(&'static str, OsString)> {
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
    match database.get_ssl_mode() {
        SslMode::Disable => variables.push(("PGSSLMODE", "disable".into())),
        SslMode::Require => variables.push(("PGSSLMODE", "require".into())),
        _ => {}
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_goes_by_the_environment() {
        let database: Config = "postgres://me:hun%20ter2@db:5433/funds_db"
            .parse()
            .expect("an address");
        let shown = environment(&database);
        for pair in [
            ("PGHOST", "db"),
            ("PGPORT", "5433"),
            ("PGUSER", "me"),
            ("PGDATABASE", "funds_db"),
            ("PGPASSWORD", "hun ter2"),
        ] {
            assert!(
                shown.contains(&(pair.0, pair.1.into())),
                "{pair:?} in {shown:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_missing_psql_is_named_with_the_package() {
        let database: Config = "host=/nowhere".parse().expect("an address");
        let error = open(Path::new("/nowhere/psql"), &database, &[])
            .await
            .expect_err("missing");
        assert!(
            error
                .to_string()
                .contains("apt-get install postgresql-client")
        );
    }
}
