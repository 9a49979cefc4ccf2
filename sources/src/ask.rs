//! Requests tasks and turns the answers into outcomes. One call of [`PageFetcher::ask`] handles one group of tasks of
//! one page. The [`PageFetcher`] belongs to no actor and has no state of its own: the state of a source during a cycle
//! is in [`CycleMemory`], for all incarnations of its actor.
//!
//! | answer | consequence |
//! |---|---|
//! | a body | unchanged if its hash is known; otherwise parsed in a blocking thread, a history after its known prefix |
//! | absent | an outcome; for a list of the whole market a breach (D7) |
//! | one bad code fails a batch | each half is requested separately |
//! | refused, or JavaScript needed | lower rate; once more by HTTP; then in the browser (`Auto`), or failed |
//! | the page shows no values in the browser | once more after all other tasks of the source, then a broken page |
//! | refused in the browser, too | the source stops for the round |
//! | a broken page, or a panic in its parser | the task fails and the payload is archived; too many are a breach (D6) |
//! | no answer | failed, or deferred if the host is down |

mod by_browser;
mod chain;
mod history;
mod reading;

use std::collections::VecDeque;
use std::sync::Arc;

use schema::{Outcome, PlannedTask, SourceName, TaskAnswer, failpoint};
use serde::Deserialize;

use crate::archive::Archive;
use crate::cycle_memory::CycleMemory;
use crate::page::{PageSpec, Stage};
use crate::site::{Answer, Breach, BrowserWay, ReadContext, Request, Site, StatusMeaning, Via};
use crate::transport::{
    Call, FailureKind, FetchFailure, Fetched, RedirectScope, Transport, WaitingOn,
};

/// Attempts by HTTP while the answers require the browser, and attempts in the browser while the site refuses them.
const TRIES_EACH_WAY: u32 = 2;

/// How the pages of a source are requested: a value of `runner.ron`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum TransportMode {
    /// By HTTP. A page changes to the browser after two answers that need JavaScript or are refused.
    Auto,
    /// Never in the browser.
    Http,
    /// In the browser, for every page that a browser can show.
    Browser,
}

/// Requests groups of tasks of one site. Cheap to clone.
#[derive(Clone)]
pub struct PageFetcher {
    site: Arc<dyn Site>,
    transport: Transport,
    mode: TransportMode,
    archive: Option<Arc<Archive>>,
    memory: Arc<CycleMemory>,
}

/// The result of a group of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The answers, one for each task that is finished, in no particular order.
    pub answers: Vec<TaskAnswer>,
    /// Tasks to request after all other tasks: those whose page showed nothing in the browser for the first time in
    /// this round, because the cause may have passed by then; and the next page of each list with cursors.
    pub later: Vec<PlannedTask>,
    /// `Some`: the full reason why the source must stop for this round (D6). Its remaining tasks are deferred without a
    /// request.
    pub breach: Option<String>,
}

/// Tasks that share one request, and the attempts made so far.
struct Turn {
    tasks: Vec<PlannedTask>,
    tries_by_http: u32,
    tries_by_browser: u32,
}

/// How a request ended.
enum TurnEnd {
    Answered(Box<Answer>, u32),
    Failed(FetchFailure),
}

/// The state of one call of [`PageFetcher::ask`].
struct Round<'call> {
    page: PageSpec,
    context: ReadContext,
    waiting: &'call WaitingOn,
    turns: VecDeque<Turn>,
    answers: Vec<TaskAnswer>,
    later: Vec<PlannedTask>,
}

impl Round<'_> {
    fn end(&mut self, tasks: Vec<PlannedTask>, outcome: &Outcome) {
        for task in tasks {
            let answer = TaskAnswer::empty(task.id, outcome.clone(), task.attempts);
            self.answers.push(answer);
        }
    }
}

impl PageFetcher {
    /// Makes a fetcher for `site`. Without an archive no payload is kept.
    #[must_use]
    pub const fn new(
        site: Arc<dyn Site>,
        transport: Transport,
        mode: TransportMode,
        archive: Option<Arc<Archive>>,
        memory: Arc<CycleMemory>,
    ) -> Self {
        Self {
            site,
            transport,
            mode,
            archive,
            memory,
        }
    }

