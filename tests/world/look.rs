//! Helpers that read the results: tables of some or all funds, SQL queries, paths of a fund's pages.

use std::collections::BTreeMap;

use simulator::{EdgeCase, Fault, FaultKind, MarketConfig, Row, Site};

use super::World;

/// Every row of the seven tables, by table.
pub type SevenTables = BTreeMap<&'static str, Vec<Row>>;

impl World {
    /// A market of plain funds, in which only the test's own faults occur.
    pub async fn plain(funds: usize) -> Self {
        Self::new(MarketConfig {
            funds,
            edge_cases: false,
            ..MarketConfig::default()
        })
        .await
    }

    /// A market whose register is requested with a valid key, and limits of patience that are short enough for a test.
    pub async fn with_register(config: MarketConfig) -> Self {
        let mut world = Self::new(config).await;
        world.settings.register_keys = &["simulated-key"];
        world.settings.more =
            "patience: (request_timeout_secs: 1, host_back_off_secs: (1, 1), host_wait_secs: 2),"
                .to_owned();
        world
    }

    /// All rows of the seven tables in [`simulator::TABLES`], with the columns listed there.
    pub async fn seven_tables(&self) -> SevenTables {
        let mut tables = SevenTables::new();
        for (name, columns) in simulator::TABLES {
            tables.insert(name, self.rows(name, columns).await);
        }
        tables
    }

    /// Asserts that the rows of `table` whose first column (the code) is one of `codes` equal the truth, and that each
    /// code has rows.
    #[track_caller]
    pub fn assert_truth_of<'world>(
        &'world self,
        table: &'world str,
        codes: &'world [&str],
    ) -> impl Future<Output = ()> + 'world {
        let caller = std::panic::Location::caller();
        async move {
            let truth = self.simulator.truth();
            let truth = truth.table(table).expect("one of the seven tables");
            let found = self.rows(table, truth.columns).await;
            for code in codes {
                let expected = of_fund(&truth.rows, code);
                assert!(!expected.is_empty(), "{table} has nothing true of {code}");
                assert_eq!(
                    of_fund(&found, code),
                    expected,
                    "{table} of {code} (asked at {caller})"
                );
            }
        }
    }

    /// The result of an SQL query, as text.
    pub async fn ask(&self, sql: &str) -> Vec<Row> {
        self.database.ask(sql).await
    }

    /// Active codes that this edge case was dealt to.
    #[track_caller]
    pub fn active_with(&self, edge_case: EdgeCase) -> Vec<String> {
        let market = self.simulator.market();
        let active = market.codes();
        let mut codes: Vec<String> = market
            .codes_with(edge_case)
            .into_iter()
            .filter(|code| active.contains(code))
            .map(str::to_owned)
            .collect();
        codes.sort_unstable();
        assert!(
            !codes.is_empty(),
            "no active fund of this market has {edge_case:?}"
        );
        codes
    }

    /// The first `count` active codes.
    pub fn active(&self, count: usize) -> Vec<String> {
        let market = self.simulator.market();
        let codes = market.codes();
        assert!(codes.len() >= count, "{} active funds", codes.len());
        codes[..count]
            .iter()
            .map(|code| (*code).to_owned())
            .collect()
    }

    /// The path of a fund's Finnomena page below the API's base; `page` begins with a slash.
    pub fn finnomena_path(&self, code: &str, page: &str) -> String {
        let market = self.simulator.market();
        let fund_id = market.fund_id(code).expect("a code of the market");
        format!("/funds/{fund_id}{page}")
    }

    /// Sets a fault for all requests to a host.
    pub fn fault(&self, site: Site, kind: FaultKind) {
        self.simulator.faults().set(Fault::of(site, kind));
    }

    /// Sets a fault for requests to a host whose path contains `part`.
    pub fn fault_on(&self, site: Site, part: &str, kind: FaultKind) {
        self.simulator
            .faults()
            .set(Fault::of(site, kind).on_path(part));
    }

    /// Sets a fault that hits this many requests to a host whose path contains `part`.
    pub fn fault_times(&self, site: Site, part: &str, times: u64, kind: FaultKind) {
        self.simulator
            .faults()
            .set(Fault::of(site, kind).on_path(part).times(times));
    }

    /// The paths that were requested from a host after the first `skip` requests of the log, without robots.txt.
    pub fn asked_since(&self, skip: usize, site: Site) -> Vec<String> {
        self.simulator.log().requests[skip..]
            .iter()
            .filter(|request| request.site == site && request.path != "/robots.txt")
            .map(|request| request.path.clone())
            .collect()
    }
}

/// The rows whose first cell is `code`.
pub fn of_fund<'row>(rows: &'row [Row], code: &str) -> Vec<&'row Row> {
    rows.iter()
        .filter(|row| {
            row.first()
                .is_some_and(|cell| cell.as_deref() == Some(code))
        })
        .collect()
}
