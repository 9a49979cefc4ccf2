//! WealthMagik's host: its list and pages, server-rendered or built by a script from an encoded answer.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::edge_case::EdgeCase;
use crate::hosts::Site;
use crate::hosts::Urls;
use crate::html::{Page, error_page, escaped, packed, scripted_page, with_navigation};
use crate::json::Json;
use crate::market::{Fund, LinkStyle, Market};
use crate::mass_changes::PageKind;
use crate::site::{Answer, Asked, View, World};
use crate::wealthmagik_pages::{more_rows, quote, root, state};

/// The number of entries that one scroll of the lazy list loads.
const LIST_STEP: usize = 20;

/// Encodes everything but the unreserved characters of RFC 3986.
const CODE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub(crate) fn encoded_code(code: &str) -> String {
    utf8_percent_encode(code, CODE).to_string()
}

pub(crate) fn answer(world: &World, asked: &Asked, view: View) -> Answer {
    let segments = asked.segments();
    let page = PageKind::of(Site::WealthMagik, &segments);
    let shown = || world.shown(Site::WealthMagik, page);
    match segments.as_slice() {
        ["json-search", "fundSearch.json"] => {
            Answer::json(200, &search_list(&shown(), world.urls(), view))
        }
        ["api", "fundscreener"] => screener(&shown(), asked, view),
        ["api", "page-content"] => page_content(world, asked, view),
        ["api", "portallocation"] => more_holdings(&shown(), asked),
        ["login"] => Answer::html(200, login_page()),
        ["funds"] if world.scripted_wealthmagik => Answer::html(
            200,
            scripted_page("WealthMagik", PAGE_CONTENT, "simulatorList", LIST_SCRIPT),
        ),
        ["funds"] => list_page(&shown(), view),
        ["funds", code, page] => fund_page(world, code, page, view),
        _ => Answer::not_found(),
    }
}

/// The address of the encoded page, as the script computes it.
const PAGE_CONTENT: &str = "'/api/page-content?path=' + encodeURIComponent(location.pathname)";

/// Loads more entries when the list's own scroll container reaches its end.
const LIST_SCRIPT: &str = r#"
function simulatorList() {
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

/// Loads more holdings when the end of the visible ones is reached. Like such applications, it shows a login if the
/// session has expired (401), and goes to the login page if access is forbidden (403).
const HOLDINGS_SCRIPT: &str = r#"
function simulatorHoldings(step) {
  var box = document.querySelector('.port .list'), busy = false;
  if (!box) { return; }
  function more() {
    if (busy || box.scrollTop + box.clientHeight < box.scrollHeight - 40) { return; }
    busy = true;
    var shown = box.querySelectorAll('.portallocation-list').length;
    fetch('/api/portallocation?code=' + location.pathname.split('/')[2] + '&offset=' + shown + '&step=' + step).then(function (answer) {
      if (answer.status === 401) {
        document.body.insertAdjacentHTML('beforeend', '<div class="login"><input type="password"></div>');
        return Promise.reject('expired');
      }
      if (answer.status === 403) { location.href = '/login'; return Promise.reject('expired'); }
      return answer.json();
    }).then(function (found) {
      found.items.forEach(function (item) {
        var row = document.createElement('div');
        row.className = 'portallocation-list';
        row.innerHTML = '<div class="name"><span class="name-text"></span></div><div class="ratio"><span class="ratio-text"></span></div>';
        row.querySelector('.name-text').textContent = item.name; row.querySelector('.ratio-text').textContent = item.ratio;
        box.appendChild(row);
      });
      busy = false;
      if (found.items.length && box.scrollHeight <= box.clientHeight) { more(); }
    }).catch(function () {});
  }
  box.addEventListener('scroll', more);
}"#;

fn login_page() -> String {
    Page {
        title: "Login",
        root: "<form class=\"login\"><input type=\"text\"><input type=\"password\"></form>",
        state: None,
        overlay: false,
        script: "",
    }
    .html()
}

fn more_holdings(market: &Market, asked: &Asked) -> Answer {
    let number = |key: &str| asked.query.get(key).and_then(|text| text.parse().ok());
    let said = asked
        .query
        .get("code")
        .and_then(|code| find(market, code))
        .and_then(|fund| fund.wealthmagik.as_ref());
    match (said, number("offset"), number("step")) {
        (Some(said), Some(offset), Some(step)) => Answer::json(200, &more_rows(said, offset, step)),
        _ => Answer::not_found(),
    }
}

/// The funds in the list: those with pages, and those whose pages were removed.
fn listed(market: &Market, view: View) -> Vec<&Fund> {
    let mut funds: Vec<&Fund> = market
        .funds
        .iter()
        .filter(|fund| fund.is_known())
        .filter(|fund| {
            fund.wealthmagik.is_some() || fund.edge_cases.contains(&EdgeCase::WealthMagikAbsent)
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
    let script = format!("{LIST_SCRIPT}\nsimulatorList();");
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
    let page = PageKind::of(Site::WealthMagik, &segments);
    let market = world.shown(Site::WealthMagik, page);
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
    let kind = PageKind::of(Site::WealthMagik, &["funds", code, page]);
    let market = world.shown(Site::WealthMagik, kind);
    let Some((fund, root)) = find(&market, code)
        .and_then(|fund| Some((fund, root(&market, world.urls(), fund, page, view)?)))
    else {
        return Answer::html(404, error_page(404));
    };
    let html = if world.scripted_wealthmagik {
        scripted_page("WealthMagik", PAGE_CONTENT, "null", "")
    } else {
        let state = state(&market, fund).filter(|_| !view.empty);
        let script = match view.rows {
            Some(rows) if page == "port" => {
                format!("{HOLDINGS_SCRIPT}\nsimulatorHoldings({rows});")
            }
            _ => String::new(),
        };
        Page {
            title: &fund.code,
            root: &root,
            state,
            overlay: true,
            script: &script,
        }
        .html()
    };
    let quote = if page == "profile" && !view.empty && !view.spoilt {
        quote(&market, fund)
    } else {
        None
    };
    let fund_code = fund.code.clone();
    drop(market);
    if let Some(quote) = quote {
        world.note_quote(&fund_code, &quote);
    }
    Answer::html(200, html)
}
