//! Loads series with the store's writer, batch by batch, and compares it with PostgreSQL's COPY of the same rows.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, TryStreamExt as _};
use jiff::ToSpan as _;
use jiff::civil::Date;
use schema::columns::ListingFields;
use schema::observation::DailyPoint;
use schema::{
    FundCode, Number, Observation, ObservationData, Outcome, SourceName, TaskAnswer, TaskId,
};
use store::{Batch, Cycle, CycleKind, CycleRequest, NewTask, Scope, Writer, plan_by};

use crate::Trouble;
use crate::figures::{Figure, Target};
use crate::series::{LAST_DAY, Size, business_days, fund_code, history, values};
use crate::server::{Database, Server};

/// As many rows as the merge actor puts into one batch.
const BATCH_ROWS: usize = 20_000;

/// The times of the loads of one size.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// First loads and COPY of the same rows, alternating, so that a temporarily slow disk slows both.
    pub turns: [Turn; TURNS],
    /// The same batches again.
    pub again: Duration,
    /// One more day of every fund.
    pub one_day: Duration,
    /// The whole history of one fund, with a changed value on its oldest day.
    pub correction: Duration,
    /// Rows changed by the correction.
    pub corrected: u64,
    /// Rows written by the second pass.
    pub rewritten: i64,
}

/// The times of one turn.
#[derive(Debug, Clone, Copy, Default)]
pub struct Turn {
    /// The rows through the store, into empty tables.
    pub first: Duration,
    /// Binary COPY of the same rows into the table with its keys.
    pub copy: Duration,
}

/// Number of turns: the median of three is not affected by a single disturbance.
const TURNS: usize = 3;

impl Loaded {
    /// The median over the turns.
    fn median(&self, of: impl Fn(&Turn) -> Duration) -> Duration {
        let mut times = self.turns.each_ref().map(of);
        times.sort_unstable();
        times[TURNS / 2]
    }
}

/// Loads a market of this size in every way.
///
/// # Errors
/// Errors of the server, and unexpected rows.
pub async fn measure(server: &Server, size: Size) -> Result<Loaded, Trouble> {
    let dates = business_days(size.days);
    let mut turns = [Turn::default(); TURNS];
    let mut rows = Vec::new();
    let mut last = None;
    for turn in &mut turns {
        if let Some((loaded, loader)) = last.take() {
            drop::<Loader>(loader);
            server.remove(loaded).await?;
        }
        let loaded = server.database().await?;
        let mut loader = Loader::new(&loaded, size).await?;
        loaded.settle().await?;
        turn.first = loader.load_all(&dates).await?;
        if rows.is_empty() {
            rows = encoded_rows(&loaded).await?;
        }
        let copied = server.database().await?;
        turn.copy = copy_rows(rows.clone(), &copied, size).await?;
        same_rows(&copied, &loaded).await?;
        server.remove(copied).await?;
        last = Some((loaded, loader));
    }
    let Some((loaded, loader)) = last else {
        return Err("no turn was taken".into());
    };
    // The server may have ended the session while it was idle during other measurements.
    let mut loader = loader.connected_anew(&loaded).await?;
    loaded.settle().await?;
    let before = next_transaction(&loaded).await?;
    loader.next_cycle(CycleKind::Monthly).await?;
    let again = loader.load_all(&dates).await?;
    let rewritten = rows_written_since(&loaded, before).await?;
    loader.next_cycle(CycleKind::Daily).await?;
    let one_day = loader.load_one_day(size.days).await?;
    loader.next_cycle(CycleKind::Monthly).await?;
    let (correction, corrected) = loader.correct(size.funds / 2, &dates).await?;
    Ok(Loaded {
        turns,
        again,
        one_day,
        correction,
        corrected,
        rewritten,
    })
}

