//! D11: mass changes are not applied at once.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use schema::columns::{DividendFields, PerformanceFields, StatisticsFields};
use schema::observation::{Dividend, ObservationData, PerformanceRow};
use schema::{Outcome, SourceName, TaskAnswer, TaskId};
use store::{BatchReport, BreachReport, ChangeRequest, CycleKind, CycleTotals};

use crate::world::{TODAY, World, days, done, list, number, says, task};
use SourceName::{Finnomena, SecFundcheck, SecOpenApi, Wealthmagik};

const FUNDS: usize = 40;

fn fund(at: usize) -> String {
    format!("F{at:02}")
}

fn funds() -> Vec<String> {
    (0..FUNDS).map(fund).collect()
}

/// The whole list, with the first `inactive` funds inactive.
fn list_with(inactive: usize) -> TaskAnswer {
    let codes = funds();
    let keys: Vec<String> = codes.iter().map(|code| format!("id-{code}")).collect();
    let entries: Vec<(&str, bool, &str)> = (0..FUNDS)
        .map(|at| (codes[at].as_str(), at >= inactive, keys[at].as_str()))
        .collect();
    list(&entries)
}

/// Days 1 to `last` of a fund. Each day has its own NAV, multiplied by `factor` before day 4.
fn series(at: usize, last: i8, factor: i64) -> TaskAnswer {
    let navs: Vec<(i8, String)> = (1..=last)
        .map(|day| {
            let nav = i64::try_from(at).unwrap() * 100 + 1_000 + i64::from(day);
            let nav = if day < 4 { nav * factor } else { nav };
            (day, nav.to_string())
        })
        .collect();
    let points: Vec<(i8, [&str; 4])> = navs
        .iter()
        .map(|(day, nav)| (*day, [nav.as_str(), "5", "", ""]))
        .collect();
    days(&fund(at), Finnomena, &points)
}

fn statistics(at: usize, figure: &str) -> TaskAnswer {
    let figure = Some(number(figure));
    let said = ObservationData::Statistics(StatisticsFields {
        sharpe_ratio: figure,
        alpha: figure,
        beta: figure,
        ..StatisticsFields::default()
    });
    done(
        task(SecFundcheck, "statistics", &fund(at)),
        vec![says(&fund(at), SecFundcheck, None, said)],
    )
}

fn absent(source: SourceName, page: &str, at: usize) -> TaskAnswer {
    TaskAnswer::empty(task(source, page, &fund(at)), Outcome::Absent, 1)
}

/// A loaded market: days 1 to 10 and statistics of every fund.
async fn loaded() -> World {
    let mut world = World::new().await;
    let mut answers = vec![list_with(0)];
    answers.extend((0..FUNDS).map(|at| series(at, 10, 1)));
    answers.extend((0..FUNDS).map(|at| statistics(at, "1.5")));
    world.commit(answers).await;
    assert_eq!(world.judge().await, []);
    world.next_cycle(TODAY, CycleKind::Daily).await;
    world
}

/// Everything that a cycle must not have changed.
async fn untouched(world: &World) -> Vec<String> {
    world
        .text(
            "SELECT to_jsonb(t)::text FROM public.funds_daily t UNION ALL SELECT to_jsonb(t)::text FROM public.funds_statistics t
             UNION ALL SELECT to_jsonb(t)::text FROM public.funds_master_info t
             UNION ALL SELECT to_jsonb(t)::text FROM history.change t UNION ALL SELECT to_jsonb(t)::text FROM runner.observation t
             ORDER BY 1",
        )
        .await
}

async fn outcomes(world: &World, page: &str) -> Vec<String> {
    world
        .text(&format!(
            "SELECT outcome || ' ' || count(*) || ' ' || count(payload_hash) FROM runner.task WHERE page = '{page}' GROUP BY outcome ORDER BY 1"
        ))
        .await
}

fn kinds(breaches: &[BreachReport]) -> Vec<&str> {
    breaches
        .iter()
        .map(|breach| breach.accepted_by.as_deref().unwrap_or("open"))
        .collect()
}

async fn next_date(world: &mut World) -> (Date, CycleTotals) {
    let date = world.cycle.cycle_date.checked_add(1.day()).unwrap();
    let totals = world.next_cycle(date, CycleKind::Daily).await;
    (date, totals)
}

