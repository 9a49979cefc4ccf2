//! The main command, `master_runner [run]`: starts sites, warehouse and supervisor, and runs cycles once or by the
//! schedule.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix::{Actor as _, Addr};
use actors::loader_actor::WriterSettings;
use actors::messages::{BeginShutdown, EndActors, PipelineError, ReadSnapshot};
use actors::row_budget::ROWS_UNDER_WAY;
use actors::store_session::WriterAccess;
use actors::supervisor::{Supervisor, SupervisorSettings};
use futures_util::FutureExt as _;
use jiff::civil::Date;
use jiff::{Timestamp, Zoned};
use schema::SourceName;
use schema::back_off::BackOff;
use store::{CycleKind, CycleRequest, ScheduleFacts, Scope, StoreError, Writer};
use tokio::sync::watch;

use crate::cli::{CycleChoice, RunArgs};
use crate::clock::{self, ClockDoubt, ClockFacts, FutureCycle, closed_until};
use crate::cycle::{CycleEnd, CycleRunner};
use crate::cycle_report::{
    PageCounts, RunFacts, RunOutcome, log_changes, peak_memory_bytes, summary,
};
use crate::output::{LogWriter, print_result_after};
use crate::progress::show;
use crate::runner_settings::RunnerSettings;
use crate::scheduler::{CycleOutcome, ScheduledWork, WallClock, run_by_schedule};
use crate::sites::{Sites, Way};
use crate::stop_signals::StopSignals;
use crate::warehouse::{
    BACK_OFF, LOCK_PATIENCE, OpenError, OpenedWriter, RECONNECT_LOCK_PATIENCE, REFUSAL_PATIENCE,
    START_PATIENCE, StartPatience, Warehouse, open_writer, psql_line, to_remerge,
};

/// How long connecting to the sites may take before a missing network is reported.
const REACH_LIMIT: Duration = Duration::from_secs(4);

/// Time limit for each site to report its time.
const CLOCK_LIMIT: Duration = Duration::from_secs(3);
/// The pause before a doubted clock is checked again: a machine without a clock battery gets the time from the network
/// within seconds.
const CLOCK_PAUSE: BackOff = BackOff::new(Duration::from_secs(10), Duration::from_secs(300));

/// Runs the command and returns its outcome. Must be called within an actix system.
pub async fn run(
    mut settings: RunnerSettings,
    args: RunArgs,
    log: LogWriter,
    stop: &StopSignals,
) -> RunOutcome {
    let saying = actix::spawn(say_stops(stop.clone()));
    settings.mode = args.mode.unwrap_or(settings.mode);
    let sites = match Sites::build(&settings) {
        Ok(sites) => sites,
        Err(error) => {
            tracing::error!("{error}");
            return RunOutcome::Failed;
        }
    };
    actix::spawn(tell_if_unreachable(sites.ways()));
    let warehouse = match Warehouse::open(&settings.database, stop).await {
        Ok(warehouse) => warehouse,
        Err(_) if stop.requested() => return RunOutcome::Stopped,
        Err(error) => {
            tracing::error!("{error}");
            return RunOutcome::Failed;
        }
    };
    let running = run_on(&settings, &args, log, &sites, &warehouse, stop);
    // A panic outside the supervised actors ends the run as failed, after the browsers and the database are closed.
    let outcome = if let Ok(outcome) = AssertUnwindSafe(running).catch_unwind().await {
        outcome
    } else {
        tracing::error!(
            "a fault of the program itself, shown above, ended the run; please report it; what was acknowledged is safe, the same command resumes from there"
        );
        sites.close().await;
        RunOutcome::Failed
    };
    // From here on a stop only limits how long closing may take.
    stop.set_exit_code(outcome.exit_code());
    let shutdown = settings.supervision.shutdown;
    let time = if stop.requested() {
        time_for_closing(shutdown)
    } else {
        shutdown
    };
    let closing = tokio::time::timeout(time, warehouse.close());
    if closing.await.is_err() {
        tracing::warn!(
            "the private PostgreSQL took too long to stop; its data is safe, the next start takes it over"
        );
    }
    saying.abort();
    outcome
}