    /// Counts `tasks` as planned for this cycle. The limits of the contract are shares of this number (D6).
    pub fn expect(&self, tasks: &[PlannedTask]) {
        for page in self.site.pages() {
            let of_page: Vec<&PlannedTask> = tasks
                .iter()
                .filter(|task| task.id.page == page.name)
                .collect();
            self.memory.page_asked(page.name, &of_page);
        }
    }

    /// Requests `tasks`, all of `page`. Each task is either answered or returned in [`Asked::later`]. `waiting` shows
    /// what the call waits for. Dropping the future cancels the call; no task is acknowledged by then.
    pub async fn ask(
        &self,
        page: &PageSpec,
        tasks: Vec<PlannedTask>,
        context: ReadContext,
        waiting: &WaitingOn,
    ) -> Asked {
        let mut round = Round {
            page: *page,
            context,
            waiting,
            turns: VecDeque::new(),
            answers: Vec::with_capacity(tasks.len()),
            later: Vec::new(),
        };
        for tasks in tasks.chunks(page.tasks_per_request.get()) {
            round.turns.push_back(Turn {
                tasks: tasks.to_vec(),
                tries_by_http: 0,
                tries_by_browser: 0,
            });
        }
        while let Some(turn) = round.turns.pop_front() {
            if let Some(breach) = self.memory.breach() {
                let why = format!("not requested, the source is stopped for this round: {breach}");
                round.end(turn.tasks, &Outcome::Deferred(why));
            } else {
                self.take(turn, &mut round).await;
            }
        }
        Asked {
            answers: round.answers,
            later: round.later,
            breach: self.memory.breach(),
        }
    }

    async fn take(&self, turn: Turn, round: &mut Round<'_>) {
        let page = round.page;
        let way = match self.browser_way_of(&page, &turn.tasks) {
            Ok(way) => way,
            Err(text) => return round.end(turn.tasks, &Outcome::Failed(text)),
        };
        match way {
            Some(way) if self.goes_by_browser(&page) => {
                // A tab shows one page, so the other tasks of a batch become requests of their own.
                let mut tasks = turn.tasks.into_iter();
                let first = tasks.next();
                for task in tasks.rev() {
                    round.turns.push_front(Turn {
                        tasks: vec![task],
                        ..turn
                    });
                }
                if let Some(task) = first {
                    let tasks = vec![task];
                    self.take_by_browser(Turn { tasks, ..turn }, &way, round)
                        .await;
                }
            }
            way => self.take_by_http(turn, way.is_some(), round).await,
        }
    }

    fn goes_by_browser(&self, page: &PageSpec) -> bool {
        match self.mode {
            TransportMode::Http => false,
            TransportMode::Browser => true,
            // Without a browser, plain HTTP may still fetch some of the pages.
            TransportMode::Auto => {
                self.memory.is_for_browser(page.name) && self.transport.no_browser().is_none()
            }
        }
    }

    /// How the browser gets the page of the first task, if it can and the mode allows it.
    fn browser_way_of(
        &self,
        page: &PageSpec,
        tasks: &[PlannedTask],
    ) -> Result<Option<BrowserWay>, String> {
        match (self.mode, tasks.first()) {
            (TransportMode::Http, _) | (_, None) => Ok(None),
            (_, Some(task)) => self.site.by_browser(page, task),
        }
    }

