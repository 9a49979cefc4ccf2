//! The command line: commands, options and their help texts, and the environment variable `DATABASE_URL`. The names of
//! commands and options are stable, because scripts depend on them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use actors::run_mode::RunMode;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::civil::Date;
use schema::{FundCode, SourceName};

use crate::runner_config::{ConfigError, RunnerConfig};
use crate::runner_settings::RunnerSettings;

const EXAMPLES: &str = "\
Examples:
  master_runner --once                          one cycle now, then end
  master_runner                                 keep running by the schedule in runner.ron
  master_runner --once --cycle monthly          everything, whatever the calendar says
  master_runner --once --funds K-USA-A,SCBGOLD  two funds only
  master_runner --once --only finnomena         one source only
  master_runner status                          the last cycles, and what failed and why
  master_runner explain K-USA-A                 who said what about a fund, and which won
  master_runner probe wealthmagik K-USA-A --save /tmp/probe
  master_runner psql -- -c 'SELECT count(*) FROM funds_daily'

Exit codes: 0 complete, 1 failed, 2 wrong command line, 3 partial, 4 stopped by a signal (resumable), 78 bad configuration.";

/// Keeps a PostgreSQL warehouse of every Thai mutual fund true and current.
#[derive(Debug, Clone, Parser)]
#[command(name = "master_runner", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `run` if none is given.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What the program can do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Fetch, merge and load: by the schedule, or one cycle with --once (the default command)
    Run(RunArgs),
    /// Try configuration, database, browser and one page of each source; changes nothing
    Check(CommonArgs),
    /// The last cycles, what failed and why, how fresh each source is
    Status(CommonArgs),
    /// Each source's values for a fund, which won and why, and what was rejected
    Explain(ExplainArgs),
    /// Ask one source politely for one fund and show the parsed values
    Probe(ProbeArgs),
    /// Open the warehouse in psql
    Psql(PsqlArgs),
    /// Rebuild the small tables from the observations
    Remerge(CommonArgs),
    /// Forget what is known of a source's payloads, so that the next cycle parses everything again
    ResetSource(ResetSourceArgs),
    /// Accept a change of the market that was refused; the next cycle applies it, nothing is fetched now
    Accept(AcceptArgs),
}

/// Options that every command has.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// The configuration [default: runner.ron, or the built-in values where there is none]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How log lines look
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log: LogFormat,
}

impl CommonArgs {
    /// Reads the configuration file and `DATABASE_URL`, and checks them (O1).
    ///
    /// # Errors
    /// All wrong values at once, or the reason why the file cannot be read.
    pub fn settings(&self) -> Result<RunnerSettings, ConfigError> {
        let path = self
            .config
            .clone()
            .unwrap_or_else(|| PathBuf::from("runner.ron"));
        let config = RunnerConfig::load(&path, self.config.is_some())?;
        let database_url = std::env::var("DATABASE_URL").ok();
        RunnerSettings::check(&path, &config, database_url.as_deref())
    }
}

/// Options of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
    /// One cycle with both rounds, then end; resumes an open cycle
    #[arg(long)]
    pub once: bool,
    /// A new pass in any case
    #[arg(long, requires = "once")]
    pub fresh: bool,
    /// Wait for the runner that holds the database, and take over when it ends, dies, or shows no life for 5 s (needs
    /// its database role, or pg_read_all_stats and pg_signal_backend)
    #[arg(long)]
    pub standby: bool,
    /// What to ask for
    #[arg(long, value_enum, default_value_t = CycleChoice::Auto, requires = "once")]
    pub cycle: CycleChoice,
    /// The cycle's date (YYYY-MM-DD) instead of today in Bangkok
    #[arg(long, value_name = "DATE", requires = "once")]
    pub date: Option<Date>,
    /// How much at once: sequential (1), hybrid (2), parallel (3) [default: as configured]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<RunMode>,
    /// These sources only
    #[arg(long, requires = "once", value_name = "SOURCE,…", value_delimiter = ',', value_parser = read_source)]
    pub only: Vec<SourceName>,
    /// These funds only
    #[arg(long, requires = "once", value_name = "CODE,…", value_delimiter = ',', value_parser = read_code)]
    pub funds: Vec<FundCode>,
    /// The first N active funds only
    #[arg(long, requires = "once", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// No progress bars, log lines only
    #[arg(long)]
    pub no_progress: bool,
}

impl Cli {
    /// The command (`run` if none is named) and its common options.
    #[must_use]
    pub fn into_command(self) -> (Command, CommonArgs) {
        let command = self.command.unwrap_or(Command::Run(self.run));
        let common = match &command {
            Command::Run(args) => args.common.clone(),
            Command::Check(common) | Command::Status(common) | Command::Remerge(common) => {
                common.clone()
            }
            Command::Explain(args) => args.common.clone(),
            Command::Probe(args) => args.common.clone(),
            Command::Psql(args) => args.common.clone(),
            Command::ResetSource(args) => args.common.clone(),
            Command::Accept(args) => args.common.clone(),
        };
        (command, common)
    }
}

