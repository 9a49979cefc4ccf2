//! The reader: a pool of connections that read beside the writer. It takes no advisory lock and changes nothing.

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
};
use jiff::Timestamp;
use jiff::civil::Date;

use schema::cycle::ScheduleFacts;
use schema::precedence::Precedence;
use schema::{FundCode, SourceName};

use super::cycles;
use super::decode::read_source;
use super::doubts;
use super::error::StoreError;
use super::explain::{self, Explanation};
use super::report::{BreachReport, CycleStatus, TaskCounts, TaskPace};
use super::tls::Connector;
use super::{TABLES, migration, session, stored_ranks, tasks};

/// A pool of connections that only read.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: Pool,
    connector: Connector,
}

/// The state of the warehouse, as `status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Version of the schema; 0 if no runner has used the database yet. All other fields are then empty.
    pub schema_version: i32,
    /// The runner that last held the database, with its last heartbeat.
    pub runner: Option<RunnerStatus>,
    /// The facts that the schedule depends on.
    pub schedule: ScheduleFacts,
    /// The newest cycles first, at most [`Reader::STATUS_CYCLES`].
    pub cycles: Vec<CycleStatus>,
    /// Number of rows of each of the fund tables.
    pub tables: Vec<(&'static str, u64)>,
    /// Tasks of the newest cycle by source.
    pub tasks: Vec<(SourceName, TaskCounts)>,
    /// Mass changes that are not believed (D11), at most [`Reader::STATUS_BREACHES`].
    pub breaches: Vec<BreachReport>,
    /// The recent speed of the newest cycle, by source.
    pub paces: Vec<(SourceName, TaskPace)>,
}

/// The last heartbeat of a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerStatus {
    /// Program and process.
    pub runner: String,
    /// The time at which this runner wrote its first heartbeat.
    pub started_at: Timestamp,
    /// What the runner was doing.
    pub doing: String,
    /// The time of the heartbeat.
    pub beat_at: Timestamp,
    /// Whether a session holds the runner's lock at this moment.
    pub holds_lock: bool,
}

/// When a source last answered a page of a fund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// The source.
    pub source: SourceName,
    /// The page.
    pub page: String,
    /// The time of the last answer.
    pub last_answer_at: Option<Timestamp>,
    /// How the last task ended.
    pub outcome: Option<String>,
    /// The reason of a failure.
    pub failure: Option<String>,
}

impl Reader {
    /// Largest number of cycles that [`Self::status`] returns.
    pub const STATUS_CYCLES: usize = 10;
    /// Largest number of breaches that [`Self::status`] returns.
    pub const STATUS_BREACHES: i64 = 20;

    /// Makes a pool of at most `connections` connections. None is opened yet.
    ///
    /// # Errors
    /// The text is not a connection string, or a file of certificates cannot be read.
    pub fn new(database: &str, connections: usize) -> Result<Self, StoreError> {
        let connector = session::read_config(database)?;
        let manager = Manager::from_connect(
            connector.config().clone(),
            connector.clone(),
            ManagerConfig {
                recycling_method: RecyclingMethod::Verified,
            },
        );
        let pool = Pool::builder(manager)
            .max_size(connections)
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move {
                    client
                        .batch_execute(session::READER)
                        .await
                        .map_err(HookError::Backend)
                })
            }))
            .runtime(Runtime::Tokio1)
            .create_timeout(Some(session::CONNECT_TIMEOUT))
            .wait_timeout(Some(session::CONNECT_TIMEOUT))
            .build()
            .map_err(|error| StoreError::Inconsistent(format!("the reader's pool: {error}")))?;
        Ok(Self { pool, connector })
    }

    /// Refuses a connection through a transaction pooler (A8).
    pub(super) async fn refuse_pooler(&self) -> Result<(), StoreError> {
        session::refuse_pooler(&self.connector, &*self.client().await?).await
    }

    pub(super) async fn client(&self) -> Result<Object, StoreError> {
        use deadpool_postgres::PoolError;
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                session::refusal(&error)
            }
            other => StoreError::Outage(other.to_string()),
        })
    }

    /// Returns the state of the warehouse. The schedule facts ignore cycles closed with a date after `closed_until`;
    /// `None` includes all.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session or a schema newer than this program:
    /// see [`StoreError::is_outage`].
    pub async fn status(&self, closed_until: Option<Date>) -> Result<Status, StoreError> {
        let client = self.client().await?;
        let schema_version = migration::current(&client).await?;
        let mut status = Status {
            schema_version,
            runner: None,
            schedule: ScheduleFacts::default(),
            cycles: Vec::new(),
            tables: Vec::new(),
            tasks: Vec::new(),
            breaches: Vec::new(),
            paces: Vec::new(),
        };
        if schema_version == 0 {
            return Ok(status);
        }
        migration::refuse_newer(schema_version)?;
        let beat = client
            .query_opt(
                "SELECT runner, started_at, doing, beat_at FROM runner.heartbeat",
                &[],
            )
            .await?;
        if let Some(row) = beat {
            status.runner = Some(RunnerStatus {
                runner: row.try_get(0)?,
                started_at: row.try_get(1)?,
                doing: row.try_get(2)?,
                beat_at: row.try_get(3)?,
                holds_lock: session::holder(&client).await?.is_some(),
            });
        }
        status.schedule = cycles::schedule_facts(&**client, closed_until).await?;
        status.cycles = cycles::newest(&**client, Self::STATUS_CYCLES).await?;
        if let Some(newest) = status.cycles.first() {
            status.tasks = tasks::count(&**client, newest.id)
                .await?
                .into_iter()
                .collect();
            status.paces = tasks::paces(&**client, newest.id).await?;
        }
        status.breaches = doubts::newest_open(&**client, Self::STATUS_BREACHES).await?;
        status.tables = count_rows(&client).await?;
        Ok(status)
    }

    /// Counts the rows of the fund tables.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn table_counts(&self) -> Result<Vec<(&'static str, u64)>, StoreError> {
        count_rows(&self.client().await?).await
    }

    /// Returns the tables and columns whose rank differs from the one that their rows were last merged by, as
    /// `table.column`.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn ranks_to_remerge(
        &self,
        precedence: &Precedence,
    ) -> Result<Vec<String>, StoreError> {
        let client = self.client().await?;
        stored_ranks::differing(&**client, precedence).await
    }

    /// Explains where every value of a fund comes from, by the ranks in force; `None` for a code that no source ever
    /// reported.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn explain(
        &self,
        fund_code: &FundCode,
        precedence: &Precedence,
    ) -> Result<Option<Explanation>, StoreError> {
        let client = self.client().await?;
        explain::read(&**client, fund_code, precedence).await
    }

    /// Returns when each source last answered each page of a fund.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn fund_freshness(&self, fund_code: &FundCode) -> Result<Vec<Freshness>, StoreError> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT source, page, last_answer_at, outcome, failure FROM runner.fund_freshness
                 WHERE fund_code = $1 ORDER BY source, page",
                &[&fund_code.as_str()],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Freshness {
                    source: read_source(row.try_get(0)?)?,
                    page: row.try_get(1)?,
                    last_answer_at: row.try_get(2)?,
                    outcome: row.try_get(3)?,
                    failure: row.try_get(4)?,
                })
            })
            .collect()
    }
}

async fn count_rows(client: &Object) -> Result<Vec<(&'static str, u64)>, StoreError> {
    let mut counts = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let row = client
            .query_one(&format!("SELECT count(*) FROM public.{table}"), &[])
            .await?;
        counts.push((table, row.try_get::<_, i64>(0)?.unsigned_abs()));
    }
    Ok(counts)
}
