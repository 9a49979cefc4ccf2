//! WealthMagik's list and pages (SOURCES section 3): server-rendered, or built by a script from an encoded answer.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::awkward::Awkward;
use crate::generator::spelling::{compact, with_commas};
use crate::html::{Page, error_page, escaped, packed, scripted_page, with_navigation};
use crate::json::Json;
use crate::market::{Block, Emptiness, Fund, LinkStyle, Market, StateScript, WealthMagikSays};
use crate::nav_series::Quote;
use crate::replica::Urls;
use crate::site::{Answer, Asked, View, World};

/// Entries of the lazy list that one scroll brings.
const LIST_STEP: usize = 20;

/// Everything but the unreserved characters of RFC 3986 is encoded.
const CODE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub(crate) fn encoded_code(code: &str) -> String {
    utf8_percent_encode(code, CODE).to_string()
}

pub(crate) fn answer(world: &World, asked: &Asked, view: View) -> Answer {
    match asked.segments().as_slice() {
        ["json-search", "fundSearch.json"] => {
            Answer::json(200, &search_list(&world.market(), world.urls(), view))
        }
        ["api", "fundscreener"] => screener(&world.market(), asked, view),
        ["api", "page-content"] => page_content(world, asked, view),
        ["funds"] if world.scripted_wealthmagik => Answer::html(
            200,
            scripted_page("WealthMagik", PAGE_CONTENT, "replicaList", LIST_SCRIPT),
        ),
        ["funds"] => list_page(&world.market(), view),
        ["funds", code, page] => fund_page(world, code, page, view),
        _ => Answer::not_found(),
    }
}

/// The address of the encoded page, as the script computes it.
const PAGE_CONTENT: &str = "'/api/page-content?path=' + encodeURIComponent(location.pathname)";

/// Brings more entries when the list's own scroll container is at its end.
const LIST_SCRIPT: &str = r#"
function replicaList() {
  var box = document.querySelector('.fund-scroll'), busy = false;
  function more() {
    if (busy || box.scrollTop + box.clientHeight < box.scrollHeight - 40) { return; }
    busy = true;
    fetch('/api/fundscreener?offset=' + box.querySelectorAll('.fundCode').length).then(function (answer) { return answer.json(); }).then(function (found) {
      found.items.forEach(function (item) {
        var row = document.createElement('div'), link = document.createElement('a');
        row.className = 'fund-row'; row.style.height = '40px';
        link.className = 'fundCode'; link.id = 'wmg.fundscreenerdetail.button.fundcode.' + item.code; link.textContent = item.code;
        row.appendChild(link); box.appendChild(row);
      });
      busy = false;
      if (found.items.length && box.scrollHeight <= box.clientHeight) { more(); }
    });
  }
  box.addEventListener('scroll', more);
  more();
}"#;

/// Funds in the list: those with pages, and those whose pages are gone.
fn listed(market: &Market, view: View) -> Vec<&Fund> {
    let mut funds: Vec<&Fund> = market
        .funds
        .iter()
        .filter(|fund| fund.is_known())
        .filter(|fund| {
            fund.wealthmagik.is_some() || fund.awkward.contains(&Awkward::WealthMagikAbsent)
        })
        .collect();
    if view.shrunk {
        funds.truncate(funds.len() / 3);
    }
    funds
}

fn search_list(market: &Market, urls: &Urls, view: View) -> Json {
    let mut entries = Vec::new();
    for fund in listed(market, view) {
        let path = format!("funds/{}", encoded_code(&fund.code));
        let said = fund.wealthmagik.as_ref();
        let link = match said.map_or(LinkStyle::Rooted, |said| said.link) {
            LinkStyle::Rooted => format!("/{path}"),
            LinkStyle::Bare => path,
            LinkStyle::Absolute => format!("{}/{path}", urls.wealthmagik),
            LinkStyle::Foreign => format!("https://mirror.invalid/{path}"),
            LinkStyle::WithProfile => format!("/{path}/profile"),
        };
        let name = said.map_or("", |said| said.name_th.as_str());
        let entry = Json::Object(vec![
            (
                "v",
                Json::text(format!("{}---{name}---กองทุนรวม", fund.code_spelt)),
            ),
            ("u", Json::text(link)),
        ]);
        if said.is_some_and(|said| said.listed_twice) {
            entries.push(entry.clone());
        }
        entries.push(entry);
    }
    Json::Object(vec![("data", Json::List(entries))])
}

fn screener(market: &Market, asked: &Asked, view: View) -> Answer {
    let offset = asked
        .query
        .get("offset")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let items = listed(market, view)
        .into_iter()
        .skip(offset)
        .take(LIST_STEP);
    let items = items.map(|fund| Json::Object(vec![("code", Json::text(&fund.code))]));
    Answer::json(
        200,
        &Json::Object(vec![("items", Json::List(items.collect()))]),
    )
}

