//! Renamed keys, ids and classes (D7): which of them a page needs, and which only leave a field unset.

use std::collections::BTreeMap;

use simulator::{FaultKind, Site, Source};

use super::{FRESH, failed_tasks, hit, loaded, next_of, run_with, wealthmagik_path};

/// The effect of the renamed word on its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    /// The task fails, and its failure contains this text.
    NoPage(&'static str),
    /// The page is read, and something is rejected with these words.
    SetAside(&'static str),
    /// The page is read without this field.
    Unsaid,
}
use Without::{NoPage, SetAside, Unsaid};

/// Finnomena's pages: path below the fund, name of the page, key, effect.
const FINNOMENA: [(&str, &str, &str, Without); 36] = [
    ("/nav", "nav", "data", NoPage("data: expected")),
    ("/nav", "nav", "status", Unsaid),
    ("/nav", "nav", "fund_id", Unsaid),
    ("/nav", "nav", "short_code", Unsaid),
    ("/nav", "nav", "navs", NoPage("data.navs: expected")),
    ("/nav", "nav", "date", NoPage("data.navs[].date: expected")),
    (
        "/nav",
        "nav",
        "value",
        NoPage("data.navs[].value: expected"),
    ),
    (
        "/nav",
        "nav",
        "amount",
        SetAside("no day has the key `amount`"),
    ),
    ("", "fund", "name_th", Unsaid),
    ("", "fund", "name_en", Unsaid),
    ("", "fund", "amc_name_en", Unsaid),
    ("", "fund", "aimc_category_name_en", Unsaid),
    ("", "fund", "risk_level", Unsaid),
    ("", "fund", "risk_spectrum", Unsaid),
    ("", "fund", "minimum_initial", Unsaid),
    ("", "fund", "minimum_subsequent", Unsaid),
    ("", "fund", "dividend_policy", Unsaid),
    ("", "fund", "inception_date", NoPage("data: expected")),
    ("", "fund", "fund_fact_sheet", NoPage("data: expected")),
    ("/fee", "fee", "fees", NoPage("data.fees: expected")),
    (
        "/fee",
        "fee",
        "description",
        NoPage("data.fees[].description: expected"),
    ),
    (
        "/fee",
        "fee",
        "class_abbr_name",
        NoPage("data.fees[].class_abbr_name: expected"),
    ),
    ("/fee", "fee", "rate", NoPage("data.fees[].rate: expected")),
    (
        "/fee",
        "fee",
        "actual_value",
        NoPage("data.fees[].actual_value: expected"),
    ),
    ("/fee", "fee", "unit", Unsaid),
    ("/fee", "fee", "last_update", Unsaid),
    (
        "/portfolio",
        "portfolio",
        "top_holdings",
        NoPage("data: expected"),
    ),
    (
        "/portfolio",
        "portfolio",
        "asset_allocation",
        NoPage("data: expected"),
    ),
    (
        "/portfolio",
        "portfolio",
        "elements",
        SetAside("expected `elements`"),
    ),
    (
        "/portfolio",
        "portfolio",
        "percent",
        SetAside("no element has the key `percent`"),
    ),
    (
        "/portfolio",
        "portfolio",
        "name",
        SetAside("expected a name of at most 2000 characters"),
    ),
    ("/portfolio", "portfolio", "data_date", Unsaid),
    (
        "/dividend",
        "dividend",
        "dividends",
        NoPage("data.dividends: expected"),
    ),
    (
        "/dividend",
        "dividend",
        "xd_date",
        NoPage("data.dividends[].xd_date: expected"),
    ),
    (
        "/dividend",
        "dividend",
        "value",
        NoPage("data.dividends[].value: expected"),
    ),
    ("/dividend", "dividend", "pay_date", Unsaid),
];

/// WealthMagik's pages: name of the page, the word as the page contains it, effect.
const WEALTHMAGIK: [(&str, &str, Without); 24] = [
    ("profile", "fundName\"", Unsaid),
    ("profile", "serverApp-state", Unsaid),
    ("profile", "fund-detail", Unsaid),
    ("profile", "wmg.funddetailinfo.text.", Unsaid),
    ("profile", "tnaclassDate", NoPage("found no tnaclassDate")),
    ("profile", "bidPrice", NoPage("found no bidPrice")),
    ("profile", "offerPrice", NoPage("found no offerPrice")),
    ("profile", "totalnetAsset", Unsaid),
    ("profile", "riskSpectrum", Unsaid),
    ("profile", "factSheetPath", Unsaid),
    (
        "port",
        "portallocation-list",
        NoPage(".portallocation-list: expected"),
    ),
    ("port", "name-text", NoPage(".name-text: expected")),
    ("port", "ratio-text", NoPage(".ratio-text: expected")),
    ("port", "date-detail-text", Unsaid),
    ("allocation", "fundName\"", NoPage(".fundName: expected")),
    (
        "allocation",
        "investmentAllocationByAsset",
        SetAside("the page has no such container"),
    ),
    (
        "allocation",
        "investmentAllocation",
        NoPage(".investmentAllocationByAsset: expected"),
    ),
    (
        "allocation",
        "mat-row",
        NoPage("rows or its own .emptyData"),
    ),
    (
        "allocation",
        "cdk-column-name",
        NoPage(".cdk-column-name: expected"),
    ),
    (
        "allocation",
        "cdk-column-ratio",
        NoPage(".cdk-column-ratio: expected"),
    ),
    ("allocation", "asofdate", Unsaid),
    (
        "fee",
        "wmg.funddetailfee.text.",
        NoPage("wmg.funddetailfee.text.: expected"),
    ),
    ("fee", "frontEndFee-ffs", NoPage("found no frontEndFee-ffs")),
    ("fee", "managementFee-actual", Unsaid),
];

/// The most cases of one page; each uses another fund.
const MOST_OF_A_PAGE: usize = 11;

#[tokio::test(flavor = "multi_thread")]
async fn d7_of_each_page_the_words_it_cannot_do_without_are_known() {
    let (world, before) = loaded(20).await;
    let codes = world.active(MOST_OF_A_PAGE);
    let mut hits = Vec::new();
    let mut expected = BTreeMap::new();
    let mut of_page: BTreeMap<&str, usize> = BTreeMap::new();
    let report = world.simulator.reported_by(Source::Finnomena);
    let pays = |code: &&&str| report.rows("funds_dividends", code).is_some();
    let payers: Vec<String> = {
        let market = world.simulator.market();
        let payers = market.codes();
        payers
            .iter()
            .filter(pays)
            .map(|code| (*code).to_owned())
            .collect()
    };
    for (path, page, key, without) in FINNOMENA {
        let codes = if page == "dividend" { &payers } else { &codes };
        let code = next_of(&mut of_page, path, codes);
        let renamed = FaultKind::RenamedField {
            from: format!("\"{key}\":"),
            to: format!("\"renamed_{key}\":"),
        };
        hits.push(hit(
            Site::Finnomena,
            world.finnomena_path(code, path),
            renamed,
            "",
            "",
        ));
        expected.insert((format!("finnomena/{page}/{code}"), key), without);
    }
    let mut of_page: BTreeMap<&str, usize> = BTreeMap::new();
    for (page, word, without) in WEALTHMAGIK {
        let code = next_of(&mut of_page, page, &codes);
        let renamed = FaultKind::RenamedField {
            from: word.to_owned(),
            to: format!("x-{word}"),
        };
        hits.push(hit(
            Site::WealthMagik,
            wealthmagik_path(code, page),
            renamed,
            "",
            "",
        ));
        expected.insert((format!("wealthmagik/{page}/{code}"), word), without);
    }
    let (run, _) = run_with(&world, &hits).await;
    run.exits(3);
    let failures: BTreeMap<String, String> = world
        .ask("SELECT source || '/' || page || '/' || key, failure FROM runner.task WHERE outcome NOT IN ('done', 'unchanged', 'absent')")
        .await
        .into_iter()
        .map(|row| (row[0].clone().unwrap_or_default(), row[1].clone().unwrap_or_default()))
        .collect();
    let cycle: i64 = world.one("SELECT max(cycle_id) FROM runner.cycle").await;
    let set_aside = world
        .ask(&format!("SELECT source || '/' || page || '/' || key, reason FROM runner.rejected WHERE cycle_id = {cycle}"))
        .await;
    let mut wrong = Vec::new();
    for ((task, word), without) in &expected {
        let aside: Vec<&str> = set_aside
            .iter()
            .filter(|row| row[0].as_deref() == Some(task))
            .filter_map(|row| row[1].as_deref())
            .collect();
        let failure = failures.get(task);
        let is_so = match without {
            NoPage(words) => failure.is_some_and(|failure| failure.contains(words)),
            SetAside(words) => {
                failure.is_none() && aside.iter().any(|reason| reason.contains(words))
            }
            Unsaid => failure.is_none(),
        };
        if !is_so {
            wrong.push(format!("{task} without `{word}`: expected {without:?}, failure {failure:?}, set aside {aside:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", run.output);
    let broken = expected
        .values()
        .filter(|without| matches!(without, NoPage(_)))
        .count();
    assert_eq!(failures.len(), broken, "{failures:#?}");
    // D3: a field that is missing now keeps its earlier value.
    assert_eq!(world.seven_tables().await, before);
    world.simulator.faults().clear();
    world.run(&FRESH).await.exits(0);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d7_a_list_or_a_batch_without_its_keys_is_a_breach_that_names_them() {
    let (world, before) = loaded(6).await;
    let renamed = |key: &str| FaultKind::RenamedField {
        from: format!("\"{key}\":"),
        to: format!("\"renamed_{key}\":"),
    };
    for (of_finnomena, of_wealthmagik, of_sec) in [
        (
            ("fund_id", "data[].fund_id"),
            ("v", "at least one fund"),
            ("abbrName", "[].abbrName"),
        ),
        (
            ("sec_is_active", "data[].sec_is_active"),
            ("data", "body: expected"),
            ("alpha", ""),
        ),
    ] {
        let list = "/public/funds";
        world.fault_times(Site::Finnomena, list, 2, renamed(of_finnomena.0));
        world.fault_on(
            Site::WealthMagik,
            "fundSearch.json",
            renamed(of_wealthmagik.0),
        );
        world.fault(Site::SecApi, renamed(of_sec.0));
        let run = world.run(&FRESH).await;
        run.exits(3)
            .says("contract breach")
            .says(of_wealthmagik.1)
            .says(of_sec.1);
        run.says(of_finnomena.1);
        let failed = failed_tasks(&world).await;
        assert!(
            failed.contains(&"wealthmagik/list/failed".to_owned()),
            "{failed:?}"
        );
        let statistics = failed
            .iter()
            .any(|task| task == "sec_fundcheck/statistics/failed");
        assert_eq!(statistics, of_sec.0 == "abbrName", "{failed:?}");
        assert_eq!(world.seven_tables().await, before);
        world.simulator.faults().clear();
        world.run(&FRESH).await.exits(0);
        world.assert_truth().await;
    }
    let noted: i64 = world
        .one("SELECT count(*) FROM runner.rejected WHERE reason LIKE '%lacks alpha%'")
        .await;
    assert!(noted > 0);
}
