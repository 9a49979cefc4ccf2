//! The writer's session: connection, settings and the advisory lock (A8, O2).

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::address::{AddressProblem, DatabaseAddress};
use super::error::{StoreError, said, with_causes};
use super::pooler;
use super::tls::{Connector, tls_failure};

/// The key of the runner's advisory lock: the ASCII codes of "mrun", and a version number of the lock.
pub(super) const LOCK: (i32, i32) = (0x6d72_756e, 1);

/// Pause between two attempts to take the lock.
const LOCK_RETRY: Duration = Duration::from_millis(200);

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for the server to accept the session and to apply the settings.
const SESSION_LIMIT: Duration = Duration::from_secs(30);
/// Time limit for the answer to an attempt to take the lock.
const LOCK_ANSWER_LIMIT: Duration = Duration::from_secs(30);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// Settings of the writer's session. A statement or idle transaction that exceeds the limits is regarded as hung.
///
/// A batch touches few rows of long tables. These rows must be looked up by key, even if the statistics of a recently
/// filled table make a scan look cheaper. JIT compilation is off, because it takes longer than any of these statements.
const SESSION: &str = "
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET jit = off;
    SET statement_timeout = '10min';
    SET lock_timeout = '1min';
    SET idle_in_transaction_session_timeout = '1min';
    SET TimeZone = 'UTC';
    SET DateStyle = 'ISO, YMD';
    SET client_min_messages = 'warning';
    SET tcp_keepalives_idle = 20;
    SET tcp_keepalives_interval = 10;
    SET tcp_keepalives_count = 3;
    SET search_path = pg_catalog, public, pg_temp;";

const NO_SHORT_LIMIT: &str = "SET statement_timeout = '10min'";

/// Overrides settings of the role or database that would weaken a commit or stop the work (D1).
///
/// A commit waits at least for the server's disk. If `remote_apply` is set, it is kept, because it waits for more.
/// `default_transaction_read_only` is overridden only if it was set for the role or the database. If it is set for the
/// whole server, the operator or provider decided so, and the runner waits.
const DURABLE: &str = "
    SET default_transaction_isolation = 'read committed';
    SET default_transaction_deferrable = off;
    SET exit_on_error = off;
    SET transform_null_equals = off;
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') <> 'remote_apply';
    SELECT set_config(name, 'off', false) FROM pg_settings
        WHERE name = 'default_transaction_read_only' AND source IN ('user', 'database', 'database user');
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout';";

/// Settings of a reader's session, which override those of the role and the database.
pub(super) const READER: &str = "
    SET statement_timeout = '10min';
    SET lock_timeout = '1min';
    SET idle_in_transaction_session_timeout = '1min';
    SET default_transaction_isolation = 'read committed';
    SET TimeZone = 'UTC';
    SET DateStyle = 'ISO, YMD';
    SET search_path = pg_catalog, public, pg_temp;";

/// For a transaction that reads whole tables: the server chooses the plan.
pub(super) const WHOLE_TABLES: &str = "
    SET LOCAL enable_seqscan = on;
    SET LOCAL enable_hashjoin = on;
    SET LOCAL enable_mergejoin = on;";

/// Settings that end the session of a dead runner, so that it does not keep the lock (O2). While a statement runs or
/// waits for a lock, the server checks every 3 s whether the client is still connected. Between statements, the server
/// ends a session that is idle for 1 min; a live runner writes a heartbeat more often. Not every server has these
/// settings.
const NOTICE_A_DEATH: [&str; 2] = [
    "SET client_connection_check_interval = '3s'",
    "SET idle_session_timeout = '1min'",
];

/// The connection is lost if sent data is not acknowledged for this long. Keepalives do not detect this case.
const UNANSWERED: Duration = Duration::from_secs(60);

/// Parses the `database` setting.
pub(super) fn read_config(database: &str) -> Result<Connector, StoreError> {
    let mut address: DatabaseAddress = database
        .parse()
        .map_err(|problem: AddressProblem| StoreError::BadConnectionString(problem.to_string()))?;
    let config = &mut address.config;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    config
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE)
        .tcp_user_timeout(UNANSWERED)
        .application_name("master_runner");
    Connector::of(address)
}

