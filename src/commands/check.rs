//! `master_runner check`: tries configuration, database, browser, pdftotext and one page of each source. Reports for
//! each of them whether it works, and otherwise the next step. Changes nothing: no migration, no cluster, no file.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::{Timestamp, Zoned};
use schema::precedence::Precedence;
use schema::{Observation, ObservationData, SourceName, TaskId};
use sources::page::Stage;
use sources::payload::pdf_text::{self, PdfTextError};
use sources::site::{ReadContext, Reading};
use sources::transport::user_agent;
use store::{Reader, ServerFacts, StoreError};
use tokio::time::Instant;
use url::Url;

use crate::clock::{self, ClockFacts};
use crate::descriptors;
use crate::runner_settings::{DatabaseSettings, RunnerSettings};
use crate::secret::without_passwords;
use crate::sites::Sites;
use crate::stop_signals::StopSignals;
use crate::warehouse::{START_PATIENCE, Warehouse};
use embedded_postgres::{EmbeddedError, EmbeddedPostgres, Found};

use super::page_probe::{PageProbe, Probed};
use super::{CommandError, ProgramEnd, or_stopped, place_of, say};

/// Pause between two attempts to reach a database.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);

/// Time limit for each site to report its time.
const CLOCK_LIMIT: Duration = Duration::from_secs(3);

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tried {
    what: &'static str,
    /// What was found, or what is wrong and the next step.
    found: Result<String, String>,
}

/// Runs all checks and prints a line for each check as soon as it ends. Ends as failed if a check failed.
///
/// # Errors
/// The transport to the sites cannot be created.
pub async fn check(
    settings: &RunnerSettings,
    config: Option<&Path>,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    let sites = Sites::for_questions(settings)?;
    let checked = try_everything(settings, config, &sites, stop).await;
    sites.close().await;
    checked
}

async fn try_everything(
    settings: &RunnerSettings,
    config: Option<&Path>,
    sites: &Sites,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    let mut tried = Vec::new();
    let mut tell = |what, found| {
        let one = Tried { what, found };
        say(&line(&one));
        tried.push(one);
    };
    tell(
        "configuration",
        Ok(configuration(config, &settings.user_agent_contact)),
    );
    say(&ranks(&settings.precedence));
    if let Err(why) = descriptors::ensure() {
        tell("descriptors", Err(why));
    }
    let (database, known_code) = database(settings, stop).await?;
    tell("database", database);
    if sites.may_use_browser() {
        let browser = or_stopped(stop, sites.try_browser()).await?;
        tell(
            "browser",
            browser
                .map(|()| "a session was opened and closed".to_owned())
                .map_err(|why| {
                    format!(
                        "{why}; sources that answer only browsers are not read without one; next: script/test installs it, or set transport: Http"
                    )
                }),
        );
    }
    tell("pdftotext", or_stopped(stop, pdftotext()).await?);
    let context = ReadContext {
        cycle_date: Zoned::now()
            .with_time_zone(settings.schedule.timezone.clone())
            .date(),
    };
    let mut code = known_code;
    for source in sites.sources() {
        let Some(probe) = PageProbe::of(sites, source) else {
            continue;
        };
        let list = probe.pages().iter().find(|page| page.stage == Stage::Lists);
        let found = match (list, &code) {
            (Some(list), _) => {
                let asking = probe.ask(list, TaskId::WHOLE_MARKET, None, context);
                let probed = or_stopped(stop, asking).await?;
                code = code.or_else(|| listed_code(&probed));
                judged(source, &probed)
            }
            (None, Some(code)) => match probe.pages().first() {
                Some(page) => {
                    let asking = probe.ask(page, code, None, context);
                    judged(source, &or_stopped(stop, asking).await?)
                }
                None => Ok("it has no pages".to_owned()),
            },
            (None, None) => match sites.root(source) {
                Some(url) => or_stopped(stop, root(source, url, &probe)).await?,
                None => Ok("it has no address".to_owned()),
            },
        };
        tell(source.as_str(), found);
    }
    let clocks = or_stopped(stop, sites.clocks(None, false, CLOCK_LIMIT)).await?;
    if let Err(why) = compare_clock(settings, &clocks) {
        tell("clock", Err(why));
    }
    let failed = tried.iter().filter(|one| one.found.is_err()).count();
    say(&closing(tried.len(), failed));
    Ok(if failed == 0 {
        ProgramEnd::Done
    } else {
        ProgramEnd::Failed
    })
}

