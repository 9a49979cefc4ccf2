//! The dividends of a class.

use jiff::ToSpan;
use jiff::civil::Date;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::generator::spelling::scaled;

/// The days from the book closing to the payment.
const PAID_AFTER_DAYS: i64 = 11;

/// The dividends of a class, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dividends {
    pub(crate) pays: bool,
    pub(crate) paid: Vec<Dividend>,
    /// The class name in the history is `-`.
    pub(crate) unnamed: bool,
}

/// One dividend.
#[derive(Clone, Debug)]
pub(crate) struct Dividend {
    pub(crate) book_closed: Date,
    pub(crate) paid: Date,
    /// Baht a unit.
    pub(crate) value: String,
}

pub(crate) fn deal(pays: bool, began: Date, random: &mut ChaCha8Rng) -> Dividends {
    let count = if pays {
        random.random_range(0..=6_i64)
    } else {
        0
    };
    let paid = (1..=count)
        .rev()
        .map(|age| {
            let book_closed = began.saturating_sub((age * 91 + random.random_range(0..20)).days());
            Dividend {
                book_closed,
                paid: book_closed.saturating_add(PAID_AFTER_DAYS.days()),
                value: scaled(random.random_range(5..9_000), 4),
            }
        })
        .collect();
    Dividends {
        pays,
        paid,
        unnamed: false,
    }
}
