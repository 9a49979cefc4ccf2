//! Incremental parsing of histories (P2). If a history begins with its known prefix, only the part after the prefix is
//! parsed. The result equals that of parsing the whole payload; in any case of doubt the whole payload is parsed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::civil::Date;
use schema::task::{KnownPrefix, PayloadHash, Severity, WholeHistory};
use schema::{ObservationData, PlannedTask};
use sha2::{Digest, Sha256};

use crate::page::PageSpec;
use crate::site::{Answer, History, ReadContext, Reading, Site, StablePrefix};

/// The parsed answer to a task.
#[derive(Clone)]
pub(super) struct Read {
    /// The parsed statements.
    pub reading: Reading,
    /// The prefix that need not be parsed next time.
    pub known_prefix: Option<KnownPrefix>,
    /// How far back the history reaches, if the whole history was requested and parsed.
    pub whole: Option<WholeHistory>,
}

impl Read {
    /// The result for a page that is not a history.
    pub const fn plain(reading: Reading) -> Self {
        Self {
            reading,
            known_prefix: None,
            whole: None,
        }
    }
}

/// Parses the answer to a history; `None` if the page is not a history.
pub(super) fn read(
    site: &dyn Site,
    page: &PageSpec,
    task: &PlannedTask,
    answer: &Answer,
    context: &ReadContext,
) -> Option<Read> {
    let known = task.known_prefix;
    if !asks_for_everything(page, task) {
        let history = site.read_history(page, task, answer, 0, context)?;
        // If a short history contains dates within the known prefix, the stored values may no longer match the prefix.
        // The prefix is then discarded, and the next whole history is parsed in full.
        let stays = known.filter(|known| speaks_beyond(&history.reading, *known));
        return Some(Read {
            reading: history.reading,
            known_prefix: stays,
            whole: None,
        });
    }
    let go_on = known.and_then(|known| {
        let hashed = Hashed::begin(page, task).on(answer, known.bytes)?;
        let begins_so = hashed.hash() == known.hash;
        let history = begins_so.then(|| read_beyond(site, page, task, answer, context, known))?;
        Some((history?, known, hashed))
    });
    if let Some((history, known, hashed)) = go_on {
        let known_prefix = match history.settled {
            Some(settled) => hashed.known_prefix(answer, settled),
            None => Some(known),
        };
        return Some(Read {
            reading: history.reading,
            known_prefix,
            whole: None,
        });
    }
    let history = site.read_history(page, task, answer, 0, context)?;
    let known_prefix = history
        .settled
        .and_then(|settled| Hashed::begin(page, task).known_prefix(answer, settled));
    let whole = first_day(&history.reading).map(|first_day| WholeHistory { first_day });
    Some(Read {
        reading: history.reading,
        known_prefix,
        whole,
    })
}

/// The earliest date in a reading: `None` if the page was not parsed, `Some(None)` if it has no date.
fn first_day(reading: &Reading) -> Option<Option<Date>> {
    let Reading::Observed { observations, .. } = reading else {
        return None;
    };
    let days = observations
        .iter()
        .filter_map(|observation| match &observation.data {
            ObservationData::Daily(days) => days.iter().map(|day| day.nav_date).min(),
            _ => None,
        });
    Some(days.min())
}

/// Whether the task requests the largest extent of the page. A smaller extent begins and ends later in each cycle, so
/// it has no stable prefix.
fn asks_for_everything(page: &PageSpec, task: &PlannedTask) -> bool {
    page.extents
        .last()
        .is_some_and(|everything| task.extent.as_deref() == Some(everything.word))
}

/// Parses what follows a known prefix. `None` if the result is doubtful or the parser panics; the caller then parses
/// the whole payload.
fn read_beyond(
    site: &dyn Site,
    page: &PageSpec,
    task: &PlannedTask,
    answer: &Answer,
    context: &ReadContext,
    known: KnownPrefix,
) -> Option<History> {
    let bytes = usize::try_from(known.bytes).ok()?;
    let reading = || site.read_history(page, task, answer, bytes, context);
    let history = catch_unwind(AssertUnwindSafe(reading)).ok()??;
    speaks_beyond(&history.reading, known)
        .then_some(history)
        .filter(|history| says_days(&history.reading))
}

/// Whether no record was rejected and every date lies after the known prefix. A date within the prefix may be a
/// duplicate entry that needs resolving, or a correction that makes the prefix obsolete.
fn speaks_beyond(reading: &Reading, known: KnownPrefix) -> bool {
    let Reading::Observed {
        observations,
        rejects,
        ..
    } = reading
    else {
        return false;
    };
    let beyond = |said: &ObservationData| match said {
        ObservationData::Daily(days) => days.iter().all(|day| day.nav_date > known.until),
        _ => false,
    };
    rejects
        .iter()
        .all(|reject| reject.severity == Severity::Noted)
        && observations
            .iter()
            .all(|observation| beyond(&observation.data))
}

fn says_days(reading: &Reading) -> bool {
    matches!(reading, Reading::Observed { observations, .. } if !observations.is_empty())
}

/// The state of the hash over the first bytes of an answer. A longer prefix continues this state, so each byte is
/// hashed once.
struct Hashed {
    bytes: usize,
    state: Sha256,
}

impl Hashed {
    /// The state before the first byte of the payload. It covers page, code, locator, extent and parser version, so
    /// that a known prefix is used only if all of these are the same (P2).
    fn begin(page: &PageSpec, task: &PlannedTask) -> Self {
        let mut state = Sha256::new();
        let version = page.parser_version.to_le_bytes();
        for part in [
            task.id.page.as_bytes(),
            task.id.key.as_bytes(),
            task.locator.as_deref().unwrap_or_default().as_bytes(),
            task.extent.as_deref().unwrap_or_default().as_bytes(),
            &version,
        ] {
            state.update((part.len() as u64).to_le_bytes());
            state.update(part);
        }
        Self { bytes: 0, state }
    }

    /// Extends the hash to the first `bytes` bytes of the answer. `None` if the answer is shorter, or if the hash
    /// already covers more bytes.
    fn on(mut self, answer: &Answer, bytes: u32) -> Option<Self> {
        let bytes = usize::try_from(bytes).ok()?;
        self.state.update(answer.body.get(self.bytes..bytes)?);
        Some(Self { bytes, ..self })
    }

    fn hash(&self) -> PayloadHash {
        PayloadHash(self.state.clone().finalize().into())
    }

    /// The known prefix for the next request.
    fn known_prefix(self, answer: &Answer, settled: StablePrefix) -> Option<KnownPrefix> {
        let bytes = u32::try_from(settled.bytes).ok()?;
        Some(KnownPrefix {
            bytes,
            hash: self.on(answer, bytes)?.hash(),
            until: settled.until,
        })
    }
}
