//! The cells of the tables: those that a set of sources reports, merged by the ranks of the sources, and those that the
//! warehouse has.

use std::collections::{BTreeMap, BTreeSet};

use simulator::Source::{
    self, Factsheet, Finnomena, RegisterFactsheet, SecFundCheck, SecOpenApi, WealthMagik,
};

use super::World;

/// A cell: the fund, the key of the row within the fund, the column.
pub type Cell = (String, String, String);
/// The value of each cell that is not NULL.
pub type Cells = BTreeMap<Cell, String>;

/// Columns of one table that have the same ranked sources.
pub struct Ranked {
    /// The name of the table.
    pub table: &'static str,
    /// The columns of a row's key within a fund, in the order of [`simulator::Reported`].
    key: &'static [&'static str],
    /// The columns that are compared; empty: all columns that a source reports.
    columns: &'static [&'static str],
    /// The sources; the first one that reports a cell supplies it.
    pub rank: &'static [Source],
    /// Whether each source has rows of its own, which the column `source` tells apart.
    has_own_rows: bool,
}

/// All columns of the tables that come from sources.
pub const RANKED: [Ranked; 11] = [
    Ranked {
        table: "funds_master_info",
        key: &[],
        columns: &[],
        rank: &[Finnomena, WealthMagik, SecOpenApi],
        has_own_rows: false,
    },
    Ranked {
        table: "funds_master_info",
        key: &[],
        columns: &["fund_tax_type", "feeder_master_fund", "management_style"],
        rank: &[SecOpenApi],
        has_own_rows: false,
    },
    Ranked {
        table: "funds_daily",
        key: &["nav_date"],
        columns: &["nav_value", "aum"],
        rank: &[SecOpenApi, Finnomena, WealthMagik],
        has_own_rows: false,
    },
    Ranked {
        table: "funds_daily",
        key: &["nav_date"],
        columns: &["bid", "offer"],
        rank: &[WealthMagik, SecOpenApi],
        has_own_rows: false,
    },
    Ranked {
        table: "funds_statistics",
        key: &[],
        columns: &[],
        rank: &[SecFundCheck, SecOpenApi],
        has_own_rows: false,
    },
    Ranked {
        table: "funds_fee",
        key: &[],
        columns: &[],
        rank: &[Finnomena, WealthMagik, SecOpenApi],
        has_own_rows: false,
    },
    Ranked {
        table: "funds_codes",
        key: &["type"],
        columns: &[],
        rank: &[SecOpenApi, Factsheet, RegisterFactsheet],
        has_own_rows: false,
    },
    Ranked {
        table: "funds_holding",
        key: &["holding_type", "row_no"],
        columns: &[],
        rank: &[Finnomena, WealthMagik, SecOpenApi],
        has_own_rows: true,
    },
    Ranked {
        table: "funds_allocations",
        key: &["type", "row_no"],
        columns: &[],
        rank: &[Finnomena, WealthMagik, SecOpenApi],
        has_own_rows: true,
    },
    Ranked {
        table: "funds_dividends",
        key: &["xd_date"],
        columns: &["value", "pay_date"],
        rank: &[SecOpenApi, Finnomena],
        has_own_rows: false,
    },
    Ranked {
        table: "funds_performance",
        key: &["as_of_date", "period"],
        columns: &["fund", "benchmark", "peer_average", "volatility"],
        rank: &[SecOpenApi],
        has_own_rows: false,
    },
];

/// Columns that do not come from a source as they are.
const NOT_REPORTED: [&str; 6] = [
    "fund_code",
    "fund_status",
    "source",
    "source_url",
    "sec_url",
    "factsheet_url",
];

impl Ranked {
    /// The columns that are compared.
    fn columns(&self) -> Vec<&'static str> {
        if !self.columns.is_empty() {
            return self.columns.to_vec();
        }
        let mut tables = simulator::TABLES.iter();
        let (_, columns) = tables
            .find(|(name, _)| *name == self.table)
            .expect("a table without columns of its own is one of the seven");
        let is_value =
            |column: &&&str| !self.key.contains(column) && !NOT_REPORTED.contains(column);
        columns.iter().filter(is_value).copied().collect()
    }

    /// Adds the cells of these funds that the sources `present` report now, of each source from the rows whose key is not below its
    /// word. A
    /// cell that is known keeps its value unless a source reports it now.
    pub fn add_reported(
        &self,
        world: &World,
        funds: &[String],
        present: &[(Source, &str)],
        cells: &mut Cells,
    ) {
        for source in self.rank.iter().rev() {
            let Some((_, since)) = present.iter().find(|(present, _)| present == source) else {
                continue;
            };
            let report = world.simulator.reported_by(*source);
            for fund in funds {
                let rows = report.rows(self.table, fund).into_iter().flatten();
                for (key, row) in rows.filter(|(key, _)| key.as_str() >= *since) {
                    let key = if self.has_own_rows {
                        format!("{} {key}", source.name())
                    } else {
                        key.clone()
                    };
                    for column in self.columns() {
                        if let Some(value) = row.get(column) {
                            let cell = (fund.clone(), key.clone(), column.to_owned());
                            cells.insert(cell, value.clone());
                        }
                    }
                }
            }
        }
    }

    /// The cells of these funds that the sources `present` report.
    pub fn reported(&self, world: &World, funds: &[String], present: &[Source]) -> Cells {
        let present: Vec<_> = present.iter().map(|source| (*source, "")).collect();
        let mut cells = Cells::new();
        self.add_reported(world, funds, &present, &mut cells);
        cells
    }

    /// The cells in the warehouse.
    pub async fn stored(&self, world: &World) -> Cells {
        let source: &[&str] = if self.has_own_rows { &["source"] } else { &[] };
        let columns = self.columns();
        let key_end = 1 + source.len() + self.key.len();
        let all = [&["fund_code"][..], source, self.key, &columns].concat();
        let mut cells = Cells::new();
        for row in world.rows(self.table, &all).await {
            let text = |at: usize| row[at].clone().unwrap_or_default();
            let key: Vec<String> = (1..key_end).map(text).collect();
            for (at, column) in columns.iter().enumerate() {
                if let Some(value) = &row[key_end + at] {
                    let cell = (text(0), key.join(" "), (*column).to_owned());
                    cells.insert(cell, value.clone());
                }
            }
        }
        cells
    }
}

/// One line for each cell that differs, at most 40.
pub fn differences(table: &str, expected: &Cells, stored: &Cells) -> Vec<String> {
    let cells: BTreeSet<&Cell> = expected.keys().chain(stored.keys()).collect();
    cells
        .into_iter()
        .filter(|cell| expected.get(*cell) != stored.get(*cell))
        .take(40)
        .map(|cell| {
            let (expected, stored) = (expected.get(cell), stored.get(cell));
            format!("{table} {cell:?}: expected {expected:?}, stored {stored:?}")
        })
        .collect()
}

/// The daily values of these funds that all sources report.
pub fn reported_days(world: &World, funds: &[String]) -> Cells {
    let days = RANKED.iter().filter(|ranked| ranked.table == "funds_daily");
    days.flat_map(|ranked| ranked.reported(world, funds, &Source::ALL))
        .collect()
}
