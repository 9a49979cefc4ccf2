//! Errors of the Python pipeline that this program replaces. Each test runs the whole program to show that it does not
//! repeat one of them.
//!
//! Tests of edge cases share one warehouse that one monthly cycle has loaded. Tests of changes between two cycles
//! use a world of their own.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use simulator::{EdgeCase, FaultKind, Market, MarketConfig, Row, Site, Truth};
use tokio::sync::OnceCell;

use crate::world::{SevenTables, World, of_fund};

/// A warehouse after one monthly cycle over a market with every edge case.
struct Loaded {
    market: Market,
    truth: Truth,
    tables: SevenTables,
    rejected: Vec<Row>,
}

impl Loaded {
    async fn get() -> &'static Self {
        static LOADED: OnceCell<Loaded> = OnceCell::const_new();
        LOADED
            .get_or_init(|| async {
                let world = World::new(MarketConfig {
                    funds: 260,
                    days: 25,
                    ..MarketConfig::default()
                })
                .await;
                world
                    .run(&["--once", "--cycle", "monthly", "--mode", "parallel"])
                    .await
                    .exits(0);
                let market = world.simulator.market().clone();
                Loaded {
                    market,
                    truth: world.simulator.truth(),
                    tables: world.seven_tables().await,
                    rejected: world
                        .ask(
                            "SELECT fund_code, dataset, field, reason, sample FROM runner.rejected",
                        )
                        .await,
                }
            })
            .await
    }

    /// The codes that have rows and were dealt one of these edge cases.
    #[track_caller]
    fn with(&self, edge_cases: &[EdgeCase]) -> Vec<&str> {
        let active = self.market.codes();
        let codes: Vec<&str> = active
            .into_iter()
            .filter(|code| {
                edge_cases
                    .iter()
                    .any(|kind| self.market.codes_with(*kind).contains(code))
            })
            .collect();
        assert!(!codes.is_empty(), "no active fund has {edge_cases:?}");
        codes
    }

    fn column(&self, table: &str, column: &str) -> usize {
        let columns = self.truth.table(table).expect("a table").columns;
        columns
            .iter()
            .position(|name| *name == column)
            .expect("a column")
    }

    /// The cells of one column in a fund's rows.
    fn cells(&self, table: &str, code: &str, column: &str) -> Vec<Option<&str>> {
        let place = self.column(table, column);
        of_fund(&self.tables[table], code)
            .into_iter()
            .map(|row| row[place].as_deref())
            .collect()
    }

    /// Asserts that the rows of these funds equal the truth, and returns their number.
    #[track_caller]
    fn is_true_of(&self, table: &str, codes: &[&str]) -> usize {
        let truth = self.truth.table(table).expect("a table");
        let mut rows = 0;
        for code in codes {
            let expected = of_fund(&truth.rows, code);
            rows += expected.len();
            assert_eq!(
                of_fund(&self.tables[table], code),
                expected,
                "{table} of {code}"
            );
        }
        assert!(rows > 0, "{table}: nothing is true of {codes:?}");
        rows
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_percent_sign_in_a_name_stays_a_percent_sign() {
    let loaded = Loaded::get().await;
    let codes = loaded.with(&[EdgeCase::NamePercent]);
    loaded.is_true_of("funds_master_info", &codes);
    // The fund's name in the other language, or on another site, may be a plain one.
    let names: Vec<&str> = codes
        .iter()
        .flat_map(|code| {
            ["full_name_th", "full_name_en"]
                .map(|column| loaded.cells("funds_master_info", code, column)[0])
        })
        .flatten()
        .collect();
    assert!(names.iter().any(|name| name.contains('%')), "{names:?}");
    assert!(
        !names.iter().any(|name| name.contains(" percent")),
        "{names:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_cell_of_a_dash_or_of_words_costs_that_cell_alone() {
    let loaded = Loaded::get().await;
    for kind in [
        EdgeCase::FeeDash,
        EdgeCase::FeeWaived,
        EdgeCase::FeeAsCharged,
    ] {
        let codes = loaded.with(&[kind]);
        assert_eq!(
            loaded.is_true_of("funds_fee", &codes),
            codes.len(),
            "{kind:?}"
        );
        // The row has other values beside the missing cell; its key and its URL are not counted.
        let others = codes.iter().map(|code| {
            let row = of_fund(&loaded.tables["funds_fee"], code)[0];
            row.iter().flatten().count() - 2
        });
        assert!(others.max() > Some(4), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holding_without_a_percent_or_with_a_long_name_costs_no_other() {
    let loaded = Loaded::get().await;
    for kind in [
        EdgeCase::PercentDash,
        EdgeCase::PercentUnreadable,
        EdgeCase::HoldingNameOver255,
    ] {
        let codes = loaded.with(&[kind]);
        loaded.is_true_of("funds_holding", &codes);
    }
    let long = EdgeCase::HoldingNameOver255;
    let longest = loaded
        .with(&[long])
        .iter()
        .flat_map(|code| loaded.cells("funds_holding", code, "name"))
        .flatten()
        .map(|name| name.chars().count())
        .max();
    assert!(longest > Some(255), "{longest:?}");
    let null_beside_values = loaded.with(&[EdgeCase::PercentDash]).iter().any(|code| {
        let percents = loaded.cells("funds_holding", code, "percent");
        percents.contains(&None) && percents.iter().any(Option::is_some)
    });
    assert!(
        null_beside_values,
        "no holding without a percent beside others"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_page_deletes_no_holding() {
    let world = World::plain(8).await;
    let monthly = ["--once", "--cycle", "monthly", "--fresh"];
    world.run(&monthly).await.exits(0);
    let held = world
        .rows("funds_holding", &["fund_code", "source", "name"])
        .await;
    assert!(
        held.iter()
            .any(|row| row[1].as_deref() == Some("wealthmagik"))
    );
    let before = world.seven_tables().await;

    // The page shows neither rows nor a text that there are none: it failed to render.
    world.fault_on(Site::WealthMagik, "/port", FaultKind::EmptyPage);
    world.run(&monthly).await.exits(3);
    assert_eq!(world.seven_tables().await, before);

    // The page states that there are no holdings. The task ends as absent, and no row is deleted.
    world.simulator.faults().clear();
    let no_holdings = FaultKind::RenamedField {
        from: "portallocation-list".to_owned(),
        to: "emptyData".to_owned(),
    };
    world.fault_on(Site::WealthMagik, "/port", no_holdings);
    world.run(&monthly).await.exits(0);
    let absent: i64 = world
        .one("SELECT count(*) FROM runner.task WHERE page = 'port' AND outcome = 'absent'")
        .await;
    assert!(absent > 0, "no page said that there are no holdings");
    assert_eq!(world.seven_tables().await, before);
    assert_eq!(
        world
            .one::<i64>("SELECT count(*) FROM history.portfolio")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ragged_record_costs_itself_and_not_its_source() {
    let world = World::plain(12).await;
    let ragged = &world.active(1)[0];
    let spoil = FaultKind::RenamedField {
        from: format!("\"short_code\":\"{ragged}\""),
        to: "\"short_code\":[1,{\"ragged\":null}]".to_owned(),
    };
    world.fault_on(Site::Finnomena, "/public/funds", spoil);
    world.run(&["--once", "--cycle", "monthly"]).await.exits(0);
    let codes = world.active(5);
    let others: Vec<&str> = codes
        .iter()
        .map(String::as_str)
        .filter(|code| code != ragged)
        .collect();
    assert!(others.len() >= 4);
    for table in ["funds_master_info", "funds_daily", "funds_fee"] {
        world.assert_truth_of(table, &others).await;
    }
    let rejects: i64 = world
        .one("SELECT count(*) FROM runner.rejected WHERE page = 'list' AND field = 'short_code' AND severity = 'rejected' AND sample LIKE '%ragged%'")
        .await;
    assert_eq!(rejects, 1, "the ragged record is noted once");

    world.simulator.faults().clear();
    world.run(&["--once", "--cycle", "monthly"]).await.exits(0);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_or_a_hollow_scrape_nulls_nothing() {
    let world = World::plain(10).await;
    let monthly = ["--once", "--cycle", "monthly", "--fresh"];
    world.run(&monthly).await.exits(0);
    world.assert_truth().await;
    let before = world.seven_tables().await;
    let said = "SELECT fund_id, source, dataset, fields FROM runner.observation ORDER BY 1, 2, 3";
    let said_before = world.ask(said).await;

    // Failed reads of statistics, fees and master data.
    world.fault(Site::SecApi, FaultKind::HtmlInsteadOfJson);
    world.fault_on(Site::Finnomena, "/fee", FaultKind::CutText);
    world.fault_on(Site::WealthMagik, "/fee", FaultKind::ErrorPage);
    world.fault_on(Site::WealthMagik, "/profile", FaultKind::ErrorPage);
    world.run(&monthly).await.exits(3);
    assert_eq!(world.seven_tables().await, before, "after failed scrapes");

    // Successful reads without some of the earlier fields.
    world.simulator.faults().clear();
    for (site, field) in [
        (Site::Finnomena, "name_en"),
        (Site::Finnomena, "amc_name_en"),
        (Site::Finnomena, "minimum_initial"),
        (Site::SecApi, "sharpRatio"),
        (Site::SecApi, "beta"),
    ] {
        let hollow = FaultKind::RenamedField {
            from: format!("\"{field}\""),
            to: "\"of_another_time\"".to_owned(),
        };
        world.fault(site, hollow);
    }
    let run = world.run(&monthly).await;
    assert!(matches!(run.code, Some(0 | 3)), "{run:?}");
    assert_eq!(world.seven_tables().await, before, "after hollow scrapes");
    // The observations keep the fields that a source no longer reports, so `remerge` can restore them.
    assert_eq!(world.ask(said).await, said_before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_with_an_apostrophe_or_a_percent_sign_is_a_fund_like_any() {
    let loaded = Loaded::get().await;
    let mut codes = loaded.with(&[EdgeCase::CodeApostrophe, EdgeCase::CodeSpecialCharacters]);
    codes.retain(|code| code.contains(['\'', '%', '&', '#', '/']));
    assert!(codes.iter().any(|code| code.contains('\'')));
    assert!(codes.iter().any(|code| code.contains('%')));
    assert_eq!(loaded.is_true_of("funds_master_info", &codes), codes.len());
    loaded.is_true_of("funds_daily", &codes);
    loaded.is_true_of("funds_fee", &codes);
    loaded.is_true_of("funds_statistics", &codes);
    loaded.is_true_of("funds_holding", &codes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_or_invalid_date_costs_no_other_day() {
    let loaded = Loaded::get().await;
    for kind in [
        EdgeCase::DuplicateDate,
        EdgeCase::InvalidDate,
        EdgeCase::NavYearOne,
    ] {
        let codes = loaded.with(&[kind]);
        let rows = loaded.is_true_of("funds_daily", &codes);
        assert!(rows > 3 * codes.len(), "{kind:?}: {rows} days");
        let noted = loaded.rejected.iter().any(|row| {
            row[0].as_deref().is_some_and(|code| codes.contains(&code))
                && row[1].as_deref() == Some("daily")
                && row[2].as_deref() == Some("date")
        });
        assert!(noted, "{kind:?} is not noted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_differ_by_a_slash_or_by_case_are_two_funds() {
    let loaded = Loaded::get().await;
    for pair in [["A/B", "A:B"], ["TwinCase-A", "TWINCASE-A"]] {
        assert_eq!(loaded.is_true_of("funds_master_info", &pair), 2);
        for code in pair {
            loaded.is_true_of("funds_daily", &[code]);
        }
        assert_ne!(
            loaded.cells("funds_daily", pair[0], "nav_value"),
            loaded.cells("funds_daily", pair[1], "nav_value")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_older_than_the_look_back_is_loaded_by_the_monthly_audit() {
    let world = World::plain(6).await;
    world
        .run(&["--once", "--cycle", "monthly", "--date", "2026-10-15"])
        .await
        .exits(0);
    let code = &world.active(1)[0];
    let dates = world
        .ask(&format!(
            "SELECT nav_date, nav_value FROM funds_daily WHERE fund_code = '{code}' AND nav_value IS NOT NULL ORDER BY nav_date"
        ))
        .await;
    let [first, last] = [&dates[0], &dates[dates.len() - 1]].map(Clone::clone);
    let revise = |row: &Row, nav: &str| {
        let date = row[0].as_deref().expect("a date").parse().expect("a date");
        world
            .simulator
            .revise_nav(code, date, nav)
            .expect("a known code");
    };
    revise(&first, "4.2525");
    revise(&last, "4.3102");
    let stands = async |row: &Row| -> Option<String> {
        let date = row[0].as_deref().expect("a date");
        let sql = format!(
            "SELECT trim_scale(nav_value) FROM funds_daily WHERE fund_code = '{code}' AND nav_date = '{date}'"
        );
        world.ask(&sql).await[0][0].clone()
    };

    // The daily look-back finds the late correction without requesting the whole history.
    let skip = world.simulator.log().requests.len();
    world
        .run(&["--once", "--cycle", "daily", "--date", "2026-10-16"])
        .await
        .exits(0);
    assert_eq!(stands(&last).await.as_deref(), Some("4.3102"));
    assert!(
        world
            .asked_since(skip, Site::Finnomena)
            .iter()
            .all(|path| !path.contains("range=MAX"))
    );
    // The monthly cycle finds the old correction, and the earlier value is in the history.
    world
        .run(&["--once", "--cycle", "monthly", "--date", "2026-11-02"])
        .await
        .exits(0);
    assert_eq!(stands(&first).await.as_deref(), Some("4.2525"));
    world.assert_truth().await;
    let old = world
        .ask(&format!("SELECT trim_scale(old_value::numeric) FROM history.change WHERE fund_code = '{code}' AND field = 'nav_value' ORDER BY key"))
        .await;
    let [first, last] = [first, last].map(|row| {
        row[1]
            .clone()
            .map(|nav| nav.trim_end_matches('0').to_owned())
    });
    assert_eq!(old, [vec![first], vec![last]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_in_2099_blocks_no_later_day() {
    let world = World::new(MarketConfig {
        funds: 80,
        days: 25,
        ..MarketConfig::default()
    })
    .await;
    let codes = world.active_with(EdgeCase::Year2099);
    let narrowed = codes.join(",");
    let args = |date| {
        [
            "--once",
            "--cycle",
            "daily",
            "--funds",
            narrowed.as_str(),
            "--date",
            date,
        ]
    };
    world.run(&args("2026-10-15")).await.exits(0);
    let days = format!(
        "SELECT count(*) FROM funds_daily WHERE fund_code = '{}'",
        codes[0]
    );
    let before: i64 = world.one(&days).await;
    world.simulator.advance_days(3);
    world.run(&args("2026-10-18")).await.exits(0);
    let after: i64 = world.one(&days).await;
    assert!(after > before, "{before} days, then {after}");
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    world.assert_truth_of("funds_daily", &codes).await;
    let newest: bool = world
        .one("SELECT max(nav_date) < '2027-01-01' FROM funds_daily")
        .await;
    assert!(newest, "a row of 2099 was loaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_codes_007_and_na_are_texts() {
    let loaded = Loaded::get().await;
    let codes = loaded.with(&[
        EdgeCase::CodeLooksLikeNumber,
        EdgeCase::CodeLooksLikeMissing,
    ]);
    for code in ["007", "NA", "1E5"] {
        assert!(codes.contains(&code), "{code} is not in the market");
        assert_eq!(loaded.is_true_of("funds_master_info", &[code]), 1);
        loaded.is_true_of("funds_daily", &[code]);
    }
    assert!(of_fund(&loaded.tables["funds_master_info"], "7").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_thai_digits_or_with_a_currency_suffix_is_a_name() {
    let loaded = Loaded::get().await;
    let name = |kind: EdgeCase, is_so: fn(&str) -> bool| {
        let codes = loaded.with(&[kind]);
        assert_eq!(loaded.is_true_of("funds_master_info", &codes), codes.len());
        for code in codes {
            let said = ["full_name_th", "full_name_en"]
                .into_iter()
                .flat_map(|column| loaded.cells("funds_master_info", code, column));
            assert!(said.flatten().any(is_so), "{kind:?}: {code}");
        }
    };
    name(EdgeCase::NameThaiDigits, |name| {
        name.contains(|digit| ('๐'..='๙').contains(&digit))
    });
    name(EdgeCase::NameUsdSuffix, |name| name.contains("(:USD)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn spaces_around_a_code_make_no_second_fund() {
    let world = World::new(MarketConfig {
        funds: 60,
        days: 20,
        ..MarketConfig::default()
    })
    .await;
    let codes = world.active_with(EdgeCase::CodeSurroundingSpaces);
    let narrowed: Vec<String> = codes.iter().map(|code| format!(" {code}  ")).collect();
    let narrowed = narrowed.join(",");
    for date in ["2026-10-15", "2026-10-16", "2026-10-17"] {
        world
            .run(&["--once", "--funds", &narrowed, "--date", date])
            .await
            .exits(0);
        world
            .run(&[
                "--once",
                "--only",
                "finnomena",
                "--limit",
                "1",
                "--date",
                date,
            ])
            .await
            .exits(0);
        world.simulator.advance_days(1);
    }
    let count: i64 = world
        .one("SELECT count(*) FROM funds_master_info WHERE fund_code <> trim(fund_code)")
        .await;
    assert_eq!(count, 0);
    for code in &codes {
        let rows = world
            .ask(&format!("SELECT fund_code, fund_status FROM funds_master_info WHERE fund_code LIKE '%{code}%'"))
            .await;
        assert_eq!(rows, [vec![Some(code.clone()), Some("active".to_owned())]]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nan_is_null_and_costs_nothing_else() {
    let loaded = Loaded::get().await;
    for (kind, table, column) in [
        (EdgeCase::AmountNan, "funds_daily", "aum"),
        (EdgeCase::AmountInfinity, "funds_daily", "aum"),
        (EdgeCase::PercentNan, "funds_holding", "percent"),
    ] {
        let mut codes = loaded.with(&[kind]);
        codes.retain(|code| {
            !of_fund(&loaded.truth.table(table).expect("a table").rows, code).is_empty()
        });
        loaded.is_true_of(table, &codes);
        let has_null = codes
            .iter()
            .any(|code| loaded.cells(table, code, column).contains(&None));
        assert!(
            has_null || kind == EdgeCase::PercentNan,
            "{kind:?}: no cell is NULL"
        );
    }
    for rows in loaded.tables.values() {
        let words = ["nan", "infinity", "-infinity", "none", "null"];
        let word = rows
            .iter()
            .flatten()
            .flatten()
            .find(|cell| words.contains(&cell.to_lowercase().as_str()));
        assert_eq!(word, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_are_loaded_for_a_fund_without_a_page_of_its_own() {
    let loaded = Loaded::get().await;
    let truth = loaded.truth.table("funds_fee").expect("a table");
    let mut codes = loaded.with(&[EdgeCase::FundPageAbsent]);
    codes.retain(|code| !of_fund(&truth.rows, code).is_empty());
    assert_eq!(loaded.is_true_of("funds_fee", &codes), codes.len());
    assert_eq!(loaded.is_true_of("funds_master_info", &codes), codes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_out_is_not_read_as_switching_in() {
    let loaded = Loaded::get().await;
    let codes = loaded.with(&[EdgeCase::SwitchingSpelling]);
    assert_eq!(loaded.is_true_of("funds_fee", &codes), codes.len());
    let differ = codes.iter().any(|code| {
        let [into, out] = ["switching_in_max", "switching_out_max"]
            .map(|column| loaded.cells("funds_fee", code, column)[0]);
        out.is_some() && into != out
    });
    assert!(
        differ,
        "in and out are the same everywhere: nothing is shown"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_are_those_of_the_own_share_class() {
    let loaded = Loaded::get().await;
    for kind in [
        EdgeCase::FeesOfOwnCode,
        EdgeCase::FeesOfMain,
        EdgeCase::FeesOfDash,
        EdgeCase::FeesOwnBeatsMain,
    ] {
        let codes = loaded.with(&[kind]);
        assert_eq!(
            loaded.is_true_of("funds_fee", &codes),
            codes.len(),
            "{kind:?}"
        );
    }
    // Fees of other classes are not used: the row has another page's values, or no values.
    for code in loaded.with(&[EdgeCase::FeesOfOthersOnly]) {
        let truth = loaded.truth.table("funds_fee").expect("a table");
        assert_eq!(
            of_fund(&loaded.tables["funds_fee"], code),
            of_fund(&truth.rows, code),
            "{code}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nine_hundred_thousand_and_so_on_is_no_fee() {
    let loaded = Loaded::get().await;
    let codes = loaded.with(&[EdgeCase::FeeNoCap]);
    assert_eq!(loaded.is_true_of("funds_fee", &codes), codes.len());
    let nines = loaded.tables["funds_fee"]
        .iter()
        .flatten()
        .flatten()
        .find(|cell| cell.replace(',', "").starts_with("999999"));
    assert_eq!(nines, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_year_one_is_no_date() {
    let loaded = Loaded::get().await;
    let codes = loaded.with(&[EdgeCase::InceptionYearOne]);
    assert_eq!(loaded.is_true_of("funds_master_info", &codes), codes.len());
    let dated: BTreeMap<&str, Option<&str>> = codes
        .iter()
        .map(|code| {
            (
                *code,
                loaded.cells("funds_master_info", code, "inception_date")[0],
            )
        })
        .collect();
    assert!(
        dated
            .values()
            .all(|date| date
                .is_none_or(|date| !date.starts_with("2001") && !date.starts_with("0001"))),
        "{dated:?}"
    );
    let codes = loaded.with(&[EdgeCase::PortfolioYearOne]);
    let rows = loaded.is_true_of("funds_holding", &codes);
    assert!(rows > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_failed_tasks_are_requested_again() {
    let world = World::plain(10).await;
    let failing = world.finnomena_path(&world.active(3)[2], "/nav");
    world.fault_on(Site::Finnomena, &failing, FaultKind::HtmlInsteadOfJson);
    let args = ["--once", "--cycle", "monthly"];
    world.run(&args).await.exits(3);
    let failed = world
        .ask("SELECT source, page, outcome FROM runner.task WHERE outcome NOT IN ('done', 'unchanged', 'absent')")
        .await;
    let [source, page, outcome] = ["finnomena", "nav", "failed"].map(|text| Some(text.to_owned()));
    assert_eq!(failed, [vec![source, page, outcome]]);

    world.simulator.faults().clear();
    let skip = world.simulator.log().requests.len();
    world.run(&args).await.exits(0);
    let asked = world.asked_since(skip, Site::Finnomena);
    assert!(asked.len() == 1 && asked[0].contains(&failing), "{asked:?}");
    for site in [Site::WealthMagik, Site::SecApi, Site::Documents] {
        assert_eq!(world.asked_since(skip, site), [""; 0]);
    }
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_full_pass_is_not_repeated_the_next_day_even_if_a_fund_failed() {
    let world = World::plain(6).await;
    let failing = world.finnomena_path(&world.active(1)[0], "/portfolio");
    world.fault_on(Site::Finnomena, &failing, FaultKind::HtmlInsteadOfJson);
    world
        .run(&["--once", "--date", "2026-10-15"])
        .await
        .exits(3);
    let skip = world.simulator.log().requests.len();
    world.simulator.advance_days(1);
    world.run(&["--once", "--date", "2026-10-16"]).await;
    let kinds = world
        .ask("SELECT kind, state FROM runner.cycle ORDER BY cycle_id")
        .await;
    let row = |kind: &str| vec![Some(kind.to_owned()), Some("closed".to_owned())];
    assert_eq!(kinds, [row("monthly"), row("daily")]);
    // Of the heavy pages, only the page that was never read is requested.
    let heavy: Vec<String> = world
        .asked_since(skip, Site::Finnomena)
        .into_iter()
        .filter(|path| {
            !path.contains("/nav/q")
                && !path.ends_with("/public/funds")
                && !path.contains("/public/filter?")
                && !path.contains(&failing)
        })
        .collect();
    assert_eq!(heavy, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_pdf_is_not_fetched_again_every_day() {
    let world = World::new(MarketConfig {
        funds: 40,
        days: 20,
        ..MarketConfig::default()
    })
    .await;
    world.active_with(EdgeCase::FactsheetHtml);
    world.active_with(EdgeCase::FactsheetAbsent);
    world
        .run(&["--once", "--cycle", "daily", "--date", "2026-10-15"])
        .await
        .exits(0);
    let skip = world.simulator.log().requests.len();
    assert!(world.simulator.log().of(Site::Documents).count() > 10);
    for date in ["2026-10-16", "2026-10-17"] {
        world.simulator.advance_days(1);
        world
            .run(&["--once", "--cycle", "daily", "--date", date])
            .await
            .exits(0);
    }
    assert_eq!(world.asked_since(skip, Site::Documents), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_is_no_success() {
    let world = World::plain(3).await;
    let began = Instant::now();
    let child = world
        .command(&["--once"])
        .env(
            "DATABASE_URL",
            "postgres://nobody:hunter2@127.0.0.1:9/funds_db",
        )
        .spawn()
        .expect("the runner starts");
    let run = crate::world::ended(child).await;
    run.exits(1)
        .says("the database cannot be reached")
        .says("DATABASE_URL");
    assert!(
        !run.output.contains("hunter2"),
        "a password was printed: {}",
        run.output
    );
    assert!(
        began.elapsed() < Duration::from_secs(40),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        world.simulator.log().requests.len(),
        0,
        "sites were asked for nobody"
    );
}
