//! Lists with cursors: where a list goes on after a page, and when it cannot be right. Pure.

use schema::task::ChainPosition;
use sha2::{Digest, Sha256};

use crate::payload::breach;
use crate::site::{Breach, ListPart};

/// The longest cursor, in bytes. Real ones have about 70.
const MAX_CURSOR_BYTES: usize = 4_000;

/// The position after a page of a list; `None` after the last page, which has an empty cursor and names no next range.
///
/// # Errors
/// The list has no end: a cursor that occurred before, an empty page with a cursor, more than `most` pages; or a cursor
/// of unreasonable length.
pub fn advance(
    position: Option<&ChainPosition>,
    part: &ListPart,
    most: u32,
) -> Result<Option<ChainPosition>, Breach> {
    let (records, cursor) = (part.records, part.cursor.as_str());
    if cursor.is_empty() {
        let turn = position.map_or(0, |position| position.turn);
        return Ok(part.next_range.clone().map(|range| ChainPosition {
            range: Some(range),
            turn: turn.saturating_add(1),
            ..beginning()
        }));
    }
    let expected = "a cursor that leads on, or an empty one at the end";
    let refused = |found: &str| Err(breach("next_cursor", expected, found));
    let before = position.cloned().unwrap_or_else(beginning);
    let pages = before.pages.saturating_add(1);
    if records == 0 {
        return refused("a page without records");
    }
    if pages >= most {
        return refused(&format!("{pages} pages, and no end"));
    }
    if cursor.len() > MAX_CURSOR_BYTES {
        return refused(&format!("{} bytes", cursor.len()));
    }
    let mark = hash(cursor);
    if before.seen.contains(&mark) {
        return refused(&format!(
            "the cursor of an earlier page, after {pages} pages"
        ));
    }
    let mut seen = before.seen;
    seen.push(mark);
    Ok(Some(ChainPosition {
        cursor: cursor.to_owned(),
        pages,
        seen,
        restarted: before.restarted,
        carry: part.carry.clone(),
        range: before.range,
        turn: before.turn.saturating_add(1),
    }))
}

/// The position at which to begin a list again whose cursor was refused, or the present range of it; `None` if it was
/// begun again before.
pub fn begun_again(position: &ChainPosition) -> Option<ChainPosition> {
    (!position.restarted).then(|| ChainPosition {
        restarted: true,
        range: position.range.clone(),
        turn: position.turn,
        ..beginning()
    })
}

const fn beginning() -> ChainPosition {
    ChainPosition {
        cursor: String::new(),
        pages: 0,
        seen: Vec::new(),
        restarted: false,
        carry: None,
        range: None,
        turn: 0,
    }
}

/// Must not change: positions are stored in the database.
fn hash(cursor: &str) -> u64 {
    let digest = Sha256::digest(cursor);
    digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(records: usize, cursor: &str) -> ListPart {
        ListPart {
            records,
            cursor: cursor.to_owned(),
            ..ListPart::default()
        }
    }

    /// Reads pages with these cursors until the list ends or is refused. Returns the number of pages, or the breach.
    fn read(cursors: &[&str], most: u32) -> Result<usize, String> {
        let mut position = None;
        for (page, cursor) in cursors.iter().enumerate() {
            position = match advance(position.as_ref(), &part(100, cursor), most) {
                Ok(None) => return Ok(page + 1),
                Ok(next) => next,
                Err(breach) => return Err(breach.found),
            };
        }
        Err("it goes on".to_owned())
    }

    #[test]
    fn a_list_ends_with_an_empty_cursor_and_with_nothing_else() {
        assert_eq!(read(&[""], 10), Ok(1));
        assert_eq!(read(&["a", "b", ""], 10), Ok(3));
        assert_eq!(read(&["a", "b"], 10), Err("it goes on".to_owned()));
        assert_eq!(advance(None, &part(0, ""), 10), Ok(None), "an empty market");
    }

    #[test]
    fn a_list_without_end_is_refused() {
        for cursors in [&["a", "a"][..], &["a", "b", "a"]] {
            let found = read(cursors, 10).expect_err("refused");
            assert!(
                found.starts_with("the cursor of an earlier page"),
                "{found}"
            );
        }
        let found = read(&["a", "b", "c", ""], 3).expect_err("refused");
        assert_eq!(found, "3 pages, and no end");
        assert_eq!(read(&["a", "b", ""], 3), Ok(3), "exactly the maximum");
        assert!(advance(None, &part(0, "a"), 10).is_err(), "an empty page");
        assert!(advance(None, &part(1, &"a".repeat(5_000)), 10).is_err());
    }

    #[test]
    fn a_list_is_begun_again_once() {
        let first = advance(None, &part(1, "a"), 10)
            .expect("goes on")
            .expect("a position");
        let again = begun_again(&first).expect("once");
        assert_eq!((again.cursor.as_str(), again.pages), ("", 0));
        let second = advance(Some(&again), &part(1, "a"), 10).expect("goes on");
        assert_eq!(begun_again(&second.expect("a position")), None);
    }

    #[test]
    fn a_list_of_ranges_goes_on_with_the_next_range_from_its_first_page() {
        let end_of_range = ListPart {
            next_range: Some("older".to_owned()),
            ..part(0, "")
        };
        let go_on = |position: &Option<ChainPosition>, part: &ListPart| {
            advance(position.as_ref(), part, 3).expect("goes on")
        };
        let mut position = go_on(&None, &part(100, "a"));
        position = go_on(&position, &end_of_range);
        let older = position.clone().expect("a position");
        assert_eq!(
            (older.range.as_deref(), older.cursor.as_str(), older.pages),
            (Some("older"), "", 0)
        );
        assert_eq!(older.turn, 2);
        // A cursor may occur again in another range, and the largest number of pages is that of a range.
        position = go_on(&position, &part(100, "a"));
        position = go_on(&position, &part(100, "b"));
        let third = position.expect("a position");
        assert_eq!((third.pages, third.turn), (2, 4));
        let again = begun_again(&third).expect("once");
        assert_eq!(
            (again.range.as_deref(), again.pages, again.turn),
            (Some("older"), 0, 4)
        );
        assert_eq!(advance(Some(&again), &part(5, ""), 3), Ok(None));
    }
}
