//! The fees and purchase minimums of a class.
//!
//! A fee whose rate and actual value are both 0 is not filled in; a single 0 beside a value is a value. A transfer fee
//! is in baht and belongs to no column. An amount in another currency than baht is no value of the tables.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::generator::spelling::scaled;
use crate::tables::Cells;

/// A kind of fee: its two columns and its description in two spellings.
struct Kind {
    columns: Option<[&'static str; 2]>,
    descriptions: [&'static str; 2],
}

const KINDS: [Kind; 7] = [
    Kind {
        columns: Some(["front_end_max", "front_end_actual"]),
        descriptions: [
            "ค่าธรรมเนียมการขายหน่วยลงทุน (Front-end Fee)",
            "ค่าธรรมเนียมการขายหน่วยลงทุน (FRONT-END FEE)",
        ],
    },
    Kind {
        columns: Some(["back_end_max", "back_end_actual"]),
        descriptions: [
            "ค่าธรรมเนียมการรับซื้อคืนหน่วยลงทุน (Back-end Fee)",
            "ค่าธรรมเนียมการรับซื้อคืนหน่วยลงทุน (Back-End Fee)",
        ],
    },
    Kind {
        columns: Some(["switching_in_max", "switching_in_actual"]),
        descriptions: [
            "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนเข้า (Switching In)",
            "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนเข้า (SWITCHING IN)",
        ],
    },
    Kind {
        columns: Some(["switching_out_max", "switching_out_actual"]),
        descriptions: [
            "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนออก (Switching Out)",
            "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนออก (SWITCHING OUT)",
        ],
    },
    Kind {
        columns: None,
        descriptions: ["ค่าธรรมเนียมการโอนหน่วยลงทุน (Transfer Fee)"; 2],
    },
    Kind {
        columns: Some(["ter_max", "ter_actual"]),
        descriptions: [
            "ค่าธรรมเนียมและค่าใช้จ่ายรวมทั้งหมด (Total Fee and Expense)",
            "ค่าธรรมเนียมและค่าใช้จ่ายรวมทั้งหมด (TOTAL FEE AND EXPENSE)",
        ],
    },
    Kind {
        columns: Some(["management_max", "management_actual"]),
        descriptions: [
            "ค่าธรรมเนียมการจัดการ (Management Fee)",
            "ค่าธรรมเนียมการจัดการ (MANAGEMENT FEE)",
        ],
    },
];

/// The amounts of a first and of a later purchase, in baht.
const MINIMUMS: [i64; 6] = [1, 100, 500, 1_000, 5_000, 500_000];

/// One fee of a class's current factsheet: JSON numbers or null.
#[derive(Clone, Debug)]
pub(crate) struct Fee {
    pub(crate) description: &'static str,
    pub(crate) rate: Option<String>,
    pub(crate) actual: Option<String>,
}

/// The fees and minimums of a class.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fees {
    pub(crate) fees: Vec<Fee>,
    /// Of a first and of a later purchase.
    pub(crate) minimums: [i64; 2],
    pub(crate) currency: &'static str,
    /// An all-zero set of fees of the class `main` precedes the class's own.
    pub(crate) zeros_of_main: bool,
    /// The columns of the tables.
    pub(crate) truth: Cells,
}

/// Draws the fees. Many are those of the other sites.
pub(crate) fn deal(
    others: Option<&Cells>,
    in_dollars: bool,
    edge_cases: bool,
    random: &mut ChaCha8Rng,
) -> Fees {
    let mut fees = Fees {
        currency: if in_dollars { "USD" } else { "THB" },
        ..Fees::default()
    };
    for kind in &KINDS {
        let spelling = usize::from(random.random_bool(0.3));
        let mut numbers = [None, None];
        let shape = random.random_range(0..10);
        for (place, number) in numbers.iter_mut().enumerate() {
            let own = scaled(random.random_range(1..600), 2);
            let agrees = random.random_bool(0.6);
            let same = kind
                .columns
                .and_then(|columns| others?.get(columns[place]).cloned())
                // A 0 beside a missing value could be read either way.
                .filter(|value| agrees && (value != "0" || !matches!(shape, 2 | 3)));
            *number = match (shape, place) {
                // Not filled in.
                (0 | 1, _) => Some("0".to_owned()),
                (2, 1) | (3, 0) => None,
                (4, 1) => Some("0".to_owned()),
                (5, 0) if edge_cases => Some("999999".to_owned()),
                _ => Some(same.unwrap_or(own)),
            };
        }
        if kind.columns.is_none() {
            numbers = [Some("10".to_owned()), Some("0".to_owned())];
        }
        let [rate, actual] = numbers;
        if let Some(columns) = kind.columns
            && !is_unfilled(rate.as_ref(), actual.as_ref())
        {
            let values =
                [&rate, &actual].map(|number| number.clone().filter(|number| number != "999999"));
            fees.truth.extend(
                columns
                    .into_iter()
                    .zip(values)
                    .filter_map(|(column, value)| Some((column, value?))),
            );
        }
        fees.fees.push(Fee {
            description: kind.descriptions[spelling],
            rate,
            actual,
        });
    }
    for (place, column) in ["min_initial_buy", "min_next_buy"].into_iter().enumerate() {
        fees.minimums[place] = MINIMUMS[random.random_range(0..MINIMUMS.len())];
        if !in_dollars {
            fees.truth.insert(column, fees.minimums[place].to_string());
        }
    }
    fees
}

fn is_unfilled(rate: Option<&String>, actual: Option<&String>) -> bool {
    [rate, actual]
        .into_iter()
        .all(|number| number.is_none_or(|number| number == "0"))
}
