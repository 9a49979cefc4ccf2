//! Asks one source for its tasks, hands each answer to the merge, and ends when all of them are acknowledged.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use schema::failpoint::{self, Injected};
use schema::store::Cycle;
use schema::{Outcome, PlannedTask, TaskAnswer, TaskId};
use sources::ask::Asker;
use sources::page::PageSpec;
use sources::site::ReadContext;
use sources::transport::WaitingOn;
use tokio::sync::{Semaphore, watch};

use crate::child::{ExitReason, ExitSlip};
use crate::merge_actor::MergeActor;
use crate::messages::{Credit, StartSource, TaskEnded, TasksAcknowledged};
use crate::pulse::{Phase, Pulse};

/// A source that can be asked.
#[derive(Clone)]
pub struct AskedSource {
    /// Asks and reads; shares its memory of the cycle with all incarnations.
    pub asker: Asker,
    /// The source's pages.
    pub pages: &'static [PageSpec],
}

impl AskedSource {
    fn page(&self, name: &str) -> Option<&'static PageSpec> {
        self.pages.iter().find(|page| page.name == name)
    }
}

/// What an incarnation of a source is born with.
#[derive(Clone)]
pub struct SourceSettings {
    /// Asks and reads, and what pages there are.
    pub asked: AskedSource,
    /// The cycle it works for.
    pub cycle: Arc<Cycle>,
    /// In the last round nothing is deferred any more: what cannot be asked has failed (P3).
    pub final_round: bool,
    /// Fetches in flight (never above the host's own limit).
    pub fetches_in_flight: usize,
    /// Which incarnation this is.
    pub incarnation: u32,
    /// Where answers go.
    pub merge: Addr<MergeActor>,
    /// Becomes true when the program is to stop.
    pub stop: watch::Receiver<bool>,
}

/// The actor. It holds no data: answers leave it as soon as they are read.
pub struct SourceActor {
    settings: SourceSettings,
    pulse: Arc<Pulse>,
    slip: ExitSlip,
    /// What has not been acknowledged yet.
    unacknowledged: BTreeSet<TaskId>,
    /// What was handed to the merge and not acknowledged yet: when the program stops, only this is waited for.
    handed_over: Rc<RefCell<BTreeSet<TaskId>>>,
    lanes_running: usize,
}

impl SourceActor {
    /// A fresh incarnation.
    #[must_use]
    pub fn new(settings: SourceSettings, pulse: Arc<Pulse>, slip: ExitSlip) -> Self {
        Self {
            settings,
            pulse,
            slip,
            unacknowledged: BTreeSet::new(),
            handed_over: Rc::default(),
            lanes_running: 0,
        }
    }

    /// Ends this incarnation: the restart policy judges.
    fn fail(&self, injected: Injected, context: &mut Context<Self>) {
        self.slip.leave(ExitReason::Failed(injected.to_string()));
        context.stop();
    }

    fn end_if_done(&self, context: &mut Context<Self>) {
        if self.lanes_running > 0 {
            return;
        }
        if self.unacknowledged.is_empty() {
            self.slip.leave(ExitReason::Finished);
            context.stop();
        } else if *self.settings.stop.borrow() && self.handed_over.borrow().is_empty() {
            self.slip.leave(ExitReason::Asked);
            context.stop();
        }
    }
}

impl Actor for SourceActor {
    type Context = Context<Self>;
}

impl Handler<StartSource> for SourceActor {
    type Result = ();

    fn handle(&mut self, start: StartSource, context: &mut Self::Context) {
        if let Err(injected) = failpoint::SOURCE_STARTED.reach() {
            return self.fail(injected, context);
        }
        self.unacknowledged = start
            .tasks
            .iter()
            .map(|task| task.id.clone())
            .chain(start.given_up.iter().map(|(id, _)| id.clone()))
            .collect();
        let work = Rc::new(LaneWork {
            settings: self.settings.clone(),
            queue: RefCell::new(wire_groups(start.tasks, |page| {
                self.settings
                    .asked
                    .page(page)
                    .map_or(1, |page| page.tasks_per_request.get())
            })),
            given_up: RefCell::new(start.given_up),
            credits: start.credits,
            handed_over: Rc::clone(&self.handed_over),
            pulse: Arc::clone(&self.pulse),
            acknowledge: context.address().recipient(),
        });
        self.lanes_running = self.settings.fetches_in_flight;
        for lane in 0..self.settings.fetches_in_flight {
            let work = Rc::clone(&work);
            context.spawn(
                async move { work.run_lane(lane).await }
                    .into_actor(self)
                    .map(|ended, actor, context| match ended {
                        Ok(()) => {
                            actor.lanes_running -= 1;
                            actor.end_if_done(context);
                        }
                        Err(injected) => actor.fail(injected, context),
                    }),
            );
        }
    }
}

impl Handler<TasksAcknowledged> for SourceActor {
    type Result = ();

    fn handle(&mut self, acknowledged: TasksAcknowledged, context: &mut Self::Context) {
        if let Err(injected) = failpoint::SOURCE_ACKNOWLEDGED.reach() {
            return self.fail(injected, context);
        }
        for task in &acknowledged.tasks {
            self.unacknowledged.remove(task);
            self.handed_over.borrow_mut().remove(task);
        }
        self.end_if_done(context);
    }
}

