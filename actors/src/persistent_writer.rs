//! A writer that survives lost connections: an operation that the database cannot perform now waits and is repeated,
//! and the actor does not fail (A2).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, LocalBoxFuture};
use parking_lot::Mutex;
use schema::back_off::BackOff;
use schema::failpoint::Injected;
use store::StoreError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::child::{ExitReason, ExitSlip};
use crate::store_session::StoreSession;

/// Time limit of one operation. The server cancels a statement after 10 minutes. If an operation takes longer than this
/// limit, the server is assumed to be gone, and the operation is repeated on a fresh connection.
const WORK_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Time limit for opening a connection, in addition to the wait for the lock. The adoption of an older warehouse must
/// also finish within this limit.
const OPEN_LIMIT: Duration = Duration::from_secs(3600);

/// How the writer opens its connection.
#[derive(Debug, Clone)]
pub struct WriterSettings<Access> {
    /// What a session is opened with: [`StoreSession::Access`].
    pub access: Access,
    /// Maximum wait for the advisory lock (O2).
    pub lock_patience: Duration,
    /// The wait between two attempts to reach an unavailable database.
    pub back_off: BackOff,
    /// How long a server that refuses the session (password, role, database, rights) is retried, in case the refusal is
    /// temporary. After that the run ends with exit code 1, so that the operator can correct the settings.
    pub refusal_patience: Duration,
    /// Called before each new attempt to connect. It restarts the private server, which nothing else restarts.
    pub revive: Option<Revive>,
}

/// A hook that may restart an unavailable database, such as a private server that died. It logs its own result.
#[derive(Clone)]
pub struct Revive(pub Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>);

impl std::fmt::Debug for Revive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Revive")
    }
}

/// Description of what the loader waits for, shared with the supervisor's snapshot; `None` if the loader does not wait.
pub type DatabaseWait = Arc<Mutex<Option<String>>>;

/// Error: the database could not perform the operation, and waiting cannot fix it or is no longer allowed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct WriterFailed(pub String);

impl From<Injected> for WriterFailed {
    fn from(injected: Injected) -> Self {
        Self(injected.to_string())
    }
}

/// An operation on a session that can be repeated after a lost connection. Every async closure with these types is one.
pub trait StoreOp<S, T> {
    /// Runs the operation once.
    fn run<'call>(
        &'call self,
        session: &'call mut S,
    ) -> LocalBoxFuture<'call, Result<T, StoreError>>;
}

impl<S, T, F: AsyncFn(&mut S) -> Result<T, StoreError>> StoreOp<S, T> for F {
    fn run<'call>(
        &'call self,
        session: &'call mut S,
    ) -> LocalBoxFuture<'call, Result<T, StoreError>> {
        Box::pin(self(session))
    }
}

/// What to do after an error of the writer in a running cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Wait, then repeat on the same session.
    Again,
    /// Wait, then repeat on a fresh session.
    AgainOnFresh,
    /// The actor fails; a fresh one may continue from the checkpoint.
    Fail,
    /// No restart fixes the error: the run ends with exit code 1.
    End,
}

/// Decides what to do about an error; `refused_for` is how long the server has been refusing the session.
fn judge(error: &StoreError, refused_for: Duration, patience: Duration) -> Verdict {
    match error {
        StoreError::Undone(_) => Verdict::Again,
        StoreError::Outage(_) => Verdict::AgainOnFresh,
        StoreError::Refused(_) if refused_for < patience => Verdict::AgainOnFresh,
        StoreError::BadData(_) | StoreError::Inconsistent(_) => Verdict::Fail,
        StoreError::Refused(_)
        | StoreError::BadConnectionString(_)
        | StoreError::Permanent(_)
        | StoreError::RowsMissing { .. }
        | StoreError::Unfit(_)
        | StoreError::AnotherRunner { .. }
        | StoreError::NewerSchema { .. }
        | StoreError::Migration(_)
        | StoreError::Adoption(_) => Verdict::End,
    }
}

/// The session and the settings to open another one.
pub(crate) struct PersistentWriter<S: StoreSession> {
    pub(crate) settings: WriterSettings<S::Access>,
    /// `None` before the first use and while the connection is lost.
    pub(crate) session: Option<S>,
    pub(crate) waits_for: DatabaseWait,
    pub(crate) stop: watch::Receiver<bool>,
    /// Receives the reason if no restart can fix the error.
    pub(crate) slip: ExitSlip,
}