    async fn take_by_http(&self, mut turn: Turn, has_browser_way: bool, round: &mut Round<'_>) {
        let page = round.page;
        let request = match self.site.request(&page, &turn.tasks) {
            Ok(request) => request,
            Err(text) => return round.end(turn.tasks, &Outcome::Failed(text)),
        };
        let meaning = |status| self.site.meaning(&page, status, turn.tasks.len());
        let call = self.call(&turn, &meaning, round);
        let ended = into_end(self.fetch(&request, &call).await);
        let Some(answer) = answered(&mut turn, ended, round) else {
            return;
        };
        turn.tries_by_http += 1;
        let status = self.site.status_of(&answer);
        match self.site.meaning(&page, status, turn.tasks.len()) {
            StatusMeaning::Answer => {
                let calling = self.read(turn.tasks, &answer, round).await;
                for (task, breach) in calling {
                    let turn = Turn {
                        tasks: vec![task],
                        ..turn
                    };
                    self.call_for_browser(turn, &answer, &breach, has_browser_way, round)
                        .await;
                }
            }
            StatusMeaning::Refused => {
                self.transport.slow_down(self.site.name(), &answer.url);
                let breach = refusal(&answer, &self.advice(&page, &turn.tasks));
                self.call_for_browser(turn, &answer, &breach, has_browser_way, round)
                    .await;
            }
            StatusMeaning::Split if turn.tasks.len() > 1 => {
                let second = turn.tasks.split_off(turn.tasks.len() / 2);
                for tasks in [second, turn.tasks] {
                    round.turns.push_front(Turn { tasks, ..turn });
                }
            }
            StatusMeaning::KeyRefused => self.key_refused(turn, &request, status, round),
            StatusMeaning::CursorRefused => self.begin_again(turn, &answer, round).await,
            meaning => {
                self.end_by_status(turn.tasks, meaning, &answer, round)
                    .await;
            }
        }
    }

    /// Requests the tasks again with the next key; without one, the source stops for the round.
    fn key_refused(&self, turn: Turn, request: &Request, status: u16, round: &mut Round<'_>) {
        let source = self.site.name();
        if self.site.take_next_key(request) {
            tracing::warn!(%source, status, "the key was refused; the next key is used");
            return round.turns.push_front(turn);
        }
        let text = format!(
            "{source}: the key was refused (status {status}); expected a key that the portal of the source has issued and that has not expired; what was loaded before is safe"
        );
        self.stop_source(&text);
        round.end(turn.tasks, &Outcome::Failed(text));
    }

    /// Begins a list again whose cursor the source refused. A list that was begun again before fails.
    async fn begin_again(&self, mut turn: Turn, answer: &Answer, round: &mut Round<'_>) {
        for task in &mut turn.tasks {
            let Some(again) = task.chain.as_ref().and_then(chain::begun_again) else {
                let meaning = StatusMeaning::Unexpected;
                return self.end_by_status(turn.tasks, meaning, answer, round).await;
            };
            tracing::warn!(
                task = %task.id, status = answer.status,
                "the source refused the cursor; the list is read again from its first page"
            );
            task.chain = Some(again);
        }
        round.turns.push_front(turn);
    }

    /// The advice to the operator if the site refuses the answer to these tasks.
    fn advice(&self, page: &PageSpec, tasks: &[PlannedTask]) -> String {
        let has_browser_way = tasks
            .first()
            .is_some_and(|task| matches!(self.site.by_browser(page, task), Ok(Some(_))));
        refusal_advice(self.site.name(), self.mode, has_browser_way)
    }

    async fn fetch(&self, request: &Request, call: &Call<'_>) -> Result<Fetched, FetchFailure> {
        failpoint::FETCH_ASKING.pass().await?;
        let fetched = self.transport.fetch(request, call).await?;
        failpoint::FETCH_ANSWERED.pass().await?;
        Ok(fetched)
    }