#[tokio::test]
async fn settled_values_of_a_quarter_of_the_market_are_not_rewritten_and_new_days_are_taken() {
    let mut world = loaded().await;
    let before = untouched(&world).await;
    let quarter = FUNDS / 4;
    world
        .commit(
            (0..FUNDS)
                .map(|at| series(at, 11, if at < quarter { 2 } else { 1 }))
                .collect(),
        )
        .await;
    assert_eq!(
        world
            .text("SELECT count(*)::text FROM funds_daily WHERE nav_date = '2026-10-11'")
            .await,
        ["40"],
        "new days are taken at once"
    );
    let breaches = world.judge().await;
    assert_eq!(kinds(&breaches), ["open"]);
    let message = &breaches[0].message;
    for part in [
        "nav: 10 of 40 funds",
        "25.0 %",
        "such as F00, F01, F02",
        "master_runner accept",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    world
        .sql
        .batch_execute("DELETE FROM funds_daily WHERE nav_date = '2026-10-11'")
        .await
        .unwrap();
    assert_eq!(untouched(&world).await, before);
    assert_eq!(outcomes(&world, "nav").await, ["done 30 0", "failed 10 0"]);
    assert_eq!(world.judge().await, [], "a breach is reported once");
    let (_, totals) = next_date(&mut world).await;
    assert_eq!(totals.breaches.len(), 1);
}

/// D12: if a trigger drops rows of a judgement, the judgement ends with the table's name in the error, for every
/// statement.
#[tokio::test]
async fn a_trigger_that_drops_rows_of_a_judgement_ends_it_with_the_tables_name() {
    // Ten of forty funds are a breach; five are believed when the round is judged.
    for (revised, table, when) in [
        (10, "runner.doubt", "INSERT"),
        (10, "runner.change_share", "INSERT"),
        (10, "runner.breach", "INSERT"),
        (10, "runner.breach", "UPDATE"),
        (10, "runner.task", "UPDATE"),
        (5, "runner.doubt", "DELETE"),
        (5, "runner.change_share", "INSERT"),
        (5, "public.funds_daily", "UPDATE"),
        (5, "history.change", "INSERT"),
    ] {
        let mut world = loaded().await;
        let answers: Vec<TaskAnswer> = (0..FUNDS)
            .map(|at| series(at, 11, if at < revised { 2 } else { 1 }))
            .collect();
        world.plan(&answers).await;
        let trigger = format!(
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER nothing BEFORE {when} ON {table} FOR EACH ROW EXECUTE FUNCTION nothing()"
        );
        let meets_the_batch = (table, when) == ("runner.doubt", "INSERT");
        if meets_the_batch {
            world.sql.batch_execute(&trigger).await.unwrap();
        }
        let batch = store::Batch::new(answers);
        let error = match world.writer.commit(&world.cycle, &batch).await {
            Err(error) => error,
            Ok(report) => {
                assert!(!meets_the_batch, "it was committed: {report:?}");
                world.sql.batch_execute(&trigger).await.unwrap();
                let judged = world.writer.judge(&world.cycle).await;
                judged.expect_err(&format!("{revised} revised, {when} on {table}"))
            }
        };
        assert!(
            matches!(&error, store::StoreError::RowsMissing { table: named, .. } if named == table),
            "{revised} revised, {when} on {table}: {error}"
        );
    }
}

#[tokio::test]
async fn revisions_of_a_few_funds_are_applied_when_the_round_is_judged() {
    let mut world = loaded().await;
    world
        .commit(
            (0..FUNDS)
                .map(|at| series(at, 11, if at < 5 { 2 } else { 1 }))
                .collect(),
        )
        .await;
    assert_eq!(outcomes(&world, "nav").await, ["done 35 0", "held 5 0"]);
    assert_eq!(
        world
            .text("SELECT count(*)::text FROM history.change")
            .await,
        ["0"]
    );
    assert_eq!(world.judge().await, []);
    assert_eq!(outcomes(&world, "nav").await, ["done 40 0"]);
    assert_eq!(
        world
            .text("SELECT count(*)::text FROM history.change")
            .await,
        ["15"]
    );
    assert_eq!(
        world.text("SELECT count(*)::text FROM runner.doubt").await,
        ["0"]
    );
    let (_, totals) = next_date(&mut world).await;
    assert_eq!(totals.breaches, []);
}

#[tokio::test]
async fn answers_of_other_funds_reach_nothing() {
    let mut world = loaded().await;
    let before = untouched(&world).await;
    let swapped = (0..FUNDS).map(|at| {
        let mut answer = series((at + 1) % FUNDS, 11, 1);
        answer.id.key = fund(at);
        for observation in &mut answer.observations {
            observation.fund_code = crate::world::code(&fund(at));
        }
        answer
    });
    world.commit(swapped.collect()).await;
    assert_eq!(kinds(&world.judge().await), ["open"]);
    assert_eq!(untouched(&world).await, before);
    assert_eq!(outcomes(&world, "nav").await, ["failed 40 0"]);
}

#[tokio::test]
async fn one_series_for_many_funds_of_a_first_load_is_taken_back() {
    let mut world = World::new().await;
    let mut answers = vec![list_with(0)];
    answers.extend((0..FUNDS).map(|at| {
        let mut answer = series(0, 10, 1);
        answer.id.key = fund(at);
        for observation in &mut answer.observations {
            observation.fund_code = crate::world::code(&fund(at));
        }
        answer
    }));
    answers.push(days("F03", Wealthmagik, &[(10, ["", "", "7", "8"])]));
    world.commit(answers).await;
    assert_eq!(kinds(&world.judge().await), ["open"]);
    assert_eq!(
        world.table("funds_daily").await.len(),
        1,
        "what another source reported stays"
    );
    assert_eq!(
        world
            .text("SELECT concat_ws(' ', fund_code, nav_value, aum, bid, offer, source) FROM funds_daily")
            .await,
        ["F03 7 8 wealthmagik"]
    );
}

#[tokio::test]
async fn figures_of_all_funds_that_become_zero_are_not_believed() {
    let mut world = loaded().await;
    let before = untouched(&world).await;
    world
        .commit((0..FUNDS).map(|at| statistics(at, "0")).collect())
        .await;
    assert_eq!(kinds(&world.judge().await), ["open"]);
    assert_eq!(untouched(&world).await, before);
}

#[tokio::test]
async fn figures_that_are_all_zero_in_a_first_load_are_not_believed() {
    let mut world = World::new().await;
    let mut answers = vec![list_with(0)];
    answers.extend((0..FUNDS).map(|at| statistics(at, "0")));
    world.commit(answers).await;
    assert_eq!(kinds(&world.judge().await), ["open"]);
    assert!(world.table("funds_statistics").await.is_empty());
}

#[tokio::test]
async fn first_figures_of_which_some_are_zero_are_taken() {
    let mut world = World::new().await;
    let mut answers = vec![list_with(0)];
    answers.extend((0..FUNDS).map(|at| statistics(at, if at % 3 == 0 { "1" } else { "0" })));
    world.commit(answers).await;
    assert_eq!(world.judge().await, []);
    assert_eq!(world.table("funds_statistics").await.len(), FUNDS);
}

#[tokio::test]
async fn a_page_that_is_absent_for_all_funds_that_had_values_is_not_believed() {
    let mut world = loaded().await;
    world
        .commit(
            (0..FUNDS)
                .map(|at| absent(SecFundcheck, "statistics", at))
                .collect(),
        )
        .await;
    assert_eq!(kinds(&world.judge().await), ["open"]);
    assert_eq!(outcomes(&world, "statistics").await, ["failed 40 0"]);
    assert_eq!(
        world
            .text("SELECT DISTINCT answered_outcome FROM runner.task WHERE page = 'statistics'")
            .await,
        ["done"],
        "what the source answered before is still known"
    );
}

#[tokio::test]
async fn an_answer_without_a_record_is_an_absence() {
    let mut world = loaded().await;
    let empty = (0..FUNDS).map(|at| days(&fund(at), Finnomena, &[]));
    world.commit(empty.collect()).await;
    assert_eq!(kinds(&world.judge().await), ["open"]);
    assert_eq!(world.table("funds_daily").await.len(), FUNDS * 10);
}

#[tokio::test]
async fn absences_of_a_few_funds_are_answers() {
    let mut world = loaded().await;
    world
        .commit(
            (0..FUNDS)
                .map(|at| {
                    if at < 5 {
                        absent(SecFundcheck, "statistics", at)
                    } else {
                        statistics(at, "1.5")
                    }
                })
                .collect(),
        )
        .await;
    assert_eq!(world.judge().await, []);
    assert_eq!(
        outcomes(&world, "statistics").await,
        ["absent 5 0", "done 35 0"]
    );
    // They have no values now, so another absence is no change.
    world.next_cycle(TODAY, CycleKind::Daily).await;
    world
        .commit(
            (0..5)
                .map(|at| absent(SecFundcheck, "statistics", at))
                .collect(),
        )
        .await;
    assert_eq!(outcomes(&world, "statistics").await[0], "absent 5 0");
}

#[tokio::test]
async fn a_page_that_is_absent_for_every_fund_of_an_empty_warehouse_is_not_believed() {
    let mut world = World::new().await;
    let mut answers = vec![list_with(0)];
    answers.extend((0..FUNDS).map(|at| absent(Finnomena, "nav", at)));
    world.commit(answers).await;
    assert_eq!(kinds(&world.judge().await), ["open"]);
    assert_eq!(outcomes(&world, "nav").await, ["failed 40 0"]);
}

#[tokio::test]
async fn a_page_of_dividends_may_be_empty_for_every_fund() {
    let mut world = World::new().await;
    let mut answers = vec![list_with(0)];
    answers.extend((0..FUNDS).map(|at| absent(Finnomena, TaskId::DIVIDENDS, at)));
    world.commit(answers).await;
    assert_eq!(world.judge().await, []);
    assert_eq!(outcomes(&world, TaskId::DIVIDENDS).await, ["absent 40 0"]);
}

#[tokio::test]
async fn a_list_that_calls_a_quarter_of_the_market_inactive_is_not_taken() {
    let mut world = loaded().await;
    let before = untouched(&world).await;
    let report: BatchReport = world.commit(vec![list_with(FUNDS / 4)]).await;
    let [(Finnomena, breach)] = report.breaches.as_slice() else {
        panic!("{report:?}");
    };
    assert!(
        breach.contains("10 of 40 funds have their status changed"),
        "{breach}"
    );
    assert_eq!(untouched(&world).await, before);
    assert_eq!(world.judge().await, [], "the supervisor has reported it");
}

#[tokio::test]
async fn a_list_that_calls_a_few_funds_inactive_is_taken() {
    let mut world = loaded().await;
    let report = world.commit(vec![list_with(4)]).await;
    assert_eq!(report.breaches, []);
    assert_eq!(
        world
            .text("SELECT count(*)::text FROM funds_master_info WHERE fund_status = 'inactive'")
            .await,
        ["4"]
    );
}

#[tokio::test]
async fn a_list_that_shows_a_quarter_of_the_funds_under_other_codes_is_not_taken() {
    let mut world = loaded().await;
    let before = untouched(&world).await;
    let codes: Vec<String> = (0..FUNDS)
        .map(|at| {
            if at < 10 {
                format!("NEW{at}")
            } else {
                fund(at)
            }
        })
        .collect();
    let keys: Vec<String> = funds().iter().map(|code| format!("id-{code}")).collect();
    let entries: Vec<(&str, bool, &str)> = codes
        .iter()
        .zip(&keys)
        .map(|(code, key)| (code.as_str(), true, key.as_str()))
        .collect();
    let report = world.commit(vec![list(&entries)]).await;
    assert!(
        report.breaches[0]
            .1
            .contains("10 of 40 funds have another code"),
        "{report:?}"
    );
    assert_eq!(untouched(&world).await, before);
}

#[tokio::test]
async fn the_same_change_in_cycles_of_three_dates_is_accepted() {
    let mut world = loaded().await;
    let rewritten = || {
        (0..FUNDS)
            .map(|at| series(at, 11, if at < 10 { 2 } else { 1 }))
            .collect()
    };
    for expected in ["open", "open", "repetition"] {
        world.commit(rewritten()).await;
        assert_eq!(
            kinds(&world.judge().await),
            [expected],
            "{}",
            world.cycle.cycle_date
        );
        assert_eq!(
            world
                .text("SELECT count(*)::text FROM history.change")
                .await,
            ["0"]
        );
        if expected == "open" {
            next_date(&mut world).await;
        }
    }
    // Round 2 requests what was held back, and applies it.
    world
        .writer
        .begin_round_two(&mut world.cycle)
        .await
        .unwrap();
    world
        .commit((0..10).map(|at| series(at, 11, 2)).collect())
        .await;
    assert_eq!(world.judge().await, []);
    assert_eq!(
        world
            .text("SELECT count(*)::text FROM history.change")
            .await,
        ["30"]
    );
    let (_, totals) = next_date(&mut world).await;
    assert_eq!(totals.breaches, []);
    // Only this change was accepted: the next one is doubted again.
    world
        .commit(
            (0..FUNDS)
                .map(|at| series(at, 11, if at < 10 { 3 } else { 1 }))
                .collect(),
        )
        .await;
    assert_eq!(kinds(&world.judge().await), ["open"]);
}

#[tokio::test]
async fn different_changes_on_three_dates_are_not_the_same_change() {
    let mut world = loaded().await;
    for factor in [2, 3, 4] {
        world
            .commit(
                (0..FUNDS)
                    .map(|at| series(at, 11, if at < 10 { factor } else { 1 }))
                    .collect(),
            )
            .await;
        assert_eq!(kinds(&world.judge().await), ["open"]);
        next_date(&mut world).await;
    }
}

#[tokio::test]
async fn two_cycles_of_one_date_are_one_report() {
    let mut world = loaded().await;
    for _ in 0..4 {
        world
            .commit((0..FUNDS).map(|at| statistics(at, "0")).collect())
            .await;
        assert_eq!(kinds(&world.judge().await), ["open"]);
        world.next_cycle(TODAY, CycleKind::Daily).await;
    }
}

#[tokio::test]
async fn a_list_of_three_dates_is_taken() {
    let mut world = loaded().await;
    for date in 1..=3 {
        let report = world.commit(vec![list_with(15)]).await;
        assert_eq!(report.breaches.is_empty(), date == 3, "{report:?}");
        next_date(&mut world).await;
    }
    assert_eq!(
        world
            .text("SELECT count(*)::text FROM funds_master_info WHERE fund_status = 'inactive'")
            .await,
        ["15"]
    );
}

#[tokio::test]
async fn what_a_second_source_reports_as_well_is_believed() {
    let mut world = loaded().await;
    let elsewhere = (0..10).map(|at| {
        let mut answer = series(at, 3, 2);
        answer.id.source = Wealthmagik;
        for observation in &mut answer.observations {
            observation.source = Wealthmagik;
        }
        answer
    });
    world.commit(elsewhere.collect()).await;
    world
        .commit(
            (0..FUNDS)
                .map(|at| series(at, 11, if at < 10 { 2 } else { 1 }))
                .collect(),
        )
        .await;
    assert_eq!(kinds(&world.judge().await), ["second source"]);
}

#[tokio::test]
async fn an_accepted_breach_lets_the_next_cycle_take_the_change_and_no_more() {
    let mut world = loaded().await;
    let zeroed = || (0..FUNDS).map(|at| statistics(at, "0")).collect();
    world.commit(zeroed()).await;
    let [breach] = world.judge().await.try_into().unwrap();
    for (id, by, is_done) in [
        (breach.id + 1, "one", false),
        (breach.id, "two", true),
        (breach.id, "three", false),
    ] {
        let request = ChangeRequest::Accept(id);
        let answer = world.writer.apply_request(&request, by).await.unwrap();
        assert_eq!(answer.is_done, is_done, "{by}: {}", answer.answer);
    }
    next_date(&mut world).await;
    world.commit(zeroed()).await;
    world.judge().await;
    assert_eq!(
        world
            .text("SELECT DISTINCT sharpe_ratio::text FROM funds_statistics")
            .await,
        ["0"]
    );
    next_date(&mut world).await;
    world
        .commit((0..FUNDS).map(|at| statistics(at, "2")).collect())
        .await;
    world.judge().await;
    next_date(&mut world).await;
    world.commit(zeroed()).await;
    assert_eq!(kinds(&world.judge().await), ["open"]);
}

#[tokio::test]
async fn a_site_that_recovers_before_round_two_leaves_no_breach() {
    let mut world = loaded().await;
    world
        .commit((0..FUNDS).map(|at| statistics(at, "0")).collect())
        .await;
    assert_eq!(kinds(&world.judge().await), ["open"]);
    assert_eq!(
        world
            .writer
            .begin_round_two(&mut world.cycle)
            .await
            .unwrap(),
        FUNDS
    );
    world
        .commit((0..FUNDS).map(|at| statistics(at, "1.5")).collect())
        .await;
    assert_eq!(world.judge().await, []);
    let (_, totals) = next_date(&mut world).await;
    assert_eq!(totals.breaches, []);
    assert!(totals.is_complete());
}

#[tokio::test]
async fn what_waits_in_an_abandoned_cycle_is_forgotten() {
    let mut world = loaded().await;
    world
        .commit((0..3).map(|at| statistics(at, "0")).collect())
        .await;
    assert_eq!(
        world.text("SELECT count(*)::text FROM runner.doubt").await,
        ["3"]
    );
    let request = crate::world::request(TODAY, CycleKind::Daily);
    world.cycle = world.writer.begin_cycle(&request).await.unwrap();
    world
        .commit((0..3).map(|at| statistics(at, "1.5")).collect())
        .await;
    next_date(&mut world).await;
    assert_eq!(
        world.text("SELECT count(*)::text FROM runner.doubt").await,
        ["0"]
    );
    assert_eq!(
        world
            .text("SELECT DISTINCT sharpe_ratio::text FROM funds_statistics")
            .await,
        ["1.5"]
    );
}

#[tokio::test]
async fn a_cycle_that_closes_judges_what_waits() {
    let mut world = loaded().await;
    world.commit(vec![statistics(0, "0")]).await;
    let (_, totals) = next_date(&mut world).await;
    assert_eq!(totals.tasks[&SecFundcheck].done, 1);
    assert_eq!(
        world
            .text("SELECT sharpe_ratio::text FROM funds_statistics WHERE fund_code = 'F00'")
            .await,
        ["0"]
    );
}

#[tokio::test]
async fn the_whole_market_of_one_list_is_not_taken_for_a_fund() {
    let mut world = loaded().await;
    let empty = TaskAnswer::empty(
        task(Finnomena, "list", TaskId::WHOLE_MARKET),
        Outcome::Absent,
        1,
    );
    world.commit(vec![empty]).await;
    assert_eq!(world.judge().await, []);
}

/// A page of the register's list of dividends or performance, with the statement of each fund.
fn rows_page(page: &str, source: SourceName, of: impl Fn(usize) -> ObservationData) -> TaskAnswer {
    let said = (0..FUNDS).map(|at| says(&fund(at), source, None, of(at)));
    TaskAnswer {
        is_list_part: true,
        ..done(task(source, page, TaskId::WHOLE_MARKET), said.collect())
    }
}

/// A dividend of March, changed on this day of October.
fn march(value: &str, changed: i8) -> ObservationData {
    ObservationData::Dividends(vec![Dividend {
        xd_date: date(2026, 3, 1),
        fields: DividendFields {
            pay_date: Some(date(2026, 3, 15)),
            value: Some(number(value)),
        },
        changed_on: Some(date(2026, 10, changed)),
    }])
}

/// Returns of two periods up to the end of this month.
fn returns(month: i8, figure: &str) -> ObservationData {
    let rows = ["1 year", "3 years"].map(|period| PerformanceRow {
        as_of_date: date(2026, month, 28),
        period: period.to_owned(),
        fields: PerformanceFields {
            fund: Some(number(figure)),
            volatility: Some(number(figure)),
            ..PerformanceFields::default()
        },
    });
    ObservationData::Performance(rows.into())
}

const ROWS: &str = "SELECT to_jsonb(t)::text FROM public.funds_dividends t
    UNION ALL SELECT to_jsonb(t)::text FROM public.funds_performance t
    UNION ALL SELECT to_jsonb(t)::text FROM history.change t
    UNION ALL SELECT to_jsonb(t)::text FROM runner.observation t ORDER BY 1";

/// A market with a dividend and two returns of every fund.
async fn with_rows() -> World {
    let mut world = loaded().await;
    world
        .commit(vec![
            rows_page("dividends", SecOpenApi, |_| march("0.5", 1)),
            rows_page("performance", SecOpenApi, |_| returns(8, "4")),
        ])
        .await;
    assert_eq!(world.judge().await, []);
    next_date(&mut world).await;
    world
}

#[tokio::test]
async fn dividends_and_returns_of_a_quarter_of_the_market_are_not_rewritten_or_zeroed() {
    let quarter = FUNDS / 4;
    let unless = |at: usize, changed: ObservationData, same: ObservationData| {
        if at < quarter { changed } else { same }
    };
    let dividends = rows_page("dividends", SecOpenApi, |at| {
        unless(at, march("0.6", 9), march("0.5", 1))
    });
    let rewritten = rows_page("performance", SecOpenApi, |at| {
        unless(at, returns(8, "5"), returns(8, "4"))
    });
    // The zeros are those of a new date.
    let zeroed = rows_page("performance", SecOpenApi, |at| {
        unless(at, returns(9, "0"), returns(8, "4"))
    });
    for (page, answer, shown) in [
        ("dividends", dividends, "have settled values"),
        ("performance", rewritten, "have settled values"),
        ("performance", zeroed, "have every figure replaced by 0"),
    ] {
        let mut world = with_rows().await;
        let before = world.text(ROWS).await;
        world.commit(vec![answer.clone()]).await;
        assert_eq!(world.text(ROWS).await, before, "{page}: waits");
        let breaches = world.judge().await;
        assert_eq!(kinds(&breaches), ["open"], "{page}");
        let message = &breaches[0].message;
        assert!(
            message.contains(&format!("{page}: 10 of 40 funds {shown}")),
            "{message}"
        );
        assert_eq!(world.text(ROWS).await, before, "{page}: refused");
        // On a third date the same change is accepted, and the next cycle applies it.
        for accepted in ["open", "repetition"] {
            next_date(&mut world).await;
            world.commit(vec![answer.clone()]).await;
            assert_eq!(kinds(&world.judge().await), [accepted], "{page}");
        }
        next_date(&mut world).await;
        world.commit(vec![answer]).await;
        assert_eq!(world.judge().await, []);
        assert!(
            world.text(ROWS).await.len() > before.len(),
            "{page}: applied"
        );
    }
}

#[tokio::test]
async fn a_few_corrected_dividends_are_believed_and_new_ones_always() {
    let mut world = with_rows().await;
    let corrected = rows_page("dividends", SecOpenApi, |at| match at {
        0..4 => march("0.6", 9),
        _ => march("0.5", 1),
    });
    let new_date = rows_page("performance", SecOpenApi, |_| returns(9, "7"));
    world.commit(vec![corrected, new_date]).await;
    assert_eq!(world.judge().await, []);
    let counts =
        "SELECT concat_ws(' ', count(*) FILTER (WHERE value = 0.6), count(*)) FROM funds_dividends";
    assert_eq!(world.text(counts).await, ["4 40"]);
    let dates = "SELECT count(*)::text FROM funds_performance WHERE as_of_date = '2026-09-28'";
    assert_eq!(world.text(dates).await, ["80"]);
    next_date(&mut world).await;
}

#[tokio::test]
async fn rewritten_dividends_that_a_second_source_reports_are_accepted() {
    let mut world = with_rows().await;
    world
        .commit(vec![rows_page("dividends", Wealthmagik, |_| {
            march("0.6", 1)
        })])
        .await;
    assert_eq!(world.judge().await, []);
    let rewritten = rows_page("dividends", SecOpenApi, |_| march("0.6", 9));
    world.commit(vec![rewritten]).await;
    assert_eq!(kinds(&world.judge().await), ["second source"]);
}

/// The pages of a list are answers of one task, so the parts that wait share the key.
#[tokio::test]
async fn what_waits_of_one_fund_on_two_pages_of_a_list_is_applied_together() {
    let of_month = |month: i8, value: &str, changed: i8| {
        ObservationData::Dividends(vec![Dividend {
            xd_date: date(2026, month, 1),
            fields: DividendFields {
                pay_date: Some(date(2026, month, 15)),
                value: Some(number(value)),
            },
            changed_on: Some(date(2026, 10, changed)),
        }])
    };
    let page = |said: ObservationData| TaskAnswer {
        is_list_part: true,
        ..done(
            task(SecOpenApi, "dividends", TaskId::WHOLE_MARKET),
            vec![says("F00", SecOpenApi, None, said)],
        )
    };
    let mut world = loaded().await;
    for first in [page(of_month(3, "0.5", 1)), page(of_month(6, "0.7", 1))] {
        world.commit(vec![first]).await;
    }
    next_date(&mut world).await;
    for changed in [page(of_month(3, "0.6", 9)), page(of_month(6, "0.8", 9))] {
        world.commit(vec![changed]).await;
    }
    let values = "SELECT string_agg(value::text, ' ' ORDER BY xd_date) FROM funds_dividends";
    assert_eq!(world.text(values).await, ["0.5 0.7"]);
    assert_eq!(world.judge().await, []);
    assert_eq!(world.text(values).await, ["0.6 0.8"]);
    next_date(&mut world).await;
}
