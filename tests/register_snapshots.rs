//! Real snapshots of the register's newest NAVs, served by the simulated register: five of one day, then shifted by a
//! day each. They are not part of the project; without them the test is skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use simulator::MarketConfig;

use crate::world::{Run, World};

/// The day of the snapshots.
const DAY: Date = date(2026, 8, 19);
/// The number of days before the cycle that its lists reach back to: see docs/decisions.
const WIDE_WINDOW_DAYS: i64 = 14;

/// One row of a snapshot.
#[derive(Debug, Clone)]
struct SnapshotRow {
    class: String,
    proj_id: String,
    nav_date: Date,
    nav: String,
    offer: String,
    bid: String,
    aum: String,
}

/// NAV, bid, offer and AUM of a class and day, as the table shows them.
type Expected = BTreeMap<(String, String), [Option<String>; 4]>;

fn snapshots() -> Option<Vec<Vec<SnapshotRow>>> {
    let named = std::env::var_os("REAL_DIR").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/real");
    let folder = named
        .into_iter()
        .chain([beside])
        .map(|real| real.join("sec_nav_snapshots"))
        .find(|folder| folder.is_dir())?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is readable")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "gz"))
        .collect();
    files.sort();
    Some(files.iter().map(|file| read(file)).collect())
}

fn read(file: &Path) -> Vec<SnapshotRow> {
    let packed = std::fs::File::open(file).expect("the snapshot opens");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed)
        .read_to_string(&mut text)
        .expect("the snapshot is text");
    let rows = text.lines().skip(1).filter(|line| !line.is_empty());
    rows.map(|line| {
        let cells: Vec<&str> = line.splitn(8, ',').collect();
        SnapshotRow {
            class: cells[0].trim().to_owned(),
            nav_date: cells[1].parse().expect("a date"),
            nav: cells[2].to_owned(),
            offer: cells[3].to_owned(),
            bid: cells[4].to_owned(),
            aum: cells[5].to_owned(),
            proj_id: cells[6].to_owned(),
        }
    })
    .collect()
}

fn shifted(rows: &[SnapshotRow], days: i64) -> Vec<SnapshotRow> {
    rows.iter()
        .map(|row| SnapshotRow {
            nav_date: row.nav_date.saturating_add(days.days()),
            ..row.clone()
        })
        .collect()
}

fn number(text: &str) -> &str {
    if text.is_empty() { "null" } else { text }
}

fn nav_rows(rows: &[SnapshotRow]) -> Vec<String> {
    rows.iter()
        .map(|row| {
            let class = serde_json::json!(row.class);
            format!(
                r#"{{"proj_id":"{}","unique_id":"C1","fund_class_name":{class},"nav_date":"{}","net_asset":{},"last_val":{},"sell_price":{},"buy_price":{},"last_upd_date":"{DAY}T09:00:00.1"}}"#,
                row.proj_id,
                row.nav_date,
                number(&row.aum),
                number(&row.nav),
                number(&row.offer),
                number(&row.bid)
            )
        })
        .collect()
}

fn profiles(classes: &BTreeSet<(String, String)>) -> Vec<String> {
    classes
        .iter()
        .map(|(proj_id, class)| {
            serde_json::json!({
                "proj_id": proj_id, "proj_abbr_name": class, "fund_class_name": class, "fund_status": "Registered",
                "comp_name_en": "A company", "proj_name_th": class, "proj_name_en": class, "regis_date": "2015-01-14",
                "fund_class_isin_code": null, "fund_class_tax_incentive_type": "",
            })
            .to_string()
        })
        .collect()
}

/// A number as the table shows it: without trailing zeros; `None` if it is missing or, unless `zero` is a value, 0.
fn shown(text: &str, zero_is_value: bool) -> Option<String> {
    let number: schema::Number = schema::Number::parse(text).ok()?;
    (zero_is_value || !number.is_zero()).then(|| number.to_string())
}

/// Adds the rows of at most this age.
fn expect(expected: &mut Expected, rows: &[SnapshotRow], cycle: Date, oldest: i64) {
    for row in rows {
        let age = (cycle - row.nav_date).get_days();
        if !(0..=oldest).contains(&i64::from(age)) {
            continue;
        }
        let values = [
            shown(&row.nav, false),
            shown(&row.bid, false),
            shown(&row.offer, false),
            shown(&row.aum, true),
        ];
        let key = (row.class.clone(), row.nav_date.to_string());
        let kept = expected.entry(key).or_default();
        for (kept, value) in kept.iter_mut().zip(values) {
            if value.is_some() {
                *kept = value;
            }
        }
    }
}

