//! Test fixture: creates a database, a writer and a cycle in one line, and answers in a few words.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use jiff::civil::{Date, date};
use schema::columns::{FeeFields, ListingFields, MasterFields};
use schema::observation::{
    DailyPoint, Observation, ObservationData, Portfolio, PortfolioKind, PortfolioRow,
};
use schema::{FundCode, Number, Outcome, SourceName, TaskAnswer, TaskId};
use store::{
    Batch, BatchReport, BreachReport, ChangeRequest, Cycle, CycleKind, CycleRequest, CycleTotals,
    NewTask, PlanningState, Scope, TABLES, Writer, plan_by,
};

use crate::server::{connect, fresh_database};

pub const TODAY: Date = date(2026, 10, 15);

pub struct World {
    pub database: String,
    pub writer: Writer,
    pub cycle: Cycle,
    pub sql: tokio_postgres::Client,
}

pub fn request(cycle_date: Date, kind: CycleKind) -> CycleRequest {
    CycleRequest {
        cycle_date,
        kind,
        scope: Scope::Full,
        fresh: true,
        resume_closed_failures: false,
    }
}

impl World {
    pub async fn new() -> Self {
        Self::on(fresh_database().await).await
    }

    pub async fn on(database: String) -> Self {
        let mut writer = open(&database).await;
        let cycle = writer
            .begin_cycle(&request(TODAY, CycleKind::Daily))
            .await
            .unwrap();
        let sql = connect(&database).await;
        Self {
            database,
            writer,
            cycle,
            sql,
        }
    }

