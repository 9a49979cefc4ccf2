//! The small tables: precedence, missing values, portfolios and codes (D3, D4, D10).

use jiff::civil::date;
use schema::SourceName::{Finnomena, SecFundcheck, Wealthmagik};
use schema::columns::{FeeFields, MasterFields, StatisticsFields};
use schema::observation::{CodeType, ObservationData, PortfolioKind, SecurityCode};
use schema::{SourceName, TaskAnswer};
use store::{ChangeRequest, CycleKind};

use crate::world::{TODAY, World, done, fees, list_of, master, number, portfolio, says, task};

fn amc(name: &str) -> MasterFields {
    MasterFields {
        amc: Some(name.to_owned()),
        ..MasterFields::default()
    }
}

fn statistics(source: SourceName, day: i8, sharpe: &str) -> TaskAnswer {
    let fields = StatisticsFields {
        sharpe_ratio: Some(number(sharpe)),
        ..StatisticsFields::default()
    };
    let said = says(
        "A",
        source,
        Some(date(2026, 9, day)),
        ObservationData::Statistics(fields),
    );
    done(task(source, "statistics", "A"), vec![said])
}

fn codes(source: SourceName, file: &str, codes: &[(CodeType, &str)]) -> TaskAnswer {
    let codes = codes
        .iter()
        .map(|(code_type, code)| SecurityCode {
            code_type: *code_type,
            code: (*code).to_owned(),
        })
        .collect();
    let mut said = says("A", source, None, ObservationData::Codes(codes));
    said.url = format!("https://{source}.example/{file}");
    done(task(source, "factsheet", "A"), vec![said])
}

#[tokio::test]
async fn a_missing_value_never_overwrites_and_the_higher_rank_wins() {
    let mut world = World::new().await;
    let wealthmagik = MasterFields {
        full_name_th: Some("ชื่อ 100%".to_owned()),
        risk_level: Some(5),
        ..amc("WM")
    };
    world
        .commit(vec![list_of(&["A"]), master("A", Wealthmagik, wealthmagik)])
        .await;
    world.commit(vec![master("A", Finnomena, amc("FN"))]).await;
    let select = "SELECT concat_ws('|', full_name_th, amc, risk_level, fund_status, source_url) FROM funds_master_info";
    let expected = ["กองทุน A|FN|5|active|https://finnomena.example/A/master"];
    assert_eq!(world.text(select).await, expected);
    world.next_cycle(TODAY, CycleKind::Daily).await;
    world
        .commit(vec![master("A", Finnomena, MasterFields::default())])
        .await;
    assert_eq!(world.text(select).await, expected);
    assert_eq!(
        world
            .text("SELECT old_value || new_value FROM history.change WHERE field = 'amc'")
            .await,
        ["WMFN"]
    );
}

#[tokio::test]
async fn a_field_unreported_for_three_closed_monthly_cycles_ranks_below_a_reported_one() {
    let mut world = World::new().await;
    world
        .commit(vec![
            list_of(&["A"]),
            master("A", Wealthmagik, amc("WM")),
            master("A", Finnomena, amc("FN")),
        ])
        .await;
    for month in 1..=4 {
        world
            .next_cycle(date(2027, month, 1), CycleKind::Monthly)
            .await;
        world
            .commit(vec![
                master("A", Finnomena, MasterFields::default()),
                master("A", Wealthmagik, amc("WM")),
            ])
            .await;
        let expected = if month == 4 { "WM" } else { "FN" };
        assert_eq!(
            world.text("SELECT amc FROM funds_master_info").await,
            [expected],
            "month {month}"
        );
    }
    world.next_cycle(date(2027, 5, 1), CycleKind::Monthly).await;
    world.commit(vec![master("A", Finnomena, amc("FN"))]).await;
    assert_eq!(
        world.text("SELECT amc FROM funds_master_info").await,
        ["FN"]
    );
}

#[tokio::test]
async fn statistics_are_the_secs_alone_and_never_go_back() {
    let mut world = World::new().await;
    world
        .commit(vec![list_of(&["A"]), statistics(Wealthmagik, 1, "9")])
        .await;
    assert!(world.table("funds_statistics").await.is_empty());
    world
        .commit(vec![statistics(SecFundcheck, 10, "1.5")])
        .await;
    world.next_cycle(TODAY, CycleKind::Daily).await;
    let report = world.commit(vec![statistics(SecFundcheck, 9, "1.4")]).await;
    assert_eq!(report.tables["funds_statistics"].records.superseded, 1);
    assert_eq!(
        world
            .text("SELECT concat_ws(' ', as_of_date, sharpe_ratio, sec_url) FROM funds_statistics")
            .await,
        ["2026-09-10 1.5 https://sec_fundcheck.example/A/statistics"]
    );
}

#[tokio::test]
async fn the_page_of_the_fees_is_shown() {
    let mut world = World::new().await;
    let fee = |value: &str| FeeFields {
        front_end_max: Some(number(value)),
        ..FeeFields::default()
    };
    let minimum = FeeFields {
        min_initial_buy: Some(number("1000")),
        ..FeeFields::default()
    };
    let minimums = done(
        task(Finnomena, "fund", "A"),
        vec![says(
            "A",
            Finnomena,
            None,
            ObservationData::Minimums(minimum),
        )],
    );
    let select = "SELECT concat_ws(' ', front_end_max, min_initial_buy, source_url) FROM funds_fee";
    world.commit(vec![list_of(&["A"]), minimums]).await;
    assert_eq!(
        world.text(select).await,
        ["1000 https://finnomena.example/A/minimums"]
    );
    world.commit(vec![fees("A", Wealthmagik, fee("1.5"))]).await;
    assert_eq!(
        world.text(select).await,
        ["1.5 1000 https://wealthmagik.example/A/fees"]
    );
    world.commit(vec![fees("A", Finnomena, fee("2"))]).await;
    assert_eq!(
        world.text(select).await,
        ["2 1000 https://finnomena.example/A/fees"]
    );
}