/// Asserts that every list of the register was read. FundCheck does not know these classes, which is a breach.
async fn is_read(world: &World, run: &Run) {
    let open: i64 = world
        .one("SELECT count(*) FROM runner.task WHERE source = 'sec_open_api' AND outcome NOT IN ('done', 'absent')")
        .await;
    assert_eq!(open, 0, "{}", run.output);
}

/// Asserts that the table has the expected rows, and no row that was not served: the projects that publish late are
/// requested by themselves, so older rows than those of the lists may be stored. Returns the number of rows.
async fn compare(world: &World, expected: &Expected, served: &Expected) -> usize {
    let with_nav: BTreeSet<&String> = expected
        .iter()
        .filter(|(_, values)| values[0].is_some())
        .map(|((class, _), _)| class)
        .collect();
    let columns = ["fund_code", "nav_date", "nav_value", "bid", "offer", "aum"];
    let found: Expected = world
        .rows("funds_daily", &columns)
        .await
        .into_iter()
        .filter_map(|row| {
            let [code, day, nav, bid, offer, aum] = row.try_into().ok()?;
            Some(((code?, day?), [nav, bid, offer, aum]))
        })
        .filter(|((code, _), _)| with_nav.contains(code))
        .collect();
    let expected: Expected = expected
        .iter()
        .filter(|((code, _), values)| with_nav.contains(code) && **values != [const { None }; 4])
        .map(|(key, values)| (key.clone(), values.clone()))
        .collect();
    let wrong: Vec<_> = expected
        .iter()
        .filter(|(key, values)| found.get(*key) != Some(values))
        .map(|(key, values)| (key, values, found.get(key)))
        .take(5)
        .collect();
    assert!(wrong.is_empty(), "expected, found: {wrong:?}");
    let strange: Vec<_> = found
        .iter()
        .filter(|(key, values)| !expected.contains_key(*key) && served.get(*key) != Some(values))
        .take(5)
        .collect();
    assert!(strange.is_empty(), "stored and not served: {strange:?}");
    found.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_real_snapshots_end_in_funds_daily_exactly() {
    let Some(snapshots) = snapshots() else {
        println!("skipped: no captured data here (REAL_DIR)");
        return;
    };
    let mut world = World::new(MarketConfig {
        funds: 5,
        edge_cases: false,
        today: DAY,
        ..MarketConfig::default()
    })
    .await;
    world.settings.register_keys = &["simulated-key"];
    // The snapshots have no histories.
    world.settings.history_pages = 0;
    let classes: BTreeSet<(String, String)> = snapshots
        .iter()
        .flatten()
        .map(|row| (row.proj_id.clone(), row.class.clone()))
        .collect();
    let simulator = &world.simulator;
    simulator
        .replace_register_rows("general-info/profiles", &profiles(&classes))
        .expect("profiles");
    let (mut expected, mut served) = (Expected::new(), Expected::new());
    for (at, rows) in snapshots.iter().enumerate() {
        simulator
            .replace_register_rows("daily-info/nav", &nav_rows(rows))
            .expect("rows");
        let day = DAY.to_string();
        let run = world
            .run(&["--once", "--cycle", "daily", "--fresh", "--date", &day])
            .await;
        is_read(&world, &run).await;
        expect(&mut expected, rows, DAY, WIDE_WINDOW_DAYS);
        expect(&mut served, rows, DAY, i64::MAX);
        let count = compare(&world, &expected, &served).await;
        println!("snapshot {at}: {count} rows");
    }
    for (days, rows) in (1..).zip(&snapshots) {
        let (rows, today) = (shifted(rows, days), DAY.saturating_add(days.days()));
        simulator
            .replace_register_rows("daily-info/nav", &nav_rows(&rows))
            .expect("rows");
        let day = today.to_string();
        let run = world
            .run(&["--once", "--cycle", "daily", "--date", &day])
            .await;
        is_read(&world, &run).await;
        // The first cycle of a week, on Monday the 24th, has the wide window, the others have the narrow one.
        let reach = if today == date(2026, 8, 24) { 14 } else { 5 };
        expect(&mut expected, &rows, today, reach);
        expect(&mut served, &rows, today, i64::MAX);
        let count = compare(&world, &expected, &served).await;
        println!("shifted by {days} days: {count} rows");
    }
}
