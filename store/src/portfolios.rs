//! `funds_holding` and `funds_allocations`: writes one portfolio per fund, source and kind. Only rows that differ are
//! written.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::json;

use schema::observation::PortfolioRow;
use schema::precedence::PortfolioPlace;
use schema::{FundCode, Number, SourceName};

use super::connection::{Queries as _, Transaction};
use super::error::StoreError;

/// A portfolio that becomes the stored one.
#[derive(Debug, Clone)]
pub(super) struct NewPortfolio<'held> {
    pub fund_code: &'held FundCode,
    pub source: SourceName,
    pub place: PortfolioPlace,
    pub as_of_date: Option<Date>,
    pub url: &'held str,
    pub rows: &'held [PortfolioRow],
}

/// What happened to the rows of a portfolio.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PortfolioEffect {
    pub inserted: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub removed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct StandingRow {
    name: Option<String>,
    percent: Option<Number>,
    as_of_date: Option<Date>,
    url: Option<String>,
}

type Key = (String, String, String);
type Standing = BTreeMap<Key, BTreeMap<i32, StandingRow>>;

/// Writes portfolios. A replaced portfolio is stored whole in `history.portfolio`. Returns one effect for each
/// portfolio, in the same order.
pub(super) async fn write(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    portfolios: &[NewPortfolio<'_>],
) -> Result<Vec<PortfolioEffect>, StoreError> {
    let mut effects = vec![PortfolioEffect::default(); portfolios.len()];
    for (table, type_column) in [
        ("funds_holding", "holding_type"),
        ("funds_allocations", "type"),
    ] {
        let chosen: Vec<usize> = (0..portfolios.len())
            .filter(|at| portfolios[*at].place.table == table)
            .collect();
        if chosen.is_empty() {
            continue;
        }
        let codes: Vec<&str> = chosen
            .iter()
            .map(|at| portfolios[*at].fund_code.as_str())
            .collect();
        let standing = read_standing(tx, table, type_column, &codes).await?;
        let mut rows = RowArrays::default();
        for at in chosen {
            effects[at] = rows.collect(&portfolios[at], &standing);
        }
        rows.write(tx, cycle_id, table, type_column).await?;
    }
    Ok(effects)
}

async fn read_standing(
    tx: &Transaction<'_>,
    table: &str,
    type_column: &str,
    codes: &[&str],
) -> Result<Standing, StoreError> {
    let select = format!(
        "SELECT fund_code, source, {type_column}, row_no, name, percent::text, as_of_date, source_url
         FROM public.{table} WHERE fund_code = ANY($1)"
    );
    let mut standing = Standing::new();
    for row in tx.query(&select, &[&codes]).await? {
        let percent: Option<String> = row.try_get(5)?;
        standing
            .entry((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
            .or_default()
            .insert(
                row.try_get(3)?,
                StandingRow {
                    name: row.try_get(4)?,
                    percent: percent.and_then(|percent| Number::parse(&percent).ok()),
                    as_of_date: row.try_get(6)?,
                    url: row.try_get(7)?,
                },
            );
    }
    Ok(standing)
}

/// The rows of many portfolios of one table, by column.
#[derive(Default)]
struct RowArrays {
    codes: Vec<String>,
    sources: Vec<&'static str>,
    types: Vec<&'static str>,
    row_nos: Vec<i32>,
    names: Vec<String>,
    percents: Vec<Option<String>>,
    dates: Vec<Option<Date>>,
    urls: Vec<String>,
    /// Portfolios that become shorter: key, new length and number of removed rows.
    shortened: Vec<(Key, i32, usize)>,
    replaced: Vec<(Key, Option<Date>, Option<String>, serde_json::Value)>,
}

impl RowArrays {
    fn collect(&mut self, new: &NewPortfolio<'_>, standing: &Standing) -> PortfolioEffect {
        let key = (
            new.fund_code.to_string(),
            new.source.as_str().to_owned(),
            new.place.type_word.to_owned(),
        );
        let none = BTreeMap::new();
        let before = standing.get(&key).unwrap_or(&none);
        let mut effect = PortfolioEffect::default();
        let mut replaces = false;
        for (row, row_no) in new.rows.iter().zip(1_i32..) {
            let wanted = StandingRow {
                name: Some(row.name.clone()),
                percent: row.percent,
                as_of_date: new.as_of_date,
                url: Some(new.url.to_owned()),
            };
            match before.get(&row_no) {
                Some(stands) if *stands == wanted => {
                    effect.unchanged += 1;
                    continue;
                }
                Some(stands) => {
                    effect.updated += 1;
                    replaces |= stands.name != wanted.name
                        || stands.percent != wanted.percent
                        || (stands.as_of_date.is_some() && stands.as_of_date != wanted.as_of_date);
                }
                None => effect.inserted += 1,
            }
            self.codes.push(key.0.clone());
            self.sources.push(new.source.as_str());
            self.types.push(new.place.type_word);
            self.row_nos.push(row_no);
            self.names.push(row.name.clone());
            self.percents
                .push(row.percent.map(|percent| percent.to_string()));
            self.dates.push(new.as_of_date);
            self.urls.push(new.url.to_owned());
        }
        let length = i32::try_from(new.rows.len()).unwrap_or(i32::MAX);
        effect.removed = before.keys().filter(|row_no| **row_no > length).count() as u64;
        if effect.removed > 0 {
            let removed = usize::try_from(effect.removed).unwrap_or(usize::MAX);
            self.shortened.push((key.clone(), length, removed));
        }
        if replaces || effect.removed > 0 {
            let rows: Vec<_> = before
                .values()
                .map(|row| json!({"name": row.name, "percent": row.percent.map(|percent| percent.to_string())}))
                .collect();
            let first = before.values().next();
            let as_of_date = first.and_then(|row| row.as_of_date);
            let url = first.and_then(|row| row.url.clone());
            self.replaced.push((key, as_of_date, url, json!(rows)));
        }
        effect
    }

    async fn write(
        &self,
        tx: &Transaction<'_>,
        cycle_id: Option<i64>,
        table: &str,
        type_column: &str,
    ) -> Result<(), StoreError> {
        for ((fund_code, source, kind), as_of_date, url, rows) in &self.replaced {
            tx.execute_expecting(
                "history.portfolio",
                1,
                "INSERT INTO history.portfolio (cycle_id, table_name, fund_code, source, type, as_of_date, source_url, rows)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                &[&cycle_id, &table, fund_code, source, kind, as_of_date, url, rows],
            )
            .await?;
        }
        let delete = format!(
            "DELETE FROM public.{table} WHERE fund_code = $1 AND source = $2 AND {type_column} = $3 AND row_no > $4"
        );
        let name = format!("public.{table}");
        for ((fund_code, source, kind), length, removed) in &self.shortened {
            tx.execute_expecting(&name, *removed, &delete, &[fund_code, source, kind, length])
                .await?;
        }
        if self.codes.is_empty() {
            return Ok(());
        }
        let (kind_name, kind_value) = if table == "funds_holding" {
            ("type, ", "'holding', ")
        } else {
            ("", "")
        };
        let upsert = format!(
            "INSERT INTO public.{table} AS standing
                 (fund_code, source, {type_column}, row_no, {kind_name}name, percent, as_of_date, source_url)
             SELECT fund_code, source, kind, row_no, {kind_value}name, percent::numeric, as_of_date, url
             FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::date[], $8::text[])
                  AS new (fund_code, source, kind, row_no, name, percent, as_of_date, url)
             ON CONFLICT (fund_code, source, {type_column}, row_no) DO UPDATE SET
                 name = EXCLUDED.name, percent = EXCLUDED.percent, as_of_date = EXCLUDED.as_of_date,
                 source_url = EXCLUDED.source_url, scraped_at = now()"
        );
        tx.execute_expecting(
            &name,
            self.codes.len(),
            &upsert,
            &[
                &self.codes,
                &self.sources,
                &self.types,
                &self.row_nos,
                &self.names,
                &self.percents,
                &self.dates,
                &self.urls,
            ],
        )
        .await
    }
}
