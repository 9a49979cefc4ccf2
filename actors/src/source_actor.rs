//! The source actor: requests the pages that the tasks of one source name, sends each answer to the merge actor, and
//! ends when all tasks are acknowledged.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use schema::failpoint::{self, Injected};
use schema::{Outcome, PlannedTask, TaskAnswer, TaskId};
use sources::site::ReadContext;
use sources::transport::WaitingOn;
use store::Cycle;
use tokio::sync::{Semaphore, watch};

use crate::child::{ExitReason, ExitSlip};
use crate::fetch::AskedSource;
use crate::merge_actor::MergeActor;
use crate::messages::{AcknowledgedAnswer, Credit, StartSource, TaskEnded, TasksAcknowledged};
use crate::progress_probe::{Phase, ProgressProbe};
use crate::row_budget::RowBudget;

/// The settings of one incarnation of a source.
#[derive(Clone)]
pub struct SourceSettings {
    /// The source: fetcher and pages.
    pub asked: AskedSource,
    /// The cycle that the tasks belong to.
    pub cycle: Arc<Cycle>,
    /// In the final round nothing is deferred: a task that cannot be requested fails (P3).
    pub final_round: bool,
    /// Number of lanes, so the maximum of fetches in flight. The host's own limit applies as well.
    pub fetches_in_flight: usize,
    /// The number of this incarnation.
    pub incarnation: u32,
    /// Receives the answers.
    pub merge: Addr<MergeActor>,
    /// Becomes true when the program stops.
    pub stop: watch::Receiver<bool>,
}

/// Number of unacknowledged answers by task. A list with cursors can have several.
type HandedOver = Rc<RefCell<BTreeMap<TaskId, usize>>>;

/// The actor. It keeps no data: answers are sent as soon as they are parsed.
pub struct SourceActor {
    settings: SourceSettings,
    probe: Arc<ProgressProbe>,
    slip: ExitSlip,
    /// Tasks that are not acknowledged yet.
    unacknowledged: BTreeSet<TaskId>,
    /// Tasks with answers sent to the merge actor and not acknowledged yet, with the number of these answers. A stop
    /// waits only for these.
    handed_over: HandedOver,
    lanes_running: usize,
}

impl SourceActor {
    /// Creates a fresh incarnation.
    #[must_use]
    pub fn new(settings: SourceSettings, probe: Arc<ProgressProbe>, slip: ExitSlip) -> Self {
        Self {
            settings,
            probe,
            slip,
            unacknowledged: BTreeSet::new(),
            handed_over: Rc::default(),
            lanes_running: 0,
        }
    }

    /// Ends this incarnation as failed; the restart policy decides what follows.
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
        self.settings.asked.fetcher.expect(&start.tasks);
        self.unacknowledged = start
            .tasks
            .iter()
            .map(|task| task.id.clone())
            .chain(start.given_up.iter().map(|(id, _)| id.clone()))
            .collect();
        let work = Rc::new(LaneWork {
            settings: self.settings.clone(),
            queues: RefCell::new(HostQueues::new(wire_groups(start.tasks, |page| {
                self.settings
                    .asked
                    .page(page)
                    .map_or(1, |page| page.tasks_per_request.get())
            }))),
            given_up: RefCell::new(start.given_up),
            credits: start.credits,
            row_budget: start.row_budget,
            handed_over: Rc::clone(&self.handed_over),
            probe: Arc::clone(&self.probe),
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
        let mut handed_over = self.handed_over.borrow_mut();
        for AcknowledgedAnswer { task, is_finished } in acknowledged.answers {
            if is_finished {
                self.unacknowledged.remove(&task);
            }
            if let Entry::Occupied(mut answers) = handed_over.entry(task) {
                *answers.get_mut() -= 1;
                if *answers.get() == 0 {
                    answers.remove();
                }
            }
        }
        drop(handed_over);
        self.end_if_done(context);
    }
}

/// State shared by the lanes of one incarnation.
struct LaneWork {
    settings: SourceSettings,
    queues: RefCell<HostQueues>,
    given_up: RefCell<Vec<(TaskId, String)>>,
    credits: Arc<Semaphore>,
    row_budget: RowBudget,
    handed_over: HandedOver,
    probe: Arc<ProgressProbe>,
    acknowledge: Recipient<TasksAcknowledged>,
}

impl LaneWork {
    /// Runs one lane: takes a group of tasks, requests it and sends the answers, until no group is left or the program
    /// stops.
    async fn run_lane(&self, lane: usize) -> Result<(), Injected> {
        while !*self.settings.stop.borrow() && self.run_group(lane).await? {
            self.probe.rest(lane);
        }
        self.probe.rest(lane);
        Ok(())
    }

