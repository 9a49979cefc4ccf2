//! The real NAV histories, if they are available: every row is stored exactly.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use schema::observation::{DailyPoint, ObservationData};
use schema::{Number, SourceName};

use crate::world::{World, done, list_of, says, task};

fn history() -> Option<String> {
    let folder = std::env::var_os("REAL_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/real"),
        PathBuf::from,
    );
    let file = folder.join("nav_history.csv.gz");
    if !file.exists() {
        eprintln!("skipped: no {}", file.display());
        return None;
    }
    let output = Command::new("gzip").arg("-dc").arg(&file).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn the_real_series_is_loaded_exactly() {
    let Some(history) = history() else { return };
    let value = |text: &str| {
        let number = Number::parse(text).ok()?;
        (!number.is_zero()).then_some(number)
    };
    let mut funds: BTreeMap<&str, BTreeMap<jiff::civil::Date, DailyPoint>> = BTreeMap::new();
    for line in history.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let point = DailyPoint {
            nav_date: cells[3].parse().unwrap(),
            nav: value(cells[5]),
            aum: Number::parse(cells[4]).ok(),
            bid: value(cells[7]),
            offer: value(cells[6]),
        };
        funds
            .entry(cells[2].trim())
            .or_default()
            .insert(point.nav_date, point);
    }
    let rows: usize = funds.values().map(BTreeMap::len).sum();
    let mut world = World::new().await;
    let names: Vec<&str> = funds.keys().copied().collect();
    world.commit(vec![list_of(&names)]).await;
    let begin = Instant::now();
    let mut batch = Vec::new();
    let mut size = 0;
    let mut inserted = 0;
    for (fund, points) in &funds {
        let said = says(
            fund,
            SourceName::Finnomena,
            None,
            ObservationData::Daily(points.values().copied().collect()),
        );
        size += points.len();
        batch.push(done(task(SourceName::Finnomena, "nav", fund), vec![said]));
        if size > 20_000 {
            inserted +=
                world.commit(std::mem::take(&mut batch)).await.tables["funds_daily"].rows_inserted;
            size = 0;
        }
    }
    inserted += world.commit(batch).await.tables["funds_daily"].rows_inserted;
    eprintln!(
        "{rows} real days of {} funds in {:?}",
        funds.len(),
        begin.elapsed()
    );
    assert_eq!(inserted, rows as u64);
    let (fund, points) = funds.iter().nth(funds.len() / 2).unwrap();
    let stored = world
        .sql
        .query("SELECT nav_date, nav_value, bid, offer, aum FROM funds_daily WHERE fund_code = $1 ORDER BY 1", &[fund])
        .await
        .unwrap();
    for (row, point) in stored.iter().zip(points.values()) {
        let decimal = |number: Option<Number>| number.map(Number::decimal);
        assert_eq!(row.get::<_, jiff::civil::Date>(0), point.nav_date);
        assert_eq!(
            row.get::<_, Option<rust_decimal::Decimal>>(1),
            decimal(point.nav)
        );
        assert_eq!(
            row.get::<_, Option<rust_decimal::Decimal>>(2),
            decimal(point.bid)
        );
        assert_eq!(
            row.get::<_, Option<rust_decimal::Decimal>>(3),
            decimal(point.offer)
        );
        assert_eq!(
            row.get::<_, Option<rust_decimal::Decimal>>(4),
            decimal(point.aum)
        );
    }
    assert_eq!(stored.len(), points.len());
}