/// What the lanes of one incarnation share.
struct LaneWork {
    settings: SourceSettings,
    queue: RefCell<VecDeque<Vec<PlannedTask>>>,
    given_up: RefCell<Vec<(TaskId, String)>>,
    credits: Arc<Semaphore>,
    handed_over: Rc<RefCell<BTreeSet<TaskId>>>,
    pulse: Arc<Pulse>,
    acknowledge: Recipient<TasksAcknowledged>,
}

impl LaneWork {
    /// One lane: takes a group of tasks, asks it, hands the answers over, until nothing is left or the program stops.
    async fn run_lane(&self, lane: usize) -> Result<(), Injected> {
        while !*self.settings.stop.borrow() && self.run_group(lane).await? {
            self.pulse.rest(lane);
        }
        self.pulse.rest(lane);
        Ok(())
    }

    /// Whether there was a group to work on, and no reason to stop in it. A stop cuts short what waits for a credit or
    /// for the site; what is being handed over is handed over.
    async fn run_group(&self, lane: usize) -> Result<bool, Injected> {
        let given_up = self.given_up.borrow_mut().pop();
        let group = if given_up.is_some() {
            None
        } else {
            self.queue.borrow_mut().pop_front()
        };
        let ids: Vec<TaskId> = given_up
            .iter()
            .map(|(id, _)| id.clone())
            .chain(group.iter().flatten().map(|task| task.id.clone()))
            .collect();
        if ids.is_empty() {
            return Ok(false);
        }
        let waiting = WaitingOn::default();
        self.pulse.turn(lane, &ids, Phase::AwaitingCredit, &waiting);
        let Some(Ok(permit)) = self
            .unless_stopped(Arc::clone(&self.credits).acquire_owned())
            .await
        else {
            return Ok(false);
        };
        failpoint::FETCH_CREDITED.pass().await?;
        let credit = Credit::new(permit);
        let answers = match (given_up, group) {
            (Some((id, why)), _) => vec![TaskAnswer::empty(id, Outcome::Failed(why), 0)],
            (None, Some(group)) => {
                self.pulse.turn(lane, &ids, Phase::Asking, &waiting);
                let Some(answers) = self.unless_stopped(self.ask(group, &waiting)).await else {
                    return Ok(false);
                };
                answers
            }
            (None, None) => return Ok(false),
        };
        self.pulse.turn(lane, &ids, Phase::Sending, &waiting);
        for mut answer in answers {
            if let Outcome::Deferred(why) = &answer.outcome
                && self.settings.final_round
            {
                answer.outcome = Outcome::Failed(why.clone());
            }
            failpoint::SEND_BEFORE.pass().await?;
            self.handed_over.borrow_mut().insert(answer.id.clone());
            let ended = TaskEnded {
                cycle: Arc::clone(&self.settings.cycle),
                answer,
                incarnation: self.settings.incarnation,
                credit: credit.clone(),
                acknowledge: self.acknowledge.clone(),
            };
            // A closed mailbox means that the merge is gone: the supervisor replaces this actor as well.
            if self.settings.merge.send(ended).await.is_err() {
                std::future::pending::<()>().await;
            }
            failpoint::SEND_AFTER.pass().await?;
        }
        Ok(true)
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stop = self.settings.stop.clone();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => None,
            done = work => Some(done),
        }
    }

    async fn ask(&self, group: Vec<PlannedTask>, waiting: &WaitingOn) -> Vec<TaskAnswer> {
        let context = ReadContext {
            cycle_date: self.settings.cycle.cycle_date,
        };
        let page = group
            .first()
            .and_then(|task| self.settings.asked.page(&task.id.page));
        let Some(page) = page else {
            return group
                .into_iter()
                .map(|task| {
                    let why = format!(
                        "the source has no page `{}` any more; the next cycle does not plan it",
                        task.id.page
                    );
                    TaskAnswer::empty(task.id, Outcome::Failed(why), task.attempts)
                })
                .collect();
        };
        self.settings
            .asked
            .asker
            .ask(page, group, context, waiting)
            .await
            .answers
    }
}

/// Puts tasks that go on the wire together into groups, in order: a group is of one page and holds at most
/// `tasks_per_request` of it.
fn wire_groups(
    tasks: Vec<PlannedTask>,
    tasks_per_request: impl Fn(&str) -> usize,
) -> VecDeque<Vec<PlannedTask>> {
    let mut groups: Vec<Vec<PlannedTask>> = Vec::new();
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    for task in tasks {
        let page = task.id.page.clone();
        let most = tasks_per_request(&page);
        match open.get(&page) {
            Some(&index) if groups[index].len() < most => groups[index].push(task),
            _ => {
                open.insert(page, groups.len());
                groups.push(vec![task]);
            }
        }
    }
    groups.into()
}

#[cfg(test)]
mod tests {
    use schema::SourceName;

    use super::*;

    #[test]
    fn tasks_of_one_page_share_requests_in_order() {
        let tasks = ["a/1", "b/1", "a/2", "a/3", "b/2"]
            .map(|name| {
                let (page, key) = name.split_once('/').expect("page/key");
                PlannedTask {
                    id: TaskId {
                        source: SourceName::SecFundcheck,
                        page: page.into(),
                        key: key.into(),
                    },
                    locator: None,
                    extent: None,
                    attempts: 0,
                    known_payload: None,
                }
            })
            .to_vec();
        let groups: Vec<Vec<String>> = wire_groups(tasks, |page| if page == "a" { 2 } else { 1 })
            .into_iter()
            .map(|group| group.into_iter().map(|task| task.id.key).collect())
            .collect();
        assert_eq!(groups, [vec!["1", "2"], vec!["1"], vec!["3"], vec!["2"]]);
    }
}