    /// The same world with another writer, after the previous session has ended and reported its statistics.
    pub async fn reopened(self) -> Self {
        let Self {
            database,
            writer,
            cycle,
            sql,
        } = self;
        drop(writer);
        let others = "SELECT FROM pg_stat_activity WHERE datname = current_database()
                      AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let give_up = Instant::now() + Duration::from_secs(30);
        while !sql.query(others, &[]).await.unwrap().is_empty() {
            assert!(Instant::now() < give_up, "the session does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self {
            writer: open(&database).await,
            database,
            cycle,
            sql,
        }
    }

    /// Applies a request of a command and returns its answer.
    pub async fn request(&mut self, change: ChangeRequest) -> String {
        let name = format!("a test, {:?}", Instant::now());
        let answered = self.writer.apply_request(&change, &name).await.unwrap();
        assert!(answered.is_done, "{}", answered.answer);
        answered.answer
    }

    /// Plans and commits the answers as one batch.
    pub async fn commit(&mut self, answers: Vec<TaskAnswer>) -> BatchReport {
        self.plan(&answers).await;
        self.writer
            .commit(&self.cycle, &Batch::new(answers))
            .await
            .unwrap()
    }

    /// Judges the round: applies or refuses what was set aside.
    pub async fn judge(&mut self) -> Vec<BreachReport> {
        self.writer.judge(&self.cycle).await.unwrap()
    }

    pub async fn plan(&mut self, answers: &[TaskAnswer]) -> usize {
        let tasks: Vec<NewTask> = answers
            .iter()
            .map(|answer| NewTask {
                id: answer.id.clone(),
                locator: None,
                extent: None,
            })
            .collect();
        self.writer
            .plan(
                &self.cycle,
                &mut plan_by(|_| ControlFlow::Break(tasks.clone())),
            )
            .await
            .unwrap()
    }

    /// What a planner receives now, over all parts.
    pub async fn told_to_planner(&mut self) -> PlanningState {
        let mut told: Option<PlanningState> = None;
        self.writer
            .plan(
                &self.cycle,
                &mut plan_by(|part| {
                    match &mut told {
                        Some(told) => told.funds.extend_from_slice(&part.funds),
                        None => told = Some(part.clone()),
                    }
                    ControlFlow::Continue(Vec::new())
                }),
            )
            .await
            .unwrap();
        told.unwrap()
    }

    /// Closes the cycle and begins the next.
    pub async fn next_cycle(&mut self, cycle_date: Date, kind: CycleKind) -> CycleTotals {
        let totals = self
            .writer
            .close_cycle(&self.cycle, "the cycle ended")
            .await
            .unwrap();
        totals.check_books().unwrap();
        self.cycle = self
            .writer
            .begin_cycle(&request(cycle_date, kind))
            .await
            .unwrap();
        totals
    }

    /// A table as text, one line per row, without the columns for time and cycle.
    pub async fn table(&self, table: &str) -> Vec<String> {
        self.text(&format!(
            "SELECT (to_jsonb(t) - 'scraped_at' - 'cycle_id')::text FROM public.{table} t ORDER BY 1"
        ))
        .await
    }

    /// All row versions that a cycle over unchanged sources must not change (D2).
    pub async fn versions(&self) -> Vec<String> {
        let mut versions = Vec::new();
        for table in TABLES
            .map(|table| format!("public.{table}"))
            .into_iter()
            .chain(["history.change", "history.portfolio", "runner.observation"].map(str::to_owned))
        {
            let select =
                format!("SELECT '{table} ' || ctid || ' ' || xmin FROM {table} ORDER BY 1");
            versions.extend(self.text(&select).await);
        }
        versions
    }

    /// The first column of each row.
    pub async fn text(&self, select: &str) -> Vec<String> {
        self.sql
            .query(select, &[])
            .await
            .unwrap()
            .iter()
            .map(|row| {
                row.get::<_, Option<String>>(0)
                    .unwrap_or_else(|| "NULL".to_owned())
            })
            .collect()
    }
}

pub async fn open(database: &str) -> Writer {
    Writer::open(database, Duration::from_secs(10))
        .await
        .unwrap()
}

pub fn code(text: &str) -> FundCode {
    FundCode::parse(text).unwrap()
}

pub fn number(text: &str) -> Number {
    Number::parse(text).unwrap()
}

pub fn task(source: SourceName, page: &str, key: &str) -> TaskId {
    TaskId {
        source,
        page: page.to_owned(),
        key: key.to_owned(),
    }
}

pub fn done(id: TaskId, observations: Vec<Observation>) -> TaskAnswer {
    TaskAnswer {
        observations,
        ..TaskAnswer::empty(id, Outcome::Done, 1)
    }
}

pub fn says(
    fund: &str,
    source: SourceName,
    as_of_date: Option<Date>,
    said: ObservationData,
) -> Observation {
    Observation {
        fund_code: code(fund),
        source,
        as_of_date,
        url: format!("https://{source}.example/{fund}/{}", said.dataset()),
        data: said,
    }
}

/// Finnomena's list: code, whether active, and the source's key.
pub fn list(entries: &[(&str, bool, &str)]) -> TaskAnswer {
    let listings = entries.iter().map(|(fund, active, key)| {
        let fields = ListingFields {
            full_name_th: Some(format!("กองทุน {fund}")),
            category_id: None,
            sec_is_active: Some(*active),
            status: None,
        };
        let said = ObservationData::Listing {
            source_key: (*key).to_owned(),
            fields,
        };
        says(fund, SourceName::Finnomena, None, said)
    });
    done(
        task(SourceName::Finnomena, "list", TaskId::WHOLE_MARKET),
        listings.collect(),
    )
}

/// A list of active funds whose keys are made from their codes.
pub fn list_of(funds: &[&str]) -> TaskAnswer {
    let keys: Vec<String> = funds.iter().map(|fund| format!("id-{fund}")).collect();
    let entries: Vec<(&str, bool, &str)> = funds
        .iter()
        .zip(&keys)
        .map(|(fund, key)| (*fund, true, key.as_str()))
        .collect();
    list(&entries)
}

pub fn master(fund: &str, source: SourceName, fields: MasterFields) -> TaskAnswer {
    done(
        task(source, "fund", fund),
        vec![says(fund, source, None, ObservationData::Master(fields))],
    )
}

pub fn fees(fund: &str, source: SourceName, fields: FeeFields) -> TaskAnswer {
    done(
        task(source, "fee", fund),
        vec![says(fund, source, None, ObservationData::Fees(fields))],
    )
}

pub fn portfolio(
    fund: &str,
    source: SourceName,
    kind: PortfolioKind,
    as_of_date: Option<Date>,
    rows: &[(&str, Option<&str>)],
) -> TaskAnswer {
    let rows = rows
        .iter()
        .map(|(name, percent)| PortfolioRow {
            name: (*name).to_owned(),
            percent: percent.map(number),
        })
        .collect();
    let said = ObservationData::Portfolio(Portfolio {
        kind,
        rows,
        unreadable: 0,
    });
    let page = format!("portfolio-{kind:?}");
    done(
        task(source, &page, fund),
        vec![says(fund, source, as_of_date, said)],
    )
}

/// NAV, AUM, bid and offer on days of October 2026. An empty text is a missing value.
pub fn days(fund: &str, source: SourceName, points: &[(i8, [&str; 4])]) -> TaskAnswer {
    let points = points.iter().map(|(day, values)| {
        let [nav, aum, bid, offer] = values.map(|value| (!value.is_empty()).then(|| number(value)));
        DailyPoint {
            nav_date: date(2026, 10, *day),
            nav,
            aum,
            bid,
            offer,
        }
    });
    done(
        task(source, "nav", fund),
        vec![says(
            fund,
            source,
            None,
            ObservationData::Daily(points.collect()),
        )],
    )
}

/// The numbers of all migrations, in order.
pub fn versions_of_the_schema() -> Vec<String> {
    let mut versions: Vec<u32> =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/migrations"))
            .unwrap()
            .map(|file| {
                let name = file.unwrap().file_name().into_string().unwrap();
                let number = name.trim_start_matches('V').split("__").next().unwrap();
                number.parse().unwrap()
            })
            .collect();
    versions.sort_unstable();
    versions.iter().map(ToString::to_string).collect()
}
