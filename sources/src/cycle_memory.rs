//! What a source has learnt in a cycle: shared by all incarnations of its actor, so that a restart neither forgets a
//! breach nor asks a page by HTTP again that answers only browsers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use schema::{Observation, PlannedTask, Reject, TaskId};

use crate::contract_tally::ContractTally;
use crate::transport::lock;

/// Answers that need JavaScript or are refused after which a page is seen in the browser for the rest of the cycle.
pub const ANSWERS_UNTIL_BROWSER: u32 = 2;
/// Refusals in the browser after which the page's host counts as down.
pub const BROWSER_REFUSALS_UNTIL_DOWN: u32 = 2;

/// The memory of one source for one cycle.
#[derive(Debug, Default)]
pub struct CycleMemory(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    tally: ContractTally,
    breach: Option<String>,
    lost_records: Option<String>,
    calls_for_browser: BTreeMap<&'static str, u32>,
    browser_refusals: BTreeMap<&'static str, u32>,
    nothing_in_browser: BTreeSet<TaskId>,
}

impl CycleMemory {
    /// Forgets everything: a new cycle begins.
    pub fn begin_cycle(&self) {
        *lock(&self.0) = Memory::default();
    }

    /// Forgets what holds for one round only: losses and breach. Pages that went over to the browser stay there.
    pub fn begin_round(&self) {
        let mut memory = lock(&self.0);
        memory.tally.begin_round();
        memory.breach = None;
        memory.browser_refusals.clear();
        memory.nothing_in_browser.clear();
    }

    /// The breach that stopped the source for this round, in full.
    #[must_use]
    pub fn breach(&self) -> Option<String> {
        lock(&self.0).breach.clone()
    }

    /// The first breach of this cycle by records that could not be read. They are lost to the cycle whatever round 2
    /// brings, for their pages count as read.
    #[must_use]
    pub fn lost_records(&self) -> Option<String> {
        lock(&self.0).lost_records.clone()
    }

    /// Notes a breach by lost records; the first one is kept.
    pub(crate) fn note_lost_records(&self, text: &str) {
        lock(&self.0)
            .lost_records
            .get_or_insert_with(|| text.to_owned());
    }

    /// Notes a breach; the first one is kept.
    pub(crate) fn note_breach(&self, text: &str) {
        lock(&self.0).breach.get_or_insert_with(|| text.to_owned());
    }

    /// Whether `page` has gone over to the browser.
    #[must_use]
    pub fn is_for_browser(&self, page: &str) -> bool {
        let memory = lock(&self.0);
        let calls = memory.calls_for_browser.get(page);
        calls.is_some_and(|calls| *calls >= ANSWERS_UNTIL_BROWSER)
    }

    /// One more answer of `page` that needs JavaScript or was refused. `true` for the one that moves the page over.
    pub(crate) fn calls_for_browser(&self, page: &'static str) -> bool {
        let mut memory = lock(&self.0);
        let calls = memory.calls_for_browser.entry(page).or_default();
        *calls = calls.saturating_add(1);
        *calls == ANSWERS_UNTIL_BROWSER
    }

    /// One more refusal of `page` in the browser. `true` if its host now counts as down.
    pub(crate) fn refused_in_browser(&self, page: &'static str) -> bool {
        let mut memory = lock(&self.0);
        let refusals = memory.browser_refusals.entry(page).or_default();
        *refusals = refusals.saturating_add(1);
        *refusals >= BROWSER_REFUSALS_UNTIL_DOWN
    }

    /// The page of `task` came to nothing in the browser. Whether that had happened before in this round.
    pub(crate) fn came_to_nothing(&self, task: &TaskId) -> bool {
        !lock(&self.0).nothing_in_browser.insert(task.clone())
    }

    /// A page was seen in the browser.
    pub(crate) fn seen_in_browser(&self, page: &'static str) {
        lock(&self.0).browser_refusals.remove(page);
    }

    /// Counts the funds that `page` is to be asked for.
    pub(crate) fn page_asked(&self, page: &'static str, tasks: &[&PlannedTask]) {
        let mut memory = lock(&self.0);
        for task in tasks {
            memory.tally.page_asked(page, &task.id.key);
        }
    }

    /// Counts a page that was read. What it is in breach of, if that is so now.
    pub(crate) fn page_read(
        &self,
        page: &'static str,
        key: &str,
        said: &[Observation],
        rejects: &[Reject],
    ) -> Option<String> {
        let mut memory = lock(&self.0);
        memory.tally.page_read(page, key, said, rejects);
        memory.tally.breached_dataset()
    }

    /// Counts a broken page. What it is in breach of, if that is so now.
    pub(crate) fn page_broken(&self, page: &'static str, key: &str) -> Option<String> {
        let mut memory = lock(&self.0);
        memory.tally.page_broken(page, key);
        memory.tally.breached_page(page)
    }
}
