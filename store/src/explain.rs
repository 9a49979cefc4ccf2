//! Explains a fund's values (`master_runner explain`): for each field what each source reported and when, which value
//! is in the table and why, and which records were rejected.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use schema::fold::{Content, StoredObservation};
use schema::merge_funds::{Statements, is_stale, merge_row};
use schema::precedence::{Precedence, RowTable, StatementKey};
use schema::{Dataset, FundCode, SourceName};

use super::closed_cycles::closed_monthly;
use super::connection::Queries;
use super::decode::read_source;
use super::error::StoreError;
use super::lineage::{self, NameLink};
use super::observations;

/// Everything that explains the rows of a fund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The share class.
    pub fund_code: FundCode,
    /// Whether the fund is in the universe and therefore has rows. A code that Finnomena never listed as active has
    /// none.
    pub in_universe: bool,
    /// The stored `fund_status`.
    pub fund_status: Option<String>,
    /// The links between the codes of the fund, from its oldest name to its newest.
    pub names: Vec<NameLink>,
    /// Every field that any source ever reported for the tables that are merged field by field.
    pub fields: Vec<FieldExplanation>,
    /// Portfolios, codes, lists and links, one line each.
    pub statements: Vec<Statement>,
    /// The newest day of the series.
    pub newest_day: Option<DayExplanation>,
    /// The newest records that could not be read; limited in number.
    pub rejected: Vec<RejectedRecord>,
}

/// One field of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldExplanation {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The value in the table.
    pub stands: Option<String>,
    /// What each source reported, in the order of rank.
    pub said: Vec<StatedValue>,
}

/// The value that a source reported for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedValue {
    /// The source.
    pub source: SourceName,
    /// The dataset of the statement.
    pub dataset: Dataset,
    /// The value.
    pub value: String,
    /// The as-of date, if the source gives one.
    pub as_of_date: Option<Date>,
    /// The time at which the statement last changed.
    pub said_at: Timestamp,
    /// The URL of the page.
    pub url: String,
    /// Whether this value is in the table.
    pub wins: bool,
    /// The reason why it is or is not in the table.
    pub why: String,
}

/// A statement that is not merged field by field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The source.
    pub source: SourceName,
    /// The dataset.
    pub dataset: Dataset,
    /// The content in a few words.
    pub holds: String,
    /// The as-of date, if the source gives one.
    pub as_of_date: Option<Date>,
    /// The time at which the statement last changed.
    pub said_at: Timestamp,
    /// The URL of the page.
    pub url: String,
}

/// The newest day of a fund's series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayExplanation {
    /// The date.
    pub nav_date: Date,
    /// NAV, bid, offer, AUM and the source in the table.
    pub stands: [Option<String>; 5],
    /// Values of other sources that differ from the table: source, column, value.
    pub dissents: Vec<(SourceName, String, String)>,
}

/// A record that could not be read, or was stored with a remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRecord {
    /// The source.
    pub source: SourceName,
    /// The page.
    pub page: String,
    /// The field.
    pub field: String,
    /// The reason.
    pub reason: String,
    /// The text that was found.
    pub sample: String,
    /// `rejected` or `noted`.
    pub severity: String,
    /// The time.
    pub rejected_at: Timestamp,
}

/// Largest number of rejected records in an explanation.
const MAX_REJECTED: i64 = 50;

pub(super) async fn read(
    client: &impl Queries,
    fund_code: &FundCode,
    precedence: &Precedence,
) -> Result<Option<Explanation>, StoreError> {
    let code = fund_code.as_str();
    let fund = client
        .query_opt(
            "SELECT f.fund_id, f.in_universe, m.fund_status
             FROM runner.fund f LEFT JOIN public.funds_master_info m USING (fund_code) WHERE f.fund_code = $1",
            &[&code],
        )
        .await?;
    let Some(fund) = fund else { return Ok(None) };
    let fund_id: i64 = fund.try_get(0)?;
    let rows = client
        .query(
            "SELECT fund_id, source, dataset, as_of_date, fields, unsaid, url, said_at
             FROM runner.observation WHERE fund_id = $1",
            &[&fund_id],
        )
        .await?;
    let mut held = Statements::new();
    let mut said_at = BTreeMap::new();
    for row in rows {
        let (_, statement_key, statement) = observations::read_row(&row)?;
        held.insert(statement_key, statement);
        said_at.insert(statement_key, row.try_get::<_, Timestamp>(7)?);
    }
    let closed = closed_monthly(client).await?;
    let fields = precedence
        .row_tables()
        .iter()
        .flat_map(|table| explain_table(table, &held, &said_at, &closed))
        .collect();
    Ok(Some(Explanation {
        fund_code: fund_code.clone(),
        in_universe: fund.try_get(1)?,
        fund_status: fund.try_get(2)?,
        names: lineage::names(client, fund_code).await?,
        fields,
        statements: other_statements(&held, &said_at),
        newest_day: newest_day(client, code).await?,
        rejected: rejected(client, code).await?,
    }))
}

