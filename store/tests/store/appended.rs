//! The tables whose rows are only added and changed: dividends and performance (D2, D3, D10).

use jiff::civil::date;
use schema::SourceName::{Finnomena, SecOpenApi};
use schema::columns::{DividendFields, PerformanceFields};
use schema::observation::{Dividend, KeyedObservation, ObservationData, PerformanceRow};
use schema::{Outcome, SourceName, TaskAnswer, TaskId};
use store::{ChangeRequest, CycleKind, Scope};

use crate::server::{connect, fresh_database};
use crate::world::{
    TODAY, World, done, list, list_of, number, open, request, says, task, versions_of_the_schema,
};

const DIVIDENDS: &str =
    "SELECT concat_ws(' ', fund_code, xd_date, pay_date, value, source, source_url)
    FROM funds_dividends ORDER BY fund_code, xd_date";
const CHANGES: &str =
    "SELECT concat_ws(' ', table_name, fund_code, key, field, old_value, new_value, source)
    FROM history.change ORDER BY change_id";

/// Dividends of 2026: month of the XD date and of the payment, value.
fn paid(entries: &[(i8, i8, &str)]) -> ObservationData {
    let dividends = entries.iter().map(|(xd, pay, value)| Dividend {
        xd_date: date(2026, *xd, 1),
        fields: DividendFields {
            pay_date: Some(date(2026, *pay, 15)),
            value: Some(number(value)),
        },
        changed_on: None,
    });
    ObservationData::Dividends(dividends.collect())
}

/// Pages of the register's list: for each dividend of 1 June 2026 the day of July on which it is paid, its value, and
/// the day of May on which it was last changed.
fn june(entries: &[(i8, &str, i8)]) -> TaskAnswer {
    let dividends = entries.iter().map(|(pay, value, changed)| Dividend {
        xd_date: date(2026, 6, 1),
        fields: DividendFields {
            pay_date: Some(date(2026, 7, *pay)),
            value: Some(number(value)),
        },
        changed_on: Some(date(2026, 5, *changed)),
    });
    let said = ObservationData::Dividends(dividends.collect());
    TaskAnswer {
        is_list_part: true,
        ..done(
            task(SecOpenApi, "dividends", TaskId::WHOLE_MARKET),
            vec![says("A", SecOpenApi, None, said)],
        )
    }
}

const JUNE: &str = "SELECT concat_ws(' ', pay_date, value) FROM funds_dividends";

#[tokio::test]
async fn two_dividends_of_one_day_on_two_pages_are_added_in_any_order_and_a_second_pass_writes_no_row()
 {
    let pages = [june(&[(10, "0.1", 4)]), june(&[(10, "0.25", 4)])];
    for order in [[0, 1], [1, 0]] {
        let mut world = World::new().await;
        world.commit(vec![list_of(&["A"])]).await;
        for at in order {
            world.commit(vec![pages[at].clone()]).await;
        }
        assert_eq!(world.judge().await, []);
        assert_eq!(world.text(JUNE).await, ["2026-07-10 0.35"]);
        for again in [[0, 1], [1, 0]] {
            world.next_cycle(TODAY, CycleKind::Monthly).await;
            let before = world.versions().await;
            for at in again {
                world.commit(vec![pages[at].clone()]).await;
            }
            assert_eq!(world.judge().await, []);
            assert_eq!(world.versions().await, before);
        }
        // The register corrects one of them, and pays a third one later.
        world.next_cycle(TODAY, CycleKind::Monthly).await;
        let corrected = [
            june(&[(10, "0.1", 4), (20, "0.4", 9)]),
            june(&[(12, "0.25", 9)]),
        ];
        for at in order {
            world.commit(vec![corrected[at].clone()]).await;
        }
        assert_eq!(world.judge().await, []);
        assert_eq!(world.text(JUNE).await, ["2026-07-10 0.75"]);
        world.next_cycle(TODAY, CycleKind::Daily).await;
        world.request(ChangeRequest::Remerge).await;
        assert_eq!(world.text(JUNE).await, ["2026-07-10 0.75"]);
    }
}

