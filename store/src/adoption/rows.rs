//! Adoption of the rows of an older warehouse: normalises fund codes (D9), moves duplicates and rows without a key
//! away, and numbers portfolio rows.

use std::collections::BTreeMap;

use tokio_postgres::Transaction;

use schema::{FundCode, SourceName};

use super::super::error::StoreError;
use super::refused;
use super::tables::{AdoptedTable, UniqueOn, has_unique};

/// Temporary tables for rows that are moved away until `history.adopted` exists, and for changed codes.
pub(super) const LEFTOVERS: &str = "
    CREATE TEMPORARY TABLE adopted_leftover (
        table_name TEXT NOT NULL, fund_code TEXT, row_before JSONB NOT NULL, reason TEXT NOT NULL
    );
    CREATE TEMPORARY TABLE adopted_code (
        old TEXT COLLATE \"C\" PRIMARY KEY, new TEXT COLLATE \"C\"
    ) ON COMMIT DROP;";

/// Moves rows to the temporary table for `history.adopted`. `rows` is a query for their `ctid`.
async fn move_away(
    tx: &Transaction<'_>,
    table: &str,
    rows: &str,
    reason: &str,
) -> Result<(), StoreError> {
    tx.batch_execute(&format!(
        "WITH gone AS (DELETE FROM public.{table} t WHERE t.ctid IN ({rows}) RETURNING t.fund_code, to_jsonb(t) AS was)
         INSERT INTO adopted_leftover (table_name, fund_code, row_before, reason)
         SELECT '{table}', fund_code, was, '{reason}' FROM gone"
    ))
    .await
    .map_err(refused(&format!("the rows of public.{table}")))
}

/// Normalises every code. If two spellings of a code have the same row, the row with the latest `scraped_at` stays.
pub(super) async fn normalise_codes(
    tx: &Transaction<'_>,
    tables: &[&AdoptedTable],
) -> Result<(), StoreError> {
    let mut respelt: BTreeMap<String, Option<String>> = BTreeMap::new();
    for table in tables {
        move_away(
            tx,
            table.name,
            &format!(
                "SELECT ctid FROM public.{} WHERE fund_code IS NULL",
                table.name
            ),
            "the row has no fund code",
        )
        .await?;
        let select = format!("SELECT DISTINCT fund_code FROM public.{}", table.name);
        for row in tx.query(&select, &[]).await? {
            let old: String = row.try_get(0)?;
            let new = FundCode::parse(&old).ok().map(String::from);
            if new.as_deref() != Some(old.as_str()) {
                respelt.insert(old, new);
            }
        }
    }
    let (old, new): (Vec<String>, Vec<Option<String>>) = respelt.into_iter().unzip();
    tx.execute(
        "INSERT INTO adopted_code (old, new) SELECT * FROM unnest($1::text[], $2::text[])",
        &[&old, &new],
    )
    .await?;
    for table in tables {
        let name = table.name;
        move_away(
            tx,
            name,
            &format!(
                "SELECT r.ctid FROM public.{name} r JOIN adopted_code c ON c.old = r.fund_code WHERE c.new IS NULL"
            ),
            "the fund code is none",
        )
        .await?;
        if !table.numbered {
            drop_doubles(tx, table).await?;
        }
        tx.batch_execute(&format!(
            "UPDATE public.{name} t SET fund_code = c.new FROM adopted_code c WHERE c.old = t.fund_code"
        ))
        .await
        .map_err(refused(&format!("the fund codes of public.{name}")))?;
    }
    Ok(())
}

/// Of several rows with the same key, keeps the one with the latest `scraped_at` and moves the others away. If the key
/// is already unique, only rows with a changed code are examined.
async fn drop_doubles(tx: &Transaction<'_>, table: &AdoptedTable) -> Result<(), StoreError> {
    let name = table.name;
    for column in table.key {
        move_away(
            tx,
            name,
            &format!("SELECT ctid FROM public.{name} WHERE {column} IS NULL"),
            "the row has no key",
        )
        .await?;
    }
    let among = if has_unique(tx, name, &table.key_columns()).await? == UniqueOn::TheseColumns {
        "WHERE r.fund_code IN (SELECT old FROM adopted_code UNION SELECT new FROM adopted_code)"
    } else {
        ""
    };
    let mut key = vec!["COALESCE(c.new, r.fund_code)".to_owned()];
    key.extend(table.key.iter().map(|column| format!("r.{column}")));
    let doubles = format!(
        "SELECT d.ctid FROM (
             SELECT r.ctid, row_number() OVER (
                 PARTITION BY {} ORDER BY r.scraped_at DESC, c.old IS NULL DESC, r.ctid DESC) AS place
             FROM public.{name} r LEFT JOIN adopted_code c ON c.old = r.fund_code {among}) d
         WHERE d.place > 1",
        key.join(", ")
    );
    move_away(
        tx,
        name,
        &doubles,
        "another row of the same key was scraped later",
    )
    .await
}

