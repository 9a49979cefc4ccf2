//! The merge actor: collects answers of all sources and sends them to the loader in batches (A4, A5).
//!
//! A batch is sent as soon as the loader is free, and grows until then: group commit without a minimum size or a timer.
//! The merge actor keeps no earlier values; the loader's transaction derives the rows (D4).

use std::collections::{BTreeMap, VecDeque};

use actix::prelude::*;
use schema::SourceName;
use schema::failpoint::{self, Injected};

use crate::child::{ExitReason, ExitSlip};
use crate::messages::{BatchSettled, FundBatch, SourceGone, TaskEnded};
use crate::validate_answer::validate_answer;

/// Maximum rows in a batch of more than one task: limits the loader's memory and the length of a transaction (A4).
const BATCH_ROWS: usize = 20_000;

/// The merge actor.
pub struct MergeActor {
    loader: Recipient<FundBatch>,
    /// Maximum number of batches that are sent to the loader and not settled ([`crate::run_mode::ModeSizes`]).
    loader_mailbox: usize,
    in_flight: usize,
    pending: VecDeque<TaskEnded>,
    /// By source, the last incarnation whose answers are dropped.
    gone: BTreeMap<SourceName, u32>,
    slip: ExitSlip,
}

impl MergeActor {
    /// Creates a fresh incarnation without any state: everything unacknowledged is replayed.
    #[must_use]
    pub const fn new(loader: Recipient<FundBatch>, loader_mailbox: usize, slip: ExitSlip) -> Self {
        Self {
            loader,
            loader_mailbox,
            in_flight: 0,
            pending: VecDeque::new(),
            gone: BTreeMap::new(),
            slip,
        }
    }

    /// Sends batches to the loader. While the loader works on a batch, only full batches are sent ahead, because a
    /// smaller batch can still grow in this actor. `do_send` ignores the bound of the mailbox, so this function
    /// enforces `loader_mailbox`.
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

    /// Ends this incarnation if `step` failed; the restart policy decides what follows.
    fn end_unless_done(&self, step: Result<(), Injected>, context: &mut Context<Self>) {
        if let Err(injected) = step {
            self.slip.leave(ExitReason::Failed(injected.to_string()));
            context.stop();
        }
    }
}

/// Whether the pending answers have the rows of a full batch.
fn fills_a_batch(pending: &VecDeque<TaskEnded>) -> bool {
    let mut rows = 0;
    pending.iter().any(|ended| {
        rows += ended.answer.rows();
        rows >= BATCH_ROWS
    })
}

/// Removes answers from the front for one batch: at least one answer, all of one cycle, and together at most
/// [`BATCH_ROWS`] rows unless the first answer alone has more.
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
