//! A minimal parser of the register's answers. It shares no code with the simulator or with the runner.

use std::collections::BTreeMap;

use serde_json::Value;
use simulator::{ReportedRow, Simulator};

use super::{all, code, text};

/// Table, code, key, row.
pub type Tables = BTreeMap<&'static str, BTreeMap<String, BTreeMap<String, ReportedRow>>>;

/// What the answers say, in the tables' form.
#[derive(Default)]
pub struct Parsed {
    pub tables: Tables,
    /// The code of each project and class name.
    codes: BTreeMap<(String, String), String>,
    /// The short name of each project.
    short_names: BTreeMap<String, String>,
    /// The codes of each project that have factsheets.
    of_project: BTreeMap<String, Vec<String>>,
}

impl Parsed {
    /// Fetches and parses every dataset that the report is about.
    pub async fn from(simulator: &Simulator) -> Self {
        let mut parsed = Parsed::default();
        general(simulator, &mut parsed).await;
        daily(simulator, &mut parsed).await;
        of_classes(simulator, &mut parsed).await;
        of_projects(simulator, &mut parsed).await;
        parsed
    }

    fn row(&mut self, table: &'static str, code: &str, key: &str) -> &mut ReportedRow {
        let codes = self.tables.entry(table).or_default();
        let rows = codes.entry(code.to_owned()).or_default();
        rows.entry(key.to_owned()).or_default()
    }

    fn put(
        &mut self,
        table: &'static str,
        code: &str,
        key: &str,
        column: &'static str,
        cell: impl Into<String>,
    ) {
        self.row(table, code, key).insert(column, cell.into());
    }

    /// The code of a row's class. A class that the profiles lack has its name as code, and `main` that of the project.
    fn class(&self, row: &Value) -> String {
        let (proj_id, name) = (text(row, "proj_id"), text(row, "fund_class_name").trim());
        let known = self.codes.get(&(proj_id.to_owned(), name.to_owned()));
        match (known, name) {
            (Some(code), _) => code.clone(),
            (None, "main") => self.short_names[proj_id].clone(),
            (None, name) => name.to_owned(),
        }
    }
}

/// A number without needless zeros; None if it is 0.
fn number(value: &Value) -> Option<String> {
    let spelt = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let short = if spelt.contains('.') {
        spelt.trim_end_matches('0').trim_end_matches('.')
    } else {
        &spelt
    };
    (!short.is_empty() && short != "0" && short != "null" && short.parse::<f64>().is_ok())
        .then(|| short.to_owned())
}

fn or_zero(value: &Value) -> Option<String> {
    number(value).or((value.as_f64() == Some(0.0)).then(|| "0".to_owned()))
}

