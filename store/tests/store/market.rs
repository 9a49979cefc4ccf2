//! A large first load: 400 funds with 600 days each.

use std::time::Instant;

use jiff::ToSpan;
use jiff::civil::date;
use schema::observation::{DailyPoint, ObservationData};
use schema::{SourceName, TaskAnswer};

use crate::world::{World, code, done, list_of, number, says, task};

const FUNDS: usize = 400;
const DAYS: i32 = 600;

fn batch(funds: &[String]) -> Vec<TaskAnswer> {
    let first = date(2025, 1, 1);
    funds
        .iter()
        .map(|fund| {
            let points = (0..DAYS)
                .map(|day| DailyPoint {
                    nav_date: first + day.days(),
                    nav: Some(number(&format!("10.{day}"))),
                    aum: Some(number("1543950235.81")),
                    bid: None,
                    offer: None,
                })
                .collect();
            let said = says(
                fund,
                SourceName::Finnomena,
                None,
                ObservationData::Daily(points),
            );
            done(
                task(SourceName::Finnomena, "nav", code(fund).as_str()),
                vec![said],
            )
        })
        .collect()
}

#[tokio::test]
async fn a_first_load_takes_seconds_and_its_repetition_writes_nothing() {
    let mut world = World::new().await;
    let funds: Vec<String> = (0..FUNDS).map(|fund| format!("FUND-{fund:04}")).collect();
    let names: Vec<&str> = funds.iter().map(String::as_str).collect();
    world.commit(vec![list_of(&names)]).await;
    for pass in ["first load", "repetition"] {
        let begin = Instant::now();
        let (mut inserted, mut unchanged) = (0, 0);
        for some in funds.chunks(33) {
            let report = world.commit(batch(some)).await;
            let counts = &report.tables["funds_daily"];
            assert!(counts.records.balance(), "{counts:?}");
            inserted += counts.records.inserted;
            unchanged += counts.records.unchanged;
        }
        let rows = (FUNDS as u64) * u64::from(DAYS.unsigned_abs());
        let expected = if pass == "first load" {
            (rows, 0)
        } else {
            (0, rows)
        };
        assert_eq!((inserted, unchanged), expected, "{pass}");
        let took = begin.elapsed();
        eprintln!("{pass} of {rows} days: {took:?}");
        assert!(took.as_secs() < 60, "{pass} took {took:?}");
    }
}
