//! Runs a command that changes data (`remerge`, `reset-source`, `accept`). If the lock is free, the command takes it
//! and applies the request itself. If a runner has the lock, the command stores the request and waits for that runner's
//! answer.

use std::cell::Cell;
use std::time::Duration;

use jiff::Timestamp;
use store::{ChangeRequest, RequestAnswer, RequestDesk, StoreError, Writer};
use tokio::time::{Instant, sleep};

use crate::runner_settings::RunnerSettings;
use crate::stop_signals::StopSignals;
use crate::warehouse::{OpenError, START_PATIENCE, StartPatience, Warehouse, open_writer};

use super::{CommandError, ProgramEnd, on_warehouse, say};

/// How long a runner has to answer. It checks for requests every few seconds, but may first finish a batch or another
/// request.
const ANSWER_PATIENCE: Duration = Duration::from_secs(300);
/// Pause between two checks for the answer.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Applies the change, or lets the runner that has the lock apply it, and prints the answer.
///
/// # Errors
/// The database is unavailable, the runner that has the lock does not answer or refuses the change, or a stop signal
/// was received.
pub(super) async fn request(
    settings: &RunnerSettings,
    change: ChangeRequest,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    let placed = Cell::new(None);
    let work = async |warehouse: &Warehouse| {
        let requesting = Requesting {
            settings,
            warehouse,
            change,
            requested_by: this_process(),
            placed: &placed,
            stop,
        };
        stop.unless_requested(requesting.answer())
            .await
            .unwrap_or(Err(CommandError::Stopped))
    };
    let answer = on_warehouse(settings, stop, work)
        .await
        .map_err(|error| match placed.get() {
            Some(id) => CommandError::RequestStays {
                id,
                command: change.command(),
                is_stopped: matches!(error, CommandError::Stopped),
                why: error.to_string(),
            },
            None => error,
        })?;
    if !answer.is_done {
        return Err(CommandError::Unfit(answer.answer));
    }
    say(&answer.answer);
    Ok(ProgramEnd::Done)
}

/// One running command.
struct Requesting<'command> {
    settings: &'command RunnerSettings,
    warehouse: &'command Warehouse,
    change: ChangeRequest,
    requested_by: String,
    /// The id of the stored request while it waits for its answer.
    placed: &'command Cell<Option<i64>>,
    stop: &'command StopSignals,
}

impl Requesting<'_> {
    /// Alternates between taking the lock and storing the request until one of them succeeds, because a lock holder may
    /// start or end meanwhile.
    async fn answer(&self) -> Result<RequestAnswer, CommandError> {
        let give_up = Instant::now() + ANSWER_PATIENCE;
        let patience = StartPatience {
            database: Some(START_PATIENCE),
            other_runner: false,
            lock: Duration::ZERO,
            claims: false,
        };
        loop {
            match open_writer(self.warehouse, patience, self.stop).await {
                Ok(opened) => {
                    let applied = self.apply_here(opened.writer).await;
                    return applied.map_err(|error| self.failed(error));
                }
                Err(OpenError::Stopped) => return Err(CommandError::Stopped),
                Err(OpenError::Store(StoreError::AnotherRunner { .. })) => {}
                Err(OpenError::Store(error)) => return Err(self.failed(error)),
            }
            match self.wait_for_holder(give_up).await {
                Ok(Some(answer)) => return Ok(answer),
                // No runner has the lock any more.
                Ok(None) => {}
                // The database is unavailable: opening the writer waits for it.
                Err(WaitError::Store(error)) if error.is_outage() && Instant::now() < give_up => {
                    sleep(LOOK_EVERY).await;
                }
                Err(WaitError::Store(error)) => return Err(self.failed(error)),
                Err(WaitError::Unfit(why)) => return Err(CommandError::Unfit(why)),
            }
        }
    }

    fn failed(&self, error: StoreError) -> CommandError {
        CommandError::of_store(error, self.settings)
    }

    /// With the lock: applies the stored requests, then this command's request.
    async fn apply_here(&self, mut writer: Writer) -> Result<RequestAnswer, StoreError> {
        writer.set_precedence(self.settings.precedence.clone());
        writer.answer_requests().await?;
        let answered = match self.placed.get() {
            Some(id) => writer.request_answer(id).await?,
            None => None,
        };
        let answer = match answered {
            Some(answer) => answer,
            None => {
                writer
                    .apply_request(&self.change, &self.requested_by)
                    .await?
            }
        };
        self.placed.set(None);
        Ok(answer)
    }

    /// Waits for the answer of the runner that has the lock; `None` if no runner has the lock any more.
    async fn wait_for_holder(&self, give_up: Instant) -> Result<Option<RequestAnswer>, WaitError> {
        let desk = RequestDesk::open(self.warehouse.connection()).await?;
        let id = match self.placed.get() {
            Some(id) => id,
            None => {
                let placed = desk.place(&self.change, &self.requested_by).await?;
                let id = placed.ok_or_else(|| self.older_holder())?;
                self.placed.set(Some(id));
                tracing::info!(
                    request = id,
                    command = self.change.command(),
                    "a runner holds the database: it applies the request within seconds"
                );
                id
            }
        };
        loop {
            if let Some(answer) = desk.answer(id).await? {
                self.placed.set(None);
                return Ok(Some(answer));
            }
            let Some(holder) = desk.holder().await? else {
                return Ok(None);
            };
            if Instant::now() >= give_up {
                return Err(WaitError::Unfit(format!(
                    "no answer within {} s from the runner that holds the database ({holder})",
                    ANSWER_PATIENCE.as_secs()
                )));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn older_holder(&self) -> WaitError {
        WaitError::Unfit(format!(
            "the runner that holds the database is of an older version, which takes no requests; nothing was changed; stop it, then repeat `master_runner {}`",
            self.change.command()
        ))
    }
}

/// The reason why the wait for the lock holder's answer failed.
enum WaitError {
    Store(StoreError),
    Unfit(String),
}

impl From<StoreError> for WaitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The text that identifies this process as the requester: user, host, process id and start time of the process.
fn this_process() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
        .ok()
        .flatten()
        .map_or_else(|| nix::unistd::geteuid().to_string(), |user| user.name);
    let host = nix::unistd::gethostname().map_or_else(
        |_| "an unknown host".to_owned(),
        |host| host.to_string_lossy().into_owned(),
    );
    format!(
        "{user}@{host}, process {}, {}",
        std::process::id(),
        Timestamp::now()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_requests_never_have_the_same_name() {
        let (one, two) = (this_process(), this_process());
        assert!(one.contains('@') && one.contains(", process "), "{one}");
        assert_ne!(one, two);
    }
}