impl<S: StoreSession> PersistentWriter<S> {
    /// Runs the operation, and repeats it until the database has performed it.
    pub(crate) async fn run<T>(
        &mut self,
        what: &'static str,
        op: &dyn StoreOp<S, T>,
    ) -> Result<T, WriterFailed> {
        let mut failures = 0;
        let mut waiting_since: Option<Instant> = None;
        let mut refused_since: Option<Instant> = None;
        loop {
            let error = match self.attempt(op).await {
                Ok(Some(value)) => {
                    if let Some(since) = waiting_since {
                        tracing::info!(
                            after_secs = since.elapsed().as_secs(),
                            "the database works again: {what}"
                        );
                    }
                    self.say_waiting(None);
                    return Ok(value);
                }
                // The session is open; the next step runs the operation.
                Ok(None) => continue,
                Err(error) => error,
            };
            waiting_since.get_or_insert_with(Instant::now);
            let refused_for = match &error {
                StoreError::Refused(_) => refused_since.get_or_insert_with(Instant::now).elapsed(),
                _ => {
                    refused_since = None;
                    Duration::ZERO
                }
            };
            match judge(&error, refused_for, self.settings.refusal_patience) {
                Verdict::Again => {}
                Verdict::AgainOnFresh => self.session = None,
                Verdict::Fail => return Err(WriterFailed(format!("{what}: {error}"))),
                Verdict::End => {
                    let why = format!("{what}: {}", last_words(&error, refused_for));
                    self.slip.leave(ExitReason::Final(why.clone()));
                    return Err(WriterFailed(why));
                }
            }
            let pause = self.settings.back_off.after(failures);
            failures = failures.saturating_add(1);
            tracing::warn!(%error, retry_after_secs = pause.as_secs_f64(), "waiting for the database ({what}); nothing is lost");
            self.say_waiting(Some(format!("the database ({what})")));
            let stopped = tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => true,
                () = sleep(pause) => false,
            };
            if stopped {
                return Err(WriterFailed(format!(
                    "{what}: stopped while the database was awaited: {error}"
                )));
            }
        }
    }

    /// One step: runs the operation and returns its result if there is a session; otherwise opens a session and returns
    /// `None`.
    async fn attempt<T>(&mut self, op: &dyn StoreOp<S, T>) -> Result<Option<T>, StoreError> {
        if let Some(session) = &mut self.session {
            let done = timeout(WORK_LIMIT, op.run(session)).await;
            return done.unwrap_or_else(|_| Err(silent(WORK_LIMIT))).map(Some);
        }
        if let Some(Revive(revive)) = &self.settings.revive {
            revive().await;
        }
        let limit = self.settings.lock_patience + OPEN_LIMIT;
        let opening = S::open(&self.settings.access, self.settings.lock_patience);
        let mut stop = self.stop.clone();
        let session = tokio::select! {
            opened = timeout(limit, opening) => opened.unwrap_or_else(|_| Err(silent(limit)))?,
            // The attempts to take the lock may last 90 s; a stop does not wait for them (A6).
            _ = stop.wait_for(|stop| *stop) => {
                return Err(StoreError::Outage("it was no longer waited for".to_owned()));
            }
        };
        self.session = Some(session);
        Ok(None)
    }

    fn say_waiting(&self, what: Option<String>) {
        *self.waits_for.lock() = what;
    }
}

fn silent(limit: Duration) -> StoreError {
    StoreError::Outage(format!(
        "no answer within {} s; the connection is given up",
        limit.as_secs()
    ))
}

