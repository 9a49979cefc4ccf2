//! The truth: the expected content of the seven tables after a full load.
//!
//! It comes directly from the generator's values. This module reads no served answer back and ranks no source: the
//! generator decided which value is true.

use std::fmt::{self, Display, Formatter};
use std::io;

use crate::finnomena;
use crate::generator::spelling::Name;
use crate::hosts::Urls;
use crate::market::{Block, Cells, FactsheetAnswer, FeePage, Fund, Market, Standing};
use crate::nav_series::{FINNOMENA, WEALTHMAGIK};
use crate::tables::{DAILY, TABLES};
use crate::wealthmagik::encoded_code;
use jiff::civil::Date;

/// A row of text cells; None is NULL.
pub type Row = Vec<Option<String>>;

/// One table of the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TruthTable {
    /// The table's name.
    pub name: &'static str,
    /// The table's columns, without `scraped_at`.
    pub columns: &'static [&'static str],
    /// The table's rows, sorted cell by cell as text, NULL first.
    pub rows: Vec<Row>,
}

/// The seven tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The tables, in the order of `TABLES`.
    pub tables: Vec<TruthTable>,
}

impl Truth {
    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&TruthTable> {
        self.tables.iter().find(|table| table.name == name)
    }

    pub(crate) fn of(market: &Market, urls: &Urls) -> Self {
        let tables = TABLES
            .map(|(name, columns)| {
                let mut rows: Vec<Row> = funds(market)
                    .into_iter()
                    .flat_map(|fund| rows_of(name, columns, fund, market, urls))
                    .collect();
                rows.sort_unstable();
                TruthTable {
                    name,
                    columns,
                    rows,
                }
            })
            .into();
        Truth { tables }
    }

    /// Visits one fund at a time, sorted by code, and the days of each fund sorted by date.
    pub(crate) fn for_each_daily_row(market: &Market, urls: &Urls, mut visit: impl FnMut(Row)) {
        let columns = TABLES
            .into_iter()
            .find_map(|(name, columns)| (name == DAILY).then_some(columns))
            .unwrap_or_default();
        for fund in funds(market) {
            rows_of(DAILY, columns, fund, market, urls)
                .into_iter()
                .for_each(&mut visit);
        }
    }

    /// Writes the same text as `Display`, without holding the daily table in memory.
    pub(crate) fn write(market: &Market, urls: &Urls, out: &mut impl io::Write) -> io::Result<()> {
        for (name, columns) in TABLES {
            writeln!(out, "{}", heading(name, columns))?;
            if name == DAILY {
                let mut written = Ok(());
                Truth::for_each_daily_row(market, urls, |row| {
                    if written.is_ok() {
                        written = writeln!(out, "{}", line(&row));
                    }
                });
                written?;
                continue;
            }
            let mut rows: Vec<Row> = funds(market)
                .into_iter()
                .flat_map(|fund| rows_of(name, columns, fund, market, urls))
                .collect();
            rows.sort_unstable();
            for row in rows {
                writeln!(out, "{}", line(&row))?;
            }
        }
        Ok(())
    }
}

impl Display for Truth {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            writeln!(out, "{}", heading(table.name, table.columns))?;
            for row in &table.rows {
                writeln!(out, "{}", line(row))?;
            }
        }
        Ok(())
    }
}

fn heading(name: &str, columns: &[&str]) -> String {
    format!("# {name}\t{}", columns.join("\t"))
}

fn line(row: &Row) -> String {
    let cells: Vec<String> = row
        .iter()
        .map(|cell| {
            cell.as_ref()
                .map_or_else(|| "\\N".to_owned(), |text| text.replace('\\', "\\\\"))
        })
        .collect();
    cells.join("\t")
}

/// The funds that have rows, sorted by code.
fn funds(market: &Market) -> Vec<&Fund> {
    let mut funds: Vec<&Fund> = market.funds.iter().filter(|fund| fund.has_rows()).collect();
    funds.sort_unstable_by(|one, other| one.code.cmp(&other.code));
    funds
}

