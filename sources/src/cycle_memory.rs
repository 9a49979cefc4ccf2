//! The memory of a source during a cycle: its breach, its lost records, and the pages that need the browser. All
//! incarnations of its actor share this memory, so a restart does not lose it.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use schema::{ObservationData, PlannedTask, Reject, TaskId};

use crate::contract_tally::ContractTally;

/// After this many answers that need JavaScript or are refused, a page is requested in the browser for the rest of the
/// cycle.
pub const ANSWERS_UNTIL_BROWSER: u32 = 2;
/// After this many refusals in the browser, the page's host is treated as down.
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
    /// Resets everything at the beginning of a cycle.
    pub fn begin_cycle(&self) {
        *self.0.lock() = Memory::default();
    }

    /// Resets what is valid for one round only, such as losses and the breach. Pages that changed to the browser are
    /// still requested in the browser.
    pub fn begin_round(&self) {
        let mut memory = self.0.lock();
        memory.tally.begin_round();
        memory.breach = None;
        memory.browser_refusals.clear();
        memory.nothing_in_browser.clear();
    }

    /// The full text of the breach that stopped the source for this round.
    #[must_use]
    pub fn breach(&self) -> Option<String> {
        self.0.lock().breach.clone()
    }

    /// The first breach of this cycle by records that could not be parsed. Round 2 does not request the pages of these
    /// records again, because their tasks are done.
    #[must_use]
    pub fn lost_records(&self) -> Option<String> {
        self.0.lock().lost_records.clone()
    }

    /// Stores a breach by lost records; the first one is kept.
    pub(crate) fn note_lost_records(&self, text: &str) {
        self.0
            .lock()
            .lost_records
            .get_or_insert_with(|| text.to_owned());
    }

    /// Stores a breach; the first one is kept.
    pub(crate) fn note_breach(&self, text: &str) {
        self.0.lock().breach.get_or_insert_with(|| text.to_owned());
    }

    /// Whether `page` has changed to the browser.
    #[must_use]
    pub fn is_for_browser(&self, page: &str) -> bool {
        let memory = self.0.lock();
        let calls = memory.calls_for_browser.get(page);
        calls.is_some_and(|calls| *calls >= ANSWERS_UNTIL_BROWSER)
    }

    /// Counts an answer of `page` that needs JavaScript or was refused. Returns `true` for the answer that changes the
    /// page to the browser.
    pub(crate) fn calls_for_browser(&self, page: &'static str) -> bool {
        let mut memory = self.0.lock();
        let calls = memory.calls_for_browser.entry(page).or_default();
        *calls = calls.saturating_add(1);
        *calls == ANSWERS_UNTIL_BROWSER
    }

    /// Counts a refusal of `page` in the browser. Returns `true` if its host must now be treated as down.
    pub(crate) fn refused_in_browser(&self, page: &'static str) -> bool {
        let mut memory = self.0.lock();
        let refusals = memory.browser_refusals.entry(page).or_default();
        *refusals = refusals.saturating_add(1);
        *refusals >= BROWSER_REFUSALS_UNTIL_DOWN
    }

    /// Records that the page of `task` showed no values in the browser. Returns whether this happened before in the
    /// round.
    pub(crate) fn came_to_nothing(&self, task: &TaskId) -> bool {
        !self.0.lock().nothing_in_browser.insert(task.clone())
    }

    /// Resets the refusals of a page after a successful visit in the browser.
    pub(crate) fn seen_in_browser(&self, page: &'static str) {
        self.0.lock().browser_refusals.remove(page);
    }

    /// Counts the funds that `page` is planned for.
    pub(crate) fn page_asked(&self, page: &'static str, tasks: &[&PlannedTask]) {
        let mut memory = self.0.lock();
        for task in tasks {
            memory.tally.page_asked(page, &task.id.key);
        }
    }

    /// Counts a parsed page. Returns the breach that exists now, if any.
    pub(crate) fn page_read(
        &self,
        page: &'static str,
        key: &str,
        said: &[&ObservationData],
        rejects: &[Reject],
    ) -> Option<String> {
        let mut memory = self.0.lock();
        memory.tally.page_read(page, key, said, rejects);
        memory.tally.breached_dataset()
    }

    /// Counts a broken page. Returns the breach that exists now, if any.
    pub(crate) fn page_broken(&self, page: &'static str, key: &str) -> Option<String> {
        let mut memory = self.0.lock();
        memory.tally.page_broken(page, key);
        memory.tally.breached_page(page)
    }
}
