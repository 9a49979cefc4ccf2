//! Ranks that the operator has changed: they decide for the rows that are touched, and `remerge` applies them to all
//! rows (D4).

use jiff::civil::date;
use schema::SourceName::{Finnomena, SecFundcheck, SecOpenApi, Wealthmagik};
use schema::columns::{DividendFields, FeeFields, MasterFields, StatisticsFields};
use schema::observation::{CodeType, Dividend, ObservationData, SecurityCode};
use schema::precedence::Precedence;
use schema::{SourceName, TaskAnswer, TaskId};
use store::{ChangeRequest, CycleKind, Reader, TABLES};

use crate::world::{TODAY, World, days, done, fees, list_of, master, number, says, task};

/// Another rank for a column or table of each kind.
fn changed() -> Precedence {
    let mut precedence = Precedence::configured([
        ("funds_master_info.amc", vec!["sec_open_api"]),
        ("funds_fee", vec!["wealthmagik"]),
        ("funds_statistics.alpha", vec!["sec_open_api"]),
        ("funds_daily.nav_value", vec!["wealthmagik", "finnomena"]),
        ("funds_daily.bid", vec!["sec_open_api"]),
        ("funds_codes", vec!["wealthmagik", "finnomena"]),
    ])
    .unwrap();
    // No second source supplies dividends today.
    precedence.set_rank("funds_dividends", None, &[Finnomena]);
    precedence
}

fn statistics(source: SourceName, alpha: &str) -> TaskAnswer {
    let fields = StatisticsFields {
        sharpe_ratio: Some(number(alpha)),
        alpha: Some(number(alpha)),
        ..StatisticsFields::default()
    };
    let said = ObservationData::Statistics(fields);
    let said = says("A", source, Some(date(2026, 9, 30)), said);
    done(task(source, "statistics", "A"), vec![said])
}

fn isin(source: SourceName, code: &str) -> TaskAnswer {
    let codes = vec![SecurityCode {
        code_type: CodeType::Isin,
        code: code.to_owned(),
    }];
    let said = says("A", source, None, ObservationData::Codes(codes));
    done(task(source, "factsheet", "A"), vec![said])
}

fn dividend(source: SourceName, value: &str) -> TaskAnswer {
    let dividends = vec![Dividend {
        xd_date: date(2026, 3, 1),
        fields: DividendFields {
            pay_date: None,
            value: Some(number(value)),
        },
        changed_on: None,
    }];
    let said = says("A", source, None, ObservationData::Dividends(dividends));
    done(task(source, "dividends", TaskId::WHOLE_MARKET), vec![said])
}

fn company(name: &str) -> MasterFields {
    MasterFields {
        amc: Some(name.to_owned()),
        category: Some(name.to_owned()),
        ..MasterFields::default()
    }
}

fn total(percent: &str) -> FeeFields {
    FeeFields {
        ter_max: Some(number(percent)),
        ..FeeFields::default()
    }
}

/// Answers of several sources that differ in every table.
fn answers() -> Vec<TaskAnswer> {
    vec![
        list_of(&["A"]),
        master("A", Finnomena, company("FN")),
        master("A", SecOpenApi, company("SEC")),
        fees("A", Finnomena, total("1.1")),
        fees("A", Wealthmagik, total("1.2")),
        statistics(SecFundcheck, "1"),
        statistics(SecOpenApi, "2"),
        isin(Finnomena, "TH0000000001"),
        isin(Wealthmagik, "TH0000000002"),
        dividend(Finnomena, "0.25"),
        dividend(SecOpenApi, "0.5"),
        // On day 1 all differ, on day 2 two report the same NAV, on day 3 only one reports.
        days(
            "A",
            SecOpenApi,
            &[
                (1, ["10.1", "100", "9.1", ""]),
                (2, ["10.5", "100", "9.5", "11"]),
            ],
        ),
        days("A", Finnomena, &[(1, ["10.2", "200", "", ""])]),
        days(
            "A",
            Wealthmagik,
            &[
                (1, ["10.3", "300", "9.3", "11.3"]),
                (2, ["10.5", "", "9.6", "11"]),
                (3, ["10.7", "", "", ""]),
            ],
        ),
    ]
}

/// What the tables contain, by the words of their columns.
async fn values(world: &World) -> Vec<String> {
    world
        .text(
            "SELECT concat_ws(' ', 'master', amc, category) FROM funds_master_info
             UNION ALL SELECT concat_ws(' ', 'fee', ter_max, source_url) FROM funds_fee
             UNION ALL SELECT concat_ws(' ', 'statistics', sharpe_ratio, alpha) FROM funds_statistics
             UNION ALL SELECT concat_ws(' ', 'daily', extract(day FROM nav_date), nav_value, bid, aum, source)
                 FROM funds_daily
             UNION ALL SELECT concat_ws(' ', 'codes', code) FROM funds_codes
             UNION ALL SELECT concat_ws(' ', 'dividends', value, source) FROM funds_dividends
             ORDER BY 1",
        )
        .await
}

const BY_DEFAULT: [&str; 8] = [
    "codes TH0000000001",
    "daily 1 10.1 9.3 100 sec_open_api",
    "daily 2 10.5 9.6 100 sec_open_api",
    "daily 3 10.7 wealthmagik",
    "dividends 0.5 sec_open_api",
    "fee 1.1 https://finnomena.example/A/fees",
    "master FN FN",
    "statistics 1 1",
];

const BY_CHANGED: [&str; 8] = [
    "codes TH0000000002",
    "daily 1 10.3 9.1 100 wealthmagik",
    "daily 2 10.5 9.5 100 wealthmagik",
    "daily 3 10.7 wealthmagik",
    "dividends 0.25 finnomena",
    "fee 1.2 https://wealthmagik.example/A/fees",
    "master SEC FN",
    "statistics 1 2",
];

