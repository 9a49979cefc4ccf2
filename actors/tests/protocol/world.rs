//! Database and sites of the model. They persist across processes, act as the script directs, and record every broken
//! invariant.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use actors::fetch::Fetch;
use actors::store_session::StoreSession;
use async_trait::async_trait;
use jiff::ToSpan as _;
use schema::observation::DailyPoint;
use schema::{
    FundCode, Number, Observation, ObservationData, Outcome, PlannedTask, SourceName, TaskAnswer,
    TaskId,
};
use sources::ask::Asked;
use sources::page::PageSpec;
use sources::site::ReadContext;
use sources::transport::WaitingOn;
use store::{AnsweredRequest, Batch, BatchId, BatchReport, Cycle, StoreError, TaskFilter};

use super::script::Script;

/// Durations of an undisturbed request and of an undisturbed transaction.
const ASKING: Duration = Duration::from_millis(10);
const WRITING: Duration = Duration::from_millis(5);
/// Long enough for all other work to overtake.
const SLOW: Duration = Duration::from_secs(3);

/// The database state of a task, and its history.
#[derive(Debug, Default)]
struct Kept {
    commits: u32,
    answered: bool,
    /// Panics of its requests in this process; each was a death of its source with this task in flight.
    panics: u32,
    /// Requests without an answer in this process: the maximum number of deaths that can be counted against it.
    unanswered: u32,
}

pub struct World {
    pub script: RefCell<Script>,
    tasks: RefCell<BTreeMap<TaskId, Kept>>,
    last_batch: RefCell<Option<(BatchId, BatchReport)>>,
    sessions: Cell<u32>,
    open: RefCell<BTreeSet<u32>>,
    /// Descriptions of broken invariants.
    pub broken: RefCell<Vec<String>>,
    /// Deaths of the children in this process, by name; merge and loader count as `pipeline`.
    pub deaths: RefCell<BTreeMap<String, u32>>,
    /// Another runner has the lock: this process cannot continue.
    pub shut_out: Cell<bool>,
    /// Panics of the merge actor, over all processes.
    pub merge_panics: Cell<u32>,
}

impl World {
    pub fn new(script: Script, tasks: impl IntoIterator<Item = TaskId>) -> Rc<Self> {
        Rc::new(Self {
            script: RefCell::new(script),
            tasks: RefCell::new(tasks.into_iter().map(|id| (id, Kept::default())).collect()),
            last_batch: RefCell::default(),
            sessions: Cell::new(0),
            open: RefCell::default(),
            broken: RefCell::default(),
            deaths: RefCell::default(),
            shut_out: Cell::new(false),
            merge_panics: Cell::new(0),
        })
    }

    pub fn choose(&self, point: &'static str, of: usize) -> usize {
        self.script.borrow_mut().choose(point, of)
    }

    pub fn breaks(&self, promise: String) {
        self.broken.borrow_mut().push(promise);
    }

    pub fn dies(&self, child: &str) {
        *self
            .deaths
            .borrow_mut()
            .entry(child.to_owned())
            .or_default() += 1;
    }

    /// Resets what a new process does not know: the deaths of the process before.
    pub fn begin_process(&self) {
        self.deaths.borrow_mut().clear();
        self.shut_out.set(false);
        for kept in self.tasks.borrow_mut().values_mut() {
            (kept.panics, kept.unanswered) = (0, 0);
        }
    }

    pub fn committed(&self) -> usize {
        self.tasks
            .borrow()
            .values()
            .filter(|kept| kept.commits > 0)
            .count()
    }

    /// The checkpoint: planned and not acknowledged tasks.
    pub fn left(&self) -> Vec<PlannedTask> {
        let tasks = self.tasks.borrow();
        let left = tasks.iter().filter(|(_, kept)| kept.commits == 0);
        left.map(|(id, _)| PlannedTask::new(id.clone())).collect()
    }

    fn loader_panics(&self, at: &str) -> ! {
        self.dies("pipeline");
        panic!("the loader panics {at}");
    }

