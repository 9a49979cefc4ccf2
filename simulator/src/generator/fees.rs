//! Generates the fees of a fund: the true row, its cells on each site, and the rows of Finnomena's fee answer.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Sketch;
pub(super) use super::fee_cell::FeeDecks;
use super::fee_cell::{Cell, Who};
use super::spelling::scaled;
use crate::edge_case::EdgeCase;
use crate::json::Json;
use crate::market::{Cells, FeeAnswer, FeePage, FeeRow, Fund};

/// One fee: its two columns, Finnomena's description, WealthMagik's two element ids, Finnomena's unit.
struct Fee {
    max: &'static str,
    actual: &'static str,
    description: &'static str,
    ffs_id: &'static str,
    actual_id: &'static str,
    unit: &'static str,
}

const FEES: [Fee; 6] = [
    Fee {
        max: "front_end_max",
        actual: "front_end_actual",
        description: "ค่าธรรมเนียมการขายหน่วยลงทุน (Front-end Fee)",
        ffs_id: "frontEndFee-ffs",
        actual_id: "frontEndFee-actual",
        unit: "%",
    },
    Fee {
        max: "management_max",
        actual: "management_actual",
        description: "ค่าธรรมเนียมการจัดการ",
        ffs_id: "managementFee-ffs",
        actual_id: "managementFee-actual",
        unit: "% ต่อปี",
    },
    Fee {
        max: "back_end_max",
        actual: "back_end_actual",
        description: "ค่าธรรมเนียมการรับซื้อคืนหน่วยลงทุน (Back-end Fee)",
        ffs_id: "backEndFee-ffs",
        actual_id: "backEndFee-actual",
        unit: "%",
    },
    Fee {
        max: "switching_in_max",
        actual: "switching_in_actual",
        description: "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนเข้า (SWITCHING IN)",
        ffs_id: "switchingInFee-ffs",
        actual_id: "switchingInFee-actual",
        unit: "%",
    },
    Fee {
        max: "switching_out_max",
        actual: "switching_out_actual",
        description: "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนออก (SWITCHING OUT)",
        ffs_id: "switchingOutFee-ffs",
        actual_id: "switchingOutFee-actual",
        unit: "%",
    },
    Fee {
        max: "ter_max",
        actual: "ter_actual",
        description: "ค่าธรรมเนียมและค่าใช้จ่ายรวมทั้งหมด",
        ffs_id: "totalExpenseRatio-ffs",
        actual_id: "totalExpenseRatioActual-ffs",
        unit: "% ต่อปี",
    },
];

/// Rows that belong to no column of the tables, in every answer: description, rate, unit.
const OTHER_ROWS: [(&str, &str, &str); 3] = [
    ("ค่าใช้จ่ายอื่นๆ", "1.10", "%"),
    ("ค่าธรรมเนียมนายทะเบียนหน่วย", "0.40", "%"),
    ("ค่าธรรมเนียมผู้ดูแลผลประโยชน์", "0.15", "%"),
];
const PER_YEAR: &str = "ต่อปี";
const NOTE: &str = "อัตราที่เรียกเก็บอาจต่างกันในแต่ละกลุ่มผู้ลงทุน";
const TRANSFER_FEE: &str = "ค่าธรรมเนียมการโอนหน่วยลงทุน";
const ODD_SWITCHING: [&str; 3] = [
    "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนออก (switchING out)",
    "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนออก  (Switching Out)",
    "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนออก(SWITCHING\u{a0}OUT)",
];

