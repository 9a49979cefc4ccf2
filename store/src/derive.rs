//! Derives the small tables from the held statements, in the transaction of the batch (D4).

use std::collections::{BTreeMap, BTreeSet};

use schema::append::{RowKey, Rows};
use schema::columns::Fields;
use schema::fold::{Content, StoredObservation};
use schema::merge_appended::{MergedEntry, merge_appended};
use schema::merge_funds::{MergedRow, Statements, merge_codes, merge_row};
use schema::observation::PortfolioKind;
use schema::precedence::{
    AppendTable, Precedence, ROW_TABLES, RowTable, StatementKey, portfolio_place,
};
use schema::{Dataset, FundCode, failpoint};

use super::append::{self, AppendEffects};
use super::codes::{self, CodeEffect, CodeEffects};
use super::connection::Transaction;
use super::error::StoreError;
use super::portfolios::{self, NewPortfolio, PortfolioEffect};
use super::report::{RecordCounts, TableCounts};
use super::rows::{self, RowEffect};

/// A fund whose rows are derived: all held statements about it, and which of them changed.
pub(super) struct Touched<'held> {
    pub fund_code: &'held FundCode,
    pub held: &'held Statements,
    /// The statements that changed in this batch; all of them for a fund that enters the universe.
    pub changed: BTreeSet<StatementKey>,
    /// Whether the fund enters the universe. It then gets a row in each table in which every fund has one, even an
    /// empty row.
    pub enters: bool,
}

/// The effects of the derivation, by table.
pub(super) struct Derived<'rules> {
    precedence: &'rules Precedence,
    pub tables: BTreeMap<&'static str, TableCounts>,
    merged: BTreeMap<&'static str, BTreeMap<FundCode, MergedRow>>,
    rows: BTreeMap<&'static str, BTreeMap<FundCode, RowEffect>>,
    portfolios: BTreeMap<(FundCode, StatementKey), PortfolioEffect>,
    codes: CodeEffects,
    appended: BTreeMap<&'static str, Appended>,
}

/// The wanted rows of a table whose rows are only added and changed, and what was done with each.
struct Appended {
    wanted: BTreeMap<FundCode, BTreeMap<RowKey, MergedEntry>>,
    effects: AppendEffects,
}

fn portfolio_kind(dataset: Dataset) -> Option<PortfolioKind> {
    PortfolioKind::ALL
        .into_iter()
        .find(|kind| kind.dataset() == dataset)
}

/// Returns the datasets whose statements must be read to derive the tables that a statement of `dataset` supplies.
pub(super) fn read_with(dataset: Dataset) -> Vec<Dataset> {
    let mut datasets: Vec<Dataset> = ROW_TABLES
        .iter()
        .filter(|table| feeds(table, dataset))
        .flat_map(|table| table.suppliers().map(|(_, dataset)| dataset))
        .collect();
    if is_of_codes(dataset) {
        datasets.extend([Dataset::Codes, Dataset::ProfileCodes]);
    }
    datasets.push(dataset);
    datasets
}

const fn is_of_codes(dataset: Dataset) -> bool {
    matches!(dataset, Dataset::Codes | Dataset::ProfileCodes)
}

fn feeds(table: &RowTable, dataset: Dataset) -> bool {
    table.suppliers().any(|(_, ranked)| ranked == dataset)
}

/// Writes the rows of the touched funds. A fund's master row is written first, because the others refer to it.
pub(super) async fn derive<'rules>(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    precedence: &'rules Precedence,
    touched: &[Touched<'_>],
    closed_monthly: &[i64],
) -> Result<Derived<'rules>, StoreError> {
    let mut derived = Derived {
        precedence,
        tables: BTreeMap::new(),
        merged: BTreeMap::new(),
        rows: BTreeMap::new(),
        portfolios: BTreeMap::new(),
        codes: CodeEffects::new(),
        appended: BTreeMap::new(),
    };
    for table in precedence.row_tables() {
        let mut merged = BTreeMap::new();
        for fund in touched {
            let is_supplied = fund
                .changed
                .iter()
                .any(|statement_key| table.is_supplied_by(*statement_key));
            if (is_supplied || (fund.enters && table.always))
                && let Some(row) = merge_row(table, fund.held, closed_monthly)
            {
                merged.insert(fund.fund_code.clone(), row);
            }
        }
        if merged.is_empty() {
            continue;
        }
        let effects = rows::write(tx, cycle_id, table, &merged).await?;
        let counts = derived.tables.entry(table.table).or_default();
        for effect in effects.values() {
            match effect {
                RowEffect::Inserted => counts.rows_inserted += 1,
                RowEffect::Updated(_) => counts.rows_updated += 1,
                RowEffect::Unchanged => {}
            }
        }
        derived.merged.insert(table.table, merged);
        derived.rows.insert(table.table, effects);
    }
    failpoint::BATCH_ROWS_DERIVED.pass().await?;
    derive_portfolios(tx, cycle_id, touched, &mut derived).await?;
    failpoint::BATCH_PORTFOLIOS_WRITTEN.pass().await?;
    derive_codes(tx, cycle_id, touched, &mut derived).await?;
    for table in precedence.append_tables() {
        derive_appended(tx, cycle_id, table, touched, &mut derived).await?;
    }
    Ok(derived)
}

