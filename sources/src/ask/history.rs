//! A history that begins as it did when it was read before is read beyond that beginning alone (P2). What comes of it is
//! what reading the whole would have come to, and where that is in any doubt the whole is read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::civil::Date;
use schema::task::{Beginning, PayloadHash, Severity, WholeHistory};
use schema::{PlannedTask, Said};
use sha2::{Digest, Sha256};

use crate::page::PageSpec;
use crate::site::{Answer, History, ReadContext, Reading, Settled, Site};

/// What a task's answer came to.
#[derive(Clone)]
pub(super) struct Read {
    /// What it says.
    pub reading: Reading,
    /// The beginning that need not be read next time.
    pub beginning: Option<Beginning>,
    /// How far back it reaches, where the whole was asked for and read.
    pub whole: Option<WholeHistory>,
}

impl Read {
    /// A page without history.
    pub const fn plain(reading: Reading) -> Self {
        Self {
            reading,
            beginning: None,
            whole: None,
        }
    }
}

/// Reads the answer to a page with a history; `None` where the page has none.
pub(super) fn read(
    site: &dyn Site,
    page: &PageSpec,
    task: &PlannedTask,
    answer: &Answer,
    context: &ReadContext,
) -> Option<Read> {
    let known = task.known_beginning;
    if !asks_for_everything(page, task) {
        let history = site.read_history(page, task, answer, 0, context)?;
        // What was said until then is said anew, or not: the next whole history is compared with what is said now.
        let stays = known.filter(|known| speaks_beyond(&history.reading, *known));
        return Some(Read {
            reading: history.reading,
            beginning: stays,
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
        let beginning = match history.settled {
            Some(settled) => hashed.beginning(answer, settled),
            None => Some(known),
        };
        return Some(Read {
            reading: history.reading,
            beginning,
            whole: None,
        });
    }
    let history = site.read_history(page, task, answer, 0, context)?;
    let beginning = history
        .settled
        .and_then(|settled| Hashed::begin(page, task).beginning(answer, settled));
    let whole = first_day(&history.reading).map(|first_day| WholeHistory { first_day });
    Some(Read {
        reading: history.reading,
        beginning,
        whole,
    })
}

/// The first day a reading speaks of; `None` where the page was not read.
fn first_day(reading: &Reading) -> Option<Option<Date>> {
    let Reading::Said { observations, .. } = reading else {
        return None;
    };
    let days = observations
        .iter()
        .filter_map(|observation| match &observation.said {
            Said::Daily(days) => days.iter().map(|day| day.nav_date).min(),
            _ => None,
        });
    Some(days.min())
}

/// Whether the task asks for all that the page can be asked for: a part that moves at both ends has no beginning to know.
fn asks_for_everything(page: &PageSpec, task: &PlannedTask) -> bool {
    page.extents
        .last()
        .is_some_and(|everything| task.extent.as_deref() == Some(everything.word))
}

/// What lies beyond a known beginning, where nothing about it is odd. A parser that falls over is asked for the whole.
fn read_beyond(
    site: &dyn Site,
    page: &PageSpec,
    task: &PlannedTask,
    answer: &Answer,
    context: &ReadContext,
    known: Beginning,
) -> Option<History> {
    let bytes = usize::try_from(known.bytes).ok()?;
    let reading = || site.read_history(page, task, answer, bytes, context);
    let history = catch_unwind(AssertUnwindSafe(reading)).ok()??;
    speaks_beyond(&history.reading, known)
        .then_some(history)
        .filter(|history| says_days(&history.reading))
}

/// Whether nothing was rejected, and each day that is spoken of lies beyond the known ones: where one does not, two entries
/// of it may have to be told apart, or the beginning no longer holds what the source says.
fn speaks_beyond(reading: &Reading, known: Beginning) -> bool {
    let Reading::Said {
        observations,
        rejects,
        ..
    } = reading
    else {
        return false;
    };
    let beyond = |said: &Said| match said {
        Said::Daily(days) => days.iter().all(|day| day.nav_date > known.until),
        _ => false,
    };
    rejects
        .iter()
        .all(|reject| reject.severity == Severity::Noted)
        && observations
            .iter()
            .all(|observation| beyond(&observation.said))
}

fn says_days(reading: &Reading) -> bool {
    matches!(reading, Reading::Said { observations, .. } if !observations.is_empty())
}

/// The first bytes of an answer, hashed once however far is gone on.
struct Hashed {
    bytes: usize,
    state: Sha256,
}

impl Hashed {
    /// No byte yet, but all else that must be the same, so that a beginning crosses neither codes nor pages, extents or
    /// parsers (P2).
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

    /// On to the first `bytes` of an answer; `None` where it is shorter, or so far has been gone already.
    fn on(mut self, answer: &Answer, bytes: u32) -> Option<Self> {
        let bytes = usize::try_from(bytes).ok()?;
        self.state.update(answer.body.get(self.bytes..bytes)?);
        Some(Self { bytes, ..self })
    }

    fn hash(&self) -> PayloadHash {
        PayloadHash(self.state.clone().finalize().into())
    }

    /// The beginning that is known next time.
    fn beginning(self, answer: &Answer, settled: Settled) -> Option<Beginning> {
        let bytes = u32::try_from(settled.bytes).ok()?;
        Some(Beginning {
            bytes,
            hash: self.on(answer, bytes)?.hash(),
            until: settled.until,
        })
    }
}