/// Runs the remaining steps for a table after its codes are normalised.
pub(super) async fn settle(tx: &Transaction<'_>, table: &AdoptedTable) -> Result<(), StoreError> {
    let name = table.name;
    match name {
        "funds_master_info" => tx
            .batch_execute(
                "UPDATE public.funds_master_info SET fund_status = 'active'
                 WHERE fund_status IS NULL OR lower(trim(fund_status)) NOT IN ('active', 'inactive');
                 UPDATE public.funds_master_info SET fund_status = lower(trim(fund_status))
                 WHERE fund_status <> lower(trim(fund_status));
                 ALTER TABLE public.funds_master_info ALTER COLUMN fund_status SET DEFAULT 'active';",
            )
            .await
            .map_err(refused("public.funds_master_info.fund_status")),
        "funds_daily" => tx
            .batch_execute(
                "UPDATE public.funds_daily SET nav_value = NULLIF(nav_value, 'NaN'), bid = NULLIF(bid, 'NaN'),
                     offer = NULLIF(offer, 'NaN'), aum = NULLIF(aum, 'NaN')
                 WHERE 'NaN' IN (nav_value, bid, offer, aum)",
            )
            .await
            .map_err(refused("the numbers of public.funds_daily")),
        _ if table.numbered => number_rows(tx, table).await,
        _ => Ok(()),
    }
}

/// Keeps the newest portfolio of each source and type, and numbers its rows in the order in which they were written.
async fn number_rows(tx: &Transaction<'_>, table: &AdoptedTable) -> Result<(), StoreError> {
    let name = table.name;
    let kind = table.key[1];
    let sources: Vec<String> = SourceName::ALL
        .iter()
        .map(|source| format!("'{source}'"))
        .collect();
    let unknown_kind = if kind == "holding_type" {
        "full"
    } else {
        "unknown"
    };
    tx.batch_execute(&format!(
        "UPDATE public.{name} SET source = CASE
             WHEN source IS NULL OR trim(source) = '' THEN 'adopted'
             WHEN lower(trim(source)) IN ({sources}) THEN lower(trim(source)) ELSE source END,
             {kind} = COALESCE({kind}, '{unknown_kind}'), percent = NULLIF(percent, 'NaN')
         WHERE source IS NULL OR source NOT IN ({sources}) OR {kind} IS NULL OR percent = 'NaN'",
        sources = sources.join(", ")
    ))
    .await
    .map_err(refused(&format!("the sources of public.{name}")))?;
    let older = format!(
        "SELECT r.ctid FROM public.{name} r
         JOIN (SELECT fund_code, source, {kind}, max(as_of_date) AS newest FROM public.{name} GROUP BY 1, 2, 3) n
           USING (fund_code, source, {kind})
         WHERE n.newest IS NOT NULL AND r.as_of_date IS DISTINCT FROM n.newest"
    );
    move_away(
        tx,
        name,
        &older,
        "a newer portfolio of the same source stands",
    )
    .await?;
    let doubles = format!(
        "SELECT d.ctid FROM (
             SELECT ctid, row_number() OVER (PARTITION BY fund_code, source, {kind}, name, percent ORDER BY ctid) AS place
             FROM public.{name}) d
         WHERE d.place > 1"
    );
    move_away(tx, name, &doubles, "exact duplicate").await?;
    let has_id = tx
        .query_one(
            "SELECT EXISTS (SELECT 1 FROM pg_attribute
                 WHERE attrelid = to_regclass('public.' || $1) AND attname = 'id' AND NOT attisdropped)",
            &[&name],
        )
        .await?;
    let order = if has_id.try_get(0)? { "id" } else { "ctid" };
    tx.batch_execute(&format!(
        "UPDATE public.{name} t SET row_no = n.place
         FROM (SELECT ctid, row_number() OVER (PARTITION BY fund_code, source, {kind} ORDER BY {order})::integer AS place
               FROM public.{name}) n
         WHERE n.ctid = t.ctid;
         ALTER TABLE public.{name} ALTER COLUMN row_no SET NOT NULL,
             ALTER COLUMN source SET NOT NULL, ALTER COLUMN {kind} SET NOT NULL"
    ))
    .await
    .map_err(refused(&format!("the row numbers of public.{name}")))
}

/// Inserts master rows for codes that only other tables contain.
pub(super) async fn add_missing_master_rows(tx: &Transaction<'_>) -> Result<(), StoreError> {
    for table in super::ADOPTED_TABLES.iter().skip(1) {
        tx.batch_execute(&format!(
            "INSERT INTO public.funds_master_info (fund_code)
             SELECT DISTINCT t.fund_code FROM public.{} t
             WHERE NOT EXISTS (SELECT 1 FROM public.funds_master_info m WHERE m.fund_code = t.fund_code)",
            table.name
        ))
        .await
        .map_err(refused(&format!("master rows for public.{}", table.name)))?;
    }
    Ok(())
}
