//! A history that begins as it did when it was read before is read beyond that beginning alone (P2). What comes of it is
//! what reading the whole would have come to, and where that is in any doubt the whole is read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use schema::task::{Beginning, PayloadHash, Severity};
use schema::{PlannedTask, Said};
use sha2::{Digest, Sha256};

use crate::page::PageSpec;
use crate::site::{Answer, History, ReadContext, Reading, Settled, Site};

/// What a task's answer says, and the beginning that need not be read next time.
pub(super) type Read = (Reading, Option<Beginning>);

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
        return Some((history.reading, stays));
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
        return Some((history.reading, beginning));
    }
    let history = site.read_history(page, task, answer, 0, context)?;
    let beginning = history
        .settled
        .and_then(|settled| Hashed::begin(page, task).beginning(answer, settled));
    Some((history.reading, beginning))
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