async fn run_on(
    settings: &RunnerSettings,
    args: &RunArgs,
    log: LogWriter,
    sites: &Sites,
    warehouse: &Warehouse,
    stop: &StopSignals,
) -> RunOutcome {
    let (stopping, stopped) = watch::channel(false);
    let patience = StartPatience {
        database: args.once.then_some(START_PATIENCE),
        other_runner: args.standby,
        // A standby does not try for the lock: it first watches the holder.
        lock: if args.standby {
            Duration::ZERO
        } else {
            LOCK_PATIENCE
        },
        claims: true,
    };
    let writer = match open_writer(warehouse, patience, stop).await {
        Ok(OpenedWriter {
            mut writer,
            other_seen_alive,
        }) => {
            if let Some(seen_at) = other_seen_alive {
                sites.lease().wait_out(seen_at);
            }
            writer.set_retention(settings.retention.store);
            writer.set_doubt_limits(settings.doubt);
            writer.set_precedence(settings.precedence.clone());
            writer
        }
        Err(OpenError::Stopped) => return RunOutcome::Stopped,
        Err(OpenError::Store(error)) => {
            tracing::error!("{}", start_failure(&error));
            return RunOutcome::Failed;
        }
    };
    let supervisor = Supervisor::new(
        supervisor_settings(settings, sites, warehouse, args.once),
        Some(writer),
        stopping.clone(),
    );
    let store = supervisor.store();
    let supervisor = supervisor.start();
    let signals = actix::spawn(begin_shutdown_on(
        stop.clone(),
        supervisor.clone(),
        stopping,
    ));
    let shown = actix::spawn(show(
        supervisor.clone().recipient(),
        sites.read_rates(),
        log.clone(),
    ));
    let runner = CycleRunner {
        supervisor: supervisor.clone(),
        store,
        pages: sites.pages(),
        mode: settings.mode,
        narrowing: args.narrowing(),
        history_pages: settings
            .sources
            .iter()
            .map(|source| source.history_pages)
            .sum(),
        stop: stopped.clone(),
        lost_records: sites.lost_records(),
        on_round: sites.on_round(),
    };
    tracing::info!(mode = %settings.mode, "sizes: {}", settings.sizes());
    let job = Job {
        settings,
        args,
        sites,
        runner,
        supervisor,
        stop,
        log,
        told_future_cycle: Cell::new(false),
        clock_doubts: Cell::new(0),
    };
    job.tell_ranks_to_remerge().await;
    let outcome = if args.once {
        job.once().await
    } else {
        let clock = WallClock { stop: stopped };
        run_by_schedule(&settings.schedule, &clock, &job).await
    };
    shown.abort();
    signals.abort();
    // If the supervisor has ended already, its children have ended as well.
    let _ = job.supervisor.send(EndActors).await;
    outcome
}

/// The work of one process, after sites, warehouse and supervisor have been started.
struct Job<'run> {
    settings: &'run RunnerSettings,
    args: &'run RunArgs,
    sites: &'run Sites,
    runner: CycleRunner,
    supervisor: Addr<Supervisor<Writer>>,
    stop: &'run StopSignals,
    log: LogWriter,
    /// Whether a closed cycle with a future date has been reported.
    told_future_cycle: Cell<bool>,
    /// Checks in a row that doubted the clock.
    clock_doubts: Cell<u32>,
}