#[tokio::test]
async fn a_configured_rank_decides_in_every_kind_of_table() {
    for (precedence, expected) in [(Precedence::default(), BY_DEFAULT), (changed(), BY_CHANGED)] {
        let mut world = World::new().await;
        world.writer.set_precedence(precedence);
        world.commit(answers()).await;
        assert_eq!(values(&world).await, expected);
    }
}

/// D4: the rank holds whatever the order in which the answers arrive.
#[tokio::test]
async fn a_configured_rank_decides_in_any_order_of_arrival() {
    let mut world = World::new().await;
    world.writer.set_precedence(changed());
    world.commit(vec![list_of(&["A"])]).await;
    for answer in answers().into_iter().skip(1).rev() {
        world.commit(vec![answer]).await;
    }
    assert_eq!(values(&world).await, BY_CHANGED);
}

/// The fund tables and the dissents.
async fn whole(world: &World) -> Vec<String> {
    let mut rows = Vec::new();
    for table in TABLES {
        rows.extend(world.table(table).await);
    }
    let dissents = "SELECT (to_jsonb(t) - 'said_at' - 'cycle_id')::text FROM runner.daily_dissent t ORDER BY 1";
    rows.extend(world.text(dissents).await);
    rows
}

#[tokio::test]
async fn remerge_after_a_change_of_ranks_gives_what_a_fresh_load_gives() {
    let mut fresh = World::new().await;
    fresh.writer.set_precedence(changed());
    fresh.commit(answers()).await;

    let mut world = World::new().await;
    world.commit(answers()).await;
    let before = whole(&world).await;
    assert_eq!(values(&world).await, BY_DEFAULT);
    world.writer.set_precedence(changed());
    assert_eq!(
        whole(&world).await,
        before,
        "a changed rank alone writes nothing"
    );
    let answer = world.request(ChangeRequest::Remerge).await;
    assert!(answer.contains("7 rows differed"), "{answer}");
    assert_eq!(whole(&world).await, whole(&fresh).await);
    let replaced = world
        .text(
            "SELECT concat_ws(' ', table_name, key, field, old_value, new_value, source) FROM history.change
             WHERE table_name = 'funds_daily' ORDER BY 1",
        )
        .await;
    assert_eq!(
        replaced,
        [
            "funds_daily 2026-10-01 bid 9.3 9.1 sec_open_api",
            "funds_daily 2026-10-01 nav_value 10.1 10.3 wealthmagik",
            "funds_daily 2026-10-02 bid 9.6 9.5 sec_open_api",
        ]
    );

    // A second one finds every row right, and the way back is the same.
    let versions = world.versions().await;
    let answer = world.request(ChangeRequest::Remerge).await;
    assert!(answer.contains("no row was written"), "{answer}");
    assert_eq!(world.versions().await, versions);
    world.writer.set_precedence(Precedence::default());
    world.request(ChangeRequest::Remerge).await;
    assert_eq!(whole(&world).await, before);
}

/// Before `remerge`, a changed rank decides for the rows that sources report again with another value.
#[tokio::test]
async fn a_changed_rank_holds_for_rows_that_are_touched() {
    let mut world = World::new().await;
    world.commit(answers()).await;
    world.next_cycle(TODAY, CycleKind::Daily).await;
    world.writer.set_precedence(changed());
    world
        .commit(vec![
            days("A", Finnomena, &[(1, ["10.25", "", "", ""])]),
            fees("A", Finnomena, total("1.15")),
        ])
        .await;
    let values = values(&world).await;
    assert_eq!(values[1], "daily 1 10.3 9.1 100 wealthmagik");
    assert_eq!(values[2], BY_DEFAULT[2]);
    assert_eq!(values[5], BY_CHANGED[5]);
    assert_eq!(values[6], BY_DEFAULT[6]);
}

#[tokio::test]
async fn a_rank_that_was_not_applied_to_all_rows_is_named_until_remerge() {
    let mut world = World::new().await;
    let none = Vec::<String>::new();
    assert_eq!(world.writer.ranks_to_remerge().await.unwrap(), none);
    world.commit(answers()).await;
    world.writer.set_precedence(changed());
    let expected = [
        "funds_codes",
        "funds_daily.bid",
        "funds_daily.nav_value",
        "funds_dividends",
        "funds_fee",
        "funds_master_info.amc",
        "funds_statistics.alpha",
    ];
    for _ in 0..2 {
        assert_eq!(world.writer.ranks_to_remerge().await.unwrap(), expected);
    }
    let reader = Reader::new(&world.database, 1).unwrap();
    let seen = reader.ranks_to_remerge(&changed()).await.unwrap();
    assert_eq!(seen, expected);
    world.request(ChangeRequest::Remerge).await;
    assert_eq!(world.writer.ranks_to_remerge().await.unwrap(), none);
    assert_eq!(
        world
            .text("SELECT rank::text FROM runner.precedence WHERE table_name = 'funds_daily' AND column_name = 'bid'")
            .await,
        ["{sec_open_api,wealthmagik,finnomena,sec_fundcheck,adopted}"]
    );
}

/// A warehouse of an older version has rows and no stored rank: the defaults merged them.
#[tokio::test]
async fn a_warehouse_without_stored_ranks_was_merged_by_the_defaults() {
    let mut world = World::new().await;
    world.commit(answers()).await;
    world.writer.set_precedence(changed());
    assert_eq!(world.writer.ranks_to_remerge().await.unwrap().len(), 7);
    // A new warehouse has no rows that another rank merged.
    let mut new = World::new().await;
    new.writer.set_precedence(changed());
    assert!(new.writer.ranks_to_remerge().await.unwrap().is_empty());
}
