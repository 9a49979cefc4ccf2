//! The elements of WealthMagik's fund pages: embedded state, profile, holdings, allocations, fees.

use std::fmt::Write;

use crate::generator::spelling::{compact, with_commas};
use crate::hosts::Urls;
use crate::html::{escaped, with_navigation};
use crate::json::Json;
use crate::market::{Block, Emptiness, Fund, Market, StateScript, WealthMagikSays};
use crate::real::Quote;
use crate::site::View;

/// The number, or the 0 that the site shows in place of a missing one.
fn or_zero(number: Option<&String>) -> &str {
    number.map_or("0", String::as_str)
}

/// The quote that the pages show.
pub(crate) fn quote(market: &Market, fund: &Fund) -> Option<Quote> {
    fund.nav
        .quote_date(market.today)
        .and_then(|date| fund.nav.quote_on(date))
}

pub(crate) fn state(market: &Market, fund: &Fund) -> Option<Json> {
    let said = fund.wealthmagik.as_ref()?;
    let name = ("fundNameTH", Json::text(&said.name_th));
    let detail = match (said.state, quote(market, fund)) {
        (StateScript::Missing, _) => return None,
        (StateScript::Whole, Some(quote)) => Some(Json::Object(vec![
            ("fundCode", Json::text(&fund.code)),
            name.clone(),
            ("tnaclassDate", Json::text(compact(quote.date))),
            ("bidPrice", Json::raw(or_zero(quote.bid.as_ref()))),
            ("offerPrice", Json::raw(or_zero(quote.offer.as_ref()))),
            ("NAV", Json::raw(or_zero(quote.nav.as_ref()))),
        ])),
        _ => None,
    };
    let mut members = vec![(
        "menu",
        Json::Object(vec![name, ("html", Json::text("<b>A & B's</b>"))]),
    )];
    members.extend(detail.map(|detail| ("fund-detail", detail)));
    Some(Json::Object(members))
}

/// The content of `app-root` of one of a fund's pages.
pub(crate) fn root(
    market: &Market,
    urls: &Urls,
    fund: &Fund,
    page: &str,
    view: View,
) -> Option<String> {
    let said = fund.wealthmagik.as_ref()?;
    let code = escaped(&fund.code);
    let name = escaped(&said.name_th);
    let mut content = format!(
        "<div _ngcontent-ng-c789=\"\" class=\"fundName\"><h1 _ngcontent-ng-c789=\"\"> {code} </h1><!----><span class=\"categoryTH\">{name}</span></div>"
    );
    let body = match page {
        "profile" => profile(market, urls, fund, said),
        "port" => port(said, view.rows),
        "allocation" => allocation(said),
        "fee" => fee(said),
        _ => return None,
    };
    if !view.empty {
        content.push_str(&body);
    }
    Some(with_navigation(&format!(
        "<app-funddetail _nghost-ng-c789=\"\"><div _ngcontent-ng-c789=\"\" class=\"row\">{content}</div></app-funddetail>"
    )))
}

fn profile(market: &Market, urls: &Urls, fund: &Fund, said: &WealthMagikSays) -> String {
    let mut fields = said.info.clone();
    let mut nav = "-".to_owned();
    if let Some(quote) = quote(market, fund) {
        nav = quote
            .nav
            .as_ref()
            .map_or_else(|| "0.0000".to_owned(), |number| with_commas(number));
        fields.extend([
            ("tnaclassDate", compact(quote.date)),
            ("bidPrice", or_zero(quote.bid.as_ref()).to_owned()),
            ("offerPrice", or_zero(quote.offer.as_ref()).to_owned()),
            ("totalnetAsset", with_commas(&quote.aum)),
        ]);
    }
    let mut body = format!(
        "<div _ngcontent-ng-c789=\"\" class=\"nav-box\"><div class=\"nav\"> {nav} </div><span>บาท/หน่วย</span></div>"
    );
    for (field, value) in fields {
        let value = escaped(&value);
        let _ = write!(
            body,
            "<div class=\"groupInfo\"><!----><span _ngcontent-ng-c789=\"\" id=\"wmg.funddetailinfo.text.{field}.{value}\">{value}</span></div>"
        );
    }
    if let Some(path) = &fund.factsheet.wealthmagik_path {
        let _ = write!(
            body,
            "<a id=\"wmg.funddetailinfo.button.factSheetPath.{}{path}\" class=\"button\">Fund Fact Sheet</a>",
            urls.documents
        );
    }
    for (label, value) in ["FX Hedging", "Turnover Ratio"]
        .into_iter()
        .zip(&said.details)
    {
        let _ = write!(
            body,
            "<div class=\"groupDetail\"><div class=\"label\">{label}</div><div class=\"value\"><span>{value}</span></div></div>"
        );
    }
    body
}

