//! The program from the command line to the exit code: checks before the run, the log, the runtime with one thread.

use std::io::IsTerminal as _;
use std::time::Duration;

use crate::cli::{Cli, Command, LogFormat, RunArgs};
use crate::clock::check_given_date;
use crate::commands::execute;
use crate::cycle_report::RunOutcome;
use crate::descriptors;
use crate::output::{LogWriter, finish_results, print_result};
use crate::stop_signals::StopSignals;
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

/// `EX_CONFIG` of `sysexits.h`.
const BAD_CONFIGURATION: u8 = 78;

/// The exit code that clap uses for a wrong command line.
const WRONG_COMMAND_LINE: u8 = 2;

/// Runs the command of the command line and returns the exit code.
#[must_use]
pub fn run_program() -> u8 {
    // This comes first, so that an early stop signal is handled like any other (A6).
    let stop = StopSignals::listen();
    // Faults that tests inject; a normal build has none.
    let _failpoints = schema::failpoint::from_environment();
    let (code, log) = match Cli::try_parse() {
        Ok(cli) => execute_command(cli, &stop),
        Err(unparsed) => explain_command_line(&unparsed),
    };
    stop.set_exit_code(code);
    finish_results(|| stop.requested());
    log.finish();
    code
}

/// Prints a clap result. Help and version are results with exit code 0; anything else is a wrong command line.
fn explain_command_line(unparsed: &clap::Error) -> (u8, LogWriter) {
    let log = LogWriter::start(false);
    let is_result = !unparsed.use_stderr();
    let ansi = match is_result {
        true => std::io::stdout().is_terminal(),
        false => std::io::stderr().is_terminal(),
    };
    let text = unparsed.render();
    let text = if ansi && std::env::var_os("NO_COLOR").is_none() {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    if is_result {
        print_result(text.trim_end());
    } else {
        log.message(text.trim_end());
    }
    (u8::try_from(unparsed.exit_code()).unwrap_or(1), log)
}

fn execute_command(cli: Cli, stop: &StopSignals) -> (u8, LogWriter) {
    let (command, common) = cli.into_command();
    let settings = match common.settings() {
        Ok(settings) => settings,
        Err(error) => {
            let log = LogWriter::start(false);
            log.message(&error.to_string());
            return (BAD_CONFIGURATION, log);
        }
    };
    stop.set_deadline(settings.supervision.shutdown);
    if let Command::Run(RunArgs {
        date: Some(given), ..
    }) = &command
    {
        let now = jiff::Zoned::now().with_time_zone(settings.schedule.timezone.clone());
        if let Err(why) = check_given_date(*given, now.date()) {
            let log = LogWriter::start(false);
            log.message(&why);
            return (WRONG_COMMAND_LINE, log);
        }
    }
    // Before any part opens files: a later lack of descriptors would look like a failure of the sites.
    if let (Command::Run(_), Err(why)) = (&command, descriptors::ensure()) {
        let log = LogWriter::start(false);
        log.message(&why);
        return (RunOutcome::Failed.exit_code(), log);
    }
    let with_bars = matches!(&command, Command::Run(args) if !args.no_progress && args.common.log == LogFormat::Text);
    let log = LogWriter::start(with_bars);
    log.report_panics();
    // A command prints its result on standard output, so only warnings and errors are logged.
    let level = if matches!(&command, Command::Run(_)) {
        "info"
    } else {
        "warn"
    };
    start_log(common.log, level, log.clone());
    let system = actix::System::with_tokio_rt(runtime);
    let code = system
        .block_on(execute(command, settings, log.clone(), stop))
        .exit_code();
    std::mem::forget(system);
    (code, log)
}

/// Idle threads that parse or encode end after this time: starting one is cheap, and each idle thread keeps its
/// allocator cache.
const THREAD_WAITS: Duration = Duration::from_millis(50);

/// Builds the runtime with one thread: all actors live on it (A9).
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(THREAD_WAITS)
        .build()
        .expect("a runtime needs a thread and an epoll descriptor: without them nothing can run")
}

fn start_log(format: LogFormat, level: &str, writer: LogWriter) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // No colours in files and pipes: escape codes would break searches for a name.
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(writer);
    match format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().init(),
    }
}
