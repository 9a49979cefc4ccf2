//! Standby: a second runner watches the session of the runner that holds the database. It takes over when the holder is
//! gone, and ends the session of a holder that makes no progress (docs/decisions/0004).

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use super::error::StoreError;
use super::session;

/// A holder whose session makes no progress for this long is regarded as frozen.
pub const FROZEN_AFTER: Duration = Duration::from_secs(5);

/// Time between two looks. Progress is noticed at most this much later.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Upper limit of the silence that one look can add. If the watcher or the server itself was suspended, a long time
/// between two looks proves nothing about the holder.
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// An SQL expression whose value, the sign, changes while the holder makes progress. The heartbeat alone is not enough:
/// it uses the writer's only connection, which is busy during a long batch.
const SIGN: &str =
    "concat_ws('|', a.pid, a.backend_start, a.state, a.state_change, a.query_start, a.xact_start, ";
const NO_BEAT: &str = "NULL)";
const BEAT: &str = "(SELECT beat_at FROM runner.heartbeat))";

/// The session that holds the lock.
const HOLDER: &str = " FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
      AND l.classid = $1::bigint::oid AND l.objid = $2::bigint::oid
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The result of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// No session holds the lock: try to take it.
    Free,
    /// The lock is held by a session that makes progress, or that has not been watched for long enough.
    Held {
        /// Process, host and start of the holder, as far as the server reports them.
        who: String,
    },
    /// The holder made no progress, so its session was ended. The lock becomes free in a moment.
    Ended {
        /// Process, host and start of the holder.
        who: String,
    },
    /// The holder makes no progress, but this runner may not end its session.
    Untouchable {
        /// Process, host and start of the holder.
        who: String,
        /// The reason, with the remedy.
        why: String,
    },
}

/// The watch. It has one connection and holds no lock.
#[derive(Debug)]
pub struct HolderWatch {
    client: ClientWrapper,
    timer: SilenceTimer,
}

impl HolderWatch {
    /// Connects.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix: see [`StoreError::is_outage`].
    pub async fn open(database: &str) -> Result<Self, StoreError> {
        let mut config = session::read_config(database)?;
        config
            .config_mut()
            .application_name("master_runner standby");
        Ok(Self {
            client: session::connect(&config).await?,
            timer: SilenceTimer::default(),
        })
    }

    /// Looks at the session of the holder once. To be called every [`LOOK_EVERY`].
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a role without the right to read the runner's tables:
    /// see [`StoreError::is_outage`].
    pub async fn look(&mut self) -> Result<Look, StoreError> {
        self.try_to_look().await.map_err(|error| match error {
            Failed::Query(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                session::refusal(&error)
            }
            Failed::Query(error) => error.into(),
            Failed::Store(error) => error,
        })
    }

