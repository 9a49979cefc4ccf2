//! The command line (DESIGN section 11): people script against these names.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use jiff::civil::Date;
use schema::{FundCode, SourceName};

use crate::runner_settings::RunMode;

/// The configuration that is read where none is named.
pub const DEFAULT_CONFIG: &str = "runner.ron";

const EXAMPLES: &str = "\
Examples:
  master_runner                                   work by the schedule, for years
  master_runner --once                            one cycle, both rounds, then end
  master_runner --once --cycle monthly --mode 3   everything, as fast as the sites allow
  master_runner --once --funds 'K-USA-A(A),TERF #1' --only finnomena
  master_runner check                             is everything here that a run needs?
  master_runner explain 'K-USA-A(A)'              who said what about one fund, and what won
  master_runner probe wealthmagik SCBGOLD --save data/probe
  master_runner psql -- -c 'SELECT count(*) FROM funds_daily'

Exit codes: 0 complete, 1 failed, 2 wrong command line, 3 partial, 4 stopped by a signal, 78 bad configuration.";

/// Keeps a PostgreSQL warehouse of every Thai mutual fund true and current.
#[derive(Debug, Parser)]
#[command(name = "master_runner", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct CommandLine {
    /// The configuration; every key of it may be left out [default: runner.ron]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    #[command(flatten)]
    run: RunOptions,

    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do; `run` where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Fetch, merge and load: by the schedule, or one cycle with --once (the default)
    Run(RunOptions),
    /// Try configuration, database, browser and one page of each source; changes nothing
    Check,
    /// What was done last, what is open, what is due next
    Status,
    /// Per field of one fund: what each source said and when, which won and why, what was rejected
    Explain {
        /// The fund
        #[arg(value_name = "CODE", value_parser = FundCode::parse)]
        code: FundCode,
    },
    /// Fetch one fund's pages of one source, politely, and show what the parser reads: how a parser is repaired
    Probe {
        /// finnomena, wealthmagik or sec_fundcheck
        #[arg(value_name = "SOURCE", value_parser = asked_source)]
        source: SourceName,
        /// The fund
        #[arg(value_name = "CODE", value_parser = FundCode::parse)]
        code: FundCode,
        /// Keep the payloads in this folder
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
    },
    /// Open psql on the warehouse; starts the private server if need be, and stops what it started
    Psql {
        /// Handed to psql as they are
        #[arg(value_name = "PSQL ARGUMENTS", last = true)]
        arguments: Vec<OsString>,
    },
    /// Derive the small tables anew from what was observed; asks no site
    Remerge,
    /// Forget what was asked of one source, so that the next cycle asks for all of it again; no row is lost
    ResetSource {
        /// finnomena, wealthmagik or sec_fundcheck
        #[arg(value_name = "NAME", value_parser = asked_source)]
        source: SourceName,
    },
}

/// The options of `run`, which may also stand without the word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct RunOptions {
    /// One cycle with both rounds, then end: resumes an open one, asks again for what failed, else makes a new pass
    #[arg(long)]
    pub once: bool,

    /// A new pass even if the cycle is closed
    #[arg(long)]
    pub fresh: bool,

    /// While another runner holds the database: wait for it instead of ending
    #[arg(long)]
    pub standby: bool,

    /// What to ask for [default: auto = monthly if no monthly cycle has closed in the calendar month]
    #[arg(long, value_name = "KIND", value_enum)]
    pub cycle: Option<CycleChoice>,

    /// The cycle's date [default: today in the schedule's time zone]; cannot bring back old pages
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<Date>,

    /// sequential (1), hybrid (2) or parallel (3) [default: the configuration's]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<RunMode>,

    /// Only these sources (never satisfies the schedule)
    #[arg(long, value_name = "SOURCE,…", value_delimiter = ',', value_parser = asked_source)]
    pub only: Vec<SourceName>,

    /// Only these funds (never satisfies the schedule)
    #[arg(long, value_name = "CODE,…", value_delimiter = ',', value_parser = FundCode::parse)]
    pub funds: Vec<FundCode>,

    /// Only so many funds (never satisfies the schedule)
    #[arg(long, value_name = "N")]
    pub limit: Option<NonZeroUsize>,

    /// Log lines instead of progress bars
    #[arg(long)]
    pub no_progress: bool,

    /// How log lines are written [default: text on a terminal, json elsewhere]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub log: Option<LogFormat>,
}

impl RunOptions {
    /// Narrowed by `--only`, `--funds` or `--limit`: such a run never satisfies the schedule, is never the yard-stick for
    /// shrinkage, and never changes `fund_status`.
    #[must_use]
    pub const fn is_partial_scope(&self) -> bool {
        !self.only.is_empty() || !self.funds.is_empty() || self.limit.is_some()
    }
}

/// `--cycle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum CycleChoice {
    /// By the monthly rule.
    #[default]
    Auto,
    /// What changes daily.
    Daily,
    /// Everything.
    Monthly,
}

/// `--log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// A command line that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The configuration's path.
    pub config: PathBuf,
    /// Whether it was named: then it must be there.
    pub config_named: bool,
    /// What to do.
    pub command: Command,
}

