//! `master_runner probe SOURCE CODE`: requests one fund from one source, each page once and within the host's limits,
//! and shows the parsed values. With `--save` it keeps the payloads, which helps to repair a parser. Never writes to
//! the database.

mod show;

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::{ToSpan as _, Zoned};
use schema::day_range::HistoryTurn;
use schema::{DayRange, FundCode, Observation, ObservationData, TaskId};
use sources::page::{PageSpec, Stage};
use sources::site::{Answer, ReadContext, Reading};
use store::{Reader, StoreError};

use crate::cli::ProbeArgs;
use crate::runner_settings::RunnerSettings;
use crate::sites::Sites;
use crate::stop_signals::StopSignals;
use crate::warehouse::Warehouse;
use embedded_postgres::EmbeddedError;

use super::page_probe::{PageProbe, Probed};
use super::{CommandError, ProgramEnd, nearest, or_stopped, say};

/// The number of the page of news that is shown.
const FIRST_PIECE: &str = "1";

/// What the warehouse knows about a fund that is needed to request it.
#[derive(Debug, Default)]
struct Known {
    source_key: Option<String>,
    factsheet_url: Option<String>,
}

/// Requests the pages, prints the results, and saves the payloads if requested. Ends as failed if a page could not be
/// fetched or parsed.
///
/// # Errors
/// The source is not enabled, has no such page, or does not list the fund.
pub async fn probe(
    settings: &RunnerSettings,
    args: &ProbeArgs,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    let sites = Sites::for_questions(settings)?;
    let probe = PageProbe::of(&sites, args.source).ok_or_else(|| {
        CommandError::Unfit(format!(
            "{} is switched off: sources.{}.enabled is false",
            args.source, args.source
        ))
    })?;
    let wanted = wanted_pages(probe.pages(), args.page.as_deref())?;
    if let Some(directory) = &args.save {
        std::fs::create_dir_all(directory).map_err(|error| {
            CommandError::Unfit(format!(
                "payloads cannot be saved in {}: {error}",
                directory.display()
            ))
        })?;
    }
    let known = known_of(settings, args, stop).await?;
    let prober = Prober {
        probe,
        args,
        context: ReadContext {
            cycle_date: Zoned::now()
                .with_time_zone(settings.schedule.timezone.clone())
                .date(),
        },
    };
    let ended = or_stopped(stop, prober.ask(&wanted, known)).await;
    sites.close().await;
    ended?
}

/// The pages to request, in the source's order; all pages of a fund if none is named.
fn wanted_pages(
    pages: &'static [PageSpec],
    named: Option<&str>,
) -> Result<Vec<&'static PageSpec>, CommandError> {
    let wanted: Vec<&PageSpec> = pages
        .iter()
        .filter(|page| match named {
            Some(name) => page.name == name,
            None => !matches!(page.stage, Stage::Lists | Stage::News),
        })
        .collect();
    if wanted.is_empty() {
        let names: Vec<&str> = pages.iter().map(|page| page.name).collect();
        return Err(CommandError::Unfit(format!(
            "there is no page `{}`; the pages are: {}",
            named.unwrap_or_default(),
            names.join(", ")
        )));
    }
    Ok(wanted)
}

/// Reads what the warehouse knows about the fund. A probe also works if there is no readable warehouse.
async fn known_of(
    settings: &RunnerSettings,
    args: &ProbeArgs,
    stop: &StopSignals,
) -> Result<Known, CommandError> {
    let warehouse = match Warehouse::open_existing(&settings.database, stop).await {
        Ok(Some(warehouse)) => warehouse,
        Ok(None) => return Ok(Known::default()),
        Err(EmbeddedError::GivenUp { .. }) => return Err(CommandError::Stopped),
        Err(error) => {
            tracing::warn!(%error, "probing without the database");
            return Ok(Known::default());
        }
    };
    let read = async {
        let reader = Reader::new(warehouse.connection(), 1)?;
        if reader.server_facts().await?.schema_version == 0 {
            return Ok(Known::default());
        }
        Ok::<Known, StoreError>(Known {
            source_key: reader.source_key(args.source, &args.code).await?,
            factsheet_url: reader.factsheet_url(args.source, &args.code).await?,
        })
    };
    let read = or_stopped(stop, read).await;
    warehouse.close().await;
    Ok(read?.unwrap_or_else(|error| {
        tracing::warn!(%error, "probing without the database");
        Known::default()
    }))
}

/// The key of the newest part of the market that a page about many funds may have: yesterday, if it has one list for
/// each day.
fn market_key(page: &PageSpec, today: Date) -> String {
    match page.chain.and_then(|chain| chain.window) {
        Some(_) => TaskId::part_key(&today.yesterday().unwrap_or(today).to_string()),
        None => TaskId::WHOLE_MARKET.to_owned(),
    }
}

/// The number of days of a project that a probe requests.
const DAYS_OF_A_PROJECT: i32 = 14;

/// The key of the list of a fund's project, from the source's key of the fund, and the locator with its days.
fn project_of(source_key: Option<&str>, stage: Stage, today: Date) -> Option<(String, String)> {
    let (project, _) = source_key?.split_once('/')?;
    let days = DayRange {
        first: today.saturating_sub(DAYS_OF_A_PROJECT.days()),
        last: today,
    };
    let locator = match stage {
        Stage::Histories => HistoryTurn { days, pages: 1 }.to_string(),
        _ => days.to_string(),
    };
    Some((TaskId::part_key(project), locator))
}