/// Loads a market of this size into empty tables, and nothing else.
///
/// # Errors
/// Errors of the server.
pub async fn first_load(server: &Server, size: Size) -> Result<Duration, Trouble> {
    let dates = business_days(size.days);
    let database = server.database().await?;
    let mut loader = Loader::new(&database, size).await?;
    database.settle().await?;
    loader.load_all(&dates).await
}

/// The rows of the result table for `loaded`.
#[must_use]
pub fn figures(size: Size, loaded: &Loaded) -> Vec<Figure> {
    let rows = size.rows();
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let (first, by) = (
        loaded.median(|turn| turn.first),
        loaded.median(|turn| turn.copy),
    );
    let copy = format!("{} (binary COPY, keys on)", seconds(by));
    let by_copy = |time: Duration| time.as_secs_f64() / by.as_secs_f64();
    let turns: Vec<String> = loaded
        .turns
        .iter()
        .map(|turn| format!("{} / {}", seconds(turn.first), seconds(turn.copy)))
        .collect();
    vec![
        Figure {
            what: format!("first load, {rows} NAV rows"),
            measured: seconds(first),
            limit: copy.clone(),
            ratio: by_copy(first),
            target: Target::AtMost(1.3),
            remark: format!(
                "{:.0} rows/s; medians of load / COPY in turns: {}",
                rows as f64 / first.as_secs_f64(),
                turns.join(", ")
            ),
        },
        Figure {
            what: "the same once more, hashes cold".to_owned(),
            measured: seconds(loaded.again),
            limit: copy,
            ratio: by_copy(loaded.again),
            target: Target::AtMost(0.5),
            remark: format!("{} rows written", loaded.rewritten),
        },
        Figure {
            what: format!("one new day of {} funds, in the database", size.funds),
            measured: format!("{:.0} ms", loaded.one_day.as_secs_f64() * 1000.0),
            limit: "150 ms".to_owned(),
            ratio: loaded.one_day.as_secs_f64() / 0.15,
            target: Target::AtMost(1.0),
            remark: String::new(),
        },
        Figure {
            what: "a correction ten years old, in the monthly audit".to_owned(),
            measured: format!(
                "{} row changed in {:.0} ms",
                loaded.corrected,
                loaded.correction.as_secs_f64() * 1000.0
            ),
            limit: "1 row".to_owned(),
            ratio: loaded.corrected as f64,
            target: Target::AtMost(1.0),
            remark: "the rest of the history is compared, not written".to_owned(),
        },
    ]
}

/// The limit: COPY of the rows that the store has written, encoded beforehand, into the warehouse's own table.
async fn copy_rows(pieces: Vec<Bytes>, to: &Database, size: Size) -> Result<Duration, Trouble> {
    drop(to.writer().await?);
    let client = to.connect().await?;
    let codes: Vec<String> = (0..size.funds)
        .map(|fund| fund_code(fund).to_string())
        .collect();
    client
        .execute(
            "INSERT INTO public.funds_master_info (fund_code) SELECT * FROM unnest($1::text[])",
            &[&codes],
        )
        .await?;
    to.settle().await?;
    let begun = Instant::now();
    let sink = client
        .copy_in(&format!("COPY {DAILY} FROM STDIN (FORMAT binary)"))
        .await?;
    let mut sink = std::pin::pin!(sink);
    for piece in pieces {
        sink.feed(piece).await?;
    }
    sink.finish().await?;
    Ok(begun.elapsed())
}

/// The target of both loads.
const DAILY: &str = "public.funds_daily (fund_code, nav_date, nav_value, aum, source,
    nav_said_by, bid_said_by, offer_said_by, aum_said_by, cycle_id)";
/// Bytes that are passed to a connection at once.
const PIECE_BYTES: usize = 256 * 1024;

/// The rows as encoded by the server.
async fn encoded_rows(from: &Database) -> Result<Vec<Bytes>, Trouble> {
    let client = from.connect().await?;
    let rows = client
        .copy_out(&format!("COPY {DAILY} TO STDOUT (FORMAT binary)"))
        .await?;
    let mut rows = std::pin::pin!(rows);
    let mut pieces = Vec::new();
    let mut piece = BytesMut::new();
    while let Some(row) = rows.try_next().await? {
        piece.extend_from_slice(&row);
        if piece.len() >= PIECE_BYTES {
            pieces.push(piece.split().freeze());
        }
    }
    pieces.push(piece.freeze());
    Ok(pieces)
}

