//! Builds UPDATE and DELETE statements that return two counts: the rows that the condition selects, and the rows that
//! were written (D12). They are used where only the server knows the number of rows.
//!
//! A trigger that returns NULL, a rule or a row security policy drops rows without an error. The statements are run by
//! [`super::connection::Queries::execute_counted`]. In all of them the changed table has the alias `t`.

/// `UPDATE {table} t SET {set} FROM {from} WHERE {condition}`; an empty `from` is omitted.
pub(super) fn update(table: &str, set: &str, from: &str, condition: &str) -> String {
    let (comma, keyword) = joined(from, "FROM");
    counted(
        &format!("{table} t{comma} {from} WHERE {condition}"),
        &format!("UPDATE {table} t SET {set} {keyword} {from} WHERE {condition}"),
    )
}

/// `DELETE FROM {table} t USING {using} WHERE {condition}`; an empty `using` is omitted.
pub(super) fn delete(table: &str, using: &str, condition: &str) -> String {
    let (comma, keyword) = joined(using, "USING");
    counted(
        &format!("{table} t{comma} {using} WHERE {condition}"),
        &format!("DELETE FROM {table} t {keyword} {using} WHERE {condition}"),
    )
}

/// Returns the comma and the keyword before further tables, if there are any.
const fn joined<'word>(others: &str, keyword: &'word str) -> (&'static str, &'word str) {
    if others.is_empty() {
        ("", "")
    } else {
        (",", keyword)
    }
}

/// Rows are identified by their physical location, because a join may select a row twice although it is written once.
fn counted(selected: &str, change: &str) -> String {
    format!(
        "WITH wanted AS (SELECT DISTINCT t.tableoid, t.ctid FROM {selected}),
              written AS ({change} RETURNING 1)
         SELECT (SELECT count(*) FROM wanted), (SELECT count(*) FROM written)"
    )
}
