//! Times of the last change of a row.

use jiff::civil::Date;

use super::records::publication::mixed;
use crate::json::Json;

/// `last_upd_date`: Bangkok time without a zone and with 1 to 3 fractional digits; some end in `Z`.
pub(crate) fn stamp(date: Date, draw: u64) -> Json {
    let draw = mixed(draw);
    let (hour, minute, second) = (8 + draw % 10, draw >> 8 & 31, draw >> 16 & 31);
    let fraction = draw >> 24 & 0x1ff;
    let zone = if draw.is_multiple_of(40) { "Z" } else { "" };
    Json::text(format!(
        "{date}T{hour:02}:{minute:02}:{second:02}.{}{zone}",
        fraction + 1
    ))
}
