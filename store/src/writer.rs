//! The writer: one connection that holds the advisory lock and runs every write transaction (A8).

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::civil::Date;

use schema::cycle::{Cycle, CycleRequest, ScheduleFacts};
use schema::doubt::DoubtLimits;
use schema::precedence::Precedence;
use schema::{FundCode, PlannedTask, failpoint};

use super::commit;
use super::connection::{Connection, Queries as _};
use super::cycles;
use super::doubts;
use super::error::StoreError;
use super::funds::{self, ActiveFunds};
use super::planning::{self, Planner};
use super::provisional;
use super::register;
use super::report::{Batch, BatchId, BatchReport, BreachReport, CycleTotals};
use super::requests::{self, AnsweredRequest, ChangeRequest, RequestAnswer};
use super::retention::Retention;
use super::tasks::TaskFilter;
use super::{migration, requirements, session, stored_ranks, table_shape, tasks};

/// The connection that writes. When a writer is open, every earlier COMMIT has been carried out or rolled back, because
/// the session that sent it held the lock and must have ended.
#[derive(Debug)]
pub struct Writer {
    client: Connection,
    /// The last committed batch; `None` if it is not known.
    last_batch: Option<BatchId>,
    /// Constraints that have already been logged.
    named: commit::Named,
    retention: Retention,
    doubt_limits: DoubtLimits,
    precedence: Precedence,
}

impl Writer {
    /// Connects (URL or `key=value` string, unix sockets included) and sets the session up. Takes the advisory lock
    /// within `lock_patience` (O2), refuses a newer schema (O7), adopts an existing `funds_db`, and migrates.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix: see [`StoreError::is_outage`].
    pub async fn open(database: &str, lock_patience: Duration) -> Result<Self, StoreError> {
        let config = session::read_config(database)?;
        let mut client = session::connect(&config).await?;
        failpoint::OPEN_CONNECTED.pass().await?;
        session::take_lock(&client, lock_patience).await?;
        failpoint::OPEN_LOCKED.pass().await?;
        requirements::check(&client).await?;
        migration::migrate(&mut client).await?;
        migration::refuse_older(&client).await?;
        table_shape::check(&client).await?;
        failpoint::OPEN_MIGRATED.pass().await?;
        Ok(Self {
            client: Connection(client),
            last_batch: None,
            named: commit::Named::default(),
            retention: Retention::USUAL,
            doubt_limits: DoubtLimits::USUAL,
            precedence: Precedence::default(),
        })
    }