/// The store's writer, with a market of only active funds.
struct Loader {
    writer: Writer,
    cycle: Cycle,
    size: Size,
}

impl Loader {
    async fn new(database: &Database, size: Size) -> Result<Self, Trouble> {
        let mut writer = database.writer().await?;
        let cycle = begin(&mut writer, CycleKind::Monthly).await?;
        let mut loader = Self {
            writer,
            cycle,
            size,
        };
        loader.list().await?;
        loader.plan().await?;
        Ok(loader)
    }

    async fn connected_anew(self, database: &Database) -> Result<Self, Trouble> {
        drop(self.writer);
        Ok(Self {
            writer: database.writer().await?,
            cycle: self.cycle,
            size: self.size,
        })
    }

    async fn next_cycle(&mut self, kind: CycleKind) -> Result<(), Trouble> {
        let totals = self
            .writer
            .close_cycle(&self.cycle, "not part of the measurement")
            .await?;
        totals.check_books()?;
        self.cycle = begin(&mut self.writer, kind).await?;
        self.list().await?;
        self.plan().await
    }

    /// Commits Finnomena's list, which makes the funds part of the market.
    async fn list(&mut self) -> Result<(), Trouble> {
        let id = TaskId {
            source: SourceName::Finnomena,
            page: "list".to_owned(),
            key: TaskId::WHOLE_MARKET.to_owned(),
        };
        let planned = id.clone();
        self.writer
            .plan(
                &self.cycle,
                &mut plan_by(|_| {
                    ControlFlow::Break(vec![NewTask {
                        id: planned.clone(),
                        locator: None,
                        extent: None,
                    }])
                }),
            )
            .await?;
        let listed = |fund: usize| Observation {
            fund_code: fund_code(fund),
            source: SourceName::Finnomena,
            as_of_date: None,
            url: "https://www.finnomena.com/fn3/api/fund/v2/public/funds".to_owned(),
            data: ObservationData::Listing {
                source_key: format!("F{fund:09}"),
                fields: ListingFields {
                    sec_is_active: Some(true),
                    ..ListingFields::default()
                },
            },
        };
        let answer = TaskAnswer {
            observations: (0..self.size.funds).map(listed).collect(),
            ..TaskAnswer::empty(id, Outcome::Done, 1)
        };
        self.writer
            .commit(&self.cycle, &Batch::new(vec![answer]))
            .await?;
        Ok(())
    }

    async fn plan(&mut self) -> Result<(), Trouble> {
        self.writer
            .plan(
                &self.cycle,
                &mut plan_by(|part| {
                    let tasks = part.funds.iter().map(|fund| NewTask {
                        id: task(&fund.fund_code),
                        locator: None,
                        extent: Some("MAX".to_owned()),
                    });
                    ControlFlow::Continue(tasks.collect())
                }),
            )
            .await?;
        Ok(())
    }

    /// Loads the whole history of every fund. Only the time of the store counts, without the generation of the rows.
    async fn load_all(&mut self, dates: &[Date]) -> Result<Duration, Trouble> {
        let funds_a_batch = (BATCH_ROWS / dates.len().max(1)).max(1);
        let mut taken = Duration::ZERO;
        for first in (0..self.size.funds).step_by(funds_a_batch) {
            let funds = first..(first + funds_a_batch).min(self.size.funds);
            let batch = Batch::new(
                funds
                    .map(|fund| answer(fund, history(fund, dates)))
                    .collect(),
            );
            let begun = Instant::now();
            self.writer.commit(&self.cycle, &batch).await?;
            taken += begun.elapsed();
        }
        Ok(taken)
    }

