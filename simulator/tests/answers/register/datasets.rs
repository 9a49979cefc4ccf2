//! The datasets: their rows, members and spellings.

use std::collections::BTreeSet;

use serde_json::Value;
use simulator::{Absence, EdgeCase, MassChange, MassKind, PageKind, Site};

use super::{all, code, get, market_of, text, with_cursor};

#[tokio::test]
async fn pages_end_with_an_empty_cursor_and_hold_every_class_once() {
    let simulator = market_of(300).await;
    let (whole, pages) = all(&simulator, "general-info/profiles").await;
    assert_eq!(pages, whole.len().div_ceil(100));
    let (by_seven, pages) = all(&simulator, "general-info/profiles?page_size=7").await;
    assert_eq!(pages, whole.len().div_ceil(7));
    assert_eq!(whole, by_seven);
    let codes: BTreeSet<String> = whole.iter().map(code).collect();
    assert_eq!(codes.len(), whole.len());
    let market = simulator.market();
    let own = market.codes_with(EdgeCase::RegisterOnlyDead);
    assert!(!own.is_empty() && own.iter().all(|code| codes.contains(*code)));
    let lacking = market.codes_with(EdgeCase::RegisterLacks);
    assert!(lacking.iter().all(|code| !codes.contains(*code)));
    let renamed = market.codes_with(EdgeCase::RegisterRenamed);
    for code in market.codes() {
        let is_listed = codes.contains(code);
        assert_eq!(
            !is_listed,
            lacking.contains(&code) || renamed.contains(&code),
            "{code}"
        );
    }
}

/// Each dataset below `/v2/fund` with the members of its rows in the documented examples.
const DATASETS: &[(&str, &str)] = &[
    (
        "general-info/amcs",
        "unique_id comp_name_th comp_name_en last_upd_date",
    ),
    (
        "daily-info/nav",
        "proj_id unique_id fund_class_name nav_date net_asset last_val sell_price buy_price sell_swap_price \
         buy_swap_price last_upd_date",
    ),
    (
        "daily-info/dividend-history",
        "proj_id unique_id class_abbr_name book_close_date dividend_date dividend_value last_upd_date",
    ),
    (
        "factsheet/statistics",
        "proj_id fund_class_name start_date end_date prospectus_type portfolio_turnover_ratio recovering_period \
         portfolio_duration_period maximum_drawdown sharpe_ratio beta alpha fx_hedging tracking_error \
         yield_to_maturity last_upd_date",
    ),
    (
        "factsheet/fees",
        "proj_id fund_class_name start_date end_date prospectus_type fee_type_desc rate actual_value fee_other_desc \
         last_upd_date",
    ),
    (
        "factsheet/risk-spectrum",
        "proj_id start_date end_date prospectus_type risk_spectrum_desc risk_spectrum last_upd_date",
    ),
    (
        "factsheet/performance",
        "proj_id fund_class_name start_date end_date prospectus_type performance_type_desc reference_period \
         performance_value last_upd_date",
    ),
    (
        "factsheet/asset-allocation",
        "proj_id start_date end_date prospectus_type asset_seq asset_name asset_ratio last_upd_date",
    ),
    (
        "factsheet/top5-holdings",
        "proj_id start_date end_date prospectus_type asset_seq asset_name asset_ratio last_upd_date",
    ),
    (
        "factsheet/urls",
        "proj_id fund_class_name prospectus_type amc_url_factsheet pdf_factsheet as_of_date last_upd_date",
    ),
    (
        "factsheet/subscription-redemption-minimums",
        "proj_id fund_class_name start_date end_date prospectus_type minimum_sub_ipo minimum_sub_ipo_cur minimum_sub \
         minimum_sub_cur minimum_sub_unit minimum_redempt minimum_redempt_cur minimum_redempt_unit lowbal_val \
         lowbal_val_cur lowbal_unit last_upd_date",
    ),
    (
        "factsheet/dividend-policy",
        "proj_id fund_class_name start_date end_date prospectus_type dividend_policy last_upd_date",
    ),
    (
        "factsheet/benchmarks",
        "proj_id start_date end_date prospectus_type group_seq benchmark benchmark_remark last_upd_date",
    ),
    (
        "outstanding/portfolio",
        "proj_id period as_of_date assetliab_id assetliab_desc issue_code isin_code issuer assetliab_value \
         percent_nav last_upd_date",
    ),
];

#[tokio::test]
async fn every_dataset_has_the_members_of_its_documented_example() {
    let simulator = market_of(60).await;
    for (path, members) in DATASETS {
        let (rows, _) = all(&simulator, path).await;
        let wanted: BTreeSet<&str> = members.split_whitespace().collect();
        assert!(!rows.is_empty(), "{path}");
        for row in &rows {
            let own: BTreeSet<&str> = row
                .as_object()
                .expect("an object")
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(own, wanted, "{path}");
        }
        if path.starts_with("factsheet/") {
            let (latest, _) = all(&simulator, &format!("{path}?latest=true")).await;
            assert!(
                latest.len() < rows.len() && latest.len() * 3 >= rows.len(),
                "{path}"
            );
            assert_eq!(
                get(&simulator, &format!("{path}?latest=yes")).await.status,
                400
            );
            let ends = latest
                .iter()
                .filter(|row| !row["end_date"].is_null())
                .count();
            assert!(
                ends * 3 < latest.len(),
                "{path}: the current factsheet has no end"
            );
        }
    }
}