fn rows_of(
    table: &str,
    columns: &[&'static str],
    fund: &Fund,
    market: &Market,
    urls: &Urls,
) -> Vec<Row> {
    let rows = match table {
        "funds_master_info" => vec![master(fund, urls)],
        DAILY => daily(fund, fund.known_until(market.today)),
        "funds_statistics" => statistics(fund, urls).into_iter().collect(),
        "funds_fee" => fees(fund, urls).into_iter().collect(),
        "funds_holding" => holdings(fund, urls),
        "funds_allocations" => allocations(fund, urls),
        _ => codes(fund, urls),
    };
    rows.into_iter()
        .map(|mut cells| {
            cells.insert("fund_code", fund.code.clone());
            columns.iter().map(|column| cells.remove(column)).collect()
        })
        .collect()
}

/// The address of a page of Finnomena's API.
pub(crate) fn fund_url(fund: &Fund, urls: &Urls, page: &str) -> String {
    format!(
        "{}{}/funds/{}{page}",
        urls.finnomena,
        finnomena::BASE,
        fund.fund_id
    )
}

/// The address of a page of WealthMagik.
pub(crate) fn page_url(fund: &Fund, urls: &Urls, page: &str) -> String {
    format!(
        "{}/funds/{}/{page}",
        urls.wealthmagik,
        encoded_code(&fund.code)
    )
}

fn master(fund: &Fund, urls: &Urls) -> Cells {
    let mut cells = fund.master.clone();
    let status = if fund.standing == Standing::Active {
        "active"
    } else {
        "inactive"
    };
    let source_url = match fund.finnomena.page {
        Some(_) => fund_url(fund, urls, ""),
        None => format!("{}{}/funds", urls.finnomena, finnomena::BASE),
    };
    cells.extend([
        ("fund_status", status.to_owned()),
        ("source_url", source_url),
    ]);
    cells
}

fn daily(fund: &Fund, today: Date) -> Vec<Cells> {
    fund.true_days(today)
        .into_iter()
        .map(|day| {
            let numbers = [
                ("nav_value", day.nav),
                ("bid", day.bid),
                ("offer", day.offer),
                ("aum", day.aum),
            ];
            let mut cells = Cells::from([
                ("nav_date", day.date.to_string()),
                ("source", day.source.to_owned()),
            ]);
            cells.extend(
                numbers
                    .into_iter()
                    .filter_map(|(column, number)| Some((column, number?))),
            );
            cells
        })
        .collect()
}

pub(crate) fn statistics(fund: &Fund, urls: &Urls) -> Option<Cells> {
    let mut cells = fund.statistics.clone()?;
    cells.insert(
        "sec_url",
        format!(
            "{}/fund-detail;funds={}",
            urls.sec_page,
            encoded_code(&fund.code)
        ),
    );
    Some(cells)
}

fn fees(fund: &Fund, urls: &Urls) -> Option<Cells> {
    if fund.fees.is_empty() {
        return None;
    }
    let mut cells = fund.fees.clone();
    let source_url = match fund.fee_page {
        FeePage::FinnomenaFee => fund_url(fund, urls, "/fee"),
        FeePage::WealthMagik => page_url(fund, urls, "fee"),
        FeePage::FinnomenaFund => fund_url(fund, urls, ""),
    };
    cells.insert("source_url", source_url);
    Some(cells)
}

pub(crate) fn holdings(fund: &Fund, urls: &Urls) -> Vec<Cells> {
    let mut rows = Vec::new();
    if let Some(portfolio) = &fund.finnomena.portfolio {
        let fixed = [
            ("source", FINNOMENA),
            ("holding_type", "top5"),
            ("type", "holding"),
        ];
        rows.extend(block_rows(
            &portfolio.top_holdings,
            fixed,
            &fund_url(fund, urls, "/portfolio"),
        ));
    }
    if let Some(said) = &fund.wealthmagik {
        let fixed = [
            ("source", WEALTHMAGIK),
            ("holding_type", "full"),
            ("type", "holding"),
        ];
        rows.extend(block_rows(&said.port, fixed, &page_url(fund, urls, "port")));
    }
    rows
}

pub(crate) fn allocations(fund: &Fund, urls: &Urls) -> Vec<Cells> {
    let mut rows = Vec::new();
    if let Some(portfolio) = &fund.finnomena.portfolio {
        let url = fund_url(fund, urls, "/portfolio");
        rows.extend(block_rows(
            &portfolio.assets,
            [("source", FINNOMENA), ("type", "asset_alloc")],
            &url,
        ));
        rows.extend(block_rows(
            &portfolio.sectors,
            [("source", FINNOMENA), ("type", "sector_alloc")],
            &url,
        ));
    }
    if let Some(said) = &fund.wealthmagik {
        let url = page_url(fund, urls, "allocation");
        rows.extend(block_rows(
            &said.by_asset,
            [("source", WEALTHMAGIK), ("type", "asset_alloc")],
            &url,
        ));
        rows.extend(block_rows(
            &said.by_country,
            [("source", WEALTHMAGIK), ("type", "country_alloc")],
            &url,
        ));
    }
    rows
}

fn block_rows<const N: usize>(
    block: &Block,
    fixed: [(&'static str, &str); N],
    url: &str,
) -> Vec<Cells> {
    block
        .rows
        .iter()
        .zip(1..)
        .map(|(row, row_no): (_, usize)| {
            let Name { truth, .. } = &row.name;
            let mut cells: Cells = fixed
                .iter()
                .map(|(column, value)| (*column, (*value).to_owned()))
                .collect();
            cells.extend([
                ("row_no", row_no.to_string()),
                ("name", truth.clone()),
                ("source_url", url.to_owned()),
            ]);
            cells.extend(row.percent.clone().map(|percent| ("percent", percent)));
            cells.extend(block.as_of.map(|date| ("as_of_date", date.to_string())));
            cells
        })
        .collect()
}

pub(crate) fn codes(fund: &Fund, urls: &Urls) -> Vec<Cells> {
    codes_at(fund, fund.factsheet.true_path.as_ref(), urls)
}

/// The codes on the factsheet at this path.
pub(crate) fn codes_at(fund: &Fund, path: Option<&String>, urls: &Urls) -> Vec<Cells> {
    let sheet = &fund.factsheet;
    let Some(path) = path else {
        return Vec::new();
    };
    if sheet.answer != FactsheetAnswer::Pdf {
        return Vec::new();
    }
    [("ISIN", &sheet.isin), ("Bloomberg", &sheet.bloomberg)]
        .into_iter()
        .filter_map(|(kind, code)| {
            let code = code.clone()?;
            Some(Cells::from([
                ("type", kind.to_owned()),
                ("code", code),
                ("factsheet_url", format!("{}{path}", urls.documents)),
            ]))
        })
        .collect()
}