#[tokio::test]
async fn portfolios_of_several_sources_are_kept_and_a_replaced_one_goes_whole_to_history() {
    let mut world = World::new().await;
    let (september, october) = (Some(date(2026, 9, 30)), Some(date(2026, 10, 31)));
    let long: &[(&str, Option<&str>)] = &[
        ("X", Some("60")),
        ("Y", Some("-1")),
        ("Y", Some("-1")),
        ("Z", None),
    ];
    world
        .commit(vec![
            list_of(&["A"]),
            portfolio(
                "A",
                Finnomena,
                PortfolioKind::TopHoldings,
                september,
                &[("X", Some("60"))],
            ),
            portfolio(
                "A",
                Wealthmagik,
                PortfolioKind::FullHoldings,
                september,
                long,
            ),
            portfolio(
                "A",
                Wealthmagik,
                PortfolioKind::AssetAllocation,
                None,
                &[("Equity", Some("99"))],
            ),
        ])
        .await;
    assert_eq!(world.table("funds_holding").await.len(), 5);
    assert_eq!(world.table("funds_allocations").await.len(), 1);
    world.next_cycle(TODAY, CycleKind::Daily).await;
    let before = world
        .text("SELECT xmin::text FROM funds_holding WHERE holding_type = 'full' AND row_no = 1")
        .await;
    let report = world
        .commit(vec![
            portfolio(
                "A",
                Wealthmagik,
                PortfolioKind::FullHoldings,
                september,
                &[("X", Some("60")), ("Q", Some("40"))],
            ),
            portfolio(
                "A",
                Finnomena,
                PortfolioKind::TopHoldings,
                Some(date(2026, 8, 31)),
                &[("OLD", Some("1"))],
            ),
        ])
        .await;
    assert!(report.tables["funds_holding"].records.balance());
    assert_eq!(
        world.text("SELECT concat_ws(' ', row_no, name, percent) FROM funds_holding WHERE holding_type = 'full' ORDER BY row_no").await,
        ["1 X 60", "2 Q 40"]
    );
    let after = world
        .text("SELECT xmin::text FROM funds_holding WHERE holding_type = 'full' AND row_no = 1")
        .await;
    assert_eq!(before, after, "a row that does not differ is not written");
    assert_eq!(
        world
            .text("SELECT name FROM funds_holding WHERE holding_type = 'top5'")
            .await,
        ["X"]
    );
    assert_eq!(
        world
            .text("SELECT jsonb_array_length(rows)::text FROM history.portfolio")
            .await,
        ["4"]
    );
    world.next_cycle(TODAY, CycleKind::Daily).await;
    world
        .commit(vec![portfolio(
            "A",
            Wealthmagik,
            PortfolioKind::FullHoldings,
            october,
            &[],
        )])
        .await;
    assert_eq!(
        world.table("funds_holding").await.len(),
        3,
        "an empty page changes nothing"
    );
}

#[tokio::test]
async fn a_code_is_removed_only_when_another_of_its_type_is_reported() {
    let mut world = World::new().await;
    let isin = |code| (CodeType::Isin, code);
    world
        .commit(vec![
            list_of(&["A"]),
            codes(
                Finnomena,
                "1.pdf",
                &[isin("TH0000000001"), (CodeType::Bloomberg, "KFGTECH TB")],
            ),
        ])
        .await;
    let select =
        "SELECT concat_ws(' ', type, code, right(factsheet_url, 5)) FROM funds_codes ORDER BY 1";
    world.next_cycle(TODAY, CycleKind::Daily).await;
    world
        .commit(vec![codes(Finnomena, "2.pdf", &[isin("TH0000000001")])])
        .await;
    assert_eq!(
        world.text(select).await,
        ["Bloomberg KFGTECH TB 1.pdf", "ISIN TH0000000001 2.pdf"]
    );
    world.next_cycle(TODAY, CycleKind::Daily).await;
    world
        .commit(vec![codes(Finnomena, "3.pdf", &[isin("TH0000000002")])])
        .await;
    world.judge().await;
    assert_eq!(
        world.text(select).await,
        ["Bloomberg KFGTECH TB 1.pdf", "ISIN TH0000000002 3.pdf"]
    );
    assert_eq!(
        world
            .text("SELECT old_value || new_value FROM history.change")
            .await,
        ["TH0000000001TH0000000002"]
    );
}

#[tokio::test]
async fn remerge_changes_nothing_unless_a_row_is_damaged() {
    let mut world = World::new().await;
    world
        .commit(vec![list_of(&["A"]), master("A", Finnomena, amc("FN"))])
        .await;
    let remerged = world.request(ChangeRequest::Remerge).await;
    assert!(remerged.contains("no row was written"), "{remerged}");
    world
        .sql
        .batch_execute("UPDATE funds_master_info SET amc = 'by hand'")
        .await
        .unwrap();
    let remerged = world.request(ChangeRequest::Remerge).await;
    assert!(remerged.contains("1 row differed"), "{remerged}");
    assert_eq!(
        world.text("SELECT amc FROM funds_master_info").await,
        ["FN"]
    );
}
