//! `runner.observation`: reads and writes the held statements of each source about each fund, and converts them between
//! JSON and the types of `schema`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tokio_postgres::Row;

use schema::append::{RowKey, Rows, StoredRow};
use schema::columns::{Fields, Kind, Value};
use schema::dividends::DividendRows;
use schema::fold::{AdoptedPortfolio, Content, StoredCode, StoredObservation};
use schema::merge_funds::Statements;
use schema::observation::PortfolioRow;
use schema::precedence::{StatementKey, kind_of_field};
use schema::{Dataset, Number, SourceName};

use super::connection::{Queries as _, Transaction};
use super::error::StoreError;

#[derive(Serialize, Deserialize)]
struct PortfolioJson {
    rows: Vec<PortfolioRow>,
}

#[derive(Serialize, Deserialize)]
struct CodesJson {
    codes: Vec<StoredCode>,
}

#[derive(Serialize, Deserialize)]
struct RowsJson {
    rows: Vec<RowJson>,
}

#[derive(Serialize, Deserialize)]
struct RowJson {
    #[serde(flatten)]
    key: RowKey,
    url: String,
    fields: Map<String, Json>,
    #[serde(default, skip_serializing_if = "DividendRows::is_empty")]
    dividends: DividendRows,
}

#[derive(Serialize, Deserialize)]
struct AdoptedJson {
    portfolios: Vec<AdoptedPortfolio>,
}

/// Reads the held statements about `fund_ids`, in all datasets or only in `datasets`.
pub(super) async fn read(
    tx: &Transaction<'_>,
    fund_ids: &[i64],
    datasets: Option<&[Dataset]>,
) -> Result<BTreeMap<i64, Statements>, StoreError> {
    let names: Option<Vec<&str>> =
        datasets.map(|datasets| datasets.iter().map(|dataset| dataset.as_str()).collect());
    let rows = tx
        .query(
            "SELECT fund_id, source, dataset, as_of_date, fields, unsaid, url
             FROM runner.observation
             WHERE fund_id = ANY($1) AND ($2::text[] IS NULL OR dataset = ANY($2))",
            &[&fund_ids, &names],
        )
        .await?;
    let mut by_fund: BTreeMap<i64, Statements> = BTreeMap::new();
    for row in rows {
        let (fund_id, statement_key, held) = read_row(&row)?;
        by_fund
            .entry(fund_id)
            .or_default()
            .insert(statement_key, held);
    }
    Ok(by_fund)
}

/// Reads a row of `fund_id, source, dataset, as_of_date, fields, unsaid, url`.
pub(super) fn read_row(row: &Row) -> Result<(i64, StatementKey, StoredObservation), StoreError> {
    let (fund_id, source, dataset): (i64, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let statement_key = read_voice(&source, &dataset)?;
    let unsaid: Json = row.try_get(5)?;
    let held = StoredObservation {
        as_of_date: row.try_get(3)?,
        content: decode(statement_key, row.try_get(4)?)?,
        unsaid: serde_json::from_value(unsaid)
            .map_err(|error| unreadable(statement_key, &error))?,
        url: row.try_get(6)?,
    };
    Ok((fund_id, statement_key, held))
}

fn read_voice(source: &str, dataset: &str) -> Result<StatementKey, StoreError> {
    let known = (source.parse().ok(), Dataset::from_name(dataset));
    let (Some(source), Some(dataset)) = known else {
        return Err(StoreError::Inconsistent(format!(
            "runner.observation names the source `{source}` and the dataset `{dataset}`; this program knows no such pair"
        )));
    };
    Ok((source, dataset))
}

fn unreadable(statement_key: StatementKey, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Inconsistent(format!(
        "an observation of {} in {} cannot be read back: {error}",
        statement_key.0, statement_key.1
    ))
}

/// Writes changed statements.
pub(super) async fn write(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    changed: &[(i64, StatementKey, &StoredObservation)],
) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let fund_ids: Vec<i64> = changed.iter().map(|(fund_id, ..)| *fund_id).collect();
    let sources: Vec<&str> = changed
        .iter()
        .map(|(_, statement_key, _)| statement_key.0.as_str())
        .collect();
    let datasets: Vec<&str> = changed
        .iter()
        .map(|(_, statement_key, _)| statement_key.1.as_str())
        .collect();
    let dates: Vec<_> = changed.iter().map(|(.., held)| held.as_of_date).collect();
    let urls: Vec<&str> = changed.iter().map(|(.., held)| held.url.as_str()).collect();
    let mut fields = Vec::with_capacity(changed.len());
    let mut unsaid = Vec::with_capacity(changed.len());
    for (_, statement_key, held) in changed {
        fields.push(encode(&held.content).map_err(|error| unreadable(*statement_key, &error))?);
        unsaid.push(json!(held.unsaid));
    }
    tx.execute_expecting(
        "runner.observation",
        changed.len(),
        "INSERT INTO runner.observation
             (fund_id, source, dataset, as_of_date, fields, unsaid, url, cycle_id, said_at)
         SELECT *, $8::bigint, now()
         FROM unnest($1::bigint[], $2::text[], $3::text[], $4::date[], $5::jsonb[], $6::jsonb[], $7::text[])
         ON CONFLICT (fund_id, source, dataset) DO UPDATE SET
             as_of_date = EXCLUDED.as_of_date, fields = EXCLUDED.fields, unsaid = EXCLUDED.unsaid,
             url = EXCLUDED.url, cycle_id = EXCLUDED.cycle_id, said_at = EXCLUDED.said_at",
        &[&fund_ids, &sources, &datasets, &dates, &fields, &unsaid, &urls, &cycle_id],
    )
    .await
}

