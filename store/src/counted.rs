//! Changes whose rows only the server can count (D12): it counts those that the condition selects beside those it writes.
//!
//! A trigger that returns NULL, a rule or a row security policy drops rows without an error. The statements are made for
//! [`super::connection::Queries::execute_counted`]; in all of them the changed table is called `t`.

/// `UPDATE {table} t SET {set} FROM {from} WHERE {condition}`; an empty `from` is left out.
pub(super) fn update(table: &str, set: &str, from: &str, condition: &str) -> String {
    let (comma, keyword) = joined(from, "FROM");
    counted(
        &format!("{table} t{comma} {from} WHERE {condition}"),
        &format!("UPDATE {table} t SET {set} {keyword} {from} WHERE {condition}"),
    )
}

/// `DELETE FROM {table} t USING {using} WHERE {condition}`; an empty `using` is left out.
pub(super) fn delete(table: &str, using: &str, condition: &str) -> String {
    let (comma, keyword) = joined(using, "USING");
    counted(
        &format!("{table} t{comma} {using} WHERE {condition}"),
        &format!("DELETE FROM {table} t {keyword} {using} WHERE {condition}"),
    )
}

/// The comma and the keyword before further tables, where there are any.
const fn joined<'word>(others: &str, keyword: &'word str) -> (&'static str, &'word str) {
    if others.is_empty() {
        ("", "")
    } else {
        (",", keyword)
    }
}

/// The selected rows are told apart by their place: a join may name one twice, and it is written once.
fn counted(selected: &str, change: &str) -> String {
    format!(
        "WITH wanted AS (SELECT DISTINCT t.tableoid, t.ctid FROM {selected}),
              written AS ({change} RETURNING 1)
         SELECT (SELECT count(*) FROM wanted), (SELECT count(*) FROM written)"
    )
}