/// The fee row and what each site reports about it.
pub(super) struct Fees {
    pub(super) truth: Cells,
    /// The columns that each site reports, in the tables' form.
    pub(super) finnomena_cells: Cells,
    pub(super) wealthmagik_cells: Cells,
    pub(super) page: FeePage,
    pub(super) finnomena: FeeAnswer,
    pub(super) wealthmagik: Vec<(&'static str, String)>,
    /// Members of Finnomena's fund page.
    pub(super) minimums: Vec<(&'static str, Json)>,
}

pub(super) fn decide(
    decks: &mut FeeDecks,
    sketch: &mut Sketch<'_>,
    has_fund_page: bool,
    random: &mut ChaCha8Rng,
) -> Fees {
    use EdgeCase::*;
    let dealt_shape = decks.shape.deal(random);
    let shape = if sketch.shared_fees {
        Some(FeesOfOwnCode)
    } else {
        dealt_shape
    };
    let trap = decks.trap.deal(random);
    sketch.mark(shape.unwrap_or(FeesOfMain));
    sketch.edge_cases.extend(trap);
    let finnomena_answers = !matches!(shape, Some(FeesOfOthersOnly | FeesEmpty | FeesAbsent));
    let class = match shape {
        Some(FeesOfOwnCode | FeesOwnBeatsMain) => sketch.code_spelt,
        Some(FeesOfDash) => "-",
        _ => "main",
    }
    .to_owned();

    let (mut truth, mut finnomena_cells, mut wealthmagik_cells) =
        (Cells::new(), Cells::new(), Cells::new());
    let mut rows = Vec::new();
    let mut wealthmagik = Vec::new();
    let (mut finnomena_said, mut wealthmagik_said) = (false, false);
    for (place, fee) in FEES.iter().enumerate() {
        // If a class has rows of its own, only these are its fees; rows of `main` beside them are not.
        let finnomena_may = finnomena_answers && (shape != Some(FeesOwnBeatsMain) || place < 2);
        let mut written = Vec::new();
        for (column, id) in [(fee.max, fee.ffs_id), (fee.actual, fee.actual_id)] {
            let mut who = decks.who.deal(random);
            if trap == Some(ActualTerWithoutManagement) {
                who = match column {
                    "management_actual" => Who::Nobody,
                    "ter_actual" => Who::Both,
                    _ => who,
                };
            }
            let cell = Cell::decide(decks, sketch, who, finnomena_may, random);
            finnomena_said |= cell.finnomena_says;
            wealthmagik_said |= cell.wealthmagik_says;
            cell.record(
                column,
                &mut truth,
                &mut finnomena_cells,
                &mut wealthmagik_cells,
            );
            written.push(cell.finnomena);
            wealthmagik.push((id, cell.wealthmagik));
        }
        let actual = written.pop().expect("two cells were written");
        let rate = written.pop().expect("two cells were written");
        let odd = trap == Some(SwitchingSpelling) && fee.max == "switching_out_max";
        let description = if odd {
            ODD_SWITCHING[random.random_range(0..ODD_SWITCHING.len())]
        } else {
            fee.description
        };
        if finnomena_may {
            rows.push(FeeRow {
                class: class.clone(),
                description: description.to_owned(),
                rate,
                actual,
                rate_unit: "",
                note: NOTE,
                unit: fee.unit,
            });
        }
    }
    let mut minimums = Vec::new();
    let mut finnomena_minimum = false;
    for (column, member, id) in [
        ("min_initial_buy", "minimum_initial", "initialPurchase-ffs"),
        (
            "min_next_buy",
            "minimum_subsequent",
            "additionalPurchase-ffs",
        ),
    ] {
        let who = decks.who.deal(random);
        let cell = Cell::minimum(decks, sketch, who, has_fund_page, random);
        finnomena_minimum |= cell.finnomena_says;
        wealthmagik_said |= cell.wealthmagik_says;
        cell.record(
            column,
            &mut truth,
            &mut finnomena_cells,
            &mut wealthmagik_cells,
        );
        minimums.push((member, cell.finnomena));
        wealthmagik.push((id, cell.wealthmagik));
    }
    let page = if finnomena_said {
        FeePage::FinnomenaFee
    } else if wealthmagik_said || !finnomena_minimum {
        FeePage::WealthMagik
    } else {
        FeePage::FinnomenaFund
    };
    Fees {
        truth,
        finnomena_cells,
        wealthmagik_cells,
        page,
        finnomena: answer(shape, trap, sketch, rows, &class, random),
        wealthmagik,
        minimums,
    }
}

/// Finnomena's answer: the fund's rows, rows that belong to no column of the tables, and rows of other classes.
fn answer(
    shape: Option<EdgeCase>,
    trap: Option<EdgeCase>,
    sketch: &Sketch<'_>,
    mut rows: Vec<FeeRow>,
    class: &str,
    random: &mut ChaCha8Rng,
) -> FeeAnswer {
    use EdgeCase::*;
    let row = |class: &str, description: &str, rate: &str, unit: &'static str| FeeRow {
        class: class.to_owned(),
        description: description.to_owned(),
        rate: Json::text(rate),
        actual: Json::text(""),
        rate_unit: PER_YEAR,
        note: "",
        unit,
    };
    for (place, (description, rate, unit)) in OTHER_ROWS.into_iter().enumerate() {
        rows.insert(
            (place * 2).min(rows.len()),
            row(class, description, rate, unit),
        );
    }
    if trap == Some(TransferFeeBaht) {
        rows.push(row(class, TRANSFER_FEE, "10", "บาท"));
    }
    let strangers = |class: &str, random: &mut ChaCha8Rng| -> Vec<FeeRow> {
        FEES.iter()
            .map(|fee| FeeRow {
                actual: Json::text(scaled(random.random_range(0..300), 2)),
                ..row(
                    class,
                    fee.description,
                    &scaled(random.random_range(300..900), 2),
                    fee.unit,
                )
            })
            .collect()
    };
    let other_class = format!("{}E", sketch.code);
    match shape {
        Some(FeesAbsent) => FeeAnswer::Absent,
        Some(FeesEmpty) if random.random_bool(0.5) => FeeAnswer::Null,
        Some(FeesEmpty) => FeeAnswer::Rows(Vec::new()),
        Some(FeesOfOthersOnly) => FeeAnswer::Rows(strangers(&other_class, random)),
        Some(FeesOwnBeatsMain) => FeeAnswer::Rows([strangers("main", random), rows].concat()),
        Some(FeesOfOwnCode) if sketch.shared_fees => FeeAnswer::Shared(rows),
        Some(FeesOfOwnCode) => FeeAnswer::Rows(
            [
                strangers(&other_class, random),
                rows,
                strangers("main", random),
            ]
            .concat(),
        ),
        _ => FeeAnswer::Rows([rows, strangers(&other_class, random)].concat()),
    }
}

/// Changes one fee that Finnomena writes plainly, on both sites. Returns its column; None if the fund has no such fee.
pub(crate) fn change_one(fund: &mut Fund, random: &mut ChaCha8Rng) -> Option<&'static str> {
    if fund.fee_page != FeePage::FinnomenaFee {
        return None;
    }
    let (FeeAnswer::Rows(rows) | FeeAnswer::Shared(rows)) = &mut fund.finnomena.fees else {
        return None;
    };
    let own = [fund.code_spelt.as_str(), "main", "-"]
        .into_iter()
        .find(|class| rows.iter().any(|row| row.class == *class))?
        .to_owned();
    for fee in &FEES {
        let Some(row) = rows
            .iter_mut()
            .find(|row| row.class == own && row.description == fee.description)
        else {
            continue;
        };
        for (column, id, cell) in [
            (fee.actual, fee.actual_id, &mut row.actual),
            (fee.max, fee.ffs_id, &mut row.rate),
        ] {
            let Some(truth) = fund.fees.get_mut(column) else {
                continue;
            };
            if *cell != Json::text(&*truth) {
                continue;
            }
            let old = std::mem::replace(truth, scaled(random.random_range(1..600), 2));
            *cell = Json::text(&*truth);
            fund.finnomena.true_fees.insert(column, truth.clone());
            if let Some(said) = &mut fund.wealthmagik {
                let shown = said
                    .fees
                    .iter_mut()
                    .find(|(cell, text)| *cell == id && *text == old);
                if let Some((_, text)) = shown {
                    text.clone_from(truth);
                    said.true_fees.insert(column, truth.clone());
                }
            }
            return Some(column);
        }
    }
    None
}