/// White space folded, zero-width characters removed, the two decomposed letters of the simulator composed.
fn folded(text: &str) -> String {
    let visible: String = text
        .chars()
        .filter(|letter| !matches!(letter, '\u{200b}'..='\u{200d}' | '\u{feff}'))
        .collect();
    let composed = visible
        .replace("e\u{301}", "\u{e9}")
        .replace("\u{e49}\u{e4d}\u{e32}", "\u{e49}\u{e33}")
        .replace("\u{e4d}\u{e32}", "\u{e33}");
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn has_right_check_digit(isin: &str) -> bool {
    let digits: Vec<u32> = isin
        .chars()
        .flat_map(|letter| {
            letter
                .to_digit(36)
                .expect("a letter")
                .to_string()
                .into_bytes()
        })
        .map(|digit| u32::from(digit - b'0'))
        .collect();
    let doubled = |(place, digit): (usize, &u32)| {
        if place % 2 == 1 {
            digit * 2 / 10 + digit * 2 % 10
        } else {
            *digit
        }
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

/// Days of a Thai period such as `1 ปี 2 เดือน 3 วัน`.
fn days(period: &str) -> u32 {
    let words: Vec<&str> = period.split(' ').collect();
    let one = |unit: &str, days: u32| {
        let place = words.iter().position(|word| *word == unit);
        place.map_or(0, |place| {
            days * words[place - 1].parse::<u32>().expect("a count")
        })
    };
    one("ปี", 365) + one("เดือน", 30) + one("วัน", 1)
}

async fn general(simulator: &Simulator, parsed: &mut Parsed) {
    for profile in all(simulator, "general-info/profiles").await.0 {
        let code = code(&profile);
        let proj_id = text(&profile, "proj_id").to_owned();
        let name = text(&profile, "fund_class_name").trim().to_owned();
        let short_name = text(&profile, "proj_abbr_name").trim().to_owned();
        parsed.short_names.insert(proj_id.clone(), short_name);
        let status = text(&profile, "fund_status").to_owned();
        if status == "Registered" || status == "IPO" {
            parsed
                .of_project
                .entry(proj_id.clone())
                .or_default()
                .push(code.clone());
        }
        parsed
            .codes
            .insert((proj_id.clone(), name.clone()), code.clone());
        for (column, cell) in [
            ("proj_id", proj_id),
            ("class_name", name),
            ("status", status.clone()),
        ] {
            parsed.put("register_classes", &code, "", column, cell);
        }
        let table = "funds_master_info";
        for (column, member) in [
            ("full_name_th", "proj_name_th"),
            ("full_name_en", "proj_name_en"),
            ("amc", "comp_name_en"),
            ("fund_tax_type", "fund_class_tax_incentive_type"),
            ("feeder_master_fund", "feederfund_master_fund"),
            ("management_style", "management_style"),
        ] {
            if let Some(cell) = profile[member].as_str().filter(|cell| !cell.is_empty()) {
                parsed.put(table, &code, "", column, folded(cell));
            }
        }
        if status != "IPO" {
            let state = if status == "Registered" {
                "active"
            } else {
                "inactive"
            };
            parsed.put(table, &code, "", "fund_status", state);
        }
        if let Some(date) = profile["regis_date"].as_str() {
            let date = match date.split('/').collect::<Vec<_>>()[..] {
                [day, month, year] => format!(
                    "{}-{month}-{day}",
                    year.parse::<i32>().expect("a year") - 543
                ),
                _ => date.to_owned(),
            };
            parsed.put(table, &code, "", "inception_date", date);
        }
        let isin = profile["fund_class_isin_code"].as_str();
        if let Some(isin) = isin.filter(|isin| has_right_check_digit(isin)) {
            parsed.put("funds_codes", &code, "ISIN", "type", "ISIN");
            parsed.put("funds_codes", &code, "ISIN", "code", isin);
        }
    }
}

async fn daily(simulator: &Simulator, parsed: &mut Parsed) {
    for row in all(simulator, "daily-info/nav").await.0 {
        let code = parsed.class(&row);
        let date = text(&row, "nav_date");
        let cells = [
            ("nav_value", number(&row["last_val"])),
            ("bid", number(&row["buy_price"])),
            ("offer", number(&row["sell_price"])),
            ("aum", or_zero(&row["net_asset"])),
        ];
        // Of two rows of a day the later one counts.
        let present = cells
            .into_iter()
            .filter_map(|(column, cell)| Some((column, cell?)));
        *parsed.row("funds_daily", &code, date) = present.collect();
    }
    for row in all(simulator, "daily-info/dividend-history").await.0 {
        let proj_id = text(&row, "proj_id").to_owned();
        let code = match text(&row, "class_abbr_name") {
            "-" => parsed.codes[&(proj_id, "main".to_owned())].clone(),
            code => code.to_owned(),
        };
        let day = |member: &str| text(&row, member)[..10].to_owned();
        let (key, pay_date) = (day("book_close_date"), day("dividend_date"));
        let value = number(&row["dividend_value"]).expect("a dividend is not 0");
        parsed.put("funds_dividends", &code, &key, "value", value);
        parsed.put("funds_dividends", &code, &key, "pay_date", pay_date);
    }
}

/// The rows of a dataset of factsheets whose effective period is the newest.
async fn newest(simulator: &Simulator, dataset: &str) -> Vec<Value> {
    let (mut rows, _) = all(simulator, &format!("factsheet/{dataset}?latest=true")).await;
    let newest = rows
        .iter()
        .map(|row| text(row, "start_date"))
        .max()
        .expect("rows")
        .to_owned();
    rows.retain(|row| text(row, "start_date") == newest);
    rows
}

async fn of_classes(simulator: &Simulator, parsed: &mut Parsed) {
    for row in newest(simulator, "statistics").await {
        let code = parsed.class(&row);
        for (column, member) in [
            ("sharpe_ratio", "sharpe_ratio"),
            ("alpha", "alpha"),
            ("beta", "beta"),
            ("max_drawdown", "maximum_drawdown"),
            ("tracking_error", "tracking_error"),
            ("turnover_ratio", "portfolio_turnover_ratio"),
            ("fx_hedging", "fx_hedging"),
        ] {
            if let Some(cell) = number(&row[member]) {
                parsed.put("funds_statistics", &code, "", column, cell);
            }
        }
        let recovering = days(text(&row, "recovering_period"));
        if recovering > 0 {
            parsed.put(
                "funds_statistics",
                &code,
                "",
                "recovering_period",
                recovering.to_string(),
            );
        }
        parsed.put(
            "funds_statistics",
            &code,
            "",
            "as_of_date",
            text(&row, "start_date"),
        );
    }
    let fees = [
        ("front-end fee", "front_end_max", "front_end_actual"),
        ("back-end fee", "back_end_max", "back_end_actual"),
        ("switching in", "switching_in_max", "switching_in_actual"),
        ("switching out", "switching_out_max", "switching_out_actual"),
        ("total fee and expense", "ter_max", "ter_actual"),
        ("management fee", "management_max", "management_actual"),
    ];
    for row in newest(simulator, "fees").await {
        let known = parsed.codes.contains_key(&(
            text(&row, "proj_id").to_owned(),
            text(&row, "fund_class_name").trim().to_owned(),
        ));
        let kind = text(&row, "fee_type_desc").to_lowercase();
        let fee = fees
            .iter()
            .find(|(words, ..)| kind.contains(&format!("({words})")));
        let (rate, actual) = (or_zero(&row["rate"]), or_zero(&row["actual_value"]));
        let is_filled = [&rate, &actual]
            .iter()
            .any(|cell| cell.as_deref().is_some_and(|cell| cell != "0"));
        assert!(
            known || !is_filled,
            "fees of a class that the profiles lack: {row}"
        );
        if let (Some((_, max, charged)), true) = (fee, is_filled) {
            let code = parsed.class(&row);
            for (column, cell) in [(*max, rate), (*charged, actual)] {
                if let Some(cell) = cell.filter(|cell| cell != "999999") {
                    parsed.put("funds_fee", &code, "", column, cell);
                }
            }
        }
    }
    for row in newest(simulator, "subscription-redemption-minimums").await {
        let code = parsed.class(&row);
        for (column, member, currency) in [
            ("min_initial_buy", "minimum_sub_ipo", "minimum_sub_ipo_cur"),
            ("min_next_buy", "minimum_sub", "minimum_sub_cur"),
        ] {
            assert_eq!(text(&row, currency).len(), 50);
            if text(&row, currency).trim() == "THB" {
                parsed.put("funds_fee", &code, "", column, row[member].to_string());
            }
        }
    }
    for row in all(simulator, "factsheet/urls?latest=true").await.0 {
        if let Some(link) = row["pdf_factsheet"].as_str() {
            let code = parsed.class(&row);
            parsed.put("factsheet_links", &code, "", "factsheet_url", link);
        }
    }
    for row in newest(simulator, "dividend-policy").await {
        let code = parsed.class(&row);
        let pays = if text(&row, "dividend_policy") == "Y" {
            "จ่าย"
        } else {
            "ไม่จ่าย"
        };
        parsed.put("funds_master_info", &code, "", "is_dividend", pays);
    }
    let figures = [
        ("ผลตอบแทนกองทุนรวม", "fund"),
        ("ผลตอบแทนตัวชี้วัด", "benchmark"),
        ("ค่าเฉลี่ยในกลุ่มเดียวกัน", "peer_average"),
        ("ความผันผวนของกองทุนรวม", "volatility"),
    ];
    for row in newest(simulator, "performance").await {
        let code = parsed.class(&row);
        let key = format!(
            "{} {}",
            text(&row, "start_date"),
            text(&row, "reference_period")
        );
        let kind = text(&row, "performance_type_desc");
        let (_, column) = figures
            .iter()
            .find(|(words, _)| *words == kind)
            .expect("a known figure");
        if let Some(cell) = number(&row["performance_value"]) {
            parsed.put("funds_performance", &code, &key, column, cell);
        }
    }
}

async fn of_projects(simulator: &Simulator, parsed: &mut Parsed) {
    for row in newest(simulator, "risk-spectrum").await {
        let level = text(&row, "risk_spectrum")
            .chars()
            .nth(2)
            .expect("a digit")
            .to_string();
        for code in parsed.of_project[text(&row, "proj_id")].clone() {
            parsed.put("funds_master_info", &code, "", "risk_level", level.clone());
        }
    }
    let mut put = |row: &Value,
                   table: &'static str,
                   key: &str,
                   kinds: &[(&'static str, &str)],
                   cells: [String; 4]| {
        let columns = ["row_no", "name", "percent", "as_of_date"];
        for code in parsed.of_project[text(row, "proj_id")].clone() {
            for (column, cell) in kinds.iter().chain(&[("source", "sec_open_api")]) {
                parsed.put(table, &code, key, column, *cell);
            }
            for (column, cell) in columns.into_iter().zip(cells.clone()) {
                parsed.put(table, &code, key, column, cell);
            }
        }
    };
    for row in newest(simulator, "asset-allocation").await {
        let row_no = row["asset_seq"].to_string();
        let percent = number(&row["asset_ratio"]).expect("a ratio");
        let cells = [
            row_no.clone(),
            text(&row, "asset_name").to_owned(),
            percent,
            text(&row, "start_date").to_owned(),
        ];
        put(
            &row,
            "funds_allocations",
            &format!("asset_alloc {row_no}"),
            &[("type", "asset_alloc")],
            cells,
        );
    }
    let (mut holdings, _) = all(simulator, "outstanding/portfolio").await;
    let newest = holdings
        .iter()
        .map(|row| row["period"].as_u64())
        .max()
        .expect("a period");
    holdings.retain(|row| row["period"].as_u64() == newest && text(row, "assetliab_id") != "903");
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    for row in holdings {
        let row_no = rows.entry(text(&row, "proj_id").to_owned()).or_default();
        *row_no += 1;
        let name = row["issue_code"].as_str().filter(|name| !name.is_empty());
        let name = name
            .unwrap_or_else(|| text(&row, "assetliab_desc"))
            .to_owned();
        let percent = number(&row["percent_nav"]).expect("a percent");
        let cells = [
            row_no.to_string(),
            name,
            percent,
            text(&row, "as_of_date").to_owned(),
        ];
        let kinds = [("holding_type", "full"), ("type", "holding")];
        put(
            &row,
            "funds_holding",
            &format!("full {row_no}"),
            &kinds,
            cells,
        );
    }
}