fn list_page(market: &Market, view: View) -> Answer {
    let root = list_root(
        &listed(market, view),
        if view.empty { 0 } else { LIST_STEP },
    );
    let script = format!("{LIST_SCRIPT}\nreplicaList();");
    Answer::html(
        200,
        Page {
            title: "กองทุน",
            root: &root,
            state: None,
            overlay: true,
            script: &script,
        }
        .html(),
    )
}

fn list_root(funds: &[&Fund], count: usize) -> String {
    let mut rows = String::new();
    for fund in funds.iter().take(count) {
        let code = escaped(&fund.code);
        let _ = write!(
            rows,
            "<div class=\"fund-row\" style=\"height:40px\"><a class=\"fundCode\" id=\"wmg.fundscreenerdetail.button.fundcode.{code}\">{code}</a></div>"
        );
    }
    with_navigation(&format!(
        "<div class=\"screener\"><h2>กองทุนทั้งหมด</h2><div class=\"fund-scroll\">{rows}</div></div>"
    ))
}

/// The encoded root of a page, for its script.
fn page_content(world: &World, asked: &Asked, view: View) -> Answer {
    let path = asked.query.get("path").cloned().unwrap_or_default();
    let segments: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| {
            percent_encoding::percent_decode_str(part)
                .decode_utf8_lossy()
                .into_owned()
        })
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let market = world.market();
    let root = match segments.as_slice() {
        ["funds"] => Some(list_root(&listed(&market, view), 0)),
        ["funds", code, page] => {
            find(&market, code).and_then(|fund| root(&market, world.urls(), fund, page, view))
        }
        _ => None,
    };
    root.map_or_else(
        || Answer::json(404, "{\"message\":\"not found\"}"),
        |root| Answer::json(200, &packed(&root)),
    )
}

fn find<'a>(market: &'a Market, code: &str) -> Option<&'a Fund> {
    let code = code.trim();
    market
        .funds
        .iter()
        .find(|fund| fund.is_known() && fund.code == code)
}

fn fund_page(world: &World, code: &str, page: &str, view: View) -> Answer {
    let market = world.market();
    let Some((fund, root)) = find(&market, code)
        .and_then(|fund| Some((fund, root(&market, world.urls(), fund, page, view)?)))
    else {
        return Answer::html(404, error_page(404));
    };
    let html = if world.scripted_wealthmagik {
        scripted_page("WealthMagik", PAGE_CONTENT, "null", "")
    } else {
        let state = state(&market, fund).filter(|_| !view.empty);
        Page {
            title: &fund.code,
            root: &root,
            state,
            overlay: true,
            script: "",
        }
        .html()
    };
    let quote_date = if page == "profile" && !view.empty && !view.spoilt {
        fund.nav.quote_date(market.today)
    } else {
        None
    };
    let fund_code = fund.code.clone();
    drop(market);
    if let (Some(date), Some(fund)) = (quote_date, world.market_mut().by_code_mut(&fund_code)) {
        fund.quotes_served.insert(date);
    }
    Answer::html(200, html)
}

/// A number or, where there is none, the 0 that the site writes.
fn or_zero(number: Option<&String>) -> &str {
    number.map_or("0", String::as_str)
}

fn quote(market: &Market, fund: &Fund) -> Option<Quote> {
    fund.nav
        .quote_date(market.today)
        .and_then(|date| fund.nav.quote_on(date))
}

fn state(market: &Market, fund: &Fund) -> Option<Json> {
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

/// What stands in `app-root` of one of a fund's pages.
fn root(market: &Market, urls: &Urls, fund: &Fund, page: &str, view: View) -> Option<String> {
    let said = fund.wealthmagik.as_ref()?;
    let code = escaped(&fund.code);
    let name = escaped(&said.name_th);
    let mut content = format!(
        "<div _ngcontent-ng-c789=\"\" class=\"fundName\"><h1 _ngcontent-ng-c789=\"\"> {code} </h1><!----><span class=\"categoryTH\">{name}</span></div>"
    );
    let body = match page {
        "profile" => profile(market, urls, fund, said),
        "port" => port(said),
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

fn port(said: &WealthMagikSays) -> String {
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
    let mut rows = String::new();
    for row in &said.port.rows {
        let (name, ratio) = (escaped(&row.name.spelt), escaped(&row.percent_spelt));
        let _ = write!(
            rows,
            "<div _ngcontent-ng-c789=\"\" class=\"portallocation-list\"><div class=\"name\"><span class=\"name-text\">{name}</span></div><!----><div class=\"ratio\"><span class=\"ratio-text\"> {ratio} </span></div></div>"
        );
    }
    format!("<div class=\"port\"><h3>สัดส่วนการลงทุน</h3>{date}<div class=\"list\">{rows}</div></div>")
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
