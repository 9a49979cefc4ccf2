//! The ranks in force: the defaults with the changes of the operator.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::entries::{PrecedenceProblem, read_place, read_sources};
use super::supply::supplies;
use super::{
    APPEND_TABLES, AppendTable, CODES, CODES_TABLE, DAILY_TABLE, DAYS, DayRank, DayRanks,
    ROW_TABLES, RowTable, StatementKey,
};
use crate::SourceName;

/// The rank of every table and column. [`Precedence::default`] has the defaults of this file's parent, without a copy
/// of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precedence {
    row_tables: [RowTable; ROW_TABLES.len()],
    append_tables: [AppendTable; APPEND_TABLES.len()],
    codes: Cow<'static, [StatementKey]>,
    days: DayRanks,
    /// The tables and columns whose rank the operator has set, as they are written: `table` or `table.column`.
    configured: BTreeSet<String>,
}

impl Default for Precedence {
    fn default() -> Self {
        Self {
            row_tables: ROW_TABLES.map(Clone::clone),
            append_tables: APPEND_TABLES.map(Clone::clone),
            codes: Cow::Borrowed(CODES),
            days: DAYS,
            configured: BTreeSet::new(),
        }
    }
}

/// The rank of one table or column, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankInForce {
    /// `table` or `table.column`.
    pub place: String,
    /// The sources that supply values, the first in rank first.
    pub sources: Vec<SourceName>,
    /// Whether the operator has set it.
    pub is_configured: bool,
}

/// The whole rank of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRank {
    /// The table.
    pub table: &'static str,
    /// The column; `*` for a table that has one rank.
    pub column: &'static str,
    /// The sources, or the sources with their datasets, the preferred one first.
    pub rank: Vec<String>,
}