impl Job<'_> {
    fn today(&self) -> Date {
        Zoned::now()
            .with_time_zone(self.settings.schedule.timezone.clone())
            .date()
    }

    fn is_stopping(&self) -> bool {
        *self.runner.stop.borrow()
    }

    /// Logs a configured rank that was not applied to all rows. If the database cannot be read, the run itself reports
    /// it.
    async fn tell_ranks_to_remerge(&self) {
        let differing = self
            .runner
            .store
            .call("comparing the ranks", async |writer| {
                writer.ranks_to_remerge().await
            })
            .await;
        if let Ok(places) = differing
            && !places.is_empty()
        {
            tracing::warn!("{}", to_remerge(&places));
        }
    }

    /// Reads the facts for the schedule. A cycle that was closed while the clock was fast is ignored.
    async fn read_facts(&self) -> Result<ScheduleFacts, PipelineError> {
        let until = closed_until(self.today());
        self.runner
            .store
            .call("reading the schedule", async move |writer| {
                writer.schedule_facts_until(until).await
            })
            .await
    }

    /// Compares the system clock with the sites, the newest closed cycle and the build.
    async fn check_clock(&self) -> Result<Result<(), ClockDoubt>, PipelineError> {
        let all = self
            .runner
            .store
            .call("reading the newest cycle", async |writer| {
                writer.schedule_facts().await
            })
            .await?;
        let newest_closed = all.last_closed_daily.max(all.last_closed_monthly);
        let only = self.runner.narrowing.only.as_ref();
        let mut believed = Ok(None);
        // The first iteration uses the times that the hosts have already reported in this process. If they contradict
        // the clock, the second iteration requests new ones.
        for again in [false, true] {
            let asking = self.sites.clocks(only, again, CLOCK_LIMIT);
            let Some(sites) = self.stop.unless_requested(asking).await else {
                return Ok(Ok(()));
            };
            believed = clock::believed(&ClockFacts {
                now: Timestamp::now(),
                timezone: &self.settings.schedule.timezone,
                built: clock::built_at(),
                newest_closed,
                sites: &sites,
            });
            if believed.is_ok() {
                break;
            }
        }
        if let Ok(Some(FutureCycle(date))) = &believed
            && !self.told_future_cycle.replace(true)
        {
            tracing::warn!(
                "the cycle of {date} lies in the future: it was closed while the clock was fast; the sites confirm the clock of now, and that cycle does not count for the schedule"
            );
        }
        Ok(believed.map(drop))
    }

    /// `--once`: one cycle with both rounds.
    async fn once(&self) -> RunOutcome {
        if self.args.date.is_none() {
            match self.check_clock().await {
                Ok(Ok(())) => {}
                Ok(Err(doubt)) => {
                    tracing::error!("{doubt}");
                    return RunOutcome::Failed;
                }
                Err(error) => return self.broke(&error),
            }
        }
        let cycle_date = self.args.date.unwrap_or_else(|| self.today());
        let kind = match self.args.cycle {
            CycleChoice::Daily => CycleKind::Daily,
            CycleChoice::Monthly => CycleKind::Monthly,
            CycleChoice::Auto => match self.read_facts().await {
                Ok(facts) => self.begun_kind(cycle_date, &facts),
                Err(error) => return self.broke(&error),
            },
        };
        match self
            .pass(kind, cycle_date, true, std::future::ready(()))
            .await
        {
            CycleOutcome::Closed(outcome) | CycleOutcome::Open(outcome) => outcome,
            CycleOutcome::NotBegun => RunOutcome::Failed,
        }
    }

    /// The kind of cycle that `--once` runs if none is given. This is the kind of a cycle of this date that is open or
    /// has failed tasks, so that the same command continues it; otherwise the kind that is due.
    fn begun_kind(&self, cycle_date: Date, facts: &ScheduleFacts) -> CycleKind {
        let whole = !self.args.fresh && !self.runner.narrowing.is_partial();
        [&facts.open, &facts.failed]
            .into_iter()
            .flatten()
            .find(|cycle| whole && cycle.cycle_date == cycle_date)
            .map_or_else(
                || self.settings.schedule.due_kind(cycle_date, facts),
                |cycle| cycle.kind,
            )
    }

    /// Runs one cycle and prints its summary; `until_round_two` is awaited between its rounds.
    async fn pass(
        &self,
        kind: CycleKind,
        cycle_date: Date,
        once: bool,
        until_round_two: impl Future<Output = ()>,
    ) -> CycleOutcome {
        let began = Instant::now();
        let pages_before = self.sites.page_counts();
        let request = CycleRequest {
            cycle_date,
            kind,
            scope: if self.runner.narrowing.is_partial() {
                Scope::Partial
            } else {
                Scope::Full
            },
            fresh: self.args.fresh,
            resume_closed_failures: once,
        };
        let running = self.runner.run(request, until_round_two);
        let end = tokio::select! {
            end = running => end,
            () = self.past_the_deadline() => Err(PipelineError("the stop took longer than supervision.shutdown_secs; the next start requests again what was not acknowledged".to_owned())),
        };
        // Close the browsers: the next cycle is hours away.
        self.sites.close().await;
        match end {
            Ok(end) => {
                if self.args.once {
                    // Set before printing, because the reader of the output may have stalled.
                    self.stop.set_exit_code(RunOutcome::of(&end).exit_code());
                }
                self.print_summary(&end, began.elapsed(), &pages_before)
                    .await;
                let outcome = RunOutcome::of(&end);
                if end.stopped {
                    CycleOutcome::Open(outcome)
                } else {
                    CycleOutcome::Closed(outcome)
                }
            }
            Err(error) => CycleOutcome::Open(self.broke(&error)),
        }
    }

    async fn past_the_deadline(&self) {
        let mut stop = self.runner.stop.clone();
        // An error means that no stop can arrive any more, so there is no deadline.
        if stop.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
        let shutdown = self.settings.supervision.shutdown;
        // Slightly later than the supervisor's own deadline, by which its actors are killed.
        tokio::time::sleep(shutdown - time_for_closing(shutdown) + shutdown / 20).await;
    }

    fn broke(&self, error: &PipelineError) -> RunOutcome {
        if self.is_stopping() {
            tracing::warn!(%error, "stopped before the cycle's end; the next start continues from the last acknowledged checkpoint");
            RunOutcome::Stopped
        } else {
            tracing::error!(%error, "the cycle cannot continue; what was acknowledged is safe, the same command resumes from there");
            RunOutcome::Failed
        }
    }

    async fn print_summary(
        &self,
        end: &CycleEnd,
        duration: Duration,
        pages_before: &BTreeMap<SourceName, PageCounts>,
    ) {
        let before = |source: &SourceName| pages_before.get(source).copied().unwrap_or_default();
        let pages = self
            .sites
            .page_counts()
            .into_iter()
            .map(|(source, pages)| (source, pages.since(before(&source))));
        let restarts = self
            .supervisor
            .send(ReadSnapshot)
            .await
            .map_or(0, |snapshot| snapshot.restarts);
        let facts = RunFacts {
            pages: pages.collect(),
            duration,
            peak_memory_bytes: peak_memory_bytes(),
            restarts,
            psql: psql_line(self.args.common.config.as_deref()),
        };
        log_changes(&end.totals);
        print_result_after(&self.log, &summary(end, &facts));
    }
}

