//! Generates the master data of a fund: names, AMC, category, risk, dividend policy, inception date.

use jiff::ToSpan;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Sketch;
use super::deck::Deck;
use super::spelling::{NAME_KINDS, awkward_name, compact, rfc3339};
use crate::edge_case::EdgeCase;
use crate::json::Json;
use crate::market::Cells;

pub(super) struct MasterDecks {
    kind: Deck<Option<EdgeCase>>,
    name: Deck<Option<EdgeCase>>,
}

impl MasterDecks {
    pub(super) fn new(edge_cases: bool) -> Self {
        use EdgeCase::*;
        let kinds = [
            FundPageAbsent,
            ListNameMissing,
            RiskFromSpectrum,
            RiskEightPlus,
            DividendBlank,
            DividendOtherWords,
            InceptionYearOne,
            MasterDisagreement,
            MasterFromWealthMagik,
        ]
        .map(Some);
        MasterDecks {
            kind: Deck::new(edge_cases, None, 6, &kinds),
            name: Deck::new(edge_cases, None, 6, NAME_KINDS),
        }
    }
}

/// The master row and what each site reports about it.
pub(super) struct Master {
    pub(super) truth: Cells,
    /// The fields that each site reports, in the tables' form.
    pub(super) finnomena: Cells,
    pub(super) wealthmagik: Cells,
    pub(super) list_name_th: Json,
    pub(super) page: Option<Vec<(&'static str, Json)>>,
    pub(super) wealthmagik_name: String,
    pub(super) wealthmagik_info: Vec<(&'static str, String)>,
}

const HOUSE_NAMES: [&str; 5] = [
    "Kasikorn Asset Management Co., Ltd.",
    "SCB Asset Management Co.,Ltd.",
    "One Asset Management Limited",
    "Tisco Asset Management Co., Ltd",
    "Asset Plus Fund Management",
];
const CATEGORIES: [(&str, &str, &str); 5] = [
    ("LC00002470", "Equity Large Cap", "หุ้นขนาดใหญ่"),
    ("LC00002858", "Technology Equity", "หุ้นกลุ่มเทคโนโลยี"),
    ("LC00002660", "SET 50 Index Fund", "ดัชนี SET 50"),
    ("LC00002469", "Money Market General", "ตลาดเงิน"),
    (
        "LC00002512",
        "Fund of Property Fund - Thai & Foreign",
        "กองทุนอสังหาริมทรัพย์",
    ),
];
const WORDS: [(&str, &str); 5] = [
    ("ตราสารหนี้", "Bond"),
    ("หุ้นทุน", "Equity"),
    ("ทองคำ", "Gold"),
    ("เทคโนโลยี", "Technology"),
    ("ผสม", "Balanced"),
];
const PAYS: &str = "จ่าย";
const PAYS_NOT: &str = "ไม่จ่าย";

/// The last part of a WealthMagik state id if the site has no value.
const NO_VALUE: [&str; 4] = ["-", "", "null", "N/A"];

pub(super) fn decide(
    decks: &mut MasterDecks,
    sketch: &mut Sketch<'_>,
    random: &mut ChaCha8Rng,
) -> Master {
    let kind = decks.kind.deal(random);
    let name_kind = decks.name.deal(random);
    // These kinds have no effect unless WealthMagik has pages for the fund.
    let kind = kind.filter(|kind| {
        sketch.on_wealthmagik
            || !matches!(
                kind,
                EdgeCase::MasterFromWealthMagik | EdgeCase::MasterDisagreement
            )
    });
    sketch.edge_cases.extend(kind);
    sketch.edge_cases.extend(name_kind);
    let is = |wanted: EdgeCase| kind == Some(wanted);

    let (word_th, word_en) = WORDS[random.random_range(0..WORDS.len())];
    let name_th = awkward_name(name_kind, "กองทุนเปิด", word_th);
    let name_en = awkward_name(name_kind, sketch.code, word_en);
    let (category_id, category, category_th) = CATEGORIES[random.random_range(0..CATEGORIES.len())];
    let risk = if is(EdgeCase::RiskEightPlus) {
        8
    } else {
        random.random_range(1..=8)
    };
    let pays = is(EdgeCase::DividendOtherWords) || random.random_bool(0.4);
    let inception = sketch
        .today
        .saturating_sub(random.random_range(200..9_000_i64).days());
    let house = HOUSE_NAMES[random.random_range(0..HOUSE_NAMES.len())];

    let has_page = !is(EdgeCase::FundPageAbsent);
    let page_is_bare = is(EdgeCase::MasterFromWealthMagik);
    let page_says = has_page && !page_is_bare;
    let mut web = |always: bool| {
        sketch.on_wealthmagik && (always || page_is_bare || random.random_bool(0.85))
    };
    let web_says = WebSays {
        name: web(true),
        category: web(false),
        risk: web(false),
        dividend: web(false),
        inception: web(false),
    };
    let list_names = !is(EdgeCase::ListNameMissing) && !page_is_bare;
    let page_dividend = page_says && !is(EdgeCase::DividendBlank);
    let page_inception = page_says && !is(EdgeCase::InceptionYearOne);

    let off = is(EdgeCase::MasterDisagreement);
    let later = inception.saturating_add(1.day());
    let policy_of = |pays: bool| if pays { PAYS } else { PAYS_NOT };
    let (mut truth, mut finnomena, mut wealthmagik) = (Cells::new(), Cells::new(), Cells::new());
    // `others` are whether WealthMagik reports the field, and the value that it reports where it is wrong.
    let mut say = |column: &'static str, said: bool, others: (bool, &str), value: &str| {
        let (other_says, other) = others;
        if said || other_says {
            truth.insert(column, value.to_owned());
        }
        if said {
            finnomena.insert(column, value.to_owned());
        }
        if other_says {
            let value = if off && said { other } else { value };
            wealthmagik.insert(column, value.to_owned());
        }
    };
    say(
        "full_name_th",
        page_says || list_names,
        (web_says.name, &format!("{} (เดิม)", name_th.truth)),
        &name_th.truth,
    );
    say("full_name_en", has_page, (false, ""), &name_en.truth);
    say("amc", has_page, (false, ""), house);
    say(
        "category",
        page_says,
        (web_says.category, "Miscellaneous"),
        category,
    );
    say(
        "risk_level",
        page_says,
        (web_says.risk, &(risk % 8 + 1).to_string()),
        &risk.to_string(),
    );
    say(
        "is_dividend",
        page_dividend,
        (web_says.dividend, policy_of(!pays)),
        policy_of(pays),
    );
    say(
        "inception_date",
        page_inception,
        (web_says.inception, &later.to_string()),
        &inception.to_string(),
    );

    let spectrum = if is(EdgeCase::RiskEightPlus) {
        "8+ - เสี่ยงสูงมาก".to_owned()
    } else {
        format!("{risk} - เสี่ยงระดับ {risk}")
    };
    let risk_is_null =
        page_is_bare || is(EdgeCase::RiskFromSpectrum) || is(EdgeCase::RiskEightPlus);
    let policy = match (
        page_is_bare || is(EdgeCase::DividendBlank),
        is(EdgeCase::DividendOtherWords),
        pays,
    ) {
        (true, _, _) => "",
        (_, true, _) => "จ่ายปีละไม่เกิน 4 ครั้ง",
        (_, _, true) => PAYS,
        (_, _, false) => PAYS_NOT,
    };
    let page_inception_spelt = match (page_is_bare, is(EdgeCase::InceptionYearOne)) {
        (true, _) => Json::Null,
        (_, true) => Json::text("0001-01-01T00:00:00Z"),
        _ => Json::text(rfc3339(inception)),
    };
    let unless_bare = |text: &str| Json::text_or_null((!page_is_bare).then_some(text));
    let page = has_page.then(|| {
        vec![
            ("name_en", Json::text(&name_en.spelt)),
            ("name_th", unless_bare(&name_th.spelt)),
            ("aimc_category_id", unless_bare(category_id)),
            ("aimc_category_name_en", unless_bare(category)),
            ("aimc_category_name_th", unless_bare(category_th)),
            ("aimc_broad_category_id", unless_bare("BC00000001")),
            ("amc_name_en", Json::text(house)),
            ("risk_spectrum", unless_bare(&spectrum)),
            (
                "risk_level",
                if risk_is_null {
                    Json::Null
                } else {
                    Json::raw(risk)
                },
            ),
            ("dividend_policy", Json::text(policy)),
            ("inception_date", page_inception_spelt),
        ]
    });

    // WealthMagik may be wrong only where a higher-ranked site reports the field.
    let info_value = |said: bool,
                      may_be_off: bool,
                      value: String,
                      other: String,
                      random: &mut ChaCha8Rng| match (said, off && may_be_off)
    {
        (false, _) => NO_VALUE[random.random_range(0..NO_VALUE.len())].to_owned(),
        (true, true) => other,
        (true, false) => value,
    };
    let flag = |pays: bool| if pays { "Y" } else { "N" }.to_owned();
    let wealthmagik_info = vec![
        (
            "riskSpectrum",
            info_value(
                web_says.risk,
                page_says,
                risk.to_string(),
                (risk % 8 + 1).to_string(),
                random,
            ),
        ),
        ("categoryTH", category_th.to_owned()),
        (
            "aimcCategories",
            info_value(
                web_says.category,
                page_says,
                category.to_owned(),
                "Miscellaneous".to_owned(),
                random,
            ),
        ),
        (
            "isDividend",
            info_value(
                web_says.dividend,
                page_dividend,
                flag(pays),
                flag(!pays),
                random,
            ),
        ),
        (
            "inceptionDate",
            info_value(
                web_says.inception,
                page_inception,
                compact(inception),
                compact(later),
                random,
            ),
        ),
    ];
    let wealthmagik_name = if off {
        format!("{} (เดิม)", name_th.spelt)
    } else {
        name_th.spelt.clone()
    };
    Master {
        truth,
        finnomena,
        wealthmagik,
        list_name_th: Json::text_or_null(list_names.then_some(&name_th.spelt)),
        page,
        wealthmagik_name,
        wealthmagik_info,
    }
}

/// The fields that WealthMagik reports.
struct WebSays {
    name: bool,
    category: bool,
    risk: bool,
    dividend: bool,
    inception: bool,
}