    /// Works on one group; returns false if none was left or the program stops. A stop interrupts waits for a credit,
    /// for room, and for the site. Answers that are being sent are still sent.
    async fn run_group(&self, lane: usize) -> Result<bool, Injected> {
        let given_up = self.given_up.borrow_mut().pop();
        let (host, group) = if given_up.is_some() {
            (None, None)
        } else {
            self.queues.borrow_mut().take().unzip()
        };
        let more = self.work_on(lane, given_up, group).await;
        if let Some(host) = host {
            self.queues.borrow_mut().give_back(&host);
        }
        more
    }

    /// The body of [`LaneWork::run_group`], for the group that was taken.
    async fn work_on(
        &self,
        lane: usize,
        given_up: Option<(TaskId, String)>,
        group: Option<Vec<PlannedTask>>,
    ) -> Result<bool, Injected> {
        let ids: Vec<TaskId> = given_up
            .iter()
            .map(|(id, _)| id.clone())
            .chain(group.iter().flatten().map(|task| task.id.clone()))
            .collect();
        if ids.is_empty() {
            return Ok(false);
        }
        let waiting = WaitingOn::default();
        self.probe.turn(lane, &ids, Phase::AwaitingCredit, &waiting);
        let Some(Ok(permit)) = self
            .unless_stopped(Arc::clone(&self.credits).acquire_owned())
            .await
        else {
            return Ok(false);
        };
        failpoint::FETCH_CREDITED.pass().await?;
        let answers = match (given_up, group) {
            (Some((id, why)), _) => vec![TaskAnswer::empty(id, Outcome::Failed(why), 0)],
            (None, Some(group)) => {
                self.probe.turn(lane, &ids, Phase::Asking, &waiting);
                let asking = self.ask(group, &waiting);
                let Some((answers, later)) = self.unless_stopped(asking).await else {
                    return Ok(false);
                };
                self.queues.borrow_mut().put_last(later);
                answers
            }
            (None, None) => return Ok(false),
        };
        self.probe.turn(lane, &ids, Phase::AwaitingCredit, &waiting);
        let rows = answers.iter().map(TaskAnswer::rows).sum();
        let Some(row_budget) = self.unless_stopped(self.row_budget.take(rows)).await else {
            return Ok(false);
        };
        let credit = Credit::new(permit, row_budget);
        self.probe.turn(lane, &ids, Phase::Sending, &waiting);
        for mut answer in answers {
            if let Outcome::Deferred(why) = &answer.outcome
                && self.settings.final_round
            {
                answer.outcome = Outcome::Failed(why.clone());
            }
            failpoint::SEND_BEFORE.pass().await?;
            *self
                .handed_over
                .borrow_mut()
                .entry(answer.id.clone())
                .or_default() += 1;
            let ended = TaskEnded {
                cycle: Arc::clone(&self.settings.cycle),
                answer,
                incarnation: self.settings.incarnation,
                credit: credit.clone(),
                acknowledge: self.acknowledge.clone(),
            };
            // A closed mailbox means that the merge actor is gone; the supervisor replaces this actor as well.
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

    /// Requests a group. Returns the answers, and the tasks to request again after all others.
    async fn ask(
        &self,
        group: Vec<PlannedTask>,
        waiting: &WaitingOn,
    ) -> (Vec<TaskAnswer>, Vec<PlannedTask>) {
        let context = ReadContext {
            cycle_date: self.settings.cycle.cycle_date,
        };
        let page = group
            .first()
            .and_then(|task| self.settings.asked.page(&task.id.page));
        let Some(page) = page else {
            let unknown = group
                .into_iter()
                .map(|task| {
                    let why = format!(
                        "the source has no page `{}` any more; the next cycle does not plan it",
                        task.id.page
                    );
                    TaskAnswer::empty(task.id, Outcome::Failed(why), task.attempts)
                })
                .collect();
            return (unknown, Vec::new());
        };
        let fetcher = &self.settings.asked.fetcher;
        let asked = fetcher.ask(page, group, context, waiting).await;
        (asked.answers, asked.later)
    }
}

/// The queued groups of one source by host. Lanes are spread over the hosts, so that no lane waits for one host while
/// another has capacity.
#[derive(Debug, Default)]
struct HostQueues(BTreeMap<String, HostQueue>);

#[derive(Debug, Default)]
struct HostQueue {
    groups: VecDeque<Vec<PlannedTask>>,
    /// Number of lanes that work on this host.
    lanes: usize,
}

impl HostQueues {
    fn new(groups: Vec<Vec<PlannedTask>>) -> Self {
        let mut queues = Self::default();
        for group in groups {
            queues.push(group);
        }
        queues
    }

    fn push(&mut self, group: Vec<PlannedTask>) {
        let host = group.first().map_or("", other_host).to_owned();
        self.0.entry(host).or_default().groups.push_back(group);
    }

    /// Queues each of these tasks as a group of its own, after all others of its host.
    fn put_last(&mut self, tasks: Vec<PlannedTask>) {
        for task in tasks {
            self.push(vec![task]);
        }
    }

    /// Takes the next group, from the host with the fewest lanes; of equal hosts, from the one with the most groups
    /// left.
    fn take(&mut self) -> Option<(String, Vec<PlannedTask>)> {
        let (host, queue) = self
            .0
            .iter_mut()
            .filter(|(_, queue)| !queue.groups.is_empty())
            .min_by_key(|(_, queue)| (queue.lanes, Reverse(queue.groups.len())))?;
        let group = queue.groups.pop_front()?;
        queue.lanes += 1;
        Some((host.clone(), group))
    }

    /// Records that a lane finished a group of `host`.
    fn give_back(&mut self, host: &str) {
        if let Some(queue) = self.0.get_mut(host) {
            queue.lanes = queue.lanes.saturating_sub(1);
        }
    }
}

/// The scheme and host of a task whose locator is a URL (a factsheet); empty for the source's own host.
fn other_host(task: &PlannedTask) -> &str {
    let locator = task.locator.as_deref().unwrap_or_default();
    let Some((scheme, rest)) = locator.split_once("://") else {
        return "";
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    &locator[..scheme.len() + "://".len() + host.len()]
}

/// Groups tasks that share one request, in order. A group contains tasks of one page, at most `tasks_per_request` of
/// that page.
fn wire_groups(
    tasks: Vec<PlannedTask>,
    tasks_per_request: impl Fn(&str) -> usize,
) -> Vec<Vec<PlannedTask>> {
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
    groups
}

#[cfg(test)]
mod tests {
    use schema::SourceName;

    use super::*;

    fn task(name: &str, locator: Option<&str>) -> PlannedTask {
        let (page, key) = name.split_once('/').expect("page/key");
        PlannedTask {
            locator: locator.map(str::to_owned),
            ..PlannedTask::new(TaskId {
                source: SourceName::SecFundcheck,
                page: page.into(),
                key: key.into(),
            })
        }
    }

    #[test]
    fn lanes_spread_over_the_hosts_and_a_host_with_more_left_comes_first() {
        let on = |name: &str, locator| vec![task(name, Some(locator))];
        let mut queues = HostQueues::new(vec![
            on("fee/1", "F1"),
            on("sheet/1", "https://documents.example:81/1.pdf"),
            on("fee/2", "F2"),
            on("sheet/2", "https://documents.example:81/2.pdf?a=/"),
            on("fee/3", "F3"),
        ]);
        let mut taken = Vec::new();
        let mut hosts = Vec::new();
        for _ in 0..3 {
            let (host, group) = queues.take().expect("there is work");
            taken.push(group[0].id.key.clone() + " of " + &group[0].id.page);
            hosts.push(host);
        }
        assert_eq!(taken, ["1 of fee", "1 of sheet", "2 of fee"]);
        assert_eq!(hosts, ["", "https://documents.example:81", ""]);
        // Two lanes are at work on the source's own host, none on the other one.
        queues.give_back("https://documents.example:81");
        assert_eq!(queues.take().expect("there is work").0, hosts[1]);
        assert_eq!(queues.take().expect("there is work").1[0].id.key, "3");
        assert!(queues.take().is_none());
    }

    #[test]
    fn tasks_put_last_come_after_all_others_each_by_itself() {
        let mut queues = HostQueues::new(vec![
            vec![task("a/1", None), task("a/2", None)],
            vec![task("a/3", None)],
        ]);
        let (_, later) = queues.take().expect("there is work");
        queues.put_last(later);
        let rest: Vec<String> = std::iter::from_fn(|| queues.take())
            .map(|(_, group)| group.into_iter().map(|task| task.id.key).collect())
            .collect();
        assert_eq!(rest, ["3", "1", "2"]);
    }

    #[test]
    fn tasks_of_one_page_share_requests_in_order() {
        let tasks = ["a/1", "b/1", "a/2", "a/3", "b/2"]
            .map(|name| task(name, None))
            .to_vec();
        let groups: Vec<Vec<String>> = wire_groups(tasks, |page| if page == "a" { 2 } else { 1 })
            .into_iter()
            .map(|group| group.into_iter().map(|task| task.id.key).collect())
            .collect();
        assert_eq!(groups, [vec!["1", "2"], vec!["1"], vec!["3"], vec!["2"]]);
    }
}
