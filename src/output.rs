//! Standard output and standard error (O8). Writing to them never stops, slows or panics the work.
//!
//! Each stream has a bounded queue and a thread of its own that writes. A caller only appends to the queue. A stream
//! that is full, closed or not read costs lines, never time: the lines are counted and reported once when the stream
//! accepts data again. Results on standard output may wait for their reader; a stop ends that wait.

mod bars;
mod destination;
mod queue;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

use bars::Screen;
pub use destination::Bar;
use destination::Plain;
use queue::{Losses, Queue};

/// Maximum bytes of log lines that wait to be written.
const LOG_BYTES: usize = 1024 * 1024;
/// Maximum bytes of results that wait to be written. One command prints far less.
const RESULT_BYTES: usize = 16 * 1024 * 1024;
/// How long a process waits at its end for a reader that reads nothing.
const LAST_LINES_STALLED: Duration = Duration::from_secs(1);
/// How long a process waits at its end for a slow reader.
const LAST_LINES: Duration = Duration::from_secs(5);
/// How long a result waits for the log lines before it, so that `2>&1` keeps their order.
const LOG_BEFORE_RESULT: Duration = Duration::from_millis(200);
/// How long a result waits for its reader after a stop.
const RESULT_AFTER_STOP: Duration = Duration::from_millis(300);
/// Interval at which a wait checks for a stop.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Time limit for a message that is written without a queue.
const LAST_WORDS: Duration = Duration::from_millis(200);

thread_local! {
    /// Set on the log's own thread while it formats the report of lost lines; collects the formatted line.
    static REPORT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// The destination of log lines and progress bars: standard error, without waiting for it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogWriter {
    queue: Queue,
    has_bars: bool,
}

impl LogWriter {
    /// Starts the log of this process, with bars only if `bars_wanted` and standard error is a terminal.
    #[must_use]
    pub fn start(bars_wanted: bool) -> Self {
        let has_bars = bars_wanted && io::stderr().is_terminal();
        let stream = stream_of(&io::stderr());
        let queue = if has_bars {
            Queue::start("log", LOG_BYTES, Screen::new(stream), LogLosses)
        } else {
            Queue::start("log", LOG_BYTES, Plain(stream), LogLosses)
        };
        Self { queue, has_bars }
    }

    /// Whether bars can be shown.
    #[must_use]
    pub const fn has_bars(&self) -> bool {
        self.has_bars
    }

    /// Shows these bars below the log lines. They replace bars that were not drawn yet.
    pub fn show_bars(&self, bars: Vec<Bar>) {
        self.queue.show(bars);
    }

    /// Writes a message unchanged, outside the log's format and filter.
    pub fn message(&self, text: &str) {
        self.queue.push(format!("{text}\n").into_bytes());
    }

    /// Reports panics through this log. The standard library's own report would write to standard error and wait.
    pub fn report_panics(&self) {
        let log = self.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("unnamed").to_owned();
            // Empty unless RUST_BACKTRACE asks for it.
            let backtrace = std::backtrace::Backtrace::capture();
            let trace = match backtrace.status() {
                std::backtrace::BacktraceStatus::Captured => format!("\n{backtrace}"),
                _ => String::new(),
            };
            log.message(&format!("thread '{name}' {panic}{trace}"));
        }));
    }

    /// Writes the waiting lines before the process ends, for a limited time.
    pub fn finish(&self) {
        self.queue.finish(LAST_LINES_STALLED, LAST_LINES);
    }
}

impl<'writer> MakeWriter<'writer> for LogWriter {
    type Writer = LogLine<'writer>;

    fn make_writer(&'writer self) -> Self::Writer {
        LogLine(&self.queue)
    }
}

/// One log line for the queue. Never fails.
#[derive(Debug)]
pub struct LogLine<'log>(&'log Queue);

impl Write for LogLine<'_> {
    /// Queues the whole line: the formatter writes each event with one call.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let collected = REPORT.with_borrow_mut(|report| {
            report
                .as_mut()
                .map(|report| report.extend_from_slice(bytes))
        });
        if collected.is_none() {
            self.0.push(bytes.to_vec());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lost log lines are reported in the log itself, in its format.
struct LogLosses;

impl Losses for LogLosses {
    fn begin(&mut self, _: &str, _: bool) {}

    fn report(&mut self, lost: u64, cause: &str) -> Vec<u8> {
        REPORT.set(Some(Vec::new()));
        tracing::warn!(lost, cause, "log lines were lost; the run is not affected");
        REPORT.take().unwrap_or_default()
    }
}

/// Lost results are reported in the log.
struct ResultLosses;

impl Losses for ResultLosses {
    fn begin(&mut self, cause: &str, reader_gone: bool) {
        // A reader that closed the pipe (`| head`) needs no more output.
        if !reader_gone {
            tracing::warn!(
                cause,
                "standard output does not take the result; the work is not affected; `master_runner status` shows the last cycles"
            );
        }
    }

    fn report(&mut self, _: u64, _: &str) -> Vec<u8> {
        Vec::new()
    }
}

static RESULTS: LazyLock<Queue> = LazyLock::new(|| {
    Queue::start(
        "results",
        RESULT_BYTES,
        Plain(stream_of(&io::stdout())),
        ResultLosses,
    )
});

/// Prints a result on standard output without waiting for its reader.
pub fn print_result(text: &str) {
    RESULTS.push(format!("{text}\n").into_bytes());
}

/// As [`print_result`], but first writes the log lines before it.
pub fn print_result_after(log: &LogWriter, text: &str) {
    log.queue.wait_written(LOG_BEFORE_RESULT, LOG_BEFORE_RESULT);
    print_result(text);
}

/// Waits until the reader has taken the results, or a stop is requested.
pub fn finish_results(is_stop_requested: impl Fn() -> bool) {
    let mut stop_seen: Option<Instant> = None;
    while !RESULTS.wait_written(LOOK_EVERY, LOOK_EVERY) {
        if is_stop_requested() {
            let seen = stop_seen.get_or_insert_with(Instant::now);
            if seen.elapsed() > RESULT_AFTER_STOP {
                return;
            }
        }
    }
}

/// Writes a message to standard error where no queue can be used, for a limited time.
pub fn last_words(text: String) {
    let speaking = std::thread::Builder::new().spawn(move || {
        let line = format!("{text}\n");
        // An error is ignored: a closed stream has no reader.
        let _ = stream_of(&io::stderr()).write_all(line.as_bytes());
    });
    let began = Instant::now();
    while speaking.as_ref().is_ok_and(|thread| !thread.is_finished())
        && began.elapsed() < LAST_WORDS
    {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Opens the stream with a descriptor of its own, so that a waiting write holds no lock that another thread needs.
fn stream_of(stream: &impl AsFd) -> Box<dyn Write + Send> {
    match stream.as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        // Without a free descriptor nothing else works either, so the lines are dropped.
        Err(_) => Box::new(io::sink()),
    }
}