fn explain_table(
    table: &RowTable,
    held: &Statements,
    said_at: &BTreeMap<StatementKey, Timestamp>,
    closed: &[i64],
) -> Vec<FieldExplanation> {
    let row = merge_row(table, held, closed).unwrap_or_default();
    let mut fields = Vec::new();
    for column in table.columns {
        let winner = row.winners.get(column.name);
        let mut said = Vec::new();
        let rank = table.rank(column.name);
        // Statements without rank are included as well, with the reason why their values are not used.
        let unranked = held.keys().filter(|statement_key| {
            !rank.contains(statement_key)
                && table
                    .suppliers()
                    .any(|(_, dataset)| dataset == statement_key.1)
        });
        for statement_key in rank.iter().chain(unranked) {
            if let Some(statement) = held.get(statement_key)
                && let Content::Fields(values) = &statement.content
                && let Some(value) = values.get(column.name)
            {
                said.push(StatedValue {
                    source: statement_key.0,
                    dataset: statement_key.1,
                    value: value.to_string(),
                    as_of_date: statement.as_of_date,
                    said_at: said_at
                        .get(statement_key)
                        .copied()
                        .unwrap_or(Timestamp::UNIX_EPOCH),
                    url: statement.url.clone(),
                    wins: winner == Some(statement_key),
                    why: why(
                        table,
                        statement,
                        column.name,
                        *statement_key,
                        winner,
                        closed,
                    ),
                });
            }
        }
        if !said.is_empty() {
            fields.push(FieldExplanation {
                table: table.table,
                column: column.name,
                stands: row.fields.get(column.name).map(ToString::to_string),
                said,
            });
        }
    }
    fields
}

fn why(
    table: &RowTable,
    statement: &StoredObservation,
    column: &str,
    statement_key: StatementKey,
    winner: Option<&StatementKey>,
    closed: &[i64],
) -> String {
    let kept = if statement.unsaid.contains_key(column) {
        ", kept though no longer said"
    } else {
        ""
    };
    if !table.rank(column).contains(&statement_key) {
        return format!("{} never fills {}", statement_key.0, table.table);
    }
    if winner == Some(&statement_key) {
        return format!("first in rank{kept}");
    }
    if is_stale(statement, column, closed) {
        return "not reported for three closed monthly cycles; another source still reports it"
            .to_owned();
    }
    match winner {
        Some((source, dataset)) => format!("{source} in {dataset} ranks higher{kept}"),
        None => "no value".to_owned(),
    }
}

fn other_statements(
    held: &Statements,
    said_at: &BTreeMap<StatementKey, Timestamp>,
) -> Vec<Statement> {
    held.iter()
        .filter_map(|(statement_key, statement)| {
            let holds = match &statement.content {
                Content::Portfolio(rows) => format!("{} rows", rows.len()),
                Content::Rows(rows) => match rows.last_key_value() {
                    Some((newest, _)) => {
                        format!("{} rows, the newest of {}", rows.len(), newest.date)
                    }
                    None => "0 rows".to_owned(),
                },
                Content::AdoptedPortfolios(portfolios) => portfolios
                    .iter()
                    .map(|portfolio| format!("{}: {} rows", portfolio.source, portfolio.rows.len()))
                    .collect::<Vec<_>>()
                    .join(", "),
                Content::Codes(codes) => codes
                    .iter()
                    .map(|code| format!("{} {}", code.code_type, code.code))
                    .collect::<Vec<_>>()
                    .join(", "),
                Content::Fields(fields)
                    if matches!(statement_key.1, Dataset::Listing | Dataset::FactsheetLink) =>
                {
                    fields
                        .iter()
                        .map(|(name, value)| format!("{name} {value}"))
                        .collect::<Vec<_>>()
                        .join(", ")
                }
                Content::Fields(_) => return None,
            };
            Some(Statement {
                source: statement_key.0,
                dataset: statement_key.1,
                holds,
                as_of_date: statement.as_of_date,
                said_at: said_at
                    .get(statement_key)
                    .copied()
                    .unwrap_or(Timestamp::UNIX_EPOCH),
                url: statement.url.clone(),
            })
        })
        .collect()
}

async fn newest_day(
    client: &impl Queries,
    code: &str,
) -> Result<Option<DayExplanation>, StoreError> {
    let day = client
        .query_opt(
            "SELECT nav_date, nav_value::text, bid::text, offer::text, aum::text, source
             FROM public.funds_daily WHERE fund_code = $1 ORDER BY nav_date DESC LIMIT 1",
            &[&code],
        )
        .await?;
    let Some(day) = day else { return Ok(None) };
    let nav_date: Date = day.try_get(0)?;
    let rows = client
        .query(
            "SELECT d.source, s.field, s.value FROM runner.daily_dissent d
             CROSS JOIN LATERAL (VALUES ('nav_value', nav_value::text), ('bid', bid::text),
                 ('offer', offer::text), ('aum', aum::text)) AS s (field, value)
             WHERE d.fund_code = $1 AND d.nav_date = $2 AND s.value IS NOT NULL ORDER BY 1, 2",
            &[&code, &nav_date],
        )
        .await?;
    let mut dissents = Vec::with_capacity(rows.len());
    for row in rows {
        dissents.push((
            read_source(row.try_get(0)?)?,
            row.try_get(1)?,
            row.try_get(2)?,
        ));
    }
    let mut stands: [Option<String>; 5] = Default::default();
    for (at, value) in stands.iter_mut().enumerate() {
        *value = day.try_get(at + 1)?;
    }
    Ok(Some(DayExplanation {
        nav_date,
        stands,
        dissents,
    }))
}

async fn rejected(client: &impl Queries, code: &str) -> Result<Vec<RejectedRecord>, StoreError> {
    let rows = client
        .query(
            "SELECT source, page, field, reason, sample, severity, rejected_at FROM runner.rejected
             WHERE fund_code = $1 OR key = $1 ORDER BY reject_id DESC LIMIT $2",
            &[&code, &MAX_REJECTED],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(RejectedRecord {
                source: read_source(row.try_get(0)?)?,
                page: row.try_get(1)?,
                field: row.try_get(2)?,
                reason: row.try_get(3)?,
                sample: row.try_get(4)?,
                severity: row.try_get(5)?,
                rejected_at: row.try_get(6)?,
            })
        })
        .collect()
}