#[tokio::test]
async fn a_dividend_or_return_that_a_source_reports_differently_is_a_conflict() {
    let mut world = World::new().await;
    world
        .commit(vec![
            list_of(&["A"]),
            dividends(SecOpenApi, "A", &[(3, 4, "0.25"), (6, 7, "0.5")]),
            performance(&[(9, "1 year", Some("5"), None)]),
        ])
        .await;
    // The second source agrees about June, differs about March, and alone knows September.
    world
        .commit(vec![dividends(
            Finnomena,
            "A",
            &[(3, 5, "0.3"), (6, 7, "0.5"), (9, 10, "0.7")],
        )])
        .await;
    let conflicts = "SELECT concat_ws(' ', table_name, fund_code, key, field, source, says, stands) FROM runner.conflict ORDER BY 1";
    assert_eq!(
        world.text(conflicts).await,
        [
            "funds_dividends A 2026-03-01 pay_date finnomena 2026-05-15 2026-04-15",
            "funds_dividends A 2026-03-01 value finnomena 0.3 0.25",
        ]
    );
    let reader = store::Reader::new(&world.database, 1).unwrap();
    let found = reader
        .disagreements(&crate::world::code("A"), 10)
        .await
        .unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].says, "0.3");
    // Another value of performance in the table, such as one of an adopted warehouse that ranks higher.
    world
        .sql
        .batch_execute("UPDATE funds_performance SET fund = 7, source = 'adopted'")
        .await
        .unwrap();
    assert!(
        world
            .text(conflicts)
            .await
            .contains(&"funds_performance A 2026-09-28 1 year fund sec_open_api 5 7".to_owned())
    );
}

fn dividends(source: SourceName, fund: &str, entries: &[(i8, i8, &str)]) -> TaskAnswer {
    let said = says(fund, source, None, paid(entries));
    done(task(source, "dividends", TaskId::WHOLE_MARKET), vec![said])
}

fn performance(entries: &[(i8, &str, Option<&str>, Option<&str>)]) -> TaskAnswer {
    let rows = entries
        .iter()
        .map(|(month, period, fund, volatility)| PerformanceRow {
            as_of_date: date(2026, *month, 28),
            period: (*period).to_owned(),
            fields: PerformanceFields {
                fund: fund.map(number),
                volatility: volatility.map(number),
                ..PerformanceFields::default()
            },
        });
    let data = ObservationData::Performance(rows.collect());
    let said = says("A", SecOpenApi, None, data);
    done(
        task(SecOpenApi, "performance", TaskId::WHOLE_MARKET),
        vec![said],
    )
}

