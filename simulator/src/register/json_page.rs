//! The envelope of a page, and the faults of chains of pages.

use super::cursor::{cursor_to, start_of};
use super::query::Query;
use crate::faults::ChainFault;
use crate::json::Json;
use crate::site::{Answer, View};

/// One page of the rows, or 204 if the query selects none.
pub(crate) fn answer(rows: &[String], query: &Query, view: View) -> Answer {
    // A fault shortens the list: only the first third of the rows exists.
    let rows = if view.shrunk {
        &rows[..rows.len() / 3]
    } else {
        rows
    };
    let name = query.name();
    let start = match &query.cursor {
        None => 0,
        Some(cursor) => match start_of(cursor, &name, query.epoch) {
            Some(start) if start < rows.len() || view.chain.is_some() => start,
            _ => return bad_request("next_cursor is invalid for this query"),
        },
    };
    if rows.is_empty() {
        return Answer::json(204, "");
    }
    let next = next_start(start, rows.len(), query.page_size, view.chain)
        .map(|next| cursor_to(next, &name, query.epoch))
        .unwrap_or_default();
    let items: Vec<&str> = if view.empty || view.chain == Some(ChainFault::EmptyPage) {
        Vec::new()
    } else {
        // Only a chain without an end starts again at the first row.
        let start = start % rows.len();
        rows[start..]
            .iter()
            .take(query.page_size)
            .map(String::as_str)
            .collect()
    };
    envelope(query.page_size, &next, &items)
}

/// The first row of the page that the cursor leads to; `None` at the end.
fn next_start(
    start: usize,
    rows: usize,
    page_size: usize,
    chain: Option<ChainFault>,
) -> Option<usize> {
    let next = start + page_size;
    match chain {
        Some(ChainFault::Repeats { pages }) if start >= pages.max(1) * page_size => Some(page_size),
        Some(_) => Some(next),
        None => (next < rows).then_some(next),
    }
}

/// The members are those of the captured answers.
fn envelope(page_size: usize, next_cursor: &str, items: &[&str]) -> Answer {
    let next_cursor = Json::text(next_cursor);
    let items = items.join(",");
    Answer::json(
        200,
        &format!(
            "{{\"message\":\"success\",\"page_size\":{page_size},\"next_cursor\":{next_cursor},\"items\":[{items}]}}"
        ),
    )
}

pub(crate) fn bad_request(why: &str) -> Answer {
    let message = Json::text(why);
    Answer::json(
        400,
        &format!("{{\"statusCode\":400,\"message\":{message}}}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_faults_never_reach_an_end() {
        let chain = |fault: Option<ChainFault>| {
            std::iter::successors(Some(0), |start| next_start(*start, 25, 10, fault))
                .take(6)
                .collect::<Vec<_>>()
        };
        assert_eq!(chain(None), [0, 10, 20]);
        assert_eq!(
            chain(Some(ChainFault::Repeats { pages: 1 })),
            [0, 10, 10, 10, 10, 10]
        );
        assert_eq!(
            chain(Some(ChainFault::Repeats { pages: 2 })),
            [0, 10, 20, 10, 20, 10]
        );
        assert_eq!(chain(Some(ChainFault::Endless)), [0, 10, 20, 30, 40, 50]);
    }
}