fn configuration(config: Option<&Path>, contact: &str) -> String {
    let file = match config {
        Some(path) => format!("{} is sound", path.display()),
        None if Path::new("runner.ron").exists() => "runner.ron is sound".to_owned(),
        None => "there is no runner.ron; the built-in values are used".to_owned(),
    };
    let recommended = if contact.is_empty() {
        "; recommended: set user_agent_contact to your e-mail or web address, so that the sites can reach you"
    } else {
        ""
    };
    format!("{file}; User-Agent `{}`{recommended}", user_agent(contact))
}

/// The ranks in force, one line for each table and each column with a rank of its own.
fn ranks(precedence: &Precedence) -> String {
    let lines = precedence
        .ranks()
        .into_iter()
        .enumerate()
        .map(|(at, rank)| {
            let sources: Vec<&str> = rank.sources.iter().map(|source| source.as_str()).collect();
            format!(
                "{:<23}{}: {}{}",
                if at == 0 { "precedence" } else { "" },
                rank.place,
                sources.join(", "),
                if rank.is_configured {
                    " (configured)"
                } else {
                    ""
                },
            )
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// Compares the system clock with the times of the sites.
fn compare_clock(
    settings: &RunnerSettings,
    sites: &[(String, Option<Timestamp>)],
) -> Result<(), String> {
    let facts = ClockFacts {
        now: Timestamp::now(),
        timezone: &settings.schedule.timezone,
        built: clock::built_at(),
        newest_closed: None,
        sites,
    };
    clock::believed(&facts)
        .map(drop)
        .map_err(|doubt| doubt.to_string())
}

/// Checks the database. Also returns the code of an active fund of the warehouse, if there is one.
async fn database(
    settings: &RunnerSettings,
    stop: &StopSignals,
) -> Result<(Result<String, String>, Option<String>), CommandError> {
    if let DatabaseSettings::Embedded(embedded) = &settings.database {
        match EmbeddedPostgres::look(embedded).await {
            Ok(Found::NoCluster(major)) => {
                let found = format!(
                    "PostgreSQL {major} is installed; the first run makes a private cluster in {}",
                    embedded.data_dir.display()
                );
                return Ok((Ok(found), None));
            }
            Ok(Found::Cluster(_)) => {}
            Err(error) => return Ok((Err(error.to_string()), None)),
        }
    }
    let warehouse = match Warehouse::open(&settings.database, stop).await {
        Ok(warehouse) => warehouse,
        Err(EmbeddedError::GivenUp { .. }) => return Err(CommandError::Stopped),
        Err(error) => return Ok((Err(error.to_string()), None)),
    };
    let place = place_of(&settings.database);
    let found = match or_stopped(stop, facts(warehouse.connection())).await {
        Ok(Ok((facts, code))) => Ok((Ok(database_words(&place, &facts)), code)),
        Ok(Err(error)) => Ok((Err(database_failure(&place, &error)), None)),
        Err(stopped) => Err(stopped),
    };
    warehouse.close().await;
    found
}

/// Waits up to [`START_PATIENCE`] for an unavailable database (A2).
async fn facts(connection: &str) -> Result<(ServerFacts, Option<String>), StoreError> {
    let reader = Reader::new(connection, 1)?;
    let began = Instant::now();
    loop {
        let error = match reader.server_facts().await {
            Ok(facts) if facts.schema_version == 0 => return Ok((facts, None)),
            Ok(facts) => return Ok((facts, reader.some_active_fund().await?)),
            Err(error) => error,
        };
        if !error.is_outage() || began.elapsed() + DATABASE_PAUSE >= START_PATIENCE {
            return Err(error);
        }
        tokio::time::sleep(DATABASE_PAUSE).await;
    }
}

fn database_words(place: &str, facts: &ServerFacts) -> String {
    let schema = match (facts.schema_version, facts.to_be_adopted) {
        (0, true) => "an older warehouse, which the first run adopts".to_owned(),
        (0, false) => "no warehouse yet, the first run makes it".to_owned(),
        (version, _) => format!("schema version {version}"),
    };
    let runner = match &facts.lock_holder {
        Some(holder) => format!("a runner holds it ({holder})"),
        None => "no runner holds it".to_owned(),
    };
    format!(
        "PostgreSQL {} at {place}, {schema}, {runner}",
        facts.server_version
    )
}

fn database_failure(place: &str, error: &StoreError) -> String {
    match error {
        StoreError::Outage(cause) | StoreError::Undone(cause) => format!(
            "{place} is not available ({cause}); it was waited for {} s; next: start the server, or correct the database setting or DATABASE_URL",
            START_PATIENCE.as_secs()
        ),
        error => error.to_string(),
    }
}

/// Checks whether the program that reads factsheets is installed, by running it on an invalid PDF.
async fn pdftotext() -> Result<String, String> {
    let tried = tokio::task::spawn_blocking(|| pdf_text::of(b"%PDF-1.4\n%%EOF\n")).await;
    match tried {
        Ok(Ok(_) | Err(PdfTextError::Unreadable(_))) => {
            Ok("it is installed and answers".to_owned())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(format!("it could not be tried: {error}")),
    }
}

/// The code of an active fund in a fetched list, for testing a source that has no list.
fn listed_code(probed: &Probed) -> Option<String> {
    let Some(Reading::Observed { observations, .. }) = &probed.reading else {
        return None;
    };
    let active = |observation: &&Observation| match &observation.data {
        ObservationData::Listing { fields, .. } => fields.sec_is_active != Some(false),
        _ => false,
    };
    observations
        .iter()
        .find(active)
        .map(|observation| observation.fund_code.as_str().to_owned())
}

/// The result of a page as one line.
fn judged(source: SourceName, probed: &Probed) -> Result<String, String> {
    let answer = match &probed.answer {
        Ok(answer) => answer,
        Err(why) => {
            return Err(format!(
                "{why}; next: is there a network, and is sources.{source} right in the configuration? Without the internet: script/run --demo"
            ));
        }
    };
    let asked = format!("{}/{}", probed.page, probed.key);
    let repair = format!(
        "next: `master_runner probe {source} CODE --save DIR` keeps the payload for the repair of its parser"
    );
    match &probed.reading {
        Some(Reading::Observed { observations, .. }) if !observations.is_empty() => {
            let browser = match &probed.changed_to_browser {
                Some(_) => ", in the browser",
                None => "",
            };
            Ok(format!(
                "{asked} was read{browser}: {} statements from {}",
                observations.len(),
                answer.url
            ))
        }
        Some(Reading::Part(part)) if part.records > 0 => Ok(format!(
            "{asked} was read: {} records from {}",
            part.records, answer.url
        )),
        // A list without funds is an error; for a single fund, no data is a valid answer.
        Some(Reading::Observed { .. } | Reading::Part(_) | Reading::Absent)
            if probed.key == TaskId::WHOLE_MARKET =>
        {
            Err(format!(
                "{asked} from {} names no fund; {repair}",
                answer.url
            ))
        }
        Some(Reading::Observed { .. } | Reading::Part(_) | Reading::Absent) => Ok(format!(
            "{asked} was answered: the source states that it has nothing about this fund"
        )),
        Some(Reading::NeedsBrowser(breach)) => Err(format!(
            "{} exists only in a browser: {breach}; next: set sources.{source}.transport to Auto or Browser",
            answer.url
        )),
        Some(Reading::Broken(breach)) => Err(format!("{}: {breach}; {repair}", answer.url)),
        None => Err(format!("{} was not read; {repair}", answer.url)),
    }
}

/// Requests the root page, for a source without a list when no fund code is known.
async fn root(source: SourceName, url: &Url, probe: &PageProbe) -> Result<String, String> {
    let status = probe.ask_root(url).await.map_err(|why| {
        format!(
            "{why}; next: is there a network, and is sources.{source} right in the configuration?"
        )
    })?;
    Ok(format!(
        "{url} answers {status} (no fund is known yet whose page could be requested)"
    ))
}

fn line(tried: &Tried) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match &tried.found {
        Ok(found) => write!(text, "{:<15}ok      {found}", tried.what),
        Err(wrong) => write!(text, "{:<15}FAILED  {wrong}", tried.what),
    };
    without_passwords(&text)
}

fn closing(tried: usize, failed: usize) -> String {
    match failed {
        0 => format!("Everything works ({tried} things tried; nothing was changed)."),
        failed => format!("{failed} of {tried} things do not work; nothing was changed."),
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
