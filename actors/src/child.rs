//! A child of the supervisor: starts an actor and reports the reason of its end, whatever ended it.
//!
//! `actix::Supervisor` does not fit: it does not see panics, has neither delay nor budget, and keeps the old state.
//! Therefore a child's `Context` runs as a separate task, whose `JoinHandle` distinguishes panic, abort and stop.

use std::sync::Arc;

use actix::{Actor, Addr, Context};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

/// Why a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// All work of the child is done and acknowledged.
    Finished,
    /// The child stopped on request.
    Asked,
    /// The child ended itself because of an error.
    Failed(String),
    /// The child ended itself because of an error that no restart fixes.
    Final(String),
    /// The child panicked, with this text.
    Panicked(String),
    /// The supervisor ended the child because it made no progress although it waited for nothing.
    Stuck,
    /// The supervisor ended the child for another reason: another child's failure or a deadline.
    Killed,
}

impl ExitReason {
    /// Whether the restart policy has to decide.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::Failed(_) | Self::Final(_) | Self::Panicked(_) | Self::Stuck
        )
    }
}

impl std::fmt::Display for ExitReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Asked => f.write_str("stopped as asked"),
            Self::Failed(why) | Self::Final(why) => write!(f, "failed: {why}"),
            Self::Panicked(what) => write!(f, "panicked: {what}"),
            Self::Stuck => f.write_str("stuck: no progress and nothing to wait for"),
            Self::Killed => f.write_str("killed by the supervisor"),
        }
    }
}

/// Holds a child's exit reason. The child sets it before it stops, the supervisor before it aborts the child. A child
/// that ends without a reason has failed (D7: success is never the default).
#[derive(Debug, Clone, Default)]
pub struct ExitSlip(Arc<Mutex<Option<ExitReason>>>);

impl ExitSlip {
    /// Sets the reason. If a reason is already set, it is kept.
    pub fn leave(&self, reason: ExitReason) {
        self.0.lock().get_or_insert(reason);
    }

    fn read(&self) -> Option<ExitReason> {
        self.0.lock().clone()
    }
}

/// A running child.
#[derive(Debug)]
pub struct Child<A: Actor> {
    /// The address for messages to the child.
    pub address: Addr<A>,
    slip: ExitSlip,
    abort: AbortHandle,
}

impl<A: Actor<Context = Context<A>>> Child<A> {
    /// Builds a fresh actor with a bounded mailbox, runs it, and calls `on_exit` with the reason when it ends.
    pub fn start(
        mailbox: usize,
        build: impl FnOnce(ExitSlip) -> A,
        on_exit: impl FnOnce(ExitReason) + 'static,
    ) -> Self {
        let slip = ExitSlip::default();
        let mut context = Context::new();
        context.set_mailbox_capacity(mailbox);
        let address = actix::AsyncContext::address(&context);
        let running = actix::spawn(context.into_future(build(slip.clone())));
        let abort = running.abort_handle();
        let left = slip.clone();
        actix::spawn(async move {
            let reason = match running.await {
                Ok(()) => left.read().unwrap_or_else(|| {
                    ExitReason::Failed("it ended without saying why".to_owned())
                }),
                Err(error) if error.is_panic() => ExitReason::Panicked(panic_text(error)),
                Err(_) => left.read().unwrap_or(ExitReason::Killed),
            };
            on_exit(reason);
        });
        Self {
            address,
            slip,
            abort,
        }
    }

    /// Ends the child immediately. Unacknowledged work is replayed, so nothing is lost.
    pub fn kill(&self, reason: ExitReason) {
        self.slip.leave(reason);
        self.abort.abort();
    }
}

fn panic_text(error: tokio::task::JoinError) -> String {
    let payload = error.into_panic();
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned());
    text.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use actix::prelude::*;
    use tokio::sync::oneshot;

    use super::*;

    struct Worker(ExitSlip);

    impl Actor for Worker {
        type Context = Context<Self>;
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    enum Do {
        Panic,
        StopSilently,
        Finish,
    }

    impl Handler<Do> for Worker {
        type Result = ();

        fn handle(&mut self, what: Do, context: &mut Self::Context) {
            match what {
                Do::Panic => panic!("boom"),
                Do::StopSilently => context.stop(),
                Do::Finish => {
                    self.0.leave(ExitReason::Finished);
                    context.stop();
                }
            }
        }
    }

    async fn exit_after(act: impl FnOnce(&Child<Worker>)) -> ExitReason {
        let (sender, receiver) = oneshot::channel();
        let child = Child::start(4, Worker, |reason| drop(sender.send(reason)));
        act(&child);
        receiver.await.expect("every child's end is told")
    }

    #[actix::test]
    async fn every_kind_of_end_is_distinguished() {
        assert_eq!(
            exit_after(|child| child.address.do_send(Do::Panic)).await,
            ExitReason::Panicked("boom".to_owned())
        );
        assert_eq!(
            exit_after(|child| child.address.do_send(Do::Finish)).await,
            ExitReason::Finished
        );
        assert!(
            exit_after(|child| child.address.do_send(Do::StopSilently))
                .await
                .is_failure()
        );
        assert_eq!(
            exit_after(|child| child.kill(ExitReason::Stuck)).await,
            ExitReason::Stuck
        );
    }
}