const EMPTY_DATA: &str = "<div class=\"emptyData\"><span>ไม่พบข้อมูล</span></div>";

fn port(said: &WealthMagikSays, at_first: Option<usize>) -> String {
    let date = said
        .port
        .as_of_spelt
        .as_deref()
        .map(escaped)
        .map_or_else(String::new, |date| {
            if said.port_old_date {
                format!(
                    "<div class=\"mainDivtopHolding\"><span class=\"asofdate\">{date}</span></div>"
                )
            } else {
                format!("<div class=\"date-detail-text\"> {date} </div>")
            }
        });
    if said.port.rows.is_empty() {
        return format!("<div class=\"port\">{EMPTY_DATA}</div>");
    }
    let style = if at_first.is_some() {
        " style=\"height:60px;overflow-y:auto\""
    } else {
        ""
    };
    let mut rows = String::new();
    for row in said.port.rows.iter().take(at_first.unwrap_or(usize::MAX)) {
        let (name, ratio) = (escaped(&row.name.spelt), escaped(&row.percent_spelt));
        let _ = write!(
            rows,
            "<div _ngcontent-ng-c789=\"\" class=\"portallocation-list\"><div class=\"name\"><span class=\"name-text\">{name}</span></div><!----><div class=\"ratio\"><span class=\"ratio-text\"> {ratio} </span></div></div>"
        );
    }
    format!(
        "<div class=\"port\"><h3>สัดส่วนการลงทุน</h3>{date}<div class=\"list\"{style}>{rows}</div></div>"
    )
}

/// The next rows of the full holdings, from an index on.
pub(crate) fn more_rows(said: &WealthMagikSays, from: usize, count: usize) -> Json {
    let rows = said.port.rows.iter().skip(from).take(count);
    let items = rows.map(|row| {
        Json::Object(vec![
            ("name", Json::text(&row.name.spelt)),
            ("ratio", Json::text(&row.percent_spelt)),
        ])
    });
    Json::Object(vec![("items", Json::List(items.collect()))])
}

fn allocation(said: &WealthMagikSays) -> String {
    let both_empty = said.by_asset.rows.is_empty() && said.by_country.rows.is_empty();
    if both_empty && said.by_asset.emptiness == Emptiness::NoElements {
        return EMPTY_DATA.to_owned();
    }
    container("investmentAllocationByAsset", &said.by_asset)
        + &container("investmentAllocationByCountry", &said.by_country)
}

fn container(class: &str, block: &Block) -> String {
    if block.rows.is_empty() {
        return format!("<div _ngcontent-ng-c789=\"\" class=\"{class}\">{EMPTY_DATA}</div>");
    }
    let date = block
        .as_of_spelt
        .as_deref()
        .map(escaped)
        .map_or_else(String::new, |date| {
            format!("<span class=\"asofdate\">{date}</span>")
        });
    let mut rows = String::new();
    for row in &block.rows {
        let (name, ratio) = (escaped(&row.name.spelt), escaped(&row.percent_spelt));
        let _ = write!(
            rows,
            "<tr class=\"mat-row cdk-row\"><td class=\"mat-cell cdk-cell cdk-column-name mat-column-name\">{name}</td><td class=\"mat-cell cdk-cell cdk-column-ratio mat-column-ratio\"> {ratio} </td></tr>"
        );
    }
    format!(
        "<div _ngcontent-ng-c789=\"\" class=\"{class}\"><h3>สัดส่วน</h3>{date}<table class=\"mat-table cdk-table\"><thead><tr class=\"mat-header-row cdk-header-row\"><th class=\"mat-header-cell cdk-column-name\">ชื่อ</th><th class=\"mat-header-cell cdk-column-ratio\">สัดส่วน</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

fn fee(said: &WealthMagikSays) -> String {
    let mut cells = String::new();
    for (id, text) in &said.fees {
        let text = escaped(text);
        let _ = write!(
            cells,
            "<div class=\"fee-row\"><span class=\"fee-label\">{}</span><span _ngcontent-ng-c789=\"\" id=\"wmg.funddetailfee.text.{id}\"> {text} </span></div>",
            id.split('-').next().unwrap_or_default()
        );
    }
    format!("<div class=\"fees\"><h3>ค่าธรรมเนียม</h3>{cells}</div>")
}