    async fn try_to_look(&mut self) -> Result<Look, Failed> {
        let began: bool = self
            .client
            .query_one("SELECT to_regclass('runner.heartbeat') IS NOT NULL", &[])
            .await?
            .try_get(0)?;
        let sign = format!("{SIGN}{}", if began { BEAT } else { NO_BEAT });
        let lock = [i64::from(session::LOCK.0), i64::from(session::LOCK.1)];
        let row = self
            .client
            .query_opt(
                &format!(
                    "SELECT a.pid, {sign}, COALESCE(a.state, 'hidden'),
                         COALESCE(a.state = 'active' AND a.wait_event_type IS DISTINCT FROM 'Client', false),
                         COALESCE(a.application_name, '') = 'master_runner',
                         (extract(epoch FROM clock_timestamp()) * 1000)::bigint {HOLDER}"
                ),
                &[&lock[0], &lock[1]],
            )
            .await?;
        let Some(row) = row else {
            self.timer = SilenceTimer::default();
            return Ok(Look::Free);
        };
        let (seen, state, is_runner): (String, String, bool) =
            (row.try_get(1)?, row.try_get(2)?, row.try_get(4)?);
        let look = Seen {
            sign: seen.clone(),
            works: row.try_get(3)?,
            server_millis: row.try_get(5)?,
            at: Instant::now(),
        };
        let who = session::holder(&self.client)
            .await?
            .unwrap_or_else(|| "it has just released it".to_owned());
        if self.timer.silence(look) < FROZEN_AFTER {
            return Ok(Look::Held { who });
        }
        if let Some(why) = beyond_judgement(&state, is_runner) {
            return Ok(Look::Untouchable { who, why });
        }
        // End only the session that was watched, and only if its sign has still not changed.
        let ending = self
            .client
            .query_opt(
                &format!("SELECT pg_terminate_backend(a.pid) {HOLDER} AND {sign} = $3"),
                &[&lock[0], &lock[1], &seen],
            )
            .await;
        match ending {
            Ok(Some(_)) => {
                self.timer = SilenceTimer::default();
                Ok(Look::Ended { who })
            }
            Ok(None) => Ok(Look::Held { who }),
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                Ok(Look::Untouchable {
                    who,
                    why: format!(
                        "this role may not end its session ({}); grant it pg_signal_backend, or let both runners use the same role",
                        error
                            .as_db_error()
                            .map_or("", tokio_postgres::error::DbError::message)
                    ),
                })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The reason why a look failed.
enum Failed {
    Query(tokio_postgres::Error),
    Store(StoreError),
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Query(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Why a silent session must not be ended; `None` if it is a runner's session and its activity is visible.
fn beyond_judgement(state: &str, is_runner: bool) -> Option<String> {
    match state {
        "hidden" | "disabled" => Some(
            "this role cannot see what its session does; grant it pg_read_all_stats and pg_signal_backend, or let both runners use the same role (and leave track_activities on)"
                .to_owned(),
        ),
        _ if !is_runner => Some(
            "it is not a master_runner's session: a session other than a runner's took the lock by hand; it must release it"
                .to_owned(),
        ),
        _ => None,
    }
}

/// One observation of the holder.
#[derive(Debug, Clone)]
struct Seen {
    sign: String,
    /// Whether the server is executing a statement for the holder. The holder is then not the cause of a delay.
    works: bool,
    server_millis: i64,
    at: Instant,
}

/// Measures how long the holder has been silent. Pure. A sign is compared only with the sign of the previous look,
/// never with a clock. A clock that jumps or differs from another clock therefore causes no false alarm.
#[derive(Debug, Default)]
struct SilenceTimer {
    last: Option<Seen>,
    silent: Duration,
}

impl SilenceTimer {
    /// Records a look and returns how long the sign has not changed: the smaller of the times by the server's clock and
    /// by ours.
    fn silence(&mut self, seen: Seen) -> Duration {
        self.silent = match &self.last {
            Some(last) if last.sign == seen.sign && !seen.works => {
                let server = seen.server_millis.saturating_sub(last.server_millis);
                let by_server = Duration::from_millis(u64::try_from(server).unwrap_or(0));
                let by_us = seen.at.saturating_duration_since(last.at);
                self.silent + by_server.min(by_us).min(LONGEST_STEP)
            }
            _ => Duration::ZERO,
        };
        self.last = Some(seen);
        self.silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1000;

    /// Looks given as (sign, works, server's clock, our clock), in milliseconds.
    fn silence_after(looks: &[(&str, bool, i64, u64)]) -> Duration {
        let began = Instant::now();
        let mut timer = SilenceTimer::default();
        let mut silent = Duration::ZERO;
        for (sign, works, server_millis, ours) in looks {
            silent = timer.silence(Seen {
                sign: (*sign).to_owned(),
                works: *works,
                server_millis: *server_millis,
                at: began + Duration::from_millis(*ours),
            });
        }
        silent
    }

    #[test]
    fn silence_is_what_was_watched_and_nothing_else() {
        let whole: Vec<(&str, bool, i64, u64)> = (0..=10)
            .map(|at| ("a", false, at * 500, at as u64 * 500))
            .collect();
        assert_eq!(silence_after(&whole), FROZEN_AFTER);
        for (what, looks, expected) in [
            ("one look", vec![("a", false, 0, 0)], 0),
            (
                "a sign",
                vec![
                    ("a", false, 0, 0),
                    ("a", false, 900, 900),
                    ("b", false, 1400, 1400),
                ],
                0,
            ),
            (
                "the server works for it",
                vec![("a", false, 0, 0), ("a", true, 900, 900)],
                0,
            ),
            (
                "the server's clock steps ahead",
                vec![("a", false, 0, 0), ("a", false, 3600 * SECOND, 500)],
                500,
            ),
            (
                "the server's clock steps back",
                vec![("a", false, 0, 0), ("a", false, -3600 * SECOND, 500)],
                0,
            ),
            (
                "the watcher was asleep",
                vec![("a", false, 0, 0), ("a", false, 60 * SECOND, 60_000)],
                1000,
            ),
            (
                "the server was asleep",
                vec![("a", false, 0, 0), ("a", false, 100, 60_000)],
                100,
            ),
        ] {
            assert_eq!(
                silence_after(&looks),
                Duration::from_millis(expected),
                "{what}"
            );
        }
    }

    #[test]
    fn only_a_runners_session_that_can_be_seen_is_ended() {
        for (state, is_runner, ends) in [
            ("idle", true, true),
            ("idle in transaction", true, true),
            ("active", true, true),
            ("idle", false, false),
            ("hidden", true, false),
            ("disabled", true, false),
        ] {
            assert_eq!(
                beyond_judgement(state, is_runner).is_none(),
                ends,
                "{state}"
            );
        }
    }
}