    fn refuse(&self) -> StoreError {
        self.dies("pipeline");
        StoreError::Inconsistent("scripted".to_owned())
    }

    /// The COMMIT itself: all answers or none.
    fn write(&self, batch: &Batch) -> BatchReport {
        let mut report = BatchReport::default();
        for answer in &batch.answers {
            let mut tasks = self.tasks.borrow_mut();
            let Some(kept) = tasks.get_mut(&answer.id) else {
                self.breaks(format!("{} was never planned and is committed", answer.id));
                continue;
            };
            kept.commits += 1;
            if kept.commits > 1 {
                self.breaks(format!("{} is committed {} times", answer.id, kept.commits));
            }
            if !kept.answered && kept.unanswered < 2 {
                self.breaks(format!("{} is committed without an answer", answer.id));
            }
            report.tasks.push(
                serde_json::from_value(
                    serde_json::json!({ "id": answer.id, "outcome": answer.outcome }),
                )
                .expect("an acknowledgement"),
            );
        }
        *self.last_batch.borrow_mut() = Some((batch.id.clone(), report.clone()));
        report
    }
}

/// A session on the scripted database.
pub struct ScriptedSession {
    world: Rc<World>,
    number: u32,
}

impl ScriptedSession {
    /// Checks that this session is the open one.
    fn check(&self) -> Result<(), StoreError> {
        if self.world.open.borrow().contains(&self.number) {
            return Ok(());
        }
        self.world.breaks(format!(
            "session {} is used after its connection was lost",
            self.number
        ));
        Err(StoreError::Outage("no such session".to_owned()))
    }

    fn lose(&self) -> StoreError {
        self.world.open.borrow_mut().remove(&self.number);
        StoreError::Outage("connection reset".to_owned())
    }
}

impl StoreSession for ScriptedSession {
    type Access = Rc<World>;

    async fn open(world: &Rc<World>, _lock_patience: Duration) -> Result<Self, StoreError> {
        tokio::time::sleep(WRITING).await;
        match world.choose("open", 3) {
            0 => {}
            1 => return Err(StoreError::Outage("connection refused".to_owned())),
            _ => {
                // No restart fixes this: the process ends by itself.
                world.shut_out.set(true);
                return Err(StoreError::AnotherRunner {
                    who: "another".to_owned(),
                });
            }
        }
        let others = world.open.borrow().len();
        if others > 0 {
            world.breaks(format!("a session is opened beside {others} others"));
        }
        let number = world.sessions.get() + 1;
        world.sessions.set(number);
        world.open.borrow_mut().insert(number);
        Ok(Self {
            world: Rc::clone(world),
            number,
        })
    }

    async fn commit(&mut self, _cycle: &Cycle, batch: &Batch) -> Result<BatchReport, StoreError> {
        self.check()?;
        let world = &self.world;
        let known = world.last_batch.borrow().clone();
        if let Some((_, report)) = known.filter(|(id, _)| *id == batch.id) {
            return Ok(report);
        }
        let happens = world.choose("commit", 8);
        tokio::time::sleep(if happens == 1 { SLOW } else { WRITING }).await;
        match happens {
            2 => return Err(self.lose()),
            3 => world.loader_panics("before COMMIT"),
            4 => return Err(world.refuse()),
            _ => {}
        }
        let report = world.write(batch);
        match happens {
            5 => Err(self.lose()),
            6 => world.loader_panics("after COMMIT"),
            7 => {
                // The reply to COMMIT is late.
                tokio::time::sleep(SLOW).await;
                Ok(report)
            }
            _ => Ok(report),
        }
    }

    async fn checkpoint(
        &mut self,
        _cycle: &Cycle,
        _filter: &TaskFilter,
    ) -> Result<Vec<PlannedTask>, StoreError> {
        self.check()?;
        let world = &self.world;
        let happens = world.choose("checkpoint", 5);
        let left = world.left();
        tokio::time::sleep(if happens == 1 { SLOW } else { WRITING }).await;
        match happens {
            2 => Err(self.lose()),
            3 => Err(world.refuse()),
            4 => world.loader_panics("at the checkpoint"),
            _ => Ok(left),
        }
    }