impl ScheduledWork for Job<'_> {
    fn stopping(&self) -> bool {
        self.is_stopping()
    }

    async fn facts(&self) -> Result<ScheduleFacts, RunOutcome> {
        self.read_facts().await.map_err(|error| self.broke(&error))
    }

    async fn cycle(
        &self,
        kind: CycleKind,
        cycle_date: Date,
        until_round_two: impl Future<Output = ()>,
    ) -> CycleOutcome {
        match self.check_clock().await {
            Ok(Ok(())) => self.clock_doubts.set(0),
            Ok(Err(doubt)) => {
                let doubts = self.clock_doubts.get();
                self.clock_doubts.set(doubts.saturating_add(1));
                let pause = CLOCK_PAUSE.after(doubts);
                tracing::error!(
                    "{doubt}; the clock is compared again in {} s",
                    pause.as_secs()
                );
                // A stop ends the wait; the schedule then ends the run.
                self.stop.unless_requested(tokio::time::sleep(pause)).await;
                return CycleOutcome::NotBegun;
            }
            Err(error) => return CycleOutcome::Open(self.broke(&error)),
        }
        let waiting = async {
            // Close the browsers: round 2 may be hours away.
            self.sites.close().await;
            until_round_two.await;
        };
        self.pass(kind, cycle_date, false, waiting).await
    }
}

