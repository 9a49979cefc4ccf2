//! The ranges in which the history of a project is read: years, the newest first, until a year is empty; then
//! everything older at once. An empty year alone does not prove that nothing is older.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use schema::DayRange;
use schema::day_range::HistoryTurn;
use schema::task::ChainPosition;

use crate::site::ListPart;

/// Nothing is older. The register has NAVs since 2010.
const FIRST_DAY: Date = date(1990, 1, 1);
/// The number of days before the last day of a range of one year.
const YEAR: i64 = 364;

/// Adds to a page how the history goes on after it. `days` is the range of the page.
pub fn go_on(
    part: &mut ListPart,
    days: DayRange,
    position: Option<&ChainPosition>,
    turn: HistoryTurn,
) {
    let is_first_page = position.is_none_or(|position| position.pages == 0);
    let is_empty = part.records == 0 && is_first_page;
    if part.cursor.is_empty() {
        part.next_range = range_after(days, is_empty).map(|range| range.to_string());
    }
    let pages_before = position.map_or(0, |position| position.turn);
    part.ends_turn = pages_before.saturating_add(1) >= turn.pages;
}

/// The range after this one; `None` if it was the oldest one.
fn range_after(days: DayRange, is_empty: bool) -> Option<DayRange> {
    let last = days.first.yesterday().ok()?;
    let first = if is_empty {
        FIRST_DAY
    } else {
        last.saturating_sub(YEAR.days()).max(FIRST_DAY)
    };
    (last >= FIRST_DAY).then_some(DayRange { first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_read_by_years_until_one_is_empty_and_then_to_its_beginning() {
        let range = |text: &str| text.parse::<DayRange>().expect("a range");
        for (days, is_empty, next) in [
            (
                "2025-10-16..2026-10-15",
                false,
                Some("2024-10-16..2025-10-15"),
            ),
            (
                "2024-10-16..2025-10-15",
                true,
                Some("1990-01-01..2024-10-15"),
            ),
            ("1990-01-01..2024-10-15", true, None),
            ("1990-01-01..2024-10-15", false, None),
            (
                "1990-06-01..1991-05-31",
                false,
                Some("1990-01-01..1990-05-31"),
            ),
        ] {
            assert_eq!(
                range_after(range(days), is_empty),
                next.map(range),
                "{days}"
            );
        }
    }

    #[test]
    fn a_turn_ends_after_its_last_page_and_an_empty_last_page_ends_no_history() {
        let days = "2025-10-16..2026-10-15".parse().expect("a range");
        let turn = HistoryTurn { days, pages: 3 };
        let position = |pages, turn| ChainPosition {
            cursor: "c".to_owned(),
            pages,
            seen: Vec::new(),
            restarted: false,
            carry: None,
            range: None,
            turn,
        };
        for (position, records, cursor, next, ends_turn) in [
            (None, 100, "c", None, false),
            (Some(position(1, 1)), 100, "c", None, false),
            (Some(position(2, 2)), 100, "c", None, true),
            (
                Some(position(2, 2)),
                0,
                "",
                Some("2024-10-16..2025-10-15"),
                true,
            ),
            (
                Some(position(0, 1)),
                0,
                "",
                Some("1990-01-01..2025-10-15"),
                false,
            ),
            (None, 0, "", Some("1990-01-01..2025-10-15"), false),
        ] {
            let mut part = ListPart {
                records,
                cursor: cursor.to_owned(),
                ..ListPart::default()
            };
            go_on(&mut part, days, position.as_ref(), turn);
            assert_eq!(
                (part.next_range.as_deref(), part.ends_turn),
                (next, ends_turn),
                "{position:?} {records}"
            );
        }
    }
}