impl Invocation {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// Wrong options, or `--help` and `--version`: `clap::Error::exit` prints them and ends with 2 or 0.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let line = CommandLine::try_parse_from(arguments)?;
        let command = match line.command {
            None => Command::Run(line.run),
            Some(command) if line.run == RunOptions::default() => command,
            Some(_) => {
                return Err(CommandLine::command().error(
                    ErrorKind::ArgumentConflict,
                    "only --config may stand before a command; write the other options behind it",
                ));
            }
        };
        Ok(Self {
            config_named: line.config.is_some(),
            config: line.config.unwrap_or_else(|| DEFAULT_CONFIG.into()),
            command,
        })
    }

    /// The line that opens psql on the same warehouse, as it can be pasted into a shell.
    #[must_use]
    pub fn psql_line(&self, program: &str) -> String {
        if self.config_named {
            let config = self.config.display().to_string();
            format!("{} --config {} psql", quoted(program), quoted(&config))
        } else {
            format!("{} psql", quoted(program))
        }
    }
}

/// A word of a shell line, quoted where it must be.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// A source that can be asked: `adopted` cannot.
fn asked_source(text: &str) -> Result<SourceName, String> {
    match text.parse() {
        Ok(SourceName::Adopted) | Err(_) => {
            Err("the sources are finnomena, wealthmagik, sec_fundcheck".to_owned())
        }
        Ok(source) => Ok(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Invocation, clap::Error> {
        let words =
            std::iter::once("master_runner").chain(line.split('|').filter(|w| !w.is_empty()));
        Invocation::read(words.map(OsString::from))
    }

    fn run(line: &str) -> RunOptions {
        match read(line).expect("a right line").command {
            Command::Run(options) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn run_is_the_default_and_may_be_written_out() {
        assert_eq!(run(""), RunOptions::default());
        assert_eq!(run("run|--once|--fresh"), run("--once|--fresh"));
        assert!(!read("").expect("right").config_named);
        for line in ["--config|x.ron|status", "status|--config|x.ron"] {
            let invocation = read(line).expect("right");
            assert_eq!(
                (invocation.config, invocation.command),
                ("x.ron".into(), Command::Status)
            );
        }
    }

    #[test]
    fn every_option_of_a_run_is_typed() {
        let options = run(
            "--once|--fresh|--standby|--cycle|monthly|--date|2026-10-15|--mode|3|--only|finnomena,sec_fundcheck\
             |--funds|K-USA-A(A),TERF #1, SCBGLOW|--limit|5|--no-progress|--log|json",
        );
        assert_eq!(options.cycle, Some(CycleChoice::Monthly));
        assert_eq!(options.date, Some(jiff::civil::date(2026, 10, 15)));
        assert_eq!(options.mode, Some(RunMode::Parallel));
        assert_eq!(
            options.only,
            [SourceName::Finnomena, SourceName::SecFundcheck]
        );
        let codes: Vec<&str> = options.funds.iter().map(FundCode::as_str).collect();
        assert_eq!(codes, ["K-USA-A(A)", "TERF #1", "SCBGLOW"]);
        assert_eq!(options.limit.map(NonZeroUsize::get), Some(5));
        assert_eq!(options.log, Some(LogFormat::Json));
        assert!(options.once && options.fresh && options.standby && options.no_progress);
        assert!(options.is_partial_scope() && !run("--once").is_partial_scope());
        for (word, mode) in [
            ("sequential", RunMode::Sequential),
            ("2", RunMode::Hybrid),
            ("Parallel", RunMode::Parallel),
        ] {
            assert_eq!(run(&format!("--mode|{word}")).mode, Some(mode));
        }
    }

    #[test]
    fn the_other_commands_take_what_they_need() {
        let code = |text| FundCode::parse(text).expect("a code");
        for (line, command) in [
            ("check", Command::Check),
            (
                "explain|TERF #1",
                Command::Explain {
                    code: code("TERF #1"),
                },
            ),
            (
                "probe|wealthmagik|ABC|--save|out",
                Command::Probe {
                    source: SourceName::Wealthmagik,
                    code: code("ABC"),
                    save: Some("out".into()),
                },
            ),
            (
                "psql|--|-c|SELECT 1",
                Command::Psql {
                    arguments: vec!["-c".into(), "SELECT 1".into()],
                },
            ),
            ("remerge", Command::Remerge),
            (
                "reset-source|finnomena",
                Command::ResetSource {
                    source: SourceName::Finnomena,
                },
            ),
        ] {
            assert_eq!(read(line).expect(line).command, command);
        }
    }

    #[test]
    fn a_wrong_command_line_ends_with_two_and_help_with_zero() {
        for line in [
            "--onec",
            "sing",
            "--mode|4",
            "--mode|",
            "--date|2026-02-30",
            "--date|tomorrow",
            "--only|adopted",
            "--only|yahoo",
            "--limit|0",
            "--limit|-1",
            "--cycle|weekly",
            "--log|xml",
            "--funds|",
            "--once|check",
            "check|--once",
            "explain",
            "probe|finnomena",
            "reset-source|adopted",
            "explain|",
            "run|status",
        ] {
            assert_eq!(read(line).expect_err(line).exit_code(), 2, "{line}");
        }
        for line in ["--help", "-h", "--version", "run|--help", "psql|--help"] {
            assert_eq!(read(line).expect_err(line).exit_code(), 0, "{line}");
        }
    }

    #[test]
    fn the_help_shows_every_command_and_examples() {
        insta::assert_snapshot!(CommandLine::command().term_width(100).render_long_help());
    }

    #[test]
    fn the_line_that_opens_psql_can_be_pasted() {
        let line = |arguments| {
            read(arguments)
                .expect("right")
                .psql_line("target/release/master_runner")
        };
        assert_eq!(line("--once"), "target/release/master_runner psql");
        assert_eq!(
            line("--config|my runner.ron|--once"),
            "target/release/master_runner --config 'my runner.ron' psql"
        );
    }
}
