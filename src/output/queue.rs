//! A bounded queue of lines, and the thread that writes them to a stream.
//!
//! A line is lost if the queue is full. All lines after it are lost as well, until the thread has written the whole
//! queue. One stall therefore causes one gap and one report.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::destination::{Bar, Destination};

/// Reported cause for lines that were lost because the queue was full.
const NOT_READ: &str = "the stream was not read";

/// Reports lost lines.
pub trait Losses: Send + 'static {
    /// The first line of a series was lost. `reader_gone`: the pipe is closed.
    fn begin(&mut self, cause: &str, reader_gone: bool);

    /// Returns the line that reports the lost lines. It is written when the stream accepts data again. Empty if there
    /// is nothing to report.
    fn report(&mut self, lost: u64, cause: &str) -> Vec<u8>;
}

/// The handle for writers. Cheap to clone. No call waits for the stream, except [`Queue::wait_written`] and
/// [`Queue::finish`].
#[derive(Clone)]
pub struct Queue(Arc<Shared>);

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    most_bytes: usize,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// Total length of `lines`.
    bytes: usize,
    /// Lines lost because the queue was full. If not 0, every further line is lost until the queue is empty.
    overflowed: u64,
    /// The newest bars that are not drawn yet.
    bars: Option<Vec<Bar>>,
    /// Whether the thread is working.
    writing: bool,
    /// Whether the process is ending, so that lost lines must be reported.
    finishing: bool,
    /// Number of work items that the thread has finished.
    finished: u64,
    /// Whether there is no thread, so that nothing can be written.
    no_writer: bool,
}

/// What the thread does next.
enum Work {
    Line(Vec<u8>),
    Bars(Vec<Bar>),
    Overflowed(u64),
    Report,
}

impl Queue {
    /// Starts the thread. If that fails, every line is lost.
    pub fn start(
        name: &str,
        most_bytes: usize,
        destination: impl Destination,
        losses: impl Losses,
    ) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            most_bytes,
        });
        let mut writer = LineWriter {
            destination,
            losses,
            lost: 0,
            cause: String::new(),
            broken_line: false,
        };
        let queue = Arc::clone(&shared);
        let started = std::thread::Builder::new()
            .name(format!("write-{name}"))
            .spawn(move || {
                loop {
                    writer.work(queue.next());
                }
            });
        if started.is_err() {
            shared.state.lock().no_writer = true;
        }
        Self(shared)
    }

    /// Adds a line, or loses it if the queue is full.
    pub fn push(&self, line: Vec<u8>) {
        let mut state = self.0.state.lock();
        let full = !state.lines.is_empty() && state.bytes + line.len() > self.0.most_bytes;
        if full || state.overflowed > 0 || state.no_writer {
            state.overflowed += 1;
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line);
        self.0.changed.notify_all();
    }

    /// Replaces the bars to draw.
    pub fn show(&self, bars: Vec<Bar>) {
        self.0.state.lock().bars = Some(bars);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written: at most `most`, and at most `stalled` without progress. Returns whether
    /// everything is written.
    pub fn wait_written(&self, stalled: Duration, most: Duration) -> bool {
        let began = Instant::now();
        let mut state = self.0.state.lock();
        let mut moved = (state.finished, Instant::now());
        loop {
            if state.is_idle() || state.no_writer {
                return true;
            }
            if state.finished != moved.0 {
                moved = (state.finished, Instant::now());
            }
            let left = stalled
                .saturating_sub(moved.1.elapsed())
                .min(most.saturating_sub(began.elapsed()));
            if left.is_zero() {
                return false;
            }
            self.0.changed.wait_for(&mut state, left);
        }
    }

    /// Like [`Queue::wait_written`], but also reports lost lines if the stream accepts data.
    pub fn finish(&self, stalled: Duration, most: Duration) {
        self.0.state.lock().finishing = true;
        self.0.changed.notify_all();
        self.wait_written(stalled, most);
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.lines.is_empty()
            && self.bars.is_none()
            && self.overflowed == 0
            && !self.writing
            && !self.finishing
    }
}

impl Shared {
    /// Marks the previous work as finished and waits for the next.
    fn next(&self) -> Work {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.writing) {
            state.finished += 1;
        }
        loop {
            let work = if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len();
                Some(Work::Line(line))
            } else if state.overflowed > 0 {
                Some(Work::Overflowed(std::mem::take(&mut state.overflowed)))
            } else if let Some(bars) = state.bars.take() {
                Some(Work::Bars(bars))
            } else if std::mem::take(&mut state.finishing) {
                Some(Work::Report)
            } else {
                None
            };
            if let Some(work) = work {
                state.writing = true;
                return work;
            }
            self.changed.notify_all();
            self.changed.wait(&mut state);
        }
    }
}

/// The state of the thread: the lines lost since the last report.
struct LineWriter<D, L> {
    destination: D,
    losses: L,
    lost: u64,
    cause: String,
    /// Whether a part of a line was written, so that the next line begins with a line break.
    broken_line: bool,
}

impl<D: Destination, L: Losses> LineWriter<D, L> {
    fn work(&mut self, work: Work) {
        match work {
            Work::Line(line) => {
                if !self.report() {
                    self.lost += 1;
                    return;
                }
                self.write(&line);
            }
            Work::Overflowed(lines) => {
                self.lose(lines, NOT_READ, false);
                self.report();
            }
            Work::Bars(bars) => self.destination.draw(&bars),
            Work::Report => {
                self.report();
            }
        }
    }

    /// Reports the lost lines. Returns false if the stream still accepts nothing.
    fn report(&mut self) -> bool {
        if self.lost == 0 {
            return true;
        }
        let report = self.losses.report(self.lost, &self.cause);
        let was_written = report.is_empty() || self.try_write(&report).is_ok();
        if was_written {
            self.lost = 0;
        }
        was_written
    }

    fn write(&mut self, line: &[u8]) {
        if let Err(error) = self.try_write(line) {
            let reader_gone = error.kind() == io::ErrorKind::BrokenPipe;
            self.lose(1, &error.to_string(), reader_gone);
        }
    }

    fn lose(&mut self, lines: u64, cause: &str, reader_gone: bool) {
        if self.lost == 0 {
            cause.clone_into(&mut self.cause);
            self.losses.begin(cause, reader_gone);
        }
        self.lost += lines;
    }

    fn try_write(&mut self, line: &[u8]) -> io::Result<()> {
        let whole = if self.broken_line {
            [b"\n", line].concat()
        } else {
            line.to_vec()
        };
        match self.destination.write_line(&whole) {
            Ok(()) => {
                self.broken_line = false;
                Ok(())
            }
            Err(unwritten) => {
                self.broken_line |= unwritten.in_part;
                Err(unwritten.error)
            }
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
