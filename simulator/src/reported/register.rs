//! The report of the register.

use super::{Reported, ReportedRow};
use crate::generator::spelling::scaled;
use crate::hosts::Urls;
use crate::market::Market;
use crate::register::class::{Class, classes};
use crate::register::records::Status;
use crate::register::{nav, portfolio, sheet};

/// The name of the register in the column `source`.
const SOURCE: &str = "sec_open_api";

/// What the register reports of each of its classes, and of the former names of classes.
pub(super) fn report(market: &Market, urls: &Urls) -> Reported {
    let mut report = Reported::default();
    for class in classes(market) {
        daily(&mut report, market, &class);
        if !class.is_listed {
            continue;
        }
        general(&mut report, &class);
        if sheet::has_sheets(&class) {
            factsheet(&mut report, market, &class);
            link(&mut report, &class, urls);
        }
        for dividend in &class.data.dividends.paid {
            let row = ReportedRow::from([
                ("value", dividend.value.clone()),
                ("pay_date", dividend.paid.to_string()),
            ]);
            report.add(
                "funds_dividends",
                &class.code,
                dividend.book_closed.to_string(),
                row,
            );
        }
    }
    report
}

/// The days that are published up to today. Of two rows of a day the later one counts. A price of 0.0 means not offered
/// and is missing; an AUM of 0 is a value. `sell_price` is the offer, `buy_price` the bid.
fn daily(report: &mut Reported, market: &Market, class: &Class<'_>) {
    let days = nav::days(market, class);
    for day in days.into_iter().filter(|day| !day.is_replaced) {
        let prices = [
            ("nav_value", day.last_val),
            ("bid", day.buy),
            ("offer", day.sell),
        ];
        let mut row: ReportedRow = prices
            .into_iter()
            .filter(|(_, price)| *price != 0)
            .map(|(column, price)| (column, scaled(price, 4)))
            .collect();
        row.insert("aum", scaled(day.net_asset, 2));
        report.add("funds_daily", &class.code, day.date.to_string(), row);
    }
}

/// The profile. Registered is active, IPO has no status in the tables, the others are inactive. `policy_desc` is no
/// category. An ISIN needs a right check digit. A company's name is trimmed.
fn general(report: &mut Reported, class: &Class<'_>) {
    let project = class.project;
    let code = class.code.as_str();
    let status = match class.status {
        Status::Registered => Some("active"),
        Status::Ipo => None,
        Status::Expired | Status::Canceled | Status::Liquidated => Some("inactive"),
    };
    let optional = [
        ("fund_status", status.map(str::to_owned)),
        (
            "inception_date",
            project.registered.map(|date| date.to_string()),
        ),
        ("fund_tax_type", class.data.tax.map(str::to_owned)),
        (
            "feeder_master_fund",
            project.master_fund.map(|(name, _)| name.to_owned()),
        ),
        ("management_style", project.style.map(str::to_owned)),
    ];
    let mut master = ReportedRow::from([
        ("full_name_th", project.name_th.truth.clone()),
        ("full_name_en", project.name_en.truth.clone()),
        ("amc", project.company_name().to_owned()),
    ]);
    master.extend(
        optional
            .into_iter()
            .filter_map(|(column, cell)| Some((column, cell?))),
    );
    report.add("funds_master_info", code, "", master);
    if let Some(isin) = class.data.isin.as_ref().filter(|isin| isin.is_valid) {
        let row = ReportedRow::from([("type", "ISIN".to_owned()), ("code", isin.code.clone())]);
        report.add("funds_codes", code, "ISIN", row);
    }
    let row = ReportedRow::from([
        ("proj_id", class.proj_id.to_owned()),
        ("class_name", class.name_spelt().trim().to_owned()),
        ("status", class.status.name().to_owned()),
    ]);
    report.add("register_classes", code, "", row);
}

/// The link to the factsheet.
fn link(report: &mut Reported, class: &Class<'_>, urls: &Urls) {
    let path = class
        .factsheet
        .and_then(|sheet| sheet.register_path.as_ref());
    if let Some(path) = path {
        let row = ReportedRow::from([("factsheet_url", format!("{}{path}", urls.documents))]);
        report.add("factsheet_links", &class.code, "", row);
    }
}

/// The current factsheet and the newest quarter's portfolio.
///
/// - The as-of date is the factsheet's `start_date`.
/// - A statistic of 0 is missing. A recovering period is in days: 365 a year, 30 a month.
/// - A fee whose rate and actual value are both 0 is missing, and so is a rate of 999999; the transfer fee belongs to
///   no column. A minimum in another currency than baht is missing: `minimum_sub_ipo` is the first purchase,
///   `minimum_sub` a later one.
/// - RS81 and RS8+ are risk 8.
/// - Row 903 of a portfolio is its total and no holding. A holding is named by its `issue_code`, or by its
///   `assetliab_desc` where it has none. Every class of a project has the project's portfolio and allocation; the
///   allocation is ordered by `asset_seq`.
fn factsheet(report: &mut Reported, market: &Market, class: &Class<'_>) {
    let (data, project, code) = (class.data, class.project, class.code.as_str());
    let as_of = sheet::current(market).to_string();
    let pays = if data.dividends.pays {
        "จ่าย"
    } else {
        "ไม่จ่าย"
    };
    let master = report.tables.entry("funds_master_info").or_default();
    let row = master
        .entry(code.to_owned())
        .or_default()
        .entry(String::new())
        .or_default();
    row.extend([
        ("risk_level", project.risk.level.to_string()),
        ("is_dividend", pays.to_owned()),
    ]);

    let mut statistics = data.statistics.truth.clone();
    if !statistics.is_empty() {
        statistics.insert("as_of_date", as_of.clone());
    }
    report.add("funds_statistics", code, "", statistics);
    report.add("funds_fee", code, "", data.fees.truth.clone());
    for (period, figures) in &data.performance.truth {
        let key = format!("{as_of} {period}");
        report.add("funds_performance", code, key, figures.clone());
    }

    let mut assets: Vec<_> = project.portfolio.assets.iter().collect();
    assets.sort_unstable();
    for (row_no, (_, name, percent)) in (1_usize..).zip(assets) {
        let row = listed(row_no, name, percent, &as_of, [("type", "asset_alloc")]);
        report.add(
            "funds_allocations",
            code,
            format!("asset_alloc {row_no}"),
            row,
        );
    }
    if class.nav.is_none() {
        return;
    }
    let quarter = portfolio::newest_quarter(market).to_string();
    for (row_no, holding) in (1_usize..).zip(&project.portfolio.holdings) {
        let kinds = [("holding_type", "full"), ("type", "holding")];
        let row = listed(row_no, holding.name(), &holding.percent(), &quarter, kinds);
        report.add("funds_holding", code, format!("full {row_no}"), row);
    }
}

fn listed<const N: usize>(
    row_no: usize,
    name: &str,
    percent: &str,
    as_of: &str,
    kinds: [(&'static str, &str); N],
) -> ReportedRow {
    let cells = [
        ("source", SOURCE),
        ("name", name),
        ("percent", percent),
        ("as_of_date", as_of),
    ];
    let mut row: ReportedRow = cells
        .into_iter()
        .chain(kinds)
        .map(|(column, cell)| (column, cell.to_owned()))
        .collect();
    row.insert("row_no", row_no.to_string());
    row
}
