//! Tests that edge cases appear in the answers, not only in the funds' records.

use crate::support::{get, post};
use simulator::{MarketConfig, Simulator};

/// Spellings that occur somewhere in a large market's answers, by host.
const FINNOMENA: &[&str] = &[
    "\"short_code\":\"\"",
    "\"short_code\":\" SCBGLOW\"",
    "\"sec_is_active\":false",
    "\"amount\":NaN",
    "\"amount\":Infinity",
    "\"amount\":null",
    "\"amount\":0.0}",
    "\"value\":0,",
    "\"value\":null",
    "2099-12-31T00:00:00Z",
    "\"date\":\"0001-01-01T00:00:00Z\"",
    "2025-02-30T00:00:00Z",
    "\"navs\":[]",
    "\"navs\":null",
    "\"inception_date\":\"0001-01-01T00:00:00Z\"",
    "\"data_date\":\"0001-01-01T00:00:00Z\"",
    "\"risk_spectrum\":\"8+ - ",
    "\"dividend_policy\":\"\"",
    "(:USD)",
    "100%",
    "Investor's",
    "๒๕/๗๕",
    "\\t",
    "\u{a0}",
    "ค\u{e4d}\u{e32}",
    "\u{200b}",
    "e\u{301}",
    "\"rate\":\"999999\"",
    "\"rate\":999999,",
    "\"rate\":\"999999.00\"",
    "\"rate\":\"999,999\"",
    "\"rate\":\"ตามที่เก็บจริง\"",
    "\"rate\":\"ยกเว้น\"",
    "\"rate\":\"ไม่เรียกเก็บ\"",
    "\"actual_value\":\"ดูหมายเหตุ\"",
    "\"class_abbr_name\":\"-\"",
    "\"fees\":[]",
    "\"fees\":null",
    "(switchING out)",
    "โอนหน่วยลงทุน\",\"rate\":\"10\"",
    "\"sector_allocation\"",
    "\"top_holdings\":null",
    "\"elements\":[]",
    "\"percent\":NaN",
    "\"percent\":null",
    "\"percent\":\"-\"",
    "\"percent\":-",
    "E1,",
    "\"fund_fact_sheet\":null",
    " บาท",
    "THB",
];
const WEALTHMAGIK: &[&str] = &[
    "emptyData",
    "mainDivtopHolding",
    "\u{2212}",
    "%)",
    ">-<",
    "??,?",
    "as of ",
    "ณ วันที่ ๓",
    "&nbsp;",
    "&q;fund-detail&q;",
    "&s;",
    "bidPrice.0\"",
    "offerPrice.0\"",
    "&q;NAV&q;:0}",
    "isDividend.Y",
    "isDividend.N",
    "funddetailfee.text.totalExpenseRatioActual-ffs",
    "factSheetPath.http://",
    "&lt;",
    "&quot;",
];
const SEC: &[&str] = &[
    "%\"",
    "\"+",
    "\"-0.00\"",
    "\"0.00\"",
    "\"N/A\"",
    "\"None\"",
    "\"null\"",
    ":null",
    "\"representDate\":null",
    "\"representDate\":\"null\"",
    "\"(",
    "/2569",
    "{\"year\":null,\"month\":null,\"day\":null}",
    "{\"year\":0,\"month\":0,\"day\":0}",
    "{\"year\":null,\"month\":",
];

#[tokio::test]
async fn a_large_market_spells_its_awkward_values_out() {
    let simulator = Simulator::start(MarketConfig {
        funds: 500,
        ..MarketConfig::default()
    })
    .await
    .expect("the simulator starts");
    let urls = simulator.urls();
    let base = format!("{}/fn3/api/fund/v2/public/funds", urls.finnomena);
    let list = get(&base).await;
    let (mut finnomena, mut wealthmagik, mut sec) = (list.text(), String::new(), String::new());
    for fund in list.json()["data"].as_array().expect("a list") {
        let fund_id = fund["fund_id"].as_str().expect("an id");
        for page in ["", "/nav/q?range=MAX", "/fee", "/portfolio"] {
            finnomena += &get(&format!("{base}/{fund_id}{page}")).await.text();
        }
        let code = serde_json::json!([fund["short_code"].as_str().unwrap_or_default()]);
        sec += &post(&format!("{}/api/funds", urls.sec_api), &code.to_string())
            .await
            .text();
    }
    let search = get(&format!("{}/json-search/fundSearch.json", urls.wealthmagik))
        .await
        .json();
    for fund in search["data"].as_array().expect("a list") {
        let link = fund["u"].as_str().expect("a link");
        let Some(code) = link
            .split("funds/")
            .nth(1)
            .map(|rest| rest.trim_end_matches("/profile"))
        else {
            continue;
        };
        for page in ["profile", "port", "allocation", "fee"] {
            wealthmagik += &get(&format!("{}/funds/{code}/{page}", urls.wealthmagik))
                .await
                .text();
        }
    }
    for (answers, needles) in [
        (finnomena, FINNOMENA),
        (wealthmagik, WEALTHMAGIK),
        (sec, SEC),
    ] {
        let missing: Vec<_> = needles
            .iter()
            .filter(|needle| !answers.contains(**needle))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
