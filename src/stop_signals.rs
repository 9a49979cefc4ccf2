//! Stop requests (A6): SIGTERM and SIGINT, received from the start of the process to its end.
//!
//! A separate thread receives them. Even if the rest of the program is busy or blocked (a log whose reader has stalled,
//! a server that does not start), the request is recorded, and the process exits at the deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cycle_report::RunOutcome;
use crate::output::last_words;

/// The deadline of a stop before the configuration has been read.
const USUAL_DEADLINE: Duration = Duration::from_secs(30);

/// Whether the program is to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StopSignals(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Number of signals received.
    heard: watch::Sender<u32>,
    deadline_millis: AtomicU64,
    /// The exit code if the process is ended at the deadline.
    exit_code: AtomicU8,
    /// Whether a child program uses this terminal, so that Ctrl-C is meant for the child and not for this process.
    interrupts_are_a_childs: AtomicBool,
}

impl StopSignals {
    /// Starts to receive both signals. If that fails, it is reported; then only `kill -9` stops the process, which
    /// loses nothing.
    #[must_use]
    pub fn listen() -> Self {
        let shared = Arc::new(Shared {
            heard: watch::channel(0).0,
            deadline_millis: AtomicU64::new(millis(USUAL_DEADLINE)),
            exit_code: AtomicU8::new(RunOutcome::Stopped.exit_code()),
            interrupts_are_a_childs: AtomicBool::new(false),
        });
        let (listening, is_listening) = std::sync::mpsc::channel();
        let heard = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("stop-signals".to_owned())
            .spawn(move || hear(&heard, &listening));
        let outcome = thread.and_then(|_| {
            is_listening
                .recv()
                .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        });
        if let Err(error) = outcome {
            last_words(format!(
                "signals cannot be listened to ({error}): only kill -9 stops this process; that loses nothing"
            ));
        }
        Self(shared)
    }

    /// Sets how long a stop may take, from the first signal to the end of the process.
    pub fn set_deadline(&self, deadline: Duration) {
        self.0
            .deadline_millis
            .store(millis(deadline), Ordering::Release);
    }

    /// Sets the exit code for the case that the process is ended at the deadline although its work is done.
    pub fn set_exit_code(&self, code: u8) {
        self.0.exit_code.store(code, Ordering::Release);
    }

    /// Whether the program is to stop.
    #[must_use]
    pub fn requested(&self) -> bool {
        *self.0.heard.borrow() > 0
    }

    /// Returns when a stop is requested; immediately if it already was.
    pub async fn request(&self) {
        self.heard_more_than(0).await;
    }

    /// Returns when more than `signals` signals have been received.
    pub async fn heard_more_than(&self, signals: u32) {
        let mut heard = self.0.heard.subscribe();
        if heard.wait_for(|heard| *heard > signals).await.is_err() {
            // The receiving thread is gone, so no stop request can arrive.
            std::future::pending::<()>().await;
        }
    }

    /// Runs `work` and returns its result. If a stop is requested first, drops `work` and returns `None`.
    pub async fn unless_requested<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.request() => None,
            done = work => Some(done),
        }
    }

    /// Ignores Ctrl-C until the guard is dropped. The terminal sends Ctrl-C to all its processes, and psql uses it to
    /// cancel a query.
    #[must_use]
    pub fn leave_interrupts_to_a_child(&self) -> InterruptsLeft {
        self.0
            .interrupts_are_a_childs
            .store(true, Ordering::Release);
        InterruptsLeft(self.clone())
    }
}

/// See [`StopSignals::leave_interrupts_to_a_child`].
#[derive(Debug)]
pub struct InterruptsLeft(StopSignals);

impl Drop for InterruptsLeft {
    fn drop(&mut self) {
        self.0
            .0
            .interrupts_are_a_childs
            .store(false, Ordering::Release);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The body of the receiving thread. It does not log, because the thread that has the log's lock may be blocked.
fn hear(shared: &Shared, listening: &std::sync::mpsc::Sender<std::io::Result<()>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            // The receiver waits for this message.
            let _ = listening.send(Ok(()));
            let mut first: Option<Instant> = None;
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {
                        if shared.interrupts_are_a_childs.load(Ordering::Acquire) {
                            continue;
                        }
                    }
                    () = past_the_deadline(shared, first) => end_the_process(shared),
                }
                first.get_or_insert_with(Instant::now);
                shared
                    .heard
                    .send_modify(|heard| *heard = heard.saturating_add(1));
            }
        })
    });
    let _ = listening.send(outcome);
}

async fn past_the_deadline(shared: &Shared, first: Option<Instant>) {
    let Some(first) = first else {
        return std::future::pending().await;
    };
    // The deadline is read again in each iteration, because the configuration may be read after the signal was
    // received.
    while first.elapsed() < Duration::from_millis(shared.deadline_millis.load(Ordering::Acquire)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn end_the_process(shared: &Shared) -> ! {
    last_words(
        "the stop took longer than supervision.shutdown_secs: the process is ended; the next start fetches what was not acknowledged"
            .to_owned(),
    );
    std::process::exit(i32::from(shared.exit_code.load(Ordering::Acquire)))
}
