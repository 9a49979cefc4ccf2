//! Generates the risk statistics of a fund. Only the SEC reports them.

use jiff::civil::Date;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::deck::Deck;
use super::spelling::{negative, scaled, slashes, trailing_zeros, with_commas};
use super::{Sketch, portfolio_date};
use crate::edge_case::EdgeCase;
use crate::json::Json;
use crate::market::{Cells, Fund, SecAnswer, SecSays, SecValue};

/// Column, API member, page element, lower and upper bound in hundredths.
const VALUES: [(&str, &str, &str, i64, i64); 7] = [
    ("sharpe_ratio", "sharpRatio", "sharpe-ratio", -150, 300),
    ("alpha", "alpha", "alpha", -900, 900),
    ("beta", "beta", "beta", 10, 180),
    (
        "max_drawdown",
        "maximumDrawdown",
        "max-drawdown",
        -6_000,
        -100,
    ),
    ("tracking_error", "trackingError", "tracking-error", 1, 900),
    (
        "turnover_ratio",
        "turnoverRatio",
        "turnover-ratio",
        1,
        150_000,
    ),
    ("fx_hedging", "fxHedging", "fx-hedging", 0, 10_000),
];

const MISSING: [&str; 5] = ["-", "N/A", "null", "None", "#null"];

pub(super) struct StatisticsDecks {
    known: Deck<Option<EdgeCase>>,
    value: Deck<Option<EdgeCase>>,
    date: Deck<Option<EdgeCase>>,
    recovering: Deck<Option<EdgeCase>>,
}

impl StatisticsDecks {
    pub(super) fn new(edge_cases: bool) -> Self {
        use EdgeCase::*;
        StatisticsDecks {
            known: Deck::new(
                edge_cases,
                None,
                8,
                &[SecUnknown, SecSpoilsBatch, SecNothingSaid].map(Some),
            ),
            value: Deck::new(
                edge_cases,
                None,
                3,
                &[
                    SecPercentSign,
                    SecComma,
                    SecPlusSign,
                    SecMissingWord,
                    SecJsonNumber,
                    SecNegativeZero,
                    SecZero,
                    TrailingZeros,
                    PercentNegative,
                ]
                .map(Some),
            ),
            date: Deck::new(edge_cases, None, 4, &[Some(SecDateNull)]),
            recovering: Deck::new(
                edge_cases,
                None,
                3,
                &[RecoveringZero, RecoveringPartlyNull, RecoveringNull].map(Some),
            ),
        }
    }
}

/// The true row (None if the fund has none) and the SEC's answer.
pub(super) fn decide(
    decks: &mut StatisticsDecks,
    sketch: &mut Sketch<'_>,
    random: &mut ChaCha8Rng,
) -> (Option<Cells>, SecSays) {
    let known = decks.known.deal(random);
    sketch.edge_cases.extend(known);
    match known {
        Some(EdgeCase::SecUnknown) => return (None, SecSays::Unknown),
        Some(EdgeCase::SecSpoilsBatch) => return (None, SecSays::SpoilsBatch),
        _ => {}
    }
    let nothing_said = known == Some(EdgeCase::SecNothingSaid);
    let mut truth = Cells::new();
    let values = VALUES
        .iter()
        .map(|&(column, member, element, low, high)| {
            let kind = if nothing_said {
                Some(EdgeCase::SecMissingWord)
            } else {
                decks.value.deal(random)
            };
            let (value, json, text) =
                value(kind, scaled(random.random_range(low..=high), 2), random);
            // Some kinds leave no trace in some numbers.
            let visible = |kind: &EdgeCase| match kind {
                EdgeCase::SecComma => text.contains(','),
                EdgeCase::SecPlusSign => text.starts_with('+'),
                EdgeCase::PercentNegative => text.starts_with(['(', '\u{2212}']),
                _ => true,
            };
            sketch.edge_cases.extend(kind.filter(visible));
            if let Some(value) = value {
                truth.insert(column, value);
            }
            SecValue {
                member,
                element,
                json,
                text,
            }
        })
        .collect();

    let date_kind = if nothing_said {
        Some(EdgeCase::SecDateNull)
    } else {
        decks.date.deal(random)
    };
    sketch.edge_cases.extend(date_kind);
    let said: Date = portfolio_date(sketch.today, random);
    let (as_of, as_of_json) = match date_kind {
        Some(_) if random.random_bool(0.5) => (None, Json::Null),
        Some(_) => (None, Json::text("null")),
        None => (Some(said), Json::text(slashes(said))),
    };
    if let Some(as_of) = as_of {
        truth.insert("as_of_date", as_of.to_string());
    }

    let recovering_kind = if nothing_said {
        Some(EdgeCase::RecoveringNull)
    } else {
        decks.recovering.deal(random)
    };
    sketch.edge_cases.extend(recovering_kind);
    let recovering = match recovering_kind {
        Some(EdgeCase::RecoveringZero) => [Some(0), Some(0), Some(0)],
        Some(EdgeCase::RecoveringPartlyNull) => [None, Some(random.random_range(1..12)), None],
        Some(EdgeCase::RecoveringNull) => [None; 3],
        _ => [
            Some(random.random_range(0..5)),
            Some(random.random_range(0..12)),
            Some(random.random_range(1..30)),
        ],
    };
    let [years, months, days] = recovering.map(Option::unwrap_or_default);
    let days = 365 * years + 30 * months + days;
    if days > 0 {
        truth.insert("recovering_period", days.to_string());
    }
    let truth = (!truth.is_empty()).then_some(truth);
    (
        truth,
        SecSays::Knows(SecAnswer {
            as_of,
            as_of_json,
            values,
            recovering,
        }),
    )
}

