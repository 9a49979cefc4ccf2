//! Adoption of an older warehouse: converts every row to a statement of the source `adopted`, which has the lowest
//! rank. Adopted rows need no other special treatment after that.

use tokio_postgres::Transaction;

use schema::Dataset;
use schema::columns::{Column, Kind};
use schema::observation::PortfolioKind;
use schema::precedence::{FEE, MASTER, ROW_TABLES, RowTable, portfolio_place};

use super::super::error::StoreError;
use super::refused;

pub(super) async fn write(tx: &Transaction<'_>) -> Result<(), StoreError> {
    for table in ROW_TABLES {
        run(tx, &row_statements(table), table.table).await?;
    }
    run(tx, CODES, "funds_codes").await?;
    for kind in PortfolioKind::ALL {
        run(tx, &portfolio_statements(kind), portfolio_place(kind).table).await?;
    }
    Ok(())
}

async fn run(tx: &Transaction<'_>, insert: &str, table: &str) -> Result<(), StoreError> {
    tx.batch_execute(insert)
        .await
        .map_err(refused(&format!("the statements of public.{table}")))
}

/// A cell as it is stored in an observation: numbers are exact text, rounded to the decimals that the runner keeps.
fn json_of(column: &Column) -> String {
    let name = column.name;
    let value = match column.kind {
        Kind::Number => format!("trim_scale(round(NULLIF(t.{name}, 'NaN'), 10))::text"),
        Kind::Date => format!("t.{name}::text"),
        Kind::Text | Kind::Int | Kind::Flag => format!("t.{name}"),
    };
    format!("'{name}', {value}")
}

fn row_statements(table: &RowTable) -> String {
    let dataset = match table.table {
        name if name == MASTER.table => Dataset::Master,
        name if name == FEE.table => Dataset::Fees,
        _ => Dataset::Statistics,
    };
    let fields: Vec<String> = table.columns.iter().map(json_of).collect();
    let as_of_date = if table.dated {
        "t.as_of_date"
    } else {
        "NULL::date"
    };
    format!(
        "INSERT INTO runner.observation (fund_id, source, dataset, as_of_date, fields, url, said_at)
         SELECT f.fund_id, 'adopted', '{dataset}', {as_of_date}, jsonb_strip_nulls(jsonb_build_object({fields})),
                COALESCE(t.{url}, ''), t.scraped_at
         FROM public.{table} t JOIN runner.fund f USING (fund_code)",
        fields = fields.join(", "),
        url = table.url_column,
        table = table.table,
    )
}

const CODES: &str = "
    INSERT INTO runner.observation (fund_id, source, dataset, fields, url, said_at)
    SELECT f.fund_id, 'adopted', 'codes',
           jsonb_build_object('codes', jsonb_agg(
               jsonb_build_object('type', t.type, 'code', t.code, 'url', t.factsheet_url) ORDER BY t.type, t.code)),
           COALESCE(max(t.factsheet_url), ''), max(t.scraped_at)
    FROM public.funds_codes t JOIN runner.fund f USING (fund_code)
    GROUP BY f.fund_id";

fn portfolio_statements(kind: PortfolioKind) -> String {
    let place = portfolio_place(kind);
    let dataset = kind.dataset();
    format!(
        "INSERT INTO runner.observation (fund_id, source, dataset, fields, url, said_at)
         SELECT f.fund_id, 'adopted', '{dataset}',
                jsonb_build_object('portfolios', jsonb_agg(jsonb_build_object(
                    'source', p.source, 'as_of_date', p.as_of_date, 'rows', p.rows) ORDER BY p.source)),
                COALESCE(max(p.url), ''), max(p.scraped_at)
         FROM (
             SELECT t.fund_code, t.source, max(t.as_of_date) AS as_of_date, max(t.source_url) AS url,
                    max(t.scraped_at) AS scraped_at,
                    jsonb_agg(jsonb_build_object('name', COALESCE(t.name, ''), 'percent',
                        trim_scale(round(t.percent, 10))::text) ORDER BY t.row_no) AS rows
             FROM public.{table} t WHERE t.{type_column} = '{word}'
             GROUP BY t.fund_code, t.source
         ) p JOIN runner.fund f USING (fund_code)
         GROUP BY f.fund_id",
        table = place.table,
        type_column = place.type_column,
        word = place.type_word,
    )
}