/// Connects and sets the session up. A server that accepts the connection but does not answer is an outage.
///
/// Dropping the client closes the connection at once, without a wait for a stalled server, so that the session does not
/// keep the lock.
pub(super) async fn connect(connector: &Connector) -> Result<ClientWrapper, StoreError> {
    let set_up = async {
        let (client, talking) = connector.connect().await.map_err(|error| refusal(&error))?;
        let client = ClientWrapper::new(client, talking);
        refuse_pooler(connector, &client).await?;
        // First and in a message of its own, because a `statement_timeout` of the role or the database applies to a
        // whole message.
        client.batch_execute(NO_SHORT_LIMIT).await?;
        client.batch_execute(SESSION).await?;
        client.batch_execute(DURABLE).await?;
        for setting in NOTICE_A_DEATH {
            match client.batch_execute(setting).await {
                Err(error) if error.as_db_error().is_none() => return Err(error.into()),
                // A server older than version 14, or one on a system without this check.
                Err(error) => tracing::debug!(%error, setting, "the server has no such setting"),
                Ok(()) => {}
            }
        }
        Ok(client)
    };
    answered(SESSION_LIMIT, "opening a session", set_up).await
}

/// Refuses a transaction pooler before any setting is changed: behind a pooler, settings reach the sessions of others.
/// If the server does not accept a second session, nothing is proved and the connection is kept.
pub(super) async fn refuse_pooler(
    connector: &Connector,
    client: &Client,
) -> Result<(), StoreError> {
    let Ok((second, talking)) = connector.connect().await else {
        return Ok(());
    };
    let second = ClientWrapper::new(second, talking);
    pooler::refuse(client, &second).await
}

/// Returns an outage if the answer does not arrive in time. The server may have disappeared without closing the
/// connection.
async fn answered<T>(
    limit: Duration,
    doing: &str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        Err(StoreError::Outage(format!(
            "it takes the connection and does not answer within {} s ({doing})",
            limit.as_secs()
        )))
    })
}

/// Classifies a failed connection. If the server answers and refuses, it will refuse again. If it does not answer, the
/// runner waits (A2).
pub(super) fn refusal(error: &tokio_postgres::Error) -> StoreError {
    let for_good = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ];
    if let Some(db) = error.as_db_error() {
        if for_good.contains(db.code()) {
            return StoreError::Refused(db.message().to_owned());
        }
        return StoreError::Outage(said(db));
    }
    let text = with_causes(error);
    if tls_failure(error).is_some() {
        return StoreError::Refused(format!(
            "{text}; sslmode and sslrootcert say which certificate is accepted"
        ));
    }
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    let mut io = false;
    while let Some(inner) = cause {
        io |= inner.is::<std::io::Error>();
        cause = inner.source();
    }
    let passing = io || error.is_closed() || text.contains("timeout") || text.contains("timed out");
    if passing {
        StoreError::Outage(text)
    } else {
        StoreError::Refused(text)
    }
}

/// Takes the lock and retries for `patience`. The backend of a killed runner may hold it for a moment.
pub(super) async fn take_lock(client: &Client, patience: Duration) -> Result<(), StoreError> {
    let give_up = Instant::now() + patience;
    loop {
        let taken = answered(LOCK_ANSWER_LIMIT, "asking for the lock", async {
            let row = client
                .query_one("SELECT pg_try_advisory_lock($1, $2)", &[&LOCK.0, &LOCK.1])
                .await?;
            Ok(row.try_get(0)?)
        });
        if taken.await? {
            return Ok(());
        }
        if Instant::now() >= give_up {
            return Err(StoreError::AnotherRunner {
                who: holder(client)
                    .await?
                    .unwrap_or_else(|| "it has just released it".to_owned()),
            });
        }
        sleep(LOCK_RETRY).await;
    }
}

/// The session that holds the lock now, if any.
pub(super) async fn holder(client: &Client) -> Result<Option<String>, StoreError> {
    let row = client
        .query_opt(
            "SELECT a.pid, a.application_name, COALESCE(host(a.client_addr), 'the same machine'),
                    to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ')
             FROM pg_locks l JOIN pg_stat_activity a USING (pid)
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
               AND l.classid = $1::bigint::oid AND l.objid = $2::bigint::oid
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            &[&i64::from(LOCK.0), &i64::from(LOCK.1)],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let (pid, name, host, since): (i32, Option<String>, String, Option<String>) = (
        row.try_get(0)?,
        row.try_get(1)?,
        row.try_get(2)?,
        row.try_get(3)?,
    );
    Ok(Some(format!(
        "{} from {host}, connected since {}, server process {pid}",
        name.filter(|name| !name.is_empty())
            .unwrap_or_else(|| "a session".to_owned()),
        since.unwrap_or_else(|| "an unknown time".to_owned()),
    )))
}
