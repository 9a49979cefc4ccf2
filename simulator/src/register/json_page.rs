//! The envelope of a page.

use super::cursor::{cursor_to, start_of};
use super::query::Query;
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
        Some(cursor) => match start_of(cursor, &name, query.page_size, rows.len(), query.epoch) {
            Some(start) => start,
            None => return bad_request("next_cursor is invalid for this query"),
        },
    };
    if rows.is_empty() {
        return Answer::json(204, "");
    }
    let end = (start + query.page_size).min(rows.len());
    let next = if end < rows.len() {
        cursor_to(end, &name, query.epoch)
    } else {
        String::new()
    };
    envelope(
        query.page_size,
        &next,
        if view.empty { &[] } else { &rows[start..end] },
    )
}

/// The members are those of the captured answers.
fn envelope(page_size: usize, next_cursor: &str, items: &[String]) -> Answer {
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
