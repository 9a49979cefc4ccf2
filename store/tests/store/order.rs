//! D2, D4: the tables depend on the observations only, not on order or batches. A repetition writes nothing.

use jiff::civil::date;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use schema::SourceName::{Finnomena, SecFundcheck, Wealthmagik};
use schema::TaskAnswer;
use schema::columns::{FeeFields, MasterFields, StatisticsFields};
use schema::observation::{ObservationData, PortfolioKind};

use store::TABLES;

use crate::world::{World, days, done, fees, list, master, number, portfolio, says, task};

fn market() -> Vec<TaskAnswer> {
    let mut answers = vec![list(&[
        ("A", true, "a"),
        ("B", true, "b"),
        ("OFF", false, "o"),
    ])];
    for (fund, n) in [("A", 1), ("B", 2), ("OFF", 3), ("ONLY-WM", 4)] {
        let text = |source: &str| MasterFields {
            amc: (n % 2 == 0).then(|| format!("{source} {n}")),
            category: Some(format!("{source} category")),
            ..MasterFields::default()
        };
        let fee = |value: i32| FeeFields {
            ter_max: Some(value.into()),
            ter_actual: (value > 2).then(|| value.into()),
            ..FeeFields::default()
        };
        answers.push(master(fund, Finnomena, text("fn")));
        answers.push(master(fund, Wealthmagik, text("wm")));
        answers.push(fees(fund, Finnomena, fee(n)));
        answers.push(fees(fund, Wealthmagik, fee(n + 1)));
        answers.push(days(
            fund,
            Finnomena,
            &[(1, ["10.5", "3", "", ""]), (2, ["10.6", "", "", ""])],
        ));
        answers.push(days(
            fund,
            Wealthmagik,
            &[(2, ["10.7", "4", "10.1", "10.9"]), (3, ["", "", "1", "2"])],
        ));
        answers.push(portfolio(
            fund,
            Wealthmagik,
            PortfolioKind::FullHoldings,
            Some(date(2026, 9, 30)),
            &[("X", Some("1")), ("X", Some("1"))],
        ));
        answers.push(portfolio(
            fund,
            Finnomena,
            PortfolioKind::AssetAllocation,
            None,
            &[("E", Some("90"))],
        ));
        let statistics = StatisticsFields {
            beta: Some(number("0.9")),
            ..StatisticsFields::default()
        };
        answers.push(done(
            task(SecFundcheck, "statistics", fund),
            vec![says(
                fund,
                SecFundcheck,
                Some(date(2026, 9, 30)),
                ObservationData::Statistics(statistics),
            )],
        ));
    }
    answers
}

async fn load(batches: Vec<Vec<TaskAnswer>>) -> (World, Vec<String>) {
    let mut world = World::new().await;
    for batch in batches {
        world.commit(batch).await;
    }
    world
        .writer
        .totals(&world.cycle)
        .await
        .unwrap()
        .check_books()
        .unwrap();
    let mut tables = Vec::new();
    for table in TABLES {
        tables.extend(world.table(table).await);
    }
    (world, tables)
}

#[test]
fn any_order_and_any_batching_give_the_same_seven_tables() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_world, expected) = runtime.block_on(load(vec![market()]));
    let shuffled = (Just(market()).prop_shuffle(), 1_usize..10);
    let mut runner = TestRunner::new(Config::with_cases(12));
    runner
        .run(&shuffled, |(answers, size)| {
            let batches = answers.chunks(size).map(<[_]>::to_vec).collect();
            let (_world, tables) = runtime.block_on(load(batches));
            prop_assert_eq!(&tables, &expected);
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_repetition_writes_no_row() {
    let (mut world, tables) = load(vec![market()]).await;
    assert!(tables.len() > 12, "{tables:#?}");
    let before = world.versions().await;
    world
        .next_cycle(date(2026, 10, 16), store::CycleKind::Daily)
        .await;
    for answer in market() {
        world.commit(vec![answer]).await;
    }
    world.writer.close_cycle(&world.cycle, "").await.unwrap();
    assert_eq!(world.versions().await, before);
}