/// Publishes the SEC's statistics of a later date, all written plainly. Returns whether the fund changed: it does not
/// if the SEC gives no date for it.
pub(crate) fn publish(fund: &mut Fund, as_of: Date, random: &mut ChaCha8Rng) -> bool {
    let (Some(truth), SecSays::Knows(said)) = (&mut fund.statistics, &mut fund.sec) else {
        return false;
    };
    if said.as_of.is_none_or(|known| known >= as_of) {
        return false;
    }
    said.as_of = Some(as_of);
    said.as_of_json = Json::text(slashes(as_of));
    truth.insert("as_of_date", as_of.to_string());
    for (&(column, _, _, low, high), value) in VALUES.iter().zip(&mut said.values) {
        let number = scaled(random.random_range(low..=high), 2);
        (value.json, value.text) = (Json::text(&number), number.clone());
        truth.insert(column, number);
    }
    let [years, months, days] = [
        random.random_range(0..5),
        random.random_range(0..12),
        random.random_range(1..30),
    ];
    said.recovering = [years, months, days].map(Some);
    let days = 365 * years + 30 * months + days;
    truth.insert("recovering_period", days.to_string());
    true
}

/// A value in one of its spellings: the truth, the API's JSON, the page's text.
fn value(
    kind: Option<EdgeCase>,
    number: String,
    random: &mut ChaCha8Rng,
) -> (Option<String>, Json, String) {
    use EdgeCase::*;
    match kind {
        Some(SecMissingWord) => {
            let word = MISSING[random.random_range(0..MISSING.len())];
            let json = word
                .strip_prefix('#')
                .map_or_else(|| Json::text(word), Json::raw);
            (
                None,
                json,
                word.strip_prefix('#').map_or(word, |_| "-").to_owned(),
            )
        }
        Some(SecJsonNumber) => (Some(number.clone()), Json::raw(&number), number),
        Some(SecZero) => (Some("0".to_owned()), Json::text("0.00"), "0.00".to_owned()),
        Some(SecNegativeZero) => (
            Some("0".to_owned()),
            Json::text("-0.00"),
            "-0.00".to_owned(),
        ),
        _ => {
            let spelt = match kind {
                Some(SecPercentSign) => format!("{number}%"),
                Some(SecComma) => with_commas(&number),
                Some(SecPlusSign) if !number.starts_with('-') => format!("+{number}"),
                Some(TrailingZeros) => trailing_zeros(&number),
                Some(PercentNegative) if number.starts_with('-') => {
                    negative(&number, random.random_bool(0.5))
                }
                _ => number.clone(),
            };
            (Some(number), Json::text(&spelt), spelt)
        }
    }
}