#[tokio::test]
async fn a_dividend_that_is_no_longer_reported_stays_and_a_changed_one_is_recorded() {
    let mut world = World::new().await;
    let first = dividends(SecOpenApi, "A", &[(3, 4, "0.25"), (6, 7, "0.5")]);
    let report = world.commit(vec![list_of(&["A"]), first.clone()]).await;
    let counts = report.tables["funds_dividends"];
    assert_eq!((counts.records.observed, counts.rows_inserted), (2, 2));
    let url = "sec_open_api https://sec_open_api.example/A/dividends";
    let march = format!("A 2026-03-01 2026-04-15 0.25 {url}");
    assert_eq!(
        world.text(DIVIDENDS).await,
        [march.clone(), format!("A 2026-06-01 2026-07-15 0.5 {url}")]
    );

    // The same again writes nothing.
    world.next_cycle(TODAY, CycleKind::Monthly).await;
    let before = world.versions().await;
    let report = world.commit(vec![first]).await;
    assert_eq!(report.tables["funds_dividends"].records.unchanged, 2);
    assert_eq!(world.versions().await, before);

    // March is missing, June has another value, September is new.
    world.next_cycle(TODAY, CycleKind::Monthly).await;
    let later = dividends(SecOpenApi, "A", &[(6, 7, "0.55"), (9, 10, "0.1")]);
    world.commit(vec![later]).await;
    // A changed dividend waits until the round is judged.
    assert_eq!(world.judge().await, []);
    assert_eq!(
        world.text(DIVIDENDS).await,
        [
            march,
            format!("A 2026-06-01 2026-07-15 0.55 {url}"),
            format!("A 2026-09-01 2026-10-15 0.1 {url}")
        ]
    );
    assert_eq!(
        world.text(CHANGES).await,
        ["funds_dividends A 2026-06-01 value 0.5 0.55 sec_open_api"]
    );
    let totals = world.next_cycle(TODAY, CycleKind::Daily).await;
    let counts = totals.tables["funds_dividends"];
    assert_eq!((counts.rows_inserted, counts.rows_updated), (1, 1));
    let records = counts.records;
    assert_eq!(
        (records.inserted, records.updated, records.unchanged),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn of_two_sources_the_register_supplies_a_dividend_once() {
    let mut world = World::new().await;
    world
        .commit(vec![
            list_of(&["A"]),
            dividends(Finnomena, "A", &[(3, 4, "0.3"), (6, 7, "0.5")]),
        ])
        .await;
    let report = world
        .commit(vec![dividends(SecOpenApi, "A", &[(3, 4, "0.25")])])
        .await;
    assert_eq!(report.tables["funds_dividends"].records.updated, 1);
    world
        .commit(vec![dividends(Finnomena, "A", &[(3, 5, "0.35")])])
        .await;
    let short = "SELECT concat_ws(' ', xd_date, pay_date, value, source) FROM funds_dividends ORDER BY xd_date";
    let expected = [
        "2026-03-01 2026-04-15 0.25 sec_open_api",
        "2026-06-01 2026-07-15 0.5 finnomena",
    ];
    assert_eq!(world.text(short).await, expected);
    let totals = world.next_cycle(TODAY, CycleKind::Daily).await;
    assert_eq!(totals.tables["funds_dividends"].records.superseded, 1);
    assert_eq!(world.text(short).await, expected);
    world.request(ChangeRequest::Remerge).await;
    assert_eq!(world.text(short).await, expected, "derived again");
}

#[tokio::test]
async fn performance_is_kept_by_date_and_period_and_a_missing_value_replaces_none() {
    let mut world = World::new().await;
    world
        .commit(vec![
            list_of(&["A"]),
            performance(&[
                (8, "1 year", Some("4.5"), Some("10")),
                (8, "3 years", Some("-2"), None),
            ]),
        ])
        .await;
    world
        .commit(vec![performance(&[
            (8, "1 year", None, Some("11")),
            (9, "1 year", Some("5"), None),
        ])])
        .await;
    assert_eq!(world.judge().await, []);
    assert_eq!(
        world
            .text("SELECT concat_ws(' ', as_of_date, period, coalesce(fund::text, '-'), coalesce(volatility::text, '-'), source) FROM funds_performance ORDER BY as_of_date, period")
            .await,
        [
            "2026-08-28 1 year 4.5 11 sec_open_api",
            "2026-08-28 3 years -2 - sec_open_api",
            "2026-09-28 1 year 5 - sec_open_api"
        ]
    );
    assert_eq!(
        world.text(CHANGES).await,
        ["funds_performance A 2026-08-28 1 year volatility 10 11 sec_open_api"]
    );
}

/// The pages of a list with cursors are separate answers: the dividends of one class may be on two of them.
#[tokio::test]
async fn the_dividends_of_a_class_on_two_pages_are_put_together() {
    let mut world = World::new().await;
    world.commit(vec![list_of(&["A"])]).await;
    let id = task(SecOpenApi, "dividends", TaskId::WHOLE_MARKET);
    let page = |entries: &[(i8, i8, &str)]| {
        let said = KeyedObservation {
            source_key: "M1/A".to_owned(),
            fund_code: Some(crate::world::code("A")),
            as_of_date: None,
            url: "u".to_owned(),
            data: paid(entries),
        };
        TaskAnswer {
            keyed: vec![said],
            ..TaskAnswer::empty(id.clone(), Outcome::Done, 1)
        }
    };
    world.commit(vec![page(&[(3, 4, "0.25")])]).await;
    world.commit(vec![page(&[(6, 7, "0.5")])]).await;
    assert_eq!(
        world
            .text("SELECT xd_date::text FROM funds_dividends ORDER BY 1")
            .await,
        ["2026-03-01", "2026-06-01"]
    );
}

/// A page about the whole market that is no list of funds has no size, so it never counts as a list that shrank.
#[tokio::test]
async fn a_page_of_dividends_is_not_measured_as_a_list() {
    let mut world = World::new().await;
    let first = dividends(SecOpenApi, "A", &[(3, 4, "0.25")]);
    world.commit(vec![list_of(&["A"]), first]).await;
    world.next_cycle(TODAY, CycleKind::Monthly).await;
    let empty = done(task(SecOpenApi, "dividends", TaskId::WHOLE_MARKET), vec![]);
    let report = world.commit(vec![empty]).await;
    assert_eq!(report.breaches, []);
    assert_eq!(
        world
            .text("SELECT DISTINCT page FROM runner.list_size")
            .await,
        ["list"]
    );
}

#[tokio::test]
async fn rows_of_a_provisional_fund_that_leaves_are_removed_and_come_back_with_it() {
    let mut world = World::new().await;
    let listing = |fund: &str| ObservationData::Listing {
        source_key: format!("key-{fund}"),
        fields: schema::columns::ListingFields::default(),
    };
    let names =
        ["A", "B", "C"].map(|fund| says(fund, SourceName::Wealthmagik, None, listing(fund)));
    let other_list = done(
        task(SourceName::Wealthmagik, "list", TaskId::WHOLE_MARKET),
        names.to_vec(),
    );
    world.commit(vec![other_list]).await;
    let cycle = world.cycle.clone();
    let entered = world.writer.enter_provisional_universe(&cycle).await;
    assert_eq!(entered.unwrap(), 3);
    world
        .commit(vec![dividends(SecOpenApi, "C", &[(3, 4, "0.25")])])
        .await;
    let before = world.text(DIVIDENDS).await;
    assert_eq!(before.len(), 1);
    world
        .commit(vec![list(&[("A", true, "a"), ("B", true, "b")])])
        .await;
    assert_eq!(world.text(DIVIDENDS).await, [""; 0]);
    world.next_cycle(TODAY, CycleKind::Daily).await;
    world
        .commit(vec![list(&[
            ("A", true, "a"),
            ("B", true, "b"),
            ("C", true, "c"),
        ])])
        .await;
    assert_eq!(world.text(DIVIDENDS).await, before);
}

/// Applies the migrations up to this version, as an earlier program did.
pub async fn at_version(version: i32) -> String {
    let database = fresh_database().await;
    let sql = connect(&database).await;
    sql.batch_execute(
        "CREATE SCHEMA runner;
         CREATE TABLE runner.schema_version (
             version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,
             applied_at TIMESTAMPTZ NOT NULL DEFAULT now());",
    )
    .await
    .unwrap();
    let earlier = schema::migrations::MIGRATIONS
        .iter()
        .filter(|migration| migration.version <= version);
    for migration in earlier {
        sql.batch_execute(migration.sql).await.unwrap();
        sql.execute(
            "INSERT INTO runner.schema_version (version, name, checksum) VALUES ($1, $2, '0')",
            &[&migration.version, &migration.name],
        )
        .await
        .unwrap();
    }
    database
}

#[tokio::test]
async fn o7_a_database_of_version_11_is_migrated_and_keeps_its_rows() {
    let database = at_version(11).await;
    let sql = connect(&database).await;
    sql.batch_execute(
        "INSERT INTO public.funds_master_info (fund_code, amc, scraped_at) VALUES ('A', 'AMC', '2026-10-14');
         INSERT INTO runner.fund (fund_code, in_universe) VALUES ('A', true);",
    )
    .await
    .unwrap();
    let mut world = World::on(database).await;
    assert_eq!(
        world
            .text("SELECT v.version::text FROM runner.schema_version v ORDER BY v.version")
            .await,
        versions_of_the_schema()
    );
    assert_eq!(
        world
            .text("SELECT concat_ws(' ', fund_code, amc, scraped_at::date, fund_tax_type, feeder_master_fund, management_style) FROM funds_master_info")
            .await,
        ["A AMC 2026-10-14"]
    );
    world
        .commit(vec![dividends(SecOpenApi, "A", &[(3, 4, "0.25")])])
        .await;
    assert_eq!(world.text(DIVIDENDS).await.len(), 1);
}

#[tokio::test]
async fn a_table_of_the_user_with_one_of_the_names_is_refused_and_not_changed() {
    let database = at_version(11).await;
    let sql = connect(&database).await;
    sql.batch_execute("CREATE TABLE public.funds_dividends (own INTEGER); INSERT INTO public.funds_dividends VALUES (7)")
        .await
        .unwrap();
    let refused = store::Writer::open(&database, std::time::Duration::from_secs(10)).await;
    let message = refused.err().unwrap().to_string();
    assert!(
        message.contains("public.funds_dividends exists and is not the runner's"),
        "{message}"
    );
    let rows = sql
        .query("SELECT own FROM public.funds_dividends", &[])
        .await
        .unwrap();
    assert_eq!(rows[0].get::<_, i32>(0), 7);
    sql.batch_execute("ALTER TABLE public.funds_dividends RENAME TO funds_dividends_old")
        .await
        .unwrap();
    let mut writer = open(&database).await;
    let cycle = writer
        .begin_cycle(&request(TODAY, CycleKind::Daily))
        .await
        .unwrap();
    assert_eq!(cycle.scope, Scope::Full);
}