/// Spellings that occur in a large market's answers, by dataset.
const SPELLINGS: &[(&str, &[&str])] = &[
    (
        "general-info/profiles",
        &[
            "\"fund_class_name\":\"main\"",
            "\"fund_class_isin_code\":null",
            "\"fund_class_isin_code\":\"TH",
            "\"fund_class_tax_incentive_type\":\"TESGX\"",
            "\"fund_class_tax_incentive_type\":\"\"",
            "\"fund_status\":\"IPO\"",
            "\"fund_status\":\"Canceled\"",
            "\"fund_status\":\"Liquidated\"",
            "S&P 500 & ",
            "/25",
            "\u{200b}",
            "LIMITED \"",
        ],
    ),
    (
        "daily-info/nav",
        &[
            "\"sell_price\":0.0,",
            "\"net_asset\":0.0,",
            "\"fund_class_name\":\" ",
            "Z\"}",
        ],
    ),
    (
        "daily-info/dividend-history",
        &[" 00:00:00.0000000\"", "\"class_abbr_name\":\"-\""],
    ),
    (
        "factsheet/statistics",
        &[
            "\"sharpe_ratio\":\"0\"",
            "\"alpha\":\"0.00\"",
            "\"2026-01-05\"",
            " ปี ",
            "\"maximum_drawdown\":\"-",
        ],
    ),
    (
        "factsheet/fees",
        &[
            "(SWITCHING IN)",
            "(Transfer Fee)\",\"rate\":10,",
            "\"rate\":0,\"actual_value\":0,",
            "\"actual_value\":null",
            "\"rate\":999999,",
        ],
    ),
    (
        "factsheet/risk-spectrum",
        &["\"RS8\"", "\"RS81\"", "\"RS8+\"", "\"RS1\""],
    ),
    (
        "factsheet/performance",
        &[
            "\"performance_value\":\"-\"",
            "\"performance_value\":\"\"",
            "year to date",
        ],
    ),
    (
        "factsheet/urls",
        &["Q&A", ".pdf\",\"as_of_date\"", "\"pdf_factsheet\":null"],
    ),
    (
        "factsheet/subscription-redemption-minimums",
        &[
            "\"USD                                               \"",
            "\"THB                                               \"",
        ],
    ),
    ("factsheet/dividend-policy", &["\"Y\"", "\"N\""]),
    (
        "outstanding/portfolio",
        &[
            "\"assetliab_id\":\"903\"",
            "\"issue_code\":null",
            "\"issue_code\":\"\"",
            "\"percent_nav\":-",
        ],
    ),
];

#[tokio::test]
async fn a_large_market_spells_the_registers_awkward_values_out() {
    let simulator = market_of(500).await;
    for (path, needles) in SPELLINGS {
        let mut answers = String::new();
        let mut page = (*path).to_owned();
        loop {
            let answer = get(&simulator, &page).await;
            answers += &answer.text();
            match answer.json()["next_cursor"].as_str() {
                Some("") | None => break,
                Some(cursor) => page = with_cursor(path, cursor),
            }
        }
        let missing: Vec<_> = needles
            .iter()
            .filter(|needle| !answers.contains(**needle))
            .collect();
        assert!(missing.is_empty(), "{path}: {missing:?}");
    }
}

#[tokio::test]
async fn mass_changes_of_the_register_leave_the_other_sources_alone() {
    let simulator = market_of(100).await;
    let nav = "daily-info/nav?start_nav_date=2026-09-07";
    let (profiles, _) = all(&simulator, "general-info/profiles").await;
    let (days, _) = all(&simulator, nav).await;
    let truth = simulator.truth();
    let set = |kind: MassKind| {
        simulator.clear_mass_changes();
        simulator.set_mass_change(MassChange::of(Site::SecOpenApi, kind));
    };
    set(MassKind::ListShrinks { each_night: 0.5 });
    let (shrunk, _) = all(&simulator, "general-info/profiles").await;
    assert!(shrunk.len() < profiles.len() * 7 / 10 && !shrunk.is_empty());
    set(MassKind::Inactive);
    let (dead, _) = all(&simulator, "general-info/profiles").await;
    let registered = |rows: &[Value]| {
        rows.iter()
            .filter(|row| row["fund_status"] == "Registered")
            .count()
    };
    assert!(dead.len() == profiles.len() && registered(&dead) < registered(&profiles) / 4);
    set(MassKind::SettledNavsRewritten {
        older_than_days: 20,
    });
    let (rewritten, _) = all(&simulator, nav).await;
    let changed = rewritten
        .iter()
        .zip(&days)
        .filter(|(new, old)| new["last_val"] != old["last_val"]);
    assert!(
        changed.clone().count() > 100
            && changed
                .clone()
                .all(|(new, _)| text(new, "nav_date") < "2026-09-25")
    );
    let page = PageKind::Fee;
    for (how, status) in [
        (Absence::NotFound, 404),
        (Absence::NoContent, 204),
        (Absence::EmptyArray, 200),
    ] {
        set(MassKind::Absent { page, how });
        assert_eq!(get(&simulator, "factsheet/fees").await.status, status);
    }
    assert_eq!(simulator.truth(), truth);
    simulator.clear_mass_changes();
    assert_eq!(all(&simulator, "general-info/profiles").await.0, profiles);
    assert_eq!(all(&simulator, nav).await.0, days);
}
