//! Tests that the simulator's answers have the key sets, types, nulls and spelling of the captured ones, and that it
//! serves the real histories unchanged. If the folder of real samples is absent, the tests print that and pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::support::{get, real_folder};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use simulator::{MarketConfig, Simulator};

/// The form of a value: its JSON type, and for texts the kind of their content.
fn kind(value: &Value) -> &'static str {
    let is_number = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|letter| letter.is_ascii_digit() || letter == '.')
    };
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
        Value::String(text) if text.is_empty() => "empty text",
        Value::String(text) if text.ends_with("T00:00:00Z") => "midnight",
        Value::String(text) if is_number(text) => "number as text",
        Value::String(text) if text.starts_with('#') => "colour",
        Value::String(_) => "text",
    }
}

/// For each path: the kinds of its values, and the key sets of its objects.
#[derive(Default)]
struct Shape {
    kinds: BTreeMap<String, BTreeSet<&'static str>>,
    keys: BTreeMap<String, BTreeSet<Vec<String>>>,
}

impl Shape {
    fn add(&mut self, path: &str, value: &Value) {
        self.kinds
            .entry(path.to_owned())
            .or_default()
            .insert(kind(value));
        match value {
            Value::Object(members) => {
                self.keys
                    .entry(path.to_owned())
                    .or_default()
                    .insert(members.keys().cloned().collect());
                members
                    .iter()
                    .for_each(|(key, member)| self.add(&format!("{path}.{key}"), member));
            }
            Value::Array(items) => items
                .iter()
                .for_each(|item| self.add(&format!("{path}[]"), item)),
            _ => {}
        }
    }
}

/// The shape of all answers of one page, for every fund that Finnomena lists.
async fn answers(simulator: &Simulator, page: &str) -> Shape {
    let base = format!(
        "{}/fn3/api/fund/v2/public/funds",
        simulator.urls().finnomena
    );
    let list = get(&base).await.json();
    let mut shape = Shape::default();
    if page.is_empty() {
        shape.add("", &list);
        return shape;
    }
    for fund in list["data"].as_array().expect("a list") {
        let answer = get(&format!(
            "{base}/{}/{page}",
            fund["fund_id"].as_str().expect("an id")
        ))
        .await;
        if answer.status == 200 {
            shape.add("", &answer.json());
        }
    }
    shape
}

#[tokio::test]
async fn answers_have_the_shape_of_the_captured_ones() {
    let Some(folder) = real_folder() else { return };
    let simulator = Simulator::start(MarketConfig {
        funds: 150,
        ..MarketConfig::default()
    })
    .await
    .expect("the simulator starts");
    let pages = [
        ("funds.three_items.json", ""),
        ("latest.TNEXTGEN-A.json", "latest"),
        ("performance.TNEXTGEN-A.json", "performance"),
        ("fee.TISCOAI.json", "fee"),
        ("dividend.KFSDIV.json", "dividend"),
        ("dividend.TNEXTGEN-A.json", "dividend"),
        ("portfolio.THDRMF-P.json", "portfolio"),
    ];
    for (file, page) in pages {
        let text = fs::read_to_string(folder.join("finnomena").join(file)).expect("a capture");
        let mut captured = Shape::default();
        captured.add("", &serde_json::from_str(&text).expect("JSON"));
        let ours = answers(&simulator, page).await;
        for (path, keys) in &captured.keys {
            // The only other key set has the older name of the sector block.
            let renamed = |keys: &&Vec<String>| !keys.iter().any(|key| key == "sector_allocation");
            let ours: BTreeSet<_> = ours.keys[path].iter().filter(renamed).cloned().collect();
            assert_eq!(ours, *keys, "{file} {path}");
        }
        for (path, kinds) in &captured.kinds {
            let missing: Vec<_> = kinds
                .iter()
                .filter(|kind| {
                    !ours
                        .kinds
                        .get(path)
                        .is_some_and(|ours| ours.contains(*kind))
                })
                .collect();
            assert!(
                missing.is_empty(),
                "{file} {path}: {missing:?} of {:?}",
                ours.kinds.get(path)
            );
        }
    }
}

/// Code, date, NAV and AUM of every row of the file, parsed here by other code than the simulator's.
fn rows_of_the_file(folder: &Path) -> Vec<[String; 4]> {
    let mut text = String::new();
    MultiGzDecoder::new(File::open(folder.join("nav_history.csv.gz")).expect("the file"))
        .read_to_string(&mut text)
        .expect("text");
    let mut rows: Vec<[String; 4]> = text
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let nav = if cells[5].parse::<f64>().expect("a number") == 0.0 {
                "\\N"
            } else {
                cells[5]
            };
            [
                cells[2].trim().to_owned(),
                cells[3].to_owned(),
                nav.to_owned(),
                cells[4].to_owned(),
            ]
        })
        .collect();
    rows.sort_unstable();
    rows
}

#[test]
fn the_real_histories_come_out_exactly() {
    let Some(folder) = real_folder() else { return };
    let today = simulator::last_real_date(&folder)
        .expect("the file")
        .and_then(|last| last.tomorrow().ok())
        .expect("a date");
    let config = MarketConfig {
        real: Some(folder.clone()),
        today,
        ..MarketConfig::default()
    };
    let mut text = Vec::new();
    Simulator::write_truth_of(&config, &mut text).expect("memory takes it");
    let text = String::from_utf8(text).expect("UTF-8");
    let daily = text
        .split("# funds_daily")
        .nth(1)
        .and_then(|rest| rest.split("\n#").next())
        .expect("the daily table");
    let mut ours: Vec<[String; 4]> = daily
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            [cells[0], cells[1], cells[2], cells[5]].map(str::to_owned)
        })
        .collect();
    ours.sort_unstable();
    let file = rows_of_the_file(&folder);
    assert_eq!(ours.len(), file.len());
    assert!(
        ours == file,
        "first difference: {:?}",
        ours.iter().zip(&file).find(|(one, other)| one != other)
    );
}
