//! Collects answers from all sources and hands them to the loader in batches (A4, A5).
//!
//! A batch leaves whenever the loader has room, and otherwise keeps growing: group commit without fill level or timer.
//! The merge never needs to know what was said before; what the answers amount to is derived in the loader's
//! transaction (D4).

use std::collections::{BTreeMap, VecDeque};

use actix::prelude::*;
use schema::SourceName;
use schema::failpoint::{self, Injected};

use crate::child::{ExitReason, ExitSlip};
use crate::loader_actor::LoaderActor;
use crate::messages::{BatchSettled, FundBatch, SourceGone, TaskEnded};
use crate::validate_answer::validate_answer;

/// Most rows in a batch of more than one task: bounds the loader's memory and the length of a transaction (A4).
const BATCH_ROWS: usize = 20_000;

/// The actor.
pub struct MergeActor {
    loader: Addr<LoaderActor>,
    /// Batches the loader may have waiting or in hand.
    loader_mailbox: usize,
    in_flight: usize,
    pending: VecDeque<TaskEnded>,
    /// Up to which incarnation the answers of a source are no longer wanted.
    gone: BTreeMap<SourceName, u32>,
    slip: ExitSlip,
}

impl MergeActor {
    /// A fresh incarnation: it knows nothing, everything unacknowledged is replayed.
    #[must_use]
    pub const fn new(loader: Addr<LoaderActor>, loader_mailbox: usize, slip: ExitSlip) -> Self {
        Self {
            loader,
            loader_mailbox,
            in_flight: 0,
            pending: VecDeque::new(),
            gone: BTreeMap::new(),
            slip,
        }
    }

    /// Sends a batch whenever the loader is free, and while it is not, only whole ones ahead into its mailbox: what would
    /// wait there half full can as well go on growing here. `do_send` goes past a mailbox's bound, so the bound is kept here.
    fn flush(&mut self, context: &Context<Self>) -> Result<(), Injected> {
        while self.in_flight < self.loader_mailbox && !self.pending.is_empty() {
            if self.in_flight > 0 && !fills_a_batch(&self.pending) {
                break;
            }
            let ended = cut_batch(&mut self.pending);
            failpoint::MERGE_BATCHED.reach()?;
            self.in_flight += 1;
            self.loader.do_send(FundBatch {
                ended,
                settled: context.address().recipient(),
            });
            failpoint::MERGE_SENT.reach()?;
        }
        Ok(())
    }

    fn take(&mut self, mut ended: TaskEnded, context: &Context<Self>) -> Result<(), Injected> {
        let source = ended.answer.id.source;
        if self
            .gone
            .get(&source)
            .is_some_and(|gone| ended.incarnation <= *gone)
        {
            return Ok(());
        }
        failpoint::MERGE_RECEIVED.reach()?;
        ended.answer = validate_answer(ended.answer);
        failpoint::MERGE_VALIDATED.reach()?;
        self.pending.push_back(ended);
        self.flush(context)
    }

    fn settle(&mut self, context: &Context<Self>) -> Result<(), Injected> {
        failpoint::MERGE_SETTLED.reach()?;
        self.in_flight = self.in_flight.saturating_sub(1);
        self.flush(context)
    }

    /// Ends this incarnation if its step failed: the restart policy judges.
    fn end_unless_done(&self, step: Result<(), Injected>, context: &mut Context<Self>) {
        if let Err(injected) = step {
            self.slip.leave(ExitReason::Failed(injected.to_string()));
            context.stop();
        }
    }
}

/// Whether what is pending has the rows of a whole batch.
fn fills_a_batch(pending: &VecDeque<TaskEnded>) -> bool {
    let mut rows = 0;
    pending.iter().any(|ended| {
        rows += ended.answer.rows();
        rows >= BATCH_ROWS
    })
}

/// Takes from the front as many answers as fit into [`BATCH_ROWS`], and at least one; all of one cycle.
fn cut_batch(pending: &mut VecDeque<TaskEnded>) -> Vec<TaskEnded> {
    let mut rows = 0;
    let mut batch: Vec<TaskEnded> = Vec::new();
    while let Some(next) = pending.front() {
        let more = next.answer.rows();
        let other_cycle = batch
            .first()
            .is_some_and(|first| first.cycle.id != next.cycle.id);
        if !batch.is_empty() && (rows + more > BATCH_ROWS || other_cycle) {
            break;
        }
        rows += more;
        batch.extend(pending.pop_front());
    }
    batch
}

impl Actor for MergeActor {
    type Context = Context<Self>;
}

impl Handler<TaskEnded> for MergeActor {
    type Result = ();

    fn handle(&mut self, ended: TaskEnded, context: &mut Self::Context) {
        let taken = self.take(ended, context);
        self.end_unless_done(taken, context);
    }
}

impl Handler<BatchSettled> for MergeActor {
    type Result = ();

    fn handle(&mut self, _settled: BatchSettled, context: &mut Self::Context) {
        let settled = self.settle(context);
        self.end_unless_done(settled, context);
    }
}

impl Handler<SourceGone> for MergeActor {
    type Result = ();

    fn handle(&mut self, gone: SourceGone, _context: &mut Self::Context) {
        self.gone.insert(gone.source, gone.incarnation);
        self.pending.retain(|ended| {
            ended.answer.id.source != gone.source || ended.incarnation > gone.incarnation
        });
    }
}