    async fn heartbeat(&mut self, _doing: &str) -> Result<(), StoreError> {
        self.check()?;
        tokio::time::sleep(WRITING).await;
        match self.world.choose("heartbeat", 2) {
            0 => Ok(()),
            _ => Err(self.lose()),
        }
    }

    /// No command places a request.
    async fn answer_requests(&mut self) -> Result<Vec<AnsweredRequest>, StoreError> {
        Ok(Vec::new())
    }
}

impl Drop for ScriptedSession {
    fn drop(&mut self) {
        self.world.open.borrow_mut().remove(&self.number);
    }
}

impl World {
    fn answer(&self, task: PlannedTask, outcome: Outcome) -> TaskAnswer {
        if let Some(kept) = self.tasks.borrow_mut().get_mut(&task.id) {
            kept.answered = true;
            kept.unanswered -= 1;
        }
        let observations = match outcome {
            Outcome::Done => vec![history(&task.id)],
            _ => Vec::new(),
        };
        TaskAnswer {
            observations,
            ..TaskAnswer::empty(task.id, outcome, 1)
        }
    }

    fn panics_asking(&self, source: SourceName, tasks: &[PlannedTask]) -> ! {
        self.dies(source.as_str());
        for task in tasks {
            if let Some(kept) = self.tasks.borrow_mut().get_mut(&task.id) {
                kept.panics += 1;
            }
        }
        panic!("the source panics while it asks");
    }
}

/// The daily values of a fund: one to three days, by the last byte of its key.
fn history(task: &TaskId) -> Observation {
    let first = jiff::civil::date(2026, 10, 1);
    let days = i64::from(task.key.bytes().next_back().unwrap_or_default() % 3);
    let said = (0..=days).map(|day| DailyPoint {
        nav_date: first + day.days(),
        nav: Some(Number::from(10)),
        aum: None,
        bid: None,
        offer: None,
    });
    Observation {
        fund_code: FundCode::parse(&task.key).expect("a code"),
        source: task.source,
        as_of_date: None,
        url: String::new(),
        data: ObservationData::Daily(said.collect()),
    }
}

/// The scripted sites, as the fetcher of one source.
pub struct ScriptedFetcher {
    pub world: Rc<World>,
    pub source: SourceName,
}

#[async_trait(?Send)]
impl Fetch for ScriptedFetcher {
    fn expect(&self, _tasks: &[PlannedTask]) {}

    async fn ask(
        &self,
        _page: &PageSpec,
        tasks: Vec<PlannedTask>,
        _context: ReadContext,
        _waiting: &WaitingOn,
    ) -> Asked {
        let world = &self.world;
        for task in &tasks {
            let mut kept = world.tasks.borrow_mut();
            let Some(kept) = kept.get_mut(&task.id) else {
                continue;
            };
            kept.unanswered += 1;
            if kept.commits > 0 {
                world.breaks(format!(
                    "{} is asked again although it was acknowledged",
                    task.id
                ));
            }
            if kept.panics >= 2 {
                world.breaks(format!(
                    "{} is asked after it killed its source twice",
                    task.id
                ));
            }
        }
        let happens = world.choose("ask", 7);
        tokio::time::sleep(if happens == 1 { SLOW } else { ASKING }).await;
        let outcome = match happens {
            2 => Outcome::Failed("the site answered 500".to_owned()),
            3 => Outcome::Deferred("the host is down".to_owned()),
            4 => world.panics_asking(self.source, &tasks),
            5 => {
                // Until the supervisor detects that it is stuck.
                world.dies(self.source.as_str());
                std::future::pending().await
            }
            6 => Outcome::Absent,
            _ => Outcome::Done,
        };
        let answers = tasks
            .into_iter()
            .map(|task| world.answer(task, outcome.clone()));
        Asked {
            answers: answers.collect(),
            later: Vec::new(),
            breach: None,
        }
    }
}
