//! Lists with cursors: where a list goes on after a page, and when it cannot be right. Pure.

use schema::task::ChainPosition;
use sha2::{Digest, Sha256};

use crate::payload::breach;
use crate::site::Breach;

/// The longest cursor, in bytes. Real ones have about 70.
const MAX_CURSOR_BYTES: usize = 4_000;

/// The position after a page with `records` records and this cursor; `None` after the last page, which has an empty
/// cursor.
///
/// # Errors
/// The list has no end: a cursor that occurred before, an empty page with a cursor, more than `most` pages; or a cursor
/// of unreasonable length.
pub fn advance(
    position: Option<&ChainPosition>,
    records: usize,
    cursor: &str,
    most: u32,
) -> Result<Option<ChainPosition>, Breach> {
    if cursor.is_empty() {
        return Ok(None);
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
        carry: None,
    }))
}

/// The position at which to begin a list again whose cursor was refused; `None` if it was begun again before.
pub fn begun_again(position: &ChainPosition) -> Option<ChainPosition> {
    (!position.restarted).then(|| ChainPosition {
        restarted: true,
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

    /// Reads pages with these cursors until the list ends or is refused. Returns the number of pages, or the breach.
    fn read(cursors: &[&str], most: u32) -> Result<usize, String> {
        let mut position = None;
        for (page, cursor) in cursors.iter().enumerate() {
            position = match advance(position.as_ref(), 100, cursor, most) {
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
        assert_eq!(advance(None, 0, "", 10), Ok(None), "an empty market");
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
        assert!(advance(None, 0, "a", 10).is_err(), "an empty page");
        assert!(advance(None, 1, &"a".repeat(5_000), 10).is_err());
    }

    #[test]
    fn a_list_is_begun_again_once() {
        let first = advance(None, 1, "a", 10)
            .expect("goes on")
            .expect("a position");
        let again = begun_again(&first).expect("once");
        assert_eq!((again.cursor.as_str(), again.pages), ("", 0));
        let second = advance(Some(&again), 1, "a", 10).expect("goes on");
        assert_eq!(begun_again(&second.expect("a position")), None);
    }
}
