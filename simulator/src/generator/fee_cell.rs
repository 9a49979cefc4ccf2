//! Generates one fee cell: the true value, the sites that show it, and each site's spelling.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Sketch;
use super::deck::Deck;
use super::spelling::{scaled, trailing_zeros, with_commas};
use crate::edge_case::EdgeCase;
use crate::json::Json;
use crate::market::Cells;

/// The sites that report a cell. With `WealthMagikOff`, WealthMagik reports another value than Finnomena.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Who {
    Both,
    FinnomenaOnly,
    WealthMagikOnly,
    WealthMagikOff,
    Nobody,
}

pub(super) struct FeeDecks {
    pub(super) shape: Deck<Option<EdgeCase>>,
    pub(super) trap: Deck<Option<EdgeCase>>,
    pub(super) who: Deck<Who>,
    /// The spelling of a value.
    pub(super) value: Deck<Option<EdgeCase>>,
    /// The spelling of a missing value.
    pub(super) missing: Deck<&'static str>,
    /// The index of the next pair of words for "none is charged".
    waived: usize,
    /// The index of the next word for "as charged".
    as_charged: usize,
}

const MISSING: [&str; 13] = [
    "–",
    "",
    "N/A",
    "null",
    "None",
    "ตามที่เก็บจริง",
    "ดูหมายเหตุ",
    "999999",
    "999999.00",
    "999,999",
    "999999 บาท",
    "#999999",
    "#null",
];

/// Words for "as charged". The last one is in no word list of the parsers.
const AS_CHARGED: [&str; 5] = [
    "ตามที่เก็บจริง",
    "ตามที่จ่ายจริง",
    "จ่ายตามจริง",
    "ไม่กำหนด",
    "ตามที่ตกลงกับบริษัทจัดการ",
];

impl FeeDecks {
    pub(super) fn new(edge_cases: bool) -> Self {
        use EdgeCase::*;
        FeeDecks {
            shape: Deck::new(
                edge_cases,
                None,
                5,
                &[
                    FeesOfOwnCode,
                    FeesOfDash,
                    FeesOwnBeatsMain,
                    FeesOfOthersOnly,
                    FeesEmpty,
                    FeesAbsent,
                ]
                .map(Some),
            ),
            trap: Deck::new(
                edge_cases,
                None,
                2,
                &[
                    TransferFeeBaht,
                    SwitchingSpelling,
                    ActualTerWithoutManagement,
                ]
                .map(Some),
            ),
            who: Deck::new(
                edge_cases,
                Who::Both,
                5,
                &[
                    Who::FinnomenaOnly,
                    Who::WealthMagikOnly,
                    Who::WealthMagikOff,
                    Who::Nobody,
                ],
            ),
            value: Deck::new(
                edge_cases,
                None,
                3,
                &[TrailingZeros, FeeUnit, FeeWaived].map(Some),
            ),
            missing: Deck::new(edge_cases, "-", 1, &MISSING),
            waived: 0,
            as_charged: 0,
        }
    }

    /// Chooses a spelling of "no value". A leading # marks a bare JSON value.
    fn missing(&mut self, sketch: &mut Sketch<'_>, random: &mut ChaCha8Rng) -> &'static str {
        let mut text = self.missing.deal(random);
        if text == AS_CHARGED[0] {
            text = AS_CHARGED[self.as_charged % AS_CHARGED.len()];
            self.as_charged += 1;
        }
        sketch.mark(match text {
            _ if text.contains("999") => EdgeCase::FeeNoCap,
            "ดูหมายเหตุ" => EdgeCase::FeeAsCharged,
            word if AS_CHARGED.contains(&word) => EdgeCase::FeeAsCharged,
            _ => EdgeCase::FeeDash,
        });
        text
    }
}

/// One cell: its true value and each site's spelling of it.
pub(super) struct Cell {
    pub(super) truth: Option<String>,
    pub(super) finnomena: Json,
    pub(super) wealthmagik: String,
    pub(super) finnomena_says: bool,
    pub(super) wealthmagik_says: bool,
    /// The value that WealthMagik reports, in the tables' form.
    pub(super) wealthmagik_value: Option<String>,
}

impl Cell {
    /// Records the cell's value in the truth and among the columns of the sites that report it.
    pub(super) fn record(
        &self,
        column: &'static str,
        truth: &mut Cells,
        finnomena: &mut Cells,
        wealthmagik: &mut Cells,
    ) {
        let said = self.truth.clone().filter(|_| self.finnomena_says);
        for (cells, value) in [
            (truth, self.truth.clone()),
            (finnomena, said),
            (wealthmagik, self.wealthmagik_value.clone()),
        ] {
            if let Some(value) = value {
                cells.insert(column, value);
            }
        }
    }