async fn derive_appended(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    table: &AppendTable,
    touched: &[Touched<'_>],
    derived: &mut Derived<'_>,
) -> Result<(), StoreError> {
    let wanted: BTreeMap<_, _> = touched
        .iter()
        .filter(|fund| fund.changed.iter().any(|key| key.1 == table.dataset))
        .map(|fund| (fund.fund_code.clone(), merge_appended(table, fund.held)))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let effects = append::write(tx, cycle_id, table, &wanted).await?;
    let counts = derived.tables.entry(table.table).or_default();
    for effect in effects.values() {
        match effect {
            RowEffect::Inserted => counts.rows_inserted += 1,
            RowEffect::Updated(_) => counts.rows_updated += 1,
            RowEffect::Unchanged => {}
        }
    }
    derived
        .appended
        .insert(table.table, Appended { wanted, effects });
    Ok(())
}

async fn derive_portfolios(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    touched: &[Touched<'_>],
    derived: &mut Derived<'_>,
) -> Result<(), StoreError> {
    let mut keys = Vec::new();
    let mut new = Vec::new();
    for fund in touched {
        for statement_key in &fund.changed {
            if let Some(kind) = portfolio_kind(statement_key.1)
                && let Some(
                    held @ StoredObservation {
                        content: Content::Portfolio(rows),
                        ..
                    },
                ) = fund.held.get(statement_key)
            {
                keys.push((fund.fund_code.clone(), *statement_key));
                new.push(NewPortfolio {
                    fund_code: fund.fund_code,
                    source: statement_key.0,
                    place: portfolio_place(kind),
                    as_of_date: held.as_of_date,
                    url: &held.url,
                    rows,
                });
            }
        }
    }
    let effects = portfolios::write(tx, cycle_id, &new).await?;
    for ((key, portfolio), effect) in keys.into_iter().zip(&new).zip(effects) {
        let counts = derived.tables.entry(portfolio.place.table).or_default();
        counts.rows_inserted += effect.inserted;
        counts.rows_updated += effect.updated + effect.removed;
        derived.portfolios.insert(key, effect);
    }
    Ok(())
}

async fn derive_codes(
    tx: &Transaction<'_>,
    cycle_id: Option<i64>,
    touched: &[Touched<'_>],
    derived: &mut Derived<'_>,
) -> Result<(), StoreError> {
    let wanted = touched
        .iter()
        .filter(|fund| {
            fund.changed
                .iter()
                .any(|statement_key| is_of_codes(statement_key.1))
        })
        .map(|fund| {
            (
                fund.fund_code.clone(),
                merge_codes(derived.precedence.codes(), fund.held),
            )
        })
        .collect();
    let effects = codes::write(tx, cycle_id, &wanted).await?;
    for effect in effects.values() {
        let counts = derived.tables.entry("funds_codes").or_default();
        match effect {
            CodeEffect::Inserted => counts.rows_inserted += 1,
            CodeEffect::Updated => counts.rows_updated += 1,
            CodeEffect::Unchanged => {}
        }
    }
    derived.codes = effects;
    Ok(())
}

impl Derived<'_> {
    /// Counts the effects of the records of one statement that changed the held one (O4). `said` are its rows, for a
    /// table whose rows are only added and changed.
    pub(super) fn count(
        &self,
        counts: &mut RecordCounts,
        fund_code: &FundCode,
        statement_key: StatementKey,
        held: &StoredObservation,
        (records, said): (u64, &Rows),
    ) {
        match &held.content {
            Content::Fields(fields) => self.count_fields(counts, fund_code, statement_key, fields),
            Content::Portfolio(_) | Content::AdoptedPortfolios(_) => {
                match self.portfolios.get(&(fund_code.clone(), statement_key)) {
                    Some(effect) => {
                        counts.inserted += effect.inserted;
                        counts.updated += effect.updated;
                        counts.unchanged += effect.unchanged;
                    }
                    None => counts.superseded += records,
                }
            }
            Content::Codes(codes) => {
                // Codes kept from an earlier factsheet are not records of this statement.
                let said = codes
                    .iter()
                    .filter(|code| code.url.as_ref().is_none_or(|url| *url == held.url));
                let mut left = records;
                for code in said {
                    if left == 0 {
                        break;
                    }
                    left -= 1;
                    let key = (fund_code.clone(), code.code_type.clone(), code.code.clone());
                    match self.codes.get(&key) {
                        Some(CodeEffect::Inserted) => counts.inserted += 1,
                        Some(CodeEffect::Updated) => counts.updated += 1,
                        Some(CodeEffect::Unchanged) => counts.unchanged += 1,
                        None => counts.superseded += 1,
                    }
                }
                counts.unchanged += left;
            }
            Content::Rows(_) => {
                for (key, row) in said {
                    self.count_row(counts, fund_code, statement_key, key, &row.fields);
                }
                // Rows without a value, and the earlier ones of several rows under one key, have no effect.
                counts.superseded += records.saturating_sub(said.len() as u64);
            }
        }
    }

    fn count_row(
        &self,
        counts: &mut RecordCounts,
        fund_code: &FundCode,
        (source, dataset): StatementKey,
        key: &RowKey,
        fields: &Fields,
    ) {
        let mut tables = self.precedence.append_tables().iter();
        let table = tables.find(|table| table.dataset == dataset);
        let found = table.and_then(|table| {
            let appended = self.appended.get(table.table)?;
            Some((
                appended.wanted.get(fund_code)?.get(key)?,
                appended.effects.get(&(fund_code.clone(), key.clone()))?,
            ))
        });
        let Some((entry, effect)) = found else {
            counts.superseded += 1;
            return;
        };
        let supplies = |column: &str| entry.winners.get(column) == Some(&source);
        let stands = fields
            .iter()
            .all(|(name, value)| entry.fields.get(name) == Some(value));
        match effect {
            RowEffect::Inserted if entry.winners.values().any(|winner| *winner == source) => {
                counts.inserted += 1;
            }
            RowEffect::Updated(columns) if columns.iter().any(|column| supplies(column)) => {
                counts.updated += 1;
            }
            _ if stands => counts.unchanged += 1,
            _ => counts.superseded += 1,
        }
    }

    fn count_fields(
        &self,
        counts: &mut RecordCounts,
        fund_code: &FundCode,
        statement_key: StatementKey,
        fields: &Fields,
    ) {
        let table = self
            .precedence
            .row_tables()
            .iter()
            .find(|table| table.is_supplied_by(statement_key));
        let found = table.and_then(|table| {
            Some((
                self.merged.get(table.table)?.get(fund_code)?,
                self.rows.get(table.table)?.get(fund_code)?,
            ))
        });
        let Some((row, effect)) = found else {
            counts.superseded += 1;
            return;
        };
        let first = table.and_then(|table| {
            table
                .suppliers()
                .find(|statement_key| row.winners.values().any(|winner| winner == statement_key))
        });
        let changes = match effect {
            RowEffect::Inserted if first == Some(statement_key) => {
                counts.inserted += 1;
                return;
            }
            RowEffect::Inserted => row.winners.values().any(|winner| *winner == statement_key),
            RowEffect::Updated(columns) => columns
                .iter()
                .any(|column| row.winners.get(*column) == Some(&statement_key)),
            RowEffect::Unchanged => false,
        };
        let stands = fields
            .iter()
            .all(|(name, value)| row.fields.get(name).is_none_or(|stands| stands == value));
        if changes {
            counts.updated += 1;
        } else if stands {
            counts.unchanged += 1;
        } else {
            counts.superseded += 1;
        }
    }
}
