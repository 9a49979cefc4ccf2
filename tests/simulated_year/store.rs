//! The state that survives a process: the cycles. One store is in memory, one uses the real schema.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::civil::Date;
use schema::{Outcome, SourceName, TaskAnswer, TaskId};
use store::{
    Batch, Cycle, CycleKind, CycleRequest, NewTask, ScheduleFacts, Scope, TaskFilter, Writer,
    plan_by,
};
use tokio::sync::Mutex;

/// The calls of the scheduler and of a cycle that affect the schedule.
pub trait CycleStore {
    async fn facts(&self) -> ScheduleFacts;
    async fn begin(&self, kind: CycleKind, cycle_date: Date) -> Cycle;
    /// Ends round 1; `fails` decides whether a task is left for round 2. Returns whether one is left.
    async fn begin_round_two(&self, cycle: &mut Cycle, fails: bool) -> bool;
    async fn close(&self, cycle: &Cycle);
    /// Simulates the death of the process: closes its connection to the database.
    async fn lose_connection(&self);
}

/// `runner.cycle` without a database.
#[derive(Default)]
pub struct Memory {
    /// Each cycle, and whether it is closed.
    cycles: RefCell<Vec<(Cycle, bool)>>,
}

impl CycleStore for Memory {
    async fn facts(&self) -> ScheduleFacts {
        let cycles = self.cycles.borrow();
        let last = |kind| {
            let closed = cycles
                .iter()
                .filter(|(cycle, closed)| *closed && cycle.kind == kind);
            closed.map(|(cycle, _)| cycle.cycle_date).max()
        };
        let open = cycles.iter().find(|(_, closed)| !closed);
        ScheduleFacts {
            last_closed_daily: last(CycleKind::Daily),
            last_closed_monthly: last(CycleKind::Monthly),
            open: open.map(|(cycle, _)| Cycle {
                resumed: true,
                ..cycle.clone()
            }),
            failed: None,
        }
    }

    async fn begin(&self, kind: CycleKind, cycle_date: Date) -> Cycle {
        let mut cycles = self.cycles.borrow_mut();
        if let Some((open, _)) = cycles.iter().find(|(_, closed)| !closed) {
            assert_eq!(
                (open.kind, open.cycle_date),
                (kind, cycle_date),
                "a cycle is begun while another is open"
            );
            return Cycle {
                resumed: true,
                ..open.clone()
            };
        }
        let cycle = Cycle {
            id: i64::try_from(cycles.len()).expect("few cycles") + 1,
            cycle_date,
            kind,
            scope: Scope::Full,
            round: 1,
            resumed: false,
        };
        cycles.push((cycle.clone(), false));
        cycle
    }

    async fn begin_round_two(&self, cycle: &mut Cycle, fails: bool) -> bool {
        cycle.round = 2;
        for (stored, _) in self.cycles.borrow_mut().iter_mut() {
            if stored.id == cycle.id {
                stored.round = 2;
            }
        }
        fails
    }

    async fn close(&self, cycle: &Cycle) {
        for (stored, closed) in self.cycles.borrow_mut().iter_mut() {
            *closed |= stored.id == cycle.id;
        }
    }

    async fn lose_connection(&self) {}
}

/// The real store, with one task in each cycle.
pub struct Sql {
    database: String,
    writer: Mutex<Option<Writer>>,
}

impl Sql {
    pub async fn open(database: String) -> Self {
        let writer = Mutex::new(Some(connect(&database).await));
        Self { database, writer }
    }

    async fn on_writer<T>(&self, work: impl AsyncFnOnce(&mut Writer) -> T) -> T {
        let mut held = self.writer.lock().await;
        let writer = match held.take() {
            Some(writer) => writer,
            None => connect(&self.database).await,
        };
        work(held.insert(writer)).await
    }
}

async fn connect(database: &str) -> Writer {
    Writer::open(database, Duration::from_secs(10))
        .await
        .expect("the database is there")
}

fn the_task() -> TaskId {
    TaskId {
        source: SourceName::Wealthmagik,
        page: "profile".to_owned(),
        key: "A".to_owned(),
    }
}

impl CycleStore for Sql {
    async fn facts(&self) -> ScheduleFacts {
        let read = self.on_writer(async |writer| writer.schedule_facts().await);
        read.await.expect("the facts are read")
    }

    async fn begin(&self, kind: CycleKind, cycle_date: Date) -> Cycle {
        let request = CycleRequest {
            cycle_date,
            kind,
            scope: Scope::Full,
            fresh: false,
            resume_closed_failures: false,
        };
        let task = NewTask {
            id: the_task(),
            locator: None,
            extent: None,
        };
        let begun = self.on_writer(async |writer| {
            let cycle = writer.begin_cycle(&request).await?;
            writer
                .plan(
                    &cycle,
                    &mut plan_by(|_| ControlFlow::Break(vec![task.clone()])),
                )
                .await?;
            Ok::<_, store::StoreError>(cycle)
        });
        begun.await.expect("the cycle begins")
    }

    async fn begin_round_two(&self, cycle: &mut Cycle, fails: bool) -> bool {
        let outcome = if fails {
            Outcome::Failed("the site was down".to_owned())
        } else {
            Outcome::Absent
        };
        let batch = Batch::new(vec![TaskAnswer::empty(the_task(), outcome, 1)]);
        let left = self.on_writer(async |writer| {
            // After a crash the batch may be committed already; then no task is left.
            if !writer
                .checkpoint(cycle, &TaskFilter::WHOLE)
                .await?
                .is_empty()
            {
                writer.commit(cycle, &batch).await?;
            }
            writer.begin_round_two(cycle).await
        });
        left.await.expect("round 2 begins") > 0
    }

    async fn close(&self, cycle: &Cycle) {
        let closed = self.on_writer(async |writer| writer.close_cycle(cycle, "never asked").await);
        closed.await.expect("the cycle closes");
    }

    async fn lose_connection(&self) {
        *self.writer.lock().await = None;
    }
}