    pub(super) fn decide(
        decks: &mut FeeDecks,
        sketch: &mut Sketch<'_>,
        who: Who,
        finnomena_may: bool,
        random: &mut ChaCha8Rng,
    ) -> Self {
        let kind = decks.value.deal(random);
        let value = if kind == Some(EdgeCase::FeeWaived) {
            "0".to_owned()
        } else {
            scaled(random.random_range(0..600), 2)
        };
        let mut spell = |value: &str, random: &mut ChaCha8Rng| match kind {
            Some(EdgeCase::TrailingZeros) => trailing_zeros(value),
            Some(EdgeCase::FeeUnit) => format!(
                "{value}{}",
                ["%", " %", " % ต่อปี"][random.random_range(0..3)]
            ),
            Some(EdgeCase::FeeWaived) => {
                decks.waived = (decks.waived + 1) % 2;
                let words = [["ยกเว้น", "ไม่เรียกเก็บ"], ["ไม่มี", "ไม่เรียกเก็บ"]];
                words[decks.waived][random.random_range(0..2)].to_owned()
            }
            _ => value.to_owned(),
        };
        let spelt = spell(&value, random);
        let off = scaled(random.random_range(600..900), 2);
        let cell = Cell::said(
            decks,
            sketch,
            who,
            finnomena_may,
            (value, spelt, off),
            random,
        );
        if cell.truth.is_some() {
            sketch.edge_cases.extend(kind);
        }
        cell
    }

    pub(super) fn minimum(
        decks: &mut FeeDecks,
        sketch: &mut Sketch<'_>,
        who: Who,
        finnomena_may: bool,
        random: &mut ChaCha8Rng,
    ) -> Self {
        let value =
            ["0", "1", "500", "1000", "5000", "500000"][random.random_range(0..6)].to_owned();
        let spelt = match random.random_range(0..4) {
            0 => value.clone(),
            1 => format!("{} บาท", with_commas(&value)),
            2 => format!("{}.00 THB", with_commas(&value)),
            _ => with_commas(&value),
        };
        let (comma, unit) = (spelt.contains(','), spelt.contains(' '));
        let cell = Cell::said(
            decks,
            sketch,
            who,
            finnomena_may,
            (value, spelt, "2,000".to_owned()),
            random,
        );
        if cell.truth.is_some() {
            sketch
                .edge_cases
                .extend(comma.then_some(EdgeCase::FeeComma));
            sketch.edge_cases.extend(unit.then_some(EdgeCase::FeeUnit));
        }
        cell
    }

    /// Builds a cell from the true value, its spelling, and the value that a wrong WealthMagik reports.
    fn said(
        decks: &mut FeeDecks,
        sketch: &mut Sketch<'_>,
        who: Who,
        finnomena_may: bool,
        (value, spelt, off): (String, String, String),
        random: &mut ChaCha8Rng,
    ) -> Self {
        let finnomena_says =
            finnomena_may && matches!(who, Who::Both | Who::FinnomenaOnly | Who::WealthMagikOff);
        let wealthmagik_says = sketch.on_wealthmagik
            && matches!(who, Who::Both | Who::WealthMagikOnly | Who::WealthMagikOff);
        let finnomena = if finnomena_says {
            Json::text(&spelt)
        } else {
            let missing = decks.missing(sketch, random);
            missing
                .strip_prefix('#')
                .map_or_else(|| Json::text(missing), Json::raw)
        };
        let is_off = who == Who::WealthMagikOff && finnomena_says;
        let wealthmagik_value = wealthmagik_says.then(|| {
            if is_off {
                off.replace(',', "")
            } else {
                value.clone()
            }
        });
        let wealthmagik = match (wealthmagik_says, is_off) {
            (true, true) => off,
            (true, false) => spelt,
            (false, _) => decks
                .missing(sketch, random)
                .trim_start_matches('#')
                .to_owned(),
        };
        Cell {
            truth: (finnomena_says || wealthmagik_says).then_some(value),
            finnomena,
            wealthmagik,
            finnomena_says,
            wealthmagik_says,
            wealthmagik_value,
        }
    }
}