/// One running probe.
struct Prober<'run> {
    probe: PageProbe,
    args: &'run ProbeArgs,
    context: ReadContext,
}

impl Prober<'_> {
    async fn ask(
        &self,
        wanted: &[&'static PageSpec],
        known: Known,
    ) -> Result<ProgramEnd, CommandError> {
        let mut all_read = true;
        let list = self
            .probe
            .pages()
            .iter()
            .find(|page| page.stage == Stage::Lists);
        let mut source_key = known.source_key;
        if let Some(list) = list
            && source_key.is_none()
            && wanted.iter().any(|page| page.stage == Stage::Funds)
        {
            say(&format!(
                "the warehouse does not know the fund's key at {}: its list is read first\n",
                self.args.source
            ));
            source_key = Some(self.key_from_list(list).await?);
        }
        let mut factsheet = known.factsheet_url;
        for page in wanted {
            let code = self.args.code.as_str().to_owned();
            let (key, locator) = match page.stage {
                Stage::Lists => (TaskId::WHOLE_MARKET.to_owned(), None),
                Stage::Market => (market_key(page, self.context.cycle_date), None),
                stage @ (Stage::Projects | Stage::Histories) => {
                    match project_of(source_key.as_deref(), stage, self.context.cycle_date) {
                        Some((key, days)) => (key, Some(days)),
                        None => {
                            say(&format!(
                                "{}: the warehouse does not know the project of {} at {}\n",
                                page.name, self.args.code, self.args.source
                            ));
                            continue;
                        }
                    }
                }
                Stage::News => (FIRST_PIECE.to_owned(), None),
                Stage::Funds => (code, source_key.clone()),
                Stage::Factsheets if factsheet.is_some() => (code, factsheet.clone()),
                Stage::Factsheets => {
                    say(&format!(
                        "{}: no page of {} says where the factsheet of {} lies\n",
                        page.name, self.args.source, self.args.code
                    ));
                    continue;
                }
            };
            let probed = self.probe.ask(page, &key, locator, self.context).await;
            all_read &= probed.is_read();
            if let Some(url) = factsheet_said(&probed) {
                factsheet = Some(url);
            }
            self.tell(&probed)?;
        }
        Ok(if all_read {
            ProgramEnd::Done
        } else {
            ProgramEnd::Failed
        })
    }

    fn tell(&self, probed: &Probed) -> Result<(), CommandError> {
        say(&show::shown(probed, &self.args.code));
        if let (Some(directory), Ok(answer)) = (&self.args.save, &probed.answer) {
            let path = directory.join(file_name(self.args, probed.page, &probed.key, answer));
            save(&path, answer)?;
            say(&format!("  saved: {}\n", path.display()));
        }
        Ok(())
    }

    async fn key_from_list(&self, list: &PageSpec) -> Result<String, CommandError> {
        let probed = self
            .probe
            .ask(list, TaskId::WHOLE_MARKET, None, self.context)
            .await;
        let found = listings(&probed).find_map(|(code, source_key)| {
            (code == &self.args.code).then(|| source_key.to_owned())
        });
        if let Some(source_key) = found {
            return Ok(source_key);
        }
        self.tell(&probed)?;
        let near = nearest(
            self.args.code.as_str(),
            listings(&probed).map(|(code, _)| code.as_str()),
        );
        let near = if near.is_empty() {
            String::new()
        } else {
            format!("; the nearest are: {}", near.join(", "))
        };
        Err(CommandError::Unfit(format!(
            "the list of {} does not name `{}`: its pages cannot be requested without the key from there; codes are compared exactly{near}",
            self.args.source, self.args.code
        )))
    }
}

fn said(probed: &Probed) -> &[Observation] {
    match &probed.reading {
        Some(Reading::Observed { observations, .. }) => observations,
        _ => &[],
    }
}

fn listings(probed: &Probed) -> impl Iterator<Item = (&FundCode, &str)> {
    said(probed)
        .iter()
        .filter_map(|observation| match &observation.data {
            ObservationData::Listing { source_key, .. } => {
                Some((&observation.fund_code, source_key.as_str()))
            }
            _ => None,
        })
}

fn factsheet_said(probed: &Probed) -> Option<String> {
    said(probed)
        .iter()
        .find_map(|observation| match &observation.data {
            ObservationData::FactsheetLink(link) => link.factsheet_url.clone(),
            _ => None,
        })
}

fn save(path: &Path, answer: &Answer) -> Result<(), CommandError> {
    std::fs::write(path, &answer.body).map_err(|error| {
        CommandError::Unfit(format!(
            "the payload cannot be saved as {}: {error}",
            path.display()
        ))
    })
}

/// `source-page-code.ext`. Characters of a code that are special in file systems are written as %XX, so that two codes
/// never share a file.
fn file_name(args: &ProbeArgs, page: &str, key: &str, answer: &Answer) -> PathBuf {
    let mut name = format!("{}-{page}-", args.source);
    let key = if key == TaskId::WHOLE_MARKET {
        "list"
    } else {
        key
    };
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'(' | b')' => {
                name.push(char::from(byte));
            }
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    name.push('.');
    name.push_str(extension(answer));
    PathBuf::from(name)
}

fn extension(answer: &Answer) -> &'static str {
    let kind = answer.content_type.as_deref().unwrap_or_default();
    if sources::payload::pdf_text::is_pdf(&answer.body) {
        "pdf"
    } else if kind.contains("json") {
        "json"
    } else if kind.contains("html") || answer.body.trim_ascii_start().starts_with(b"<") {
        "html"
    } else {
        "json"
    }
}
