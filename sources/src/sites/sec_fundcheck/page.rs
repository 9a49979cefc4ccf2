//! Parser of `/fund-detail;funds=<code>`: the same statistics as shown in a browser.

use kuchikiki::NodeRef;
use schema::columns::StatisticsFields;
use schema::{Dataset, Number, ObservationData};

use crate::payload::breach;
use crate::payload::html::{HtmlPage, all_in, text, words};
use crate::site::Reading;
use crate::sites::findings::Findings;
use crate::sites::sec_fundcheck::contract::REQUIRED_LABELS;
use crate::text::{missing, number, period, thai_date};

/// An element that exists after the page's script has run.
pub const READY: &str = ".card-body";

/// The texts that the page shows if the SEC does not know the fund.
const UNKNOWN: [&str; 2] = ["ไม่พบข้อมูล", "ไม่พบกองทุน"];

/// Parses the page.
pub fn read(body: &[u8], mut findings: Findings) -> Reading {
    let page = match HtmlPage::parse(body) {
        Ok(page) => page,
        Err(breach) => return Reading::Broken(breach),
    };
    let whole = words(page.root());
    let says_unknown = UNKNOWN.iter().any(|words| whole.contains(words));
    if page.all(READY).is_empty() {
        return if says_unknown {
            Reading::Absent
        } else {
            Reading::NeedsBrowser(breach(READY, "the page's cards", "none"))
        };
    }
    const IDS: [&str; 7] = [
        "sharpe-ratio",
        "alpha",
        "beta",
        "tracking-error",
        "max-drawdown",
        "recovering-period",
        "turnover-ratio",
    ];
    let known = IDS.iter().any(|id| labelled(&page, id).is_some());
    if !known {
        return if says_unknown {
            Reading::Absent
        } else {
            Reading::Broken(breach(
                "#sharpe-ratio",
                "a label with its value beside it",
                "none",
            ))
        };
    }
    if let Some(id) = REQUIRED_LABELS
        .iter()
        .find(|id| labelled(&page, id).is_none())
    {
        let field = format!("#{id}");
        return Reading::Broken(breach(&field, "a label with its value beside it", "none"));
    }
    let unsaid: Vec<&str> = IDS
        .into_iter()
        .filter(|id| labelled(&page, id).is_none())
        .collect();
    if !unsaid.is_empty() {
        let reason = format!("the page lacks {}: treated as missing", unsaid.join(", "));
        findings.note(Dataset::Statistics, "*", reason, "");
    }
    let mut number = |id: &str| -> Option<Number> {
        let cell = labelled(&page, id)?;
        findings.field(Dataset::Statistics, id, believed(&cell), &cell)
    };
    let mut statistics = StatisticsFields {
        sharpe_ratio: number("sharpe-ratio"),
        alpha: number("alpha"),
        beta: number("beta"),
        max_drawdown: number("max-drawdown"),
        tracking_error: number("tracking-error"),
        turnover_ratio: number("turnover-ratio"),
        fx_hedging: None,
        recovering_period: None,
    };
    if let Some(cell) = labelled(&page, "recovering-period") {
        statistics.recovering_period = findings.field(
            Dataset::Statistics,
            "recovering-period",
            period::read(&cell),
            &cell,
        );
    }
    if let Some(cell) = fx_hedging(&page) {
        statistics.fx_hedging =
            findings.field(Dataset::Statistics, "fx-hedging", believed(&cell), &cell);
    }
    let as_of_date = findings.as_of(
        Dataset::Statistics,
        "ณ วันที่",
        thai_date::find_as_of(&whole),
        "",
    );
    if as_of_date.is_some() || statistics != StatisticsFields::default() {
        findings.say(as_of_date, ObservationData::Statistics(statistics));
    }
    findings.said()
}

/// A number within the plausible range.
fn believed(cell: &str) -> Result<Option<Number>, String> {
    number::read(cell)
        .map_err(|error| error.to_string())
        .and_then(number::believed)
        .map(|quantity| quantity.map(|quantity| quantity.value))
}

/// The text of the next sibling of the element with this id: of the next element, or of plain text before it.
fn labelled(page: &HtmlPage, id: &str) -> Option<String> {
    let label = page.all(&format!(r#"[id="{id}"]"#)).into_iter().next()?;
    let mut last = String::new();
    for sibling in label.following_siblings() {
        if sibling.as_element().is_some() || sibling.as_text().is_some() {
            last = text(&sibling);
        }
        if !last.is_empty() || sibling.as_element().is_some() {
            break;
        }
    }
    Some(last)
}

/// The text of `.progress-bar` in the block after the label 'FX Hedging': the label's next sibling, or that of the
/// nearest ancestor that has one. The bar of a later block belongs to another number.
fn fx_hedging(page: &HtmlPage) -> Option<String> {
    let label = page
        .root()
        .descendants()
        .filter(|node| {
            node.as_text()
                .is_some_and(|text| says_fx_hedging(&text.borrow()))
        })
        .find_map(|node| node.parent())?;
    let mut around = Some(label);
    for _ in 0..4 {
        let node = around?;
        let next = node
            .following_siblings()
            .find(|sibling| sibling.as_element().is_some());
        if let Some(block) = next {
            return bar_text(&block);
        }
        around = node.parent();
    }
    None
}

fn says_fx_hedging(text: &str) -> bool {
    let plain = text.trim().trim_end_matches(':').trim_end().to_lowercase();
    plain == "fx hedging" || (plain.starts_with("fx hedging") && plain.len() <= 64)
}

fn bar_text(block: &NodeRef) -> Option<String> {
    let own = crate::payload::html::has_class(block, "progress-bar").then(|| block.clone());
    let bar = own.or_else(|| all_in(block, ".progress-bar").into_iter().next())?;
    Some(text(&bar)).filter(|cell| !missing::is_missing(cell))
}