/// Converts a field to JSON. Numbers and dates are text, so that no reader converts them to floats (D5).
fn field_json(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!(text),
        Value::Number(number) => json!(number.to_string()),
        Value::Int(int) => json!(int),
        Value::Date(date) => json!(date.to_string()),
        Value::Flag(flag) => json!(flag),
    }
}

/// Parses a value from text or a JSON scalar.
pub(super) fn read_value(kind: Kind, text: &str) -> Option<Value> {
    Some(match kind {
        Kind::Text => Value::Text(text.to_owned()),
        Kind::Number => Value::Number(Number::parse(text).ok()?),
        Kind::Int => Value::Int(text.parse().ok()?),
        Kind::Date => Value::Date(text.parse().ok()?),
        Kind::Flag => Value::Flag(match text {
            "true" | "t" => true,
            "false" | "f" => false,
            _ => return None,
        }),
    })
}

fn encode_fields(fields: &Fields) -> Map<String, Json> {
    fields
        .iter()
        .map(|(name, value)| (name.clone(), field_json(value)))
        .collect()
}

fn decode_fields(
    statement_key: StatementKey,
    object: Map<String, Json>,
) -> Result<Fields, StoreError> {
    let mut fields = Fields::new();
    for (name, json) in object {
        let text = match &json {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        let value = kind_of_field(statement_key.1, &name).and_then(|kind| read_value(kind, &text));
        let Some(value) = value else {
            return Err(unreadable(
                statement_key,
                &format!("field `{name}` holds {json}"),
            ));
        };
        fields.insert(name, value);
    }
    Ok(fields)
}

fn encode(content: &Content) -> Result<Json, serde_json::Error> {
    match content {
        Content::Fields(fields) => Ok(Json::Object(encode_fields(fields))),
        Content::Rows(rows) => serde_json::to_value(RowsJson {
            rows: rows
                .iter()
                .map(|(key, row)| RowJson {
                    key: key.clone(),
                    url: row.url.clone(),
                    fields: encode_fields(&row.fields),
                    dividends: row.dividends.clone(),
                })
                .collect(),
        }),
        Content::Portfolio(rows) => serde_json::to_value(PortfolioJson { rows: rows.clone() }),
        Content::Codes(codes) => serde_json::to_value(CodesJson {
            codes: codes.clone(),
        }),
        Content::AdoptedPortfolios(portfolios) => serde_json::to_value(AdoptedJson {
            portfolios: portfolios.clone(),
        }),
    }
}

fn decode(statement_key: StatementKey, json: Json) -> Result<Content, StoreError> {
    let read = |error: serde_json::Error| unreadable(statement_key, &error);
    match statement_key.1 {
        Dataset::Codes | Dataset::ProfileCodes => {
            let CodesJson { codes } = serde_json::from_value(json).map_err(read)?;
            Ok(Content::Codes(codes))
        }
        Dataset::TopHoldings
        | Dataset::FullHoldings
        | Dataset::AssetAllocation
        | Dataset::SectorAllocation
        | Dataset::CountryAllocation => {
            if statement_key.0 == SourceName::Adopted {
                let AdoptedJson { portfolios } = serde_json::from_value(json).map_err(read)?;
                Ok(Content::AdoptedPortfolios(portfolios))
            } else {
                let PortfolioJson { rows } = serde_json::from_value(json).map_err(read)?;
                Ok(Content::Portfolio(rows))
            }
        }
        Dataset::Dividends | Dataset::Performance => {
            let RowsJson { rows } = serde_json::from_value(json).map_err(read)?;
            let mut by_key = Rows::new();
            for row in rows {
                let stored = StoredRow {
                    fields: decode_fields(statement_key, row.fields)?,
                    url: row.url,
                    dividends: row.dividends,
                };
                by_key.insert(row.key, stored);
            }
            Ok(Content::Rows(by_key))
        }
        _ => {
            let Json::Object(object) = json else {
                return Err(unreadable(statement_key, &"not an object"));
            };
            decode_fields(statement_key, object).map(Content::Fields)
        }
    }
}
