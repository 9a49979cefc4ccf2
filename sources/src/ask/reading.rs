//! Turns the body of an answer into outcomes: compares its hash, parses it, checks it against the contract, archives
//! it. Hashing, parsing and archiving run in blocking threads. A panic of a parser is caught in the thread, and only
//! the tasks of that answer fail (D6).

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use schema::failpoint::{self, Injected};
use schema::task::{ChainPosition, PayloadHash, Severity};
use schema::{ObservationData, Outcome, PlannedTask, Reject, TaskAnswer};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::archive::{Kept, Provenance};
use crate::page::{PageSpec, Stage};
use crate::site::{Answer, Breach, ListPart, ReadContext, Reading, Site, Via};

use super::{PageFetcher, Round, chain, history};

/// Permits for parsing: two answers per core, because one of the two may wait for an external program (`pdftotext`).
/// More permits would not be faster, and each answer in parsing uses memory. A cancelled call returns its permit.
static READERS: LazyLock<Semaphore> = LazyLock::new(|| {
    Semaphore::new(2 * std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
});

/// A task whose answer was recognised by its hash or parsed.
struct ReadTask {
    task: PlannedTask,
    hash: PayloadHash,
    /// The parsed answer; `None` if the payload equals the one that was parsed before.
    read: Option<history::Read>,
}

impl PageFetcher {
    /// Parses an answer and ends its tasks. Returns the tasks whose page requires the browser, with the reason.
    pub(super) async fn read(
        &self,
        tasks: Vec<PlannedTask>,
        answer: &Answer,
        round: &mut Round<'_>,
    ) -> Vec<(PlannedTask, Breach)> {
        let (page, context) = (round.page, round.context);
        let (site, body, unread) = (Arc::clone(&self.site), answer.clone(), tasks.clone());
        // The semaphore is never closed.
        let room = READERS.acquire().await;
        let reading = tokio::task::spawn_blocking(move || {
            recognise_or_read(site.as_ref(), &page, unread, &body, context)
        });
        let read = reading.await;
        drop(room);
        let Ok(read) = read else {
            // The runtime is shutting down. A panic of the parser is caught inside the closure and is not an error
            // here.
            let why = "reading was cut short".to_owned();
            round.end(tasks, &Outcome::Failed(why));
            return Vec::new();
        };
        let mut calling = Vec::new();
        let mut is_sample = true;
        for ReadTask { task, hash, read } in read {
            let (reading, known_prefix, whole_history) = match read {
                Some(read) => (Some(read.reading), read.known_prefix, read.whole),
                None => (None, None, None),
            };
            match reading {
                None => round.end(vec![task], &Outcome::Unchanged),
                Some(Reading::Absent) if page.stage != Stage::Lists => {
                    round.end(vec![task], &Outcome::Absent);
                }
                Some(Reading::Absent) => {
                    let breach = Breach::new(
                        "list",
                        "the funds of the market",
                        "an answer that there are none",
                    );
                    is_sample = false;
                    self.broken(task, answer, &breach, round).await;
                }
                Some(Reading::NeedsBrowser(breach)) => {
                    is_sample = false;
                    calling.push((task, breach));
                }
                Some(Reading::Broken(breach)) => {
                    is_sample = false;
                    self.broken(task, answer, &breach, round).await;
                }
                Some(Reading::Part(part)) => {
                    let most = page.chain.map_or(1, |chain| chain.max_pages);
                    let position = task.chain.as_ref();
                    match chain::advance(position, &part, most) {
                        Ok(next) => self.take_part(task, *part, next, answer, round).await,
                        Err(breach) => {
                            is_sample = false;
                            self.broken(task, answer, &breach, round).await;
                        }
                    }
                }
                Some(Reading::Observed {
                    observations,
                    rejects,
                    refused_by_cycle_date,
                }) => {
                    let lost = rejects
                        .iter()
                        .rfind(|reject| reject.severity == Severity::Rejected);
                    if lost.is_some() {
                        is_sample = false;
                    }
                    let said: Vec<&ObservationData> =
                        observations.iter().map(|said| &said.data).collect();
                    self.tally(&task.id.key, &said, &rejects, answer, round)
                        .await;
                    // News is used only in the cycle in which it was read, so it must be read again in each cycle: its
                    // hash is not stored.
                    let may_be_recognised = lost.is_none()
                        && !refused_by_cycle_date
                        && page.stage != Stage::News
                        && self.memory.breach().is_none();
                    let payload = may_be_recognised.then_some((hash, page.parser_version));
                    round.answers.push(TaskAnswer {
                        observations,
                        rejects,
                        payload,
                        known_prefix: payload.and(known_prefix),
                        whole_history,
                        ..TaskAnswer::empty(task.id, Outcome::Done, task.attempts)
                    });
                }
            }
        }
        if is_sample {
            self.keep(Kept::Sample, answer, round).await;
        }
        calling
    }

    /// Takes one page of a list with cursors. Its task goes on with the next page after all other tasks, unless it
    /// pauses until a later cycle.
    async fn take_part(
        &self,
        task: PlannedTask,
        part: ListPart,
        next: Option<ChainPosition>,
        answer: &Answer,
        round: &mut Round<'_>,
    ) {
        let said: Vec<&ObservationData> = part
            .observations
            .iter()
            .map(|said| &said.data)
            .chain(part.keyed.iter().map(|said| &said.data))
            .collect();
        self.tally(&task.id.key, &said, &part.rejects, answer, round)
            .await;
        let is_paused = part.ends_turn && next.is_some();
        if next.is_some() && !is_paused {
            round.later.push(PlannedTask {
                chain: next.clone(),
                attempts: 0,
                ..task.clone()
            });
        }
        round.answers.push(TaskAnswer {
            observations: part.observations,
            keyed: part.keyed,
            rejects: part.rejects,
            next,
            is_list_part: true,
            is_paused,
            ..TaskAnswer::empty(task.id, Outcome::Done, task.attempts)
        });
    }

    /// Counts a parsed page. If it lost a record, the payload is archived; if the page has lost too many records now,
    /// the source stops for the round.
    async fn tally(
        &self,
        key: &str,
        said: &[&ObservationData],
        rejects: &[Reject],
        answer: &Answer,
        round: &Round<'_>,
    ) {
        let page = round.page;
        let breached = page
            .stage
            .is_under_contract()
            .then(|| self.memory.page_read(page.name, key, said, rejects))
            .flatten();
        let lost = rejects
            .iter()
            .rfind(|reject| reject.severity == Severity::Rejected);
        let Some(lost) = lost else {
            return;
        };
        let kept = self.keep(Kept::Rejected, answer, round).await;
        if let Some(counts) = breached {
            let breach = Breach::of_reject(lost);
            let text = in_full(&counts, answer, &breach, kept.as_ref());
            self.stop_source(&text);
            self.memory.note_lost_records(&text);
        }
    }

    /// Ends a task whose page does not meet its contract: the task fails, the payload is archived, and the page is
    /// counted as broken. The source stops if the page is a list of the whole market or if too many pages are broken.
    pub(super) async fn broken(
        &self,
        task: PlannedTask,
        answer: &Answer,
        breach: &Breach,
        round: &mut Round<'_>,
    ) {
        let kept = self.keep(Kept::Rejected, answer, round).await;
        let breached = match round.page.stage {
            Stage::Lists => Some(format!(
                "the {} page, which covers the whole market, is broken",
                round.page.name
            )),
            stage if stage.is_under_contract() => {
                self.memory.page_broken(round.page.name, &task.id.key)
            }
            _ => None,
        };
        if let Some(counts) = breached {
            self.stop_source(&in_full(&counts, answer, breach, kept.as_ref()));
        }
        let text = format!("{}: {breach}{}", answer.url, lies_at(kept.as_ref()));
        round.end(vec![task], &Outcome::Failed(text));
    }

    /// Stops the source for this round and logs the first reason.
    pub(super) fn stop_source(&self, text: &str) {
        if self.memory.breach().is_none() {
            tracing::error!(source = %self.site.name(), "{text}");
        }
        self.memory.note_breach(text);
    }

    /// Archives a payload. If that fails, the failure is logged and has no other effect.
    async fn keep(&self, kept: Kept, answer: &Answer, round: &Round<'_>) -> Option<PathBuf> {
        let archive = Arc::clone(self.archive.as_ref()?);
        let (source, page) = (self.site.name(), round.page.name);
        let cycle_date = round.context.cycle_date;
        let of = Provenance {
            source,
            page,
            url: answer.url.as_str(),
            cycle_date,
        };
        if !archive.may_want(kept, &of) {
            return None;
        }
        let answer = answer.clone();
        let keeping = tokio::task::spawn_blocking(move || {
            let of = Provenance {
                source,
                page,
                url: answer.url.as_str(),
                cycle_date,
            };
            archive.keep(kept, &of, &answer.body)
        });
        match keeping.await {
            Ok(Ok(path)) => path,
            Ok(Err(error)) => {
                tracing::warn!(%source, page, %error, "a payload could not be archived");
                None
            }
            Err(error) => {
                tracing::warn!(%source, page, %error, "a payload could not be archived");
                None
            }
        }
    }
}

/// Hashes the payload, compares it with the known hashes and parses what is new. Runs in a blocking thread.
fn recognise_or_read(
    site: &dyn Site,
    page: &PageSpec,
    tasks: Vec<PlannedTask>,
    answer: &Answer,
    context: ReadContext,
) -> Vec<ReadTask> {
    let hashed = catch_unwind(AssertUnwindSafe(|| {
        Sha256::digest(site.hashed_part(page, answer))
    }));
    // If the relevant part cannot be determined, hash the whole body.
    let digest = hashed.unwrap_or_else(|_| Sha256::digest(&answer.body));
    let mut read = Vec::with_capacity(tasks.len());
    let mut unread = Vec::new();
    for task in tasks {
        let hash = payload_hash(&task, answer, &digest);
        if task.known_payload == Some((hash, page.parser_version)) {
            read.push(ReadTask {
                task,
                hash,
                read: None,
            });
        } else {
            unread.push((task, hash));
        }
    }
    if unread.is_empty() {
        return read;
    }
    let asked: Vec<PlannedTask> = unread.iter().map(|(task, _)| task.clone()).collect();
    let mut readings = match catch_unwind(AssertUnwindSafe(|| {
        failpoint::PARSE_BEGINS.reach()?;
        let readings = read_tasks(site, page, &asked, answer, &context);
        failpoint::PARSE_ENDED.reach()?;
        Ok::<_, Injected>(readings)
    })) {
        Ok(Ok(readings)) if readings.len() == asked.len() => readings,
        Ok(Ok(readings)) => all_broken(
            asked.len(),
            &format!("{} readings for {} tasks", readings.len(), asked.len()),
        ),
        Ok(Err(injected)) => all_broken(asked.len(), &injected.to_string()),
        Err(panic) => all_broken(
            asked.len(),
            &format!("a panic: {}", words_of(panic.as_ref())),
        ),
    };
    for ((task, hash), reading) in unread.into_iter().zip(readings.drain(..)) {
        read.push(ReadTask {
            task,
            hash,
            read: Some(reading),
        });
    }
    read
}

/// Parses the answer to tasks: a history after its known prefix, any other page in full.
fn read_tasks(
    site: &dyn Site,
    page: &PageSpec,
    tasks: &[PlannedTask],
    answer: &Answer,
    context: &ReadContext,
) -> Vec<history::Read> {
    if let [task] = tasks
        && let Some(read) = history::read(site, page, task, answer, context)
    {
        return vec![read];
    }
    let readings = site.read(page, tasks, answer, context);
    readings.into_iter().map(history::Read::plain).collect()
}

/// The payload hash of one task. It covers everything that affects the result of parsing (P2): page and key, because a
/// hash is never valid for another code; the locator, by which an answer about another fund is rejected; the extent;
/// and the transport, because a page that is empty by plain HTTP may only lack its scripts, while a request from inside
/// a page has the payload of HTTP. The parser version is stored beside the hash.
fn payload_hash(task: &PlannedTask, answer: &Answer, digest: &[u8]) -> PayloadHash {
    let mut hash = Sha256::new();
    let via: &[u8] = match answer.via {
        Via::Http | Via::InPage => b"http",
        Via::Browser => b"browser",
    };
    for part in [
        task.id.page.as_bytes(),
        task.id.key.as_bytes(),
        task.locator.as_deref().unwrap_or_default().as_bytes(),
        task.extent.as_deref().unwrap_or_default().as_bytes(),
        via,
        digest,
    ] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    PayloadHash(hash.finalize().into())
}

fn all_broken(count: usize, found: &str) -> Vec<history::Read> {
    let breach = Breach::new("parser", "one reading for each task", found);
    vec![history::Read::plain(Reading::Broken(breach)); count]
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Reject::sample_of(words.unwrap_or("without words"))
}

/// The text of a breach (D6): URL, field, expected, found, path of the payload, what is safe and what to do next.
fn in_full(counts: &str, answer: &Answer, breach: &Breach, kept: Option<&PathBuf>) -> String {
    format!(
        "contract breach: {counts}; last {}: {breach}{}. What was loaded before is safe; if the site has changed, `master_runner probe` shows what its parser makes of a page",
        answer.url,
        lies_at(kept)
    )
}

fn lies_at(kept: Option<&PathBuf>) -> String {
    kept.map_or_else(String::new, |path| {
        format!(" (payload kept at {})", path.display())
    })
}

#[cfg(test)]
mod history_tests;