/// The message that the run ends with. A refusal in mid-run means that the server's settings were changed.
fn last_words(error: &StoreError, refused_for: Duration) -> String {
    match error {
        StoreError::Refused(why) => format!(
            "the database has been refusing the session for {} s: {why}; if the password, the role or the database was changed, correct the database setting or DATABASE_URL and start again",
            refused_for.as_secs()
        ),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use schema::doubt::DoubtLimits;
    use schema::precedence::Precedence;
    use store::{DataRefusal, Retention, Writer};

    use super::*;
    use crate::store_session::WriterAccess;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn outages_are_retried_refusals_have_a_limit_and_permanent_errors_end_the_run() {
        let text = String::new;
        let who = text;
        for (error, verdict) in [
            (StoreError::Undone(text()), Verdict::Again),
            (StoreError::Outage(text()), Verdict::AgainOnFresh),
            (
                StoreError::BadData(DataRefusal {
                    why: text(),
                    constraint: None,
                }),
                Verdict::Fail,
            ),
            (StoreError::Permanent(text()), Verdict::End),
            (StoreError::Unfit(text()), Verdict::End),
            (
                StoreError::RowsMissing {
                    table: text(),
                    expected: 2,
                    found: 1,
                },
                Verdict::End,
            ),
            (StoreError::Inconsistent(text()), Verdict::Fail),
            (StoreError::AnotherRunner { who: who() }, Verdict::End),
            (StoreError::NewerSchema { found: 2, known: 1 }, Verdict::End),
            (StoreError::Migration(text()), Verdict::End),
        ] {
            assert_eq!(judge(&error, Duration::ZERO, SECOND), verdict, "{error:?}");
        }
        let refused = StoreError::Refused(text());
        assert_eq!(
            judge(&refused, Duration::ZERO, SECOND),
            Verdict::AgainOnFresh
        );
        assert_eq!(judge(&refused, SECOND, SECOND), Verdict::End);
    }

    /// A writer whose server is at `port` of this machine, and a counter of its attempts.
    fn writer_at(
        port: u16,
        stop: watch::Receiver<bool>,
    ) -> (PersistentWriter<Writer>, Arc<AtomicU32>, DatabaseWait) {
        let attempts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&attempts);
        let waits_for = DatabaseWait::default();
        let settings = WriterSettings {
            access: WriterAccess {
                database: format!("host=127.0.0.1 port={port} user=nobody dbname=funds_db"),
                retention: Retention::USUAL,
                doubt_limits: DoubtLimits::USUAL,
                precedence: Precedence::default(),
            },
            lock_patience: SECOND,
            back_off: BackOff::new(SECOND / 2, SECOND * 30),
            refusal_patience: SECOND,
            revive: Some(Revive(Arc::new(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                Box::pin(async {})
            }))),
        };
        let persistent = PersistentWriter {
            settings,
            session: None,
            waits_for: Arc::clone(&waits_for),
            stop,
            slip: ExitSlip::default(),
        };
        (persistent, attempts, waits_for)
    }

    /// Ten simulated minutes of an outage, then a stop. Returns the number of attempts, the reported wait, and the
    /// final error.
    async fn ten_minutes_at(port: u16) -> (u32, Option<String>, String) {
        let (stop, stopped) = watch::channel(false);
        let (mut persistent, attempts, waits_for) = writer_at(port, stopped);
        let waiting = async {
            persistent
                .run("committing a batch", &async |_: &mut Writer| Ok(()))
                .await
        };
        let stopping = async {
            sleep(SECOND * 600).await;
            let said = waits_for.lock().clone();
            stop.send_replace(true);
            said
        };
        let (ended, said) = tokio::join!(waiting, stopping);
        let ended = ended.expect_err("there is no server").to_string();
        (attempts.load(Ordering::Relaxed), said, ended)
    }

    /// A2: a long outage causes few attempts, its wait is reported, and a stop ends it at once.
    #[tokio::test(start_paused = true)]
    async fn a_ten_minute_outage_is_retried_with_back_off() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let (attempts, said, ended) = ten_minutes_at(port).await;
        assert!((15..=30).contains(&attempts), "{attempts} attempts");
        assert_eq!(
            said.as_deref(),
            Some("the database (committing a batch)"),
            "what it waits for"
        );
        assert!(
            ended.contains("stopped while the database was awaited"),
            "{ended}"
        );
    }

    /// A server that accepts the connection and never replies is treated as an outage.
    #[tokio::test(start_paused = true)]
    async fn an_unresponsive_connection_times_out_and_is_retried() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (attempts, said, ended) = ten_minutes_at(port).await;
        assert!((8..=30).contains(&attempts), "{attempts} attempts");
        assert!(said.is_some(), "it does not say what it waits for");
        assert!(
            ended.contains("stopped while the database was awaited"),
            "{ended}"
        );
        drop(listener);
    }
}