fn supervisor_settings(
    settings: &RunnerSettings,
    sites: &Sites,
    warehouse: &Warehouse,
    once: bool,
) -> SupervisorSettings<WriterAccess> {
    let supervision = &settings.supervision;
    let lease = sites.lease();
    // From here on no site is requested without the runner's lock (O2, P1).
    lease.demand();
    SupervisorSettings {
        rows_under_way: ROWS_UNDER_WAY,
        sizes: settings.sizes(),
        source_policy: supervision.policy(supervision.max_restarts),
        pipeline_policy: supervision.policy(supervision.max_writer_restarts),
        stuck_after: supervision.stuck_after,
        shutdown_deadline: supervision.shutdown - time_for_closing(supervision.shutdown),
        writer: WriterSettings {
            access: WriterAccess {
                database: warehouse.connection().to_owned(),
                retention: settings.retention.store,
                doubt_limits: settings.doubt,
                precedence: settings.precedence.clone(),
            },
            lock_patience: RECONNECT_LOCK_PATIENCE,
            back_off: BACK_OFF,
            refusal_patience: if once {
                START_PATIENCE
            } else {
                REFUSAL_PATIENCE
            },
            revive: warehouse.revive(),
        },
        lease,
        askers: sites.askers(),
    }
}

fn start_failure(error: &StoreError) -> String {
    match error {
        StoreError::Outage(why) | StoreError::Undone(why) => format!(
            "the database cannot be reached: {why}; it was waited for {} s, and no site was requested; start it, or correct DATABASE_URL or the key `database` of runner.ron",
            START_PATIENCE.as_secs()
        ),
        error => error.to_string(),
    }
}

async fn begin_shutdown_on(
    stop: StopSignals,
    supervisor: Addr<Supervisor<Writer>>,
    stopping: watch::Sender<bool>,
) {
    stop.request().await;
    if supervisor.send(BeginShutdown).await.is_err() {
        // The supervisor is gone, so it cannot stop the actors. Waits that can last hours must still end.
        stopping.send_replace(true);
    }
}

/// Logs the effect of each signal.
async fn say_stops(stop: StopSignals) {
    stop.request().await;
    tracing::info!("stopping: no new requests; the batch in hand is flushed");
    for heard in 1.. {
        stop.heard_more_than(heard).await;
        tracing::info!(
            "already stopping: it ends within supervision.shutdown_secs; kill -9 ends it at once and loses nothing"
        );
    }
}

/// The part of `supervision.shutdown_secs` that is reserved for closing browsers and the private server after the work.
fn time_for_closing(shutdown: Duration) -> Duration {
    shutdown / 3
}

/// Reports an unreachable network or proxy early, so that the user does not have to wait for the back-offs.
async fn tell_if_unreachable(ways: Vec<Way>) {
    let ways: BTreeSet<Way> = ways.into_iter().collect();
    let attempts = ways.iter().map(|way| {
        let (host, port) = way.address.clone();
        tokio::time::timeout(REACH_LIMIT, tokio::net::TcpStream::connect((host, port)))
    });
    let reached = futures_util::future::join_all(attempts).await;
    let is_reached = |attempt: &_| matches!(attempt, Ok(Ok(_)));
    let mut sites_tried = 0;
    let mut sites_reached = 0;
    for (way, attempt) in ways.iter().zip(&reached) {
        match &way.proxy {
            Some(proxy) if !is_reached(attempt) => tracing::error!(
                "the proxy {proxy} does not accept connections; start it, or correct or unset the variable; its sites are tried again with growing pauses"
            ),
            Some(_) => {}
            None => {
                sites_tried += 1;
                sites_reached += usize::from(is_reached(attempt));
            }
        }
    }
    if sites_tried > 0 && sites_reached == 0 {
        tracing::warn!(
            "none of the sites can be reached: is there a network? They are requested again with growing pauses (Ctrl-C stops); to try the program without the internet: script/run --demo --once"
        );
    }
}