    /// Sets how much explanatory data, such as rejects and counts, is kept (O6).
    pub const fn set_retention(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// Sets the limits for mass changes (D11).
    pub const fn set_doubt_limits(&mut self, limits: DoubtLimits) {
        self.doubt_limits = limits;
    }

    /// Sets the ranks by which rows are merged (D4).
    pub fn set_precedence(&mut self, precedence: Precedence) {
        self.precedence = precedence;
    }

    /// Returns the tables and columns whose rank differs from the one that their rows were last merged by. Only
    /// [`ChangeRequest::Remerge`] merges all rows by the new rank. A rank that is not stored yet is stored.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix: see [`StoreError::is_outage`].
    pub async fn ranks_to_remerge(&mut self) -> Result<Vec<String>, StoreError> {
        let tx = self.client.transaction().await?;
        stored_ranks::store_missing(&tx, &self.precedence).await?;
        let differing = stored_ranks::differing(&tx, &self.precedence).await?;
        tx.commit().await?;
        Ok(differing)
    }

    /// Judges the doubts of the cycle: refuses mass changes and applies the other doubtful answers. Returns the
    /// breaches that have not been reported yet.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a table that did not accept every row: see
    /// [`StoreError::is_outage`].
    pub async fn judge(&mut self, cycle: &Cycle) -> Result<Vec<BreachReport>, StoreError> {
        let tx = self.client.transaction().await?;
        failpoint::JUDGE_OPENED.pass().await?;
        doubts::judge_round(&tx, cycle, &self.doubt_limits, &self.precedence).await?;
        let reports = doubts::take_unreported(&tx).await?;
        failpoint::JUDGE_WRITTEN.pass().await?;
        tx.commit().await?;
        failpoint::JUDGE_COMMITTED.pass().await?;
        Ok(reports)
    }

    /// Enters the funds of the provisional lists into the universe if the deciding list was never read (D8). Returns
    /// the number of funds that entered; 0 in a partial cycle.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a table that did not accept every row: see
    /// [`StoreError::is_outage`].
    pub async fn enter_provisional_universe(&mut self, cycle: &Cycle) -> Result<usize, StoreError> {
        let tx = self.client.transaction().await?;
        let entered = provisional::enter(&tx, cycle, &self.precedence).await?;
        tx.commit().await?;
        Ok(entered)
    }

    /// Enters the funds that only the official register knows (D8). Returns the number of funds that entered; 0 in a
    /// partial cycle.
    ///
    /// # Errors
    /// Outages.
    pub async fn enter_registered_funds(&mut self, cycle: &Cycle) -> Result<usize, StoreError> {
        let tx = self.client.transaction().await?;
        let entered = register::enter_new_funds(&tx, cycle, &self.precedence).await?;
        tx.commit().await?;
        Ok(entered)
    }

    /// Returns the breaches that have not been reported in their state yet, and marks them as reported.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a table that did not accept every row: see
    /// [`StoreError::is_outage`].
    pub async fn take_unreported_breaches(&mut self) -> Result<Vec<BreachReport>, StoreError> {
        let tx = self.client.transaction().await?;
        let reports = doubts::take_unreported(&tx).await?;
        tx.commit().await?;
        Ok(reports)
    }

    /// Begins or resumes a cycle: the open cycle of this date, kind and scope; or the failed tasks of a closed one, if
    /// requested; or else a new cycle.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a table that did not accept every row: see
    /// [`StoreError::is_outage`].
    pub async fn begin_cycle(&mut self, request: &CycleRequest) -> Result<Cycle, StoreError> {
        let tx = self.client.transaction().await?;
        failpoint::BEGIN_OPENED.pass().await?;
        let cycle = cycles::begin(&tx, request).await?;
        failpoint::BEGIN_WRITTEN.pass().await?;
        tx.commit().await?;
        failpoint::BEGIN_COMMITTED.pass().await?;
        Ok(cycle)
    }

    /// Plans in one transaction. Reads the state, with the funds in parts of [`super::FUNDS_A_PART`]. Calls `planner`
    /// once before the first part and once for each part. Inserts the returned tasks that are not yet planned in this
    /// cycle. Returns the number of new tasks.
    ///
    /// # Errors
    /// An outage: repeat with a planner that has seen no part. Or an error that waiting cannot fix, such as a table
    /// that did not accept every row: see [`StoreError::is_outage`].
    pub async fn plan(
        &mut self,
        cycle: &Cycle,
        planner: &mut dyn Planner,
    ) -> Result<usize, StoreError> {
        let tx = self.client.transaction().await?;
        failpoint::PLAN_OPENED.pass().await?;
        let planned = planning::plan(&tx, cycle, planner, &self.doubt_limits).await?;
        failpoint::PLAN_WRITTEN.pass().await?;
        tx.commit().await?;
        failpoint::PLAN_COMMITTED.pass().await?;
        Ok(planned)
    }

    /// Returns which funds are active.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused statement: see [`StoreError::is_outage`].
    pub async fn active_funds(
        &mut self,
        asked: &BTreeSet<FundCode>,
    ) -> Result<ActiveFunds, StoreError> {
        funds::read_active(&self.client, asked).await
    }

    /// Returns the tasks of a filter that are planned in the cycle and not acknowledged in it, in the order of the
    /// funds.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused statement: see [`StoreError::is_outage`].
    pub async fn checkpoint(
        &mut self,
        cycle: &Cycle,
        filter: &TaskFilter,
    ) -> Result<Vec<PlannedTask>, StoreError> {
        failpoint::CHECKPOINT_ASKED.pass().await?;
        let left = tasks::checkpoint(&self.client, cycle, filter).await?;
        failpoint::CHECKPOINT_READ.pass().await?;
        Ok(left)
    }

    /// Returns how many tasks of a filter are not acknowledged, without the limit of the filter.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused statement: see [`StoreError::is_outage`].
    pub async fn count_left(
        &mut self,
        cycle: &Cycle,
        filter: &TaskFilter,
    ) -> Result<usize, StoreError> {
        tasks::count_left(&self.client, cycle, filter).await
    }

    /// Commits a batch in one transaction (D1). A batch that is already committed is not written again; its stored
    /// report is returned.
    ///
    /// # Errors
    /// An outage: repeat with the same batch, and with a new writer unless [`StoreError::keeps_session`]. Or an error
    /// that waiting cannot fix, such as a table that did not accept every row: see [`StoreError::is_outage`].
    pub async fn commit(
        &mut self,
        cycle: &Cycle,
        batch: &Batch,
    ) -> Result<BatchReport, StoreError> {
        let last = self.last_batch.take();
        let may_be = last.is_none_or(|last| last == batch.id);
        let report = commit::commit(
            &mut self.client,
            cycle,
            batch,
            may_be,
            &self.doubt_limits,
            &self.precedence,
            &mut self.named,
        )
        .await?;
        self.last_batch = Some(batch.id.clone());
        Ok(report)
    }

    /// Begins round 2: removes the acknowledgements of the cycle's failed and deferred tasks and sets their attempts
    /// to zero. Returns the number of tasks to request in round 2.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a table that did not accept every row: see
    /// [`StoreError::is_outage`].
    pub async fn begin_round_two(&mut self, cycle: &mut Cycle) -> Result<usize, StoreError> {
        let tx = self.client.transaction().await?;
        failpoint::ROUND_TWO_OPENED.pass().await?;
        let left =
            cycles::begin_round_two(&tx, cycle, &self.doubt_limits, &self.precedence).await?;
        failpoint::ROUND_TWO_WRITTEN.pass().await?;
        tx.commit().await?;
        failpoint::ROUND_TWO_COMMITTED.pass().await?;
        Ok(left)
    }

    /// Closes the cycle. Tasks that are not acknowledged get the outcome failed for `reason`. Deferred tasks get the
    /// outcome failed and keep their own reason. Also updates the fund status by absence (D8), derives stale fields
    /// (D4) and applies retention (O6).
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a table that did not accept every row: see
    /// [`StoreError::is_outage`].
    pub async fn close_cycle(
        &mut self,
        cycle: &Cycle,
        reason: &str,
    ) -> Result<CycleTotals, StoreError> {
        let tx = self.client.transaction().await?;
        tx.batch_execute(session::WHOLE_TABLES).await?;
        failpoint::CLOSE_OPENED.pass().await?;
        let totals = cycles::close(
            &tx,
            cycle,
            reason,
            &self.retention,
            &self.doubt_limits,
            &self.precedence,
        )
        .await?;
        failpoint::CLOSE_WRITTEN.pass().await?;
        tx.commit().await?;
        failpoint::CLOSE_COMMITTED.pass().await?;
        Ok(totals)
    }

    /// Returns the totals of a cycle so far, for a run that was stopped.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused statement: see [`StoreError::is_outage`].
    pub async fn totals(&mut self, cycle: &Cycle) -> Result<CycleTotals, StoreError> {
        failpoint::STOP_TOTALS.pass().await?;
        cycles::totals(&self.client, cycle).await
    }

    /// Returns the facts that the schedule depends on.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused statement: see [`StoreError::is_outage`].
    pub async fn schedule_facts(&mut self) -> Result<ScheduleFacts, StoreError> {
        cycles::schedule_facts(&self.client, None).await
    }

    /// Like [`Writer::schedule_facts`], but ignores cycles closed with a date after `closed_until`. Such cycles were
    /// closed while the clock was fast.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused statement: see [`StoreError::is_outage`].
    pub async fn schedule_facts_until(
        &mut self,
        closed_until: Date,
    ) -> Result<ScheduleFacts, StoreError> {
        cycles::schedule_facts(&self.client, Some(closed_until)).await
    }

    /// Applies every waiting request in a transaction of its own, which also marks the request.
    ///
    /// # Errors
    /// An outage: requests that are already answered stay answered; repeat for the remaining ones. Or an error that
    /// waiting cannot fix: see [`StoreError::is_outage`].
    pub async fn answer_requests(&mut self) -> Result<Vec<AnsweredRequest>, StoreError> {
        let mut answered = Vec::new();
        while requests::any_waits(&self.client).await? {
            let mut tx = self.client.transaction().await?;
            let answer = requests::answer_oldest(&mut tx, &self.precedence).await?;
            tx.commit().await?;
            failpoint::REQUEST_COMMITTED.pass().await?;
            let Some(answer) = answer else { break };
            answered.push(answer);
        }
        Ok(answered)
    }

    /// Applies a change for a command that holds the lock itself, and records it as an answered request.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix: see [`StoreError::is_outage`]. Nothing was changed.
    pub async fn apply_request(
        &mut self,
        change: &ChangeRequest,
        requested_by: &str,
    ) -> Result<RequestAnswer, StoreError> {
        let mut tx = self.client.transaction().await?;
        let answer =
            requests::place_and_answer(&mut tx, &self.precedence, change, requested_by).await?;
        tx.commit().await?;
        Ok(answer)
    }

    /// Returns the answer to a request, if there is one.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused statement: see [`StoreError::is_outage`].
    pub async fn request_answer(&mut self, id: i64) -> Result<Option<RequestAnswer>, StoreError> {
        requests::read_answer(&self.client, id).await
    }

    /// Writes the heartbeat, with this runner as the holder. `status` and a second runner read it.
    ///
    /// # Errors
    /// An outage, for example a lost connection (the lock is then lost as well), or an error that waiting cannot fix:
    /// see [`StoreError::is_outage`].
    pub async fn heartbeat(&mut self, doing: &str) -> Result<(), StoreError> {
        self.client
            .execute_expecting(
                "runner.heartbeat",
                1,
                "INSERT INTO runner.heartbeat (only_row, runner, started_at, doing)
                 VALUES (true, $1, now(), $2)
                 ON CONFLICT (only_row) DO UPDATE SET
                     runner = EXCLUDED.runner, doing = EXCLUDED.doing, beat_at = now(),
                     started_at = CASE WHEN heartbeat.runner = EXCLUDED.runner
                         THEN heartbeat.started_at ELSE EXCLUDED.started_at END",
                &[&*THIS_RUNNER, &doing],
            )
            .await
    }

    /// Refuses a database that another runner has held since this runner's last heartbeat. This runner's data about the
    /// cycle is then stale: the tasks that it would request may already be acknowledged.
    ///
    /// # Errors
    /// [`StoreError::AnotherRunner`], an outage, or an error that waiting cannot fix: see [`StoreError::is_outage`].
    pub async fn is_still_ours(&mut self) -> Result<(), StoreError> {
        let last = self
            .client
            .query_opt("SELECT runner FROM runner.heartbeat", &[])
            .await?;
        let Some(last) = last else {
            return Ok(());
        };
        let last: String = last.try_get(0)?;
        if last == *THIS_RUNNER {
            Ok(())
        } else {
            Err(StoreError::AnotherRunner {
                who: format!("{last}, which took over while this one had lost its connection"),
            })
        }
    }
}

/// The unique name of this process.
static THIS_RUNNER: LazyLock<String> = LazyLock::new(|| {
    format!(
        "master_runner {}, process {}, started {}",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        jiff::Timestamp::now()
    )
});