    /// Handles an answer by HTTP that requires the browser: requests the page once more by HTTP, then in the browser,
    /// or ends the tasks as failed.
    async fn call_for_browser(
        &self,
        turn: Turn,
        answer: &Answer,
        breach: &Breach,
        has_browser_way: bool,
        round: &mut Round<'_>,
    ) {
        let page = round.page.name;
        let may_change = self.mode == TransportMode::Auto && has_browser_way;
        let missing = may_change.then(|| self.transport.no_browser()).flatten();
        if may_change && self.memory.calls_for_browser(page) {
            let (source, url) = (self.site.name(), &answer.url);
            match &missing {
                None => tracing::warn!(
                    %source, page, %url, reason = %breach,
                    "changing to the browser for the rest of the cycle"
                ),
                Some(missing) => tracing::error!(
                    %source, page, %url, reason = %breach,
                    "the page calls for the browser, but there is {missing}; the rest of it is requested over plain HTTP"
                ),
            }
        }
        let goes_over = has_browser_way && self.goes_by_browser(&round.page);
        if goes_over || turn.tries_by_http < TRIES_EACH_WAY {
            round.turns.push_back(turn);
            return;
        }
        let breach = &Breach {
            found: match missing {
                Some(missing) => format!("{} ({missing})", breach.found),
                None => breach.found.clone(),
            },
            ..breach.clone()
        };
        if answer.status >= 400 {
            let text = format!("{}: {breach}", answer.url);
            return round.end(turn.tasks, &Outcome::Failed(text));
        }
        for task in turn.tasks {
            self.broken(task, answer, breach, round).await;
        }
    }

    /// Ends tasks whose status alone decides the outcome.
    async fn end_by_status(
        &self,
        tasks: Vec<PlannedTask>,
        meaning: StatusMeaning,
        answer: &Answer,
        round: &mut Round<'_>,
    ) {
        if meaning == StatusMeaning::Absent && round.page.stage != Stage::Lists {
            return round.end(tasks, &Outcome::Absent);
        }
        let breach = Breach::new("HTTP status", "200", &answer.status.to_string());
        for task in tasks {
            self.broken(task, answer, &breach, round).await;
        }
    }

    fn call<'call>(
        &self,
        turn: &Turn,
        meaning: &'call (dyn Fn(u16) -> StatusMeaning + Send + Sync),
        round: &Round<'call>,
    ) -> Call<'call> {
        Call {
            source: self.site.name(),
            meaning,
            attempts_before: turn
                .tasks
                .iter()
                .map(|task| task.attempts)
                .max()
                .unwrap_or(0),
            redirects: if round.page.stage == Stage::Factsheets {
                RedirectScope::FactsheetHosts
            } else {
                RedirectScope::SameHost
            },
            waiting: round.waiting,
        }
    }
}

fn into_end(result: Result<Fetched, FetchFailure>) -> TurnEnd {
    match result {
        Ok(Fetched { answer, attempts }) => TurnEnd::Answered(Box::new(answer), attempts),
        Err(failure) => TurnEnd::Failed(failure),
    }
}

/// Returns the answer and writes the number of attempts into the tasks. If the request failed, ends the tasks here.
fn answered(turn: &mut Turn, end: TurnEnd, round: &mut Round<'_>) -> Option<Answer> {
    let attempts = match &end {
        TurnEnd::Answered(_, attempts) => *attempts,
        TurnEnd::Failed(failure) => failure.attempts,
    };
    for task in &mut turn.tasks {
        task.attempts = attempts;
    }
    match end {
        TurnEnd::Answered(answer, _) => Some(*answer),
        TurnEnd::Failed(failure) => {
            let outcome = match failure.kind {
                FailureKind::Failed => Outcome::Failed(failure.text),
                FailureKind::Deferred => Outcome::Deferred(failure.text),
            };
            round.end(std::mem::take(&mut turn.tasks), &outcome);
            None
        }
    }
}

/// Makes the breach for a refused answer, with the advice to the operator.
fn refusal(answer: &Answer, advice: &str) -> Breach {
    let way = match answer.via {
        Via::Http => "plain HTTP",
        Via::Browser | Via::InPage => "the browser",
    };
    let found = format!("{}, refused; next: {advice}", answer.status);
    Breach::new("HTTP status", &format!("200 by {way}"), &found)
}

/// The advice to the operator about a refusal. It names only keys of `runner.ron` that the source has and that would
/// change something.
fn refusal_advice(source: SourceName, mode: TransportMode, has_browser_way: bool) -> String {
    let slower = format!(
        "lower sources.{source}.requests_per_sec, or run from another network if the site refuses this one"
    );
    if mode == TransportMode::Http && has_browser_way {
        format!("set sources.{source}.transport to Auto or Browser, or {slower}")
    } else {
        slower
    }
}

#[cfg(test)]
mod tests;
