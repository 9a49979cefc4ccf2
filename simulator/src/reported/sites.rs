//! The reports of Finnomena, WealthMagik, SEC FundCheck and the factsheets.

use std::collections::BTreeSet;

use super::{Reported, ReportedRow};
use crate::finnomena;
use crate::hosts::Urls;
use crate::market::{Cells, Fund, Market, Standing};
use crate::nav_series::{FINNOMENA, WEALTHMAGIK};
use crate::register::class::classes;
use crate::register::sheet::has_sheets;
use crate::truth;

/// What Finnomena reports of every fund that it lists or listed.
///
/// A NAV of 0 is missing; an AUM of 0 is a value. The status is that of the list: `active` or `inactive`.
pub(super) fn finnomena(market: &Market, urls: &Urls) -> Reported {
    let mut report = Reported::default();
    for fund in market
        .funds
        .iter()
        .filter(|fund| fund.on_finnomena() || fund.has_rows())
    {
        let code = fund.code.as_str();
        let mut master = fund.finnomena.true_master.clone();
        let status = if fund.standing == Standing::Active {
            "active"
        } else {
            "inactive"
        };
        let page = if fund.finnomena.page.is_some() {
            truth::fund_url(fund, urls, "")
        } else {
            format!("{}{}/funds", urls.finnomena, finnomena::BASE)
        };
        master.extend([("fund_status", status.to_owned()), ("source_url", page)]);
        report.add("funds_master_info", code, "", master);

        for day in fund.nav.series(fund.known_until(market.today)).days {
            let numbers = [("nav_value", day.nav), ("aum", day.aum)];
            report.add("funds_daily", code, day.date.to_string(), present(numbers));
        }
        let mut fees = fund.finnomena.true_fees.clone();
        if !fees.is_empty() {
            let only_minimums = fees.keys().all(|column| column.starts_with("min_"));
            let page = if only_minimums { "" } else { "/fee" };
            fees.insert("source_url", truth::fund_url(fund, urls, page));
        }
        report.add("funds_fee", code, "", fees);
        portfolios(&mut report, fund, urls, FINNOMENA);
        for dividend in finnomena::dividends(market, fund) {
            report.add(
                "funds_dividends",
                code,
                dividend.xd_date.to_string(),
                Cells::from([
                    ("value", dividend.value.to_owned()),
                    ("pay_date", dividend.pay_date.to_string()),
                ]),
            );
        }
        link(
            &mut report,
            fund,
            urls,
            fund.factsheet.finnomena_path.as_ref(),
        );
    }
    report
}

/// What WealthMagik reports of every fund that it has pages of.
///
/// The prices are those of the quotes that it has served, and of the quote that it shows today; a NAV or a price of 0
/// is missing.
pub(super) fn wealthmagik(market: &Market, urls: &Urls) -> Reported {
    let mut report = Reported::default();
    for fund in &market.funds {
        let Some(said) = &fund.wealthmagik else {
            continue;
        };
        let code = fund.code.as_str();
        let mut master = said.true_master.clone();
        master.insert("source_url", truth::page_url(fund, urls, "profile"));
        report.add("funds_master_info", code, "", master);

        let today = fund.known_until(market.today);
        let mut quoted: BTreeSet<_> = fund.quotes_served.clone();
        quoted.extend(fund.nav.quote_date(today));
        for quote in quoted
            .into_iter()
            .filter_map(|date| fund.nav.quote_on(date))
        {
            let numbers = [
                ("nav_value", quote.nav),
                ("bid", quote.bid),
                ("offer", quote.offer),
                ("aum", Some(quote.aum)),
            ];
            report.add(
                "funds_daily",
                code,
                quote.date.to_string(),
                present(numbers),
            );
        }
        let mut fees = said.true_fees.clone();
        if !fees.is_empty() {
            fees.insert("source_url", truth::page_url(fund, urls, "fee"));
        }
        report.add("funds_fee", code, "", fees);
        portfolios(&mut report, fund, urls, WEALTHMAGIK);
        link(
            &mut report,
            fund,
            urls,
            fund.factsheet.wealthmagik_path.as_ref(),
        );
    }
    report
}

/// The statistics of SEC FundCheck. 0 is a value, except for a recovering period.
pub(super) fn fundcheck(market: &Market, urls: &Urls) -> Reported {
    let mut report = Reported::default();
    for fund in &market.funds {
        if let Some(row) = truth::statistics(fund, urls) {
            report.add("funds_statistics", &fund.code, "", row);
        }
    }
    report
}

/// The codes that are printed on each fund's factsheet, with the link that leads to it while every site is up.
pub(super) fn factsheets(market: &Market, urls: &Urls) -> Reported {
    let mut report = Reported::default();
    for fund in &market.funds {
        add_codes(&mut report, fund, truth::codes(fund, urls));
    }
    report
}

/// The same for the factsheets that only the register links to.
pub(super) fn register_factsheets(market: &Market, urls: &Urls) -> Reported {
    let linked: BTreeSet<String> = classes(market)
        .into_iter()
        .filter(has_sheets)
        .map(|class| class.code)
        .collect();
    let mut report = Reported::default();
    for fund in &market.funds {
        let sheet = &fund.factsheet;
        if sheet.true_path.is_none() && linked.contains(&fund.code) {
            let codes = truth::codes_at(fund, sheet.register_path.as_ref(), urls);
            add_codes(&mut report, fund, codes);
        }
    }
    report
}

fn add_codes(report: &mut Reported, fund: &Fund, codes: Vec<Cells>) {
    for row in codes {
        let kind = row.get("type").cloned().unwrap_or_default();
        report.add("funds_codes", &fund.code, kind, row);
    }
}

fn present<const N: usize>(cells: [(&'static str, Option<String>); N]) -> ReportedRow {
    cells
        .into_iter()
        .filter_map(|(column, cell)| Some((column, cell?)))
        .collect()
}

/// Adds the holdings and allocations that one source reports of a fund.
fn portfolios(report: &mut Reported, fund: &Fund, urls: &Urls, source: &str) {
    let tables = [
        ("funds_holding", "holding_type", truth::holdings(fund, urls)),
        ("funds_allocations", "type", truth::allocations(fund, urls)),
    ];
    for (table, kind, rows) in tables {
        for row in rows {
            if row.get("source").is_some_and(|of| of == source) {
                let key = format!("{} {}", row[kind], row["row_no"]);
                report.add(table, &fund.code, key, row);
            }
        }
    }
}

fn link(report: &mut Reported, fund: &Fund, urls: &Urls, path: Option<&String>) {
    let url = path.map(|path| format!("{}{path}", urls.documents));
    report.add(
        "factsheet_links",
        &fund.code,
        "",
        present([("factsheet_url", url)]),
    );
}