impl Precedence {
    /// Changes the defaults: each entry is a table or `table.column`, and the names of sources, the preferred one
    /// first. The sources that an entry does not name follow in the default order. The rank of a table holds for all of its
    /// columns without an entry of their own.
    ///
    /// # Errors
    /// Every unknown table, column or source, every source that never supplies the values, and everything that is
    /// named twice.
    pub fn configured<'written>(
        entries: impl IntoIterator<Item = (&'written str, Vec<&'written str>)>,
    ) -> Result<Self, Vec<PrecedenceProblem>> {
        let mut problems = Vec::new();
        let mut tables: BTreeMap<&str, Vec<SourceName>> = BTreeMap::new();
        let mut columns: BTreeMap<(&str, &str), Vec<SourceName>> = BTreeMap::new();
        let mut precedence = Self::default();
        for (written, names) in entries {
            let wrong = |found: String, expected: String| PrecedenceProblem {
                place: written.to_owned(),
                at: None,
                found,
                expected,
            };
            let place = match read_place(written) {
                Ok(place) => place,
                Err((found, expected)) => {
                    problems.push(wrong(found, expected));
                    continue;
                }
            };
            if !precedence.configured.insert(written.to_owned()) {
                let expected = "each table and each column once".to_owned();
                problems.push(wrong("given a second time".to_owned(), expected));
            }
            let sources = read_sources(written, &place, &names, &mut problems);
            match place.column {
                Some(column) => columns.insert((place.table, column), sources),
                None => tables.insert(place.table, sources),
            };
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        for (table, sources) in tables {
            precedence.set_rank(table, None, &sources);
        }
        for ((table, column), sources) in columns {
            precedence.set_rank(table, Some(column), &sources);
        }
        Ok(precedence)
    }

    /// Sets the rank of a table with all of its columns, or of one column, without a check. The sources that are not
    /// named follow in the default order.
    pub fn set_rank(&mut self, table: &str, column: Option<&str>, sources: &[SourceName]) {
        match column {
            Some(column) => self.rank_column(table, column, sources),
            None => self.rank_table(table, sources),
        }
    }

    fn rank_table(&mut self, table: &str, sources: &[SourceName]) {
        for row_table in &mut self.row_tables {
            if row_table.table == table {
                row_table.value_rank = ranked(&row_table.value_rank, sources).into();
                row_table.url_rank = ranked(&row_table.url_rank, sources).into();
                let columns = row_table.column_ranks.iter();
                let columns = columns.map(|(name, rank)| (*name, ranked(rank, sources).into()));
                row_table.column_ranks = columns.collect();
            }
        }
        for append_table in &mut self.append_tables {
            if append_table.table == table {
                append_table.rank = ranked(&append_table.rank, sources).into();
            }
        }
        if table == CODES_TABLE {
            self.codes = ranked(&self.codes, sources).into();
        }
        if table == DAILY_TABLE {
            let days = &mut self.days;
            for rank in [&mut days.nav, &mut days.bid, &mut days.offer, &mut days.aum] {
                rank_day(rank, sources);
            }
        }
    }

    fn rank_column(&mut self, table: &str, column: &str, sources: &[SourceName]) {
        for (row_table, default) in self.row_tables.iter_mut().zip(ROW_TABLES) {
            if let Some(known) = default.columns.iter().find(|known| known.name == column)
                && default.table == table
            {
                let rank = ranked(default.rank(column), sources);
                let columns = row_table.column_ranks.to_mut();
                columns.retain(|(name, _)| *name != column);
                columns.push((known.name, rank.into()));
            }
        }
        if table == DAILY_TABLE {
            let (rank, default) = match column {
                "nav_value" => (&mut self.days.nav, DAYS.nav),
                "bid" => (&mut self.days.bid, DAYS.bid),
                "offer" => (&mut self.days.offer, DAYS.offer),
                _ => (&mut self.days.aum, DAYS.aum),
            };
            *rank = default;
            rank_day(rank, sources);
        }
    }

    /// The tables that are merged field by field, in the order of [`ROW_TABLES`].
    #[must_use]
    pub const fn row_tables(&self) -> &[RowTable] {
        &self.row_tables
    }

    /// The tables whose rows are only added and changed, in the order of [`APPEND_TABLES`].
    #[must_use]
    pub const fn append_tables(&self) -> &[AppendTable] {
        &self.append_tables
    }

    /// The rank for each code type of `funds_codes`.
    #[must_use]
    pub fn codes(&self) -> &[StatementKey] {
        &self.codes
    }

    /// The ranks of `funds_daily`.
    #[must_use]
    pub const fn days(&self) -> &DayRanks {
        &self.days
    }

    /// The rank of every column, in the order of the tables.
    #[must_use]
    pub fn columns(&self) -> Vec<ColumnRank> {
        let statements = |rank: &[StatementKey]| -> Vec<String> {
            let words = rank
                .iter()
                .map(|(source, dataset)| format!("{source}/{dataset}"));
            words.collect()
        };
        let sources = |rank: &[SourceName]| rank.iter().map(ToString::to_string).collect();
        let mut columns = Vec::new();
        let mut list = |table, column, rank| {
            columns.push(ColumnRank {
                table,
                column,
                rank,
            });
        };
        for table in &self.row_tables {
            for column in table.columns {
                list(
                    table.table,
                    column.name,
                    statements(table.rank(column.name)),
                );
            }
            list(table.table, table.url_column, statements(&table.url_rank));
            if table.dated {
                list(table.table, "as_of_date", statements(&table.value_rank));
            }
        }
        for (column, rank) in self.day_columns() {
            list(DAILY_TABLE, column, sources(&rank));
        }
        list(CODES_TABLE, "*", statements(&self.codes));
        for table in &self.append_tables {
            list(table.table, "*", sources(&table.rank));
        }
        columns
    }

    const fn day_columns(&self) -> [(&'static str, DayRank); 4] {
        [
            ("nav_value", self.days.nav),
            ("bid", self.days.bid),
            ("offer", self.days.offer),
            ("aum", self.days.aum),
        ]
    }

    /// The rank of each table, and of each column with a rank of its own.
    #[must_use]
    pub fn ranks(&self) -> Vec<RankInForce> {
        let mut ranks = Vec::new();
        let mut list = |table: &str, column: Option<&str>, sources: Vec<SourceName>| {
            let place = column.map_or_else(|| table.to_owned(), |name| format!("{table}.{name}"));
            let mut supplying: Vec<SourceName> = Vec::new();
            for source in sources {
                if !supplying.contains(&source) && supplies(source, table, column) {
                    supplying.push(source);
                }
            }
            ranks.push(RankInForce {
                is_configured: self.configured.contains(&place),
                place,
                sources: supplying,
            });
        };
        let sources = |rank: &[StatementKey]| rank.iter().map(|(source, _)| *source).collect();
        for table in &self.row_tables {
            list(table.table, None, sources(&table.value_rank));
            for (column, rank) in table.column_ranks.iter() {
                list(table.table, Some(column), sources(rank));
            }
        }
        for (column, rank) in self.day_columns() {
            list(DAILY_TABLE, Some(column), rank.to_vec());
        }
        list(CODES_TABLE, None, sources(&self.codes));
        for table in &self.append_tables {
            list(table.table, None, table.rank.to_vec());
        }
        // An entry for the whole table marks the columns of the daily series, which are listed one by one.
        if self.configured.contains(DAILY_TABLE) {
            for rank in &mut ranks {
                rank.is_configured |= rank.place.starts_with(DAILY_TABLE);
            }
        }
        ranks
    }
}

/// The items in the order of the named sources, then the others in their own order.
fn ranked<T: Copy + SourceOf>(default: &[T], named: &[SourceName]) -> Vec<T> {
    let of_named = named
        .iter()
        .flat_map(|source| default.iter().filter(|item| item.source() == *source));
    let others = default
        .iter()
        .filter(|item| !named.contains(&item.source()));
    of_named.chain(others).copied().collect()
}

/// Like [`ranked`], in place. Every source has a place in the rank of a day, so its length stays.
fn rank_day(rank: &mut DayRank, named: &[SourceName]) {
    for (place, source) in ranked(rank.as_slice(), named).into_iter().enumerate() {
        rank[place] = source;
    }
}

/// An item of a rank.
trait SourceOf {
    /// The source of the item.
    fn source(&self) -> SourceName;
}

impl SourceOf for SourceName {
    fn source(&self) -> SourceName {
        *self
    }
}

impl SourceOf for StatementKey {
    fn source(&self) -> SourceName {
        self.0
    }
}

#[cfg(test)]
#[path = "in_force_tests.rs"]
mod tests;