impl RunArgs {
    /// The sources and funds to which the run is narrowed.
    #[must_use]
    pub fn narrowing(&self) -> crate::cycle_plan::Narrowing {
        fn some<T: Ord + Clone>(list: &[T]) -> Option<BTreeSet<T>> {
            (!list.is_empty()).then(|| list.iter().cloned().collect())
        }
        crate::cycle_plan::Narrowing {
            funds: some(&self.funds),
            limit: self
                .limit
                .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            only: some(&self.only),
        }
    }
}

/// Options of `explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// Options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The fund
    #[arg(value_name = "CODE", value_parser = read_code)]
    pub code: FundCode,
}

/// Options of `probe`.
#[derive(Debug, Clone, Args)]
pub struct ProbeArgs {
    /// Options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The source
    #[arg(value_name = "SOURCE", value_parser = read_source)]
    pub source: SourceName,
    /// The fund
    #[arg(value_name = "CODE", value_parser = read_code)]
    pub code: FundCode,
    /// One page only, such as nav or profile [default: every page of the fund]
    #[arg(long, value_name = "PAGE")]
    pub page: Option<String>,
    /// Keep the payloads here
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
}

/// Options of `psql`.
#[derive(Debug, Clone, Args)]
pub struct PsqlArgs {
    /// Options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Handed on to psql, after --
    #[arg(last = true, value_name = "PSQL OPTIONS")]
    pub psql: Vec<String>,
}

/// Options of `reset-source`.
#[derive(Debug, Clone, Args)]
pub struct ResetSourceArgs {
    /// Options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The source
    #[arg(value_name = "NAME", value_parser = read_source)]
    pub source: SourceName,
}

/// Options of `accept`.
#[derive(Debug, Clone, Args)]
pub struct AcceptArgs {
    /// Options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The breach's number, as the log and `status` show it
    #[arg(value_name = "BREACH_ID")]
    pub breach_id: i64,
}

/// `--cycle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CycleChoice {
    /// monthly where none has closed in this calendar month, else daily
    Auto,
    /// What changes daily
    Daily,
    /// Everything
    Monthly,
}

/// `--log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For eyes
    Text,
    /// One JSON object a line
    Json,
}

fn read_source(text: &str) -> Result<SourceName, String> {
    match text.parse::<SourceName>() {
        Ok(SourceName::Adopted) | Err(_) => {
            let names: Vec<&str> = SourceName::REQUESTED
                .iter()
                .map(|one| one.as_str())
                .collect();
            Err(format!("the sources are {}", names.join(", ")))
        }
        Ok(source) => Ok(source),
    }
}

fn read_code(text: &str) -> Result<FundCode, String> {
    FundCode::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default_and_takes_its_options_with_or_without_its_name() {
        for line in [
            &[
                "master_runner",
                "--once",
                "--mode",
                "3",
                "--funds",
                "A B,K-USA-A(A)",
                "--date",
                "2026-10-15",
            ][..],
            &[
                "master_runner",
                "run",
                "--once",
                "--mode",
                "parallel",
                "--funds",
                "A B,K-USA-A(A)",
                "--date",
                "2026-10-15",
            ][..],
        ] {
            let cli = Cli::try_parse_from(line).expect("a good command line");
            let run = match cli.command {
                Some(Command::Run(run)) => run,
                None => cli.run,
                other => panic!("{other:?}"),
            };
            assert!(run.once);
            assert_eq!(run.mode, Some(RunMode::Parallel));
            assert_eq!(run.narrowing().funds.map(|funds| funds.len()), Some(2));
            assert!(run.narrowing().is_partial());
        }
    }

    #[test]
    fn a_wrong_command_line_is_refused_with_the_choices() {
        for (line, choices) in [
            (&["master_runner", "--mode", "4"][..], "sequential"),
            (&["master_runner", "--only", "bloomberg"][..], "finnomena"),
            (
                &["master_runner", "--date", "15/10/2026", "--once"][..],
                "date",
            ),
            (&["master_runner", "--date", "2026-10-15"][..], "--once"),
            (&["master_runner", "--limit", "0"][..], "limit"),
            // A narrowed cycle never satisfies the schedule, so a scheduled one would be due for ever.
            (&["master_runner", "--funds", "A"][..], "--once"),
            (&["master_runner", "--cycle", "monthly"][..], "--once"),
        ] {
            let error = Cli::try_parse_from(line).expect_err("a wrong command line");
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(choices), "{error}");
        }
        let help = Cli::try_parse_from(["master_runner", "--help"]).expect_err("help");
        assert_eq!(help.kind(), ErrorKind::DisplayHelp);
        assert!(
            help.to_string()
                .contains("master_runner --once --cycle monthly")
        );
    }
}
