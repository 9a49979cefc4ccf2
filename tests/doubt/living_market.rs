//! The test harness: a living simulator, one cycle of the runner a day, and the results of each cycle.

use jiff::civil::Date;
use simulator::{Market, MarketConfig, MarketDay};

use crate::world::{Database, Run, SevenTables, World};

/// This many of a hundred funds that the simulator lists are active.
const ACTIVE_OF_A_HUNDRED: usize = 61;
/// Business days of history before the first cycle: enough that some are settled.
const DAYS: usize = 90;

/// A living market that is loaded day by day.
pub struct LivingMarket {
    pub world: World,
}

/// A saved state of market and tables.
pub struct Kept {
    pub market: Market,
    pub database: Database,
}

/// The results of one cycle.
#[derive(Debug)]
pub struct CycleSeen {
    pub run: Run,
    /// `source/page/kind` of each breach that this cycle recorded.
    pub breaches: Vec<String>,
}

impl LivingMarket {
    /// A market with about this many active funds on this date. No cycle has run yet.
    pub async fn new(active: usize, today: Date, seed: u64) -> Self {
        let mut world = World::new(MarketConfig {
            funds: active * 100 / ACTIVE_OF_A_HUNDRED,
            days: DAYS,
            today,
            seed,
            edge_cases: false,
            lives: true,
            ..MarketConfig::default()
        })
        .await;
        world.settings.more =
            "patience: (request_timeout_secs: 5, host_back_off_secs: (1, 1), host_wait_secs: 2),"
                .to_owned();
        Self { world }
    }

    /// Runs the cycle of the market's date: monthly if no monthly cycle of its month has closed.
    pub async fn cycle(&self) -> CycleSeen {
        self.cycle_of("auto").await
    }

    /// Runs a new cycle of this kind on the market's date.
    pub async fn cycle_of(&self, kind: &str) -> CycleSeen {
        let date = self.world.simulator.market().today().to_string();
        let before = self.newest_breach().await;
        let args = ["--once", "--cycle", kind, "--date", &date];
        let run = self.world.run(&args).await;
        CycleSeen {
            run,
            breaches: self.breaches_after(before).await,
        }
    }

    /// Saves the present market and tables.
    pub async fn keep(&self) -> Kept {
        let market = self.world.simulator.market().clone();
        Kept {
            market,
            database: self.world.database.copy().await,
        }
    }

    /// Restores a saved market and its tables.
    pub async fn go_back_to(&mut self, kept: &Kept) {
        self.world.simulator.clear_mass_changes();
        self.world.simulator.restore(kept.market.clone());
        let used = std::mem::replace(&mut self.world.database, kept.database.copy().await);
        used.remove().await;
    }

    /// The truth in the form of the tables.
    pub fn truth(&self) -> SevenTables {
        let tables = self.world.simulator.truth().tables;
        tables
            .into_iter()
            .map(|table| (table.name, table.rows))
            .collect()
    }

    /// Moves the market to the next day and runs that day's cycle.
    pub async fn next_cycle(&self) -> (MarketDay, CycleSeen) {
        let day = self.world.simulator.next_day();
        (day, self.cycle().await)
    }

    /// Runs the cycle of the market's date and those of the next days. Asserts after each that the tables equal the
    /// truth, the exit code is 0 and there is no breach. Returns the market's days.
    pub async fn run_undisturbed(&self, cycles: usize) -> Vec<MarketDay> {
        let mut days = Vec::new();
        for number in 0..cycles {
            if number > 0 {
                days.push(self.world.simulator.next_day());
            }
            let seen = self.cycle().await;
            let happened = days.last();
            assert_eq!(
                seen.run.code,
                Some(0),
                "exit code of cycle {number}, {happened:?}; the run printed:\n{}",
                seen.run.output
            );
            assert_eq!(seen.breaches, [""; 0], "cycle {number}, {happened:?}");
            let differences = self.world.differences_from_truth().await;
            assert!(
                differences.is_empty(),
                "after cycle {number} the tables differ from the truth, {happened:?}:\n{differences}\nthe run printed:\n{}",
                seen.run.output
            );
        }
        days
    }

    /// Whether the schema has the table of breaches.
    async fn has_breaches(&self) -> bool {
        self.world
            .one("SELECT to_regclass('runner.breach') IS NOT NULL")
            .await
    }

    async fn newest_breach(&self) -> i64 {
        if !self.has_breaches().await {
            return 0;
        }
        self.world
            .one("SELECT COALESCE(max(breach_id), 0)::bigint FROM runner.breach")
            .await
    }

    async fn breaches_after(&self, id: i64) -> Vec<String> {
        if !self.has_breaches().await {
            return Vec::new();
        }
        let rows = self
            .world
            .ask(&format!(
                "SELECT concat_ws('/', source, page, kind) FROM runner.breach WHERE breach_id > {id} ORDER BY breach_id"
            ))
            .await;
        rows.into_iter().flatten().flatten().collect()
    }
}