    async fn load_one_day(&mut self, day: usize) -> Result<Duration, Trouble> {
        let nav_date = LAST_DAY.saturating_add(1.day());
        let answers = (0..self.size.funds)
            .map(|fund| {
                let (nav, aum) = values(fund, day);
                let point = DailyPoint {
                    nav_date,
                    nav: Some(nav),
                    aum: Some(aum),
                    bid: None,
                    offer: None,
                };
                answer(
                    fund,
                    Observation {
                        data: ObservationData::Daily(vec![point]),
                        ..history(fund, &[])
                    },
                )
            })
            .collect();
        let batch = Batch::new(answers);
        let begun = Instant::now();
        let report = self.writer.commit(&self.cycle, &batch).await?;
        let taken = begun.elapsed();
        let inserted = report
            .tables
            .get("funds_daily")
            .map_or(0, |counts| counts.rows_inserted);
        if inserted != self.size.funds as u64 {
            return Err(format!("{inserted} new days of {} funds", self.size.funds).into());
        }
        Ok(taken)
    }

    async fn correct(&mut self, fund: usize, dates: &[Date]) -> Result<(Duration, u64), Trouble> {
        let mut said = history(fund, dates);
        if let ObservationData::Daily(points) = &mut said.data
            && let Some(oldest) = points.first_mut()
        {
            oldest.nav = Some(Number::from(1));
        }
        let batch = Batch::new(vec![answer(fund, said)]);
        let begun = Instant::now();
        let report = self.writer.commit(&self.cycle, &batch).await?;
        let counts = report
            .tables
            .get("funds_daily")
            .copied()
            .unwrap_or_default();
        Ok((begun.elapsed(), counts.rows_updated + counts.rows_inserted))
    }
}

async fn begin(writer: &mut Writer, kind: CycleKind) -> Result<Cycle, Trouble> {
    let request = CycleRequest {
        cycle_date: LAST_DAY.saturating_add(2.days()),
        kind,
        scope: Scope::Full,
        fresh: true,
        resume_closed_failures: false,
    };
    Ok(writer.begin_cycle(&request).await?)
}

fn task(fund: &FundCode) -> TaskId {
    TaskId {
        source: SourceName::Finnomena,
        page: "nav".to_owned(),
        key: fund.to_string(),
    }
}

fn answer(fund: usize, said: Observation) -> TaskAnswer {
    TaskAnswer {
        observations: vec![said],
        ..TaskAnswer::empty(task(&fund_code(fund)), Outcome::Done, 1)
    }
}

/// The id of a transaction that begins now.
async fn next_transaction(database: &Database) -> Result<i64, Trouble> {
    let client = database.connect().await?;
    let row = client
        .query_one("SELECT pg_current_xact_id()::text::bigint", &[])
        .await?;
    Ok(row.try_get(0)?)
}

/// Number of rows of the series that this transaction or a later one has written.
async fn rows_written_since(database: &Database, transaction: i64) -> Result<i64, Trouble> {
    let client = database.connect().await?;
    let row = client
        .query_one(
            "SELECT count(*) FROM public.funds_daily WHERE xmin::text::bigint >= $1",
            &[&transaction],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Checks that both loads have produced the same rows.
async fn same_rows(one: &Database, other: &Database) -> Result<(), Trouble> {
    let digest = "SELECT count(*)::text || ' ' || coalesce(sum(hashtextextended(concat_ws('|', fund_code, nav_date,
        nav_value, bid, offer, aum, source, nav_said_by, bid_said_by, offer_said_by, aum_said_by), 0)), 0)::text
        FROM public.funds_daily";
    let mut seen = Vec::new();
    for database in [one, other] {
        let row = database.connect().await?.query_one(digest, &[]).await?;
        seen.push(row.try_get::<_, String>(0)?);
    }
    if seen[0] == seen[1] {
        Ok(())
    } else {
        Err(format!("the rows differ: COPY {}, store {}", seen[0], seen[1]).into())
    }
}
