//! The SEC's register, "SEC Open API v2": `GET /v2/fund/<group>/<dataset>`.
//!
//! The rules are those of docs/sites.md. Each dataset is a list of rows; a query selects some of them and returns them in
//! pages. The rows are derived from the market when a query needs them, and kept until the market changes.

mod access;
mod amc;
pub(crate) mod class;
mod cursor;
mod dataset;
pub(crate) mod deal;
mod dividend;
mod fee;
mod json_page;
mod link;
pub(crate) mod nav;
mod performance;
pub(crate) mod portfolio;
mod profile;
mod query;
mod replaced;
mod risk;
pub(crate) mod sheet;
mod statistic;

pub(crate) use access::Access;
pub use access::RegisterLimits;
pub(crate) use class::{ClassData, Register};
pub(crate) use json_page::ChainFault;
pub(crate) use replaced::Replaced;

use std::sync::{Arc, Mutex, PoisonError};

use crate::hosts::Site;
use crate::mass_changes::{Absence, PageKind};
use crate::site::{Answer, Asked, View, World};
use access::Refusal;
use dataset::Dataset;
use query::Query;

/// The header of the subscription key.
pub(crate) const KEY_HEADER: &str = "ocp-apim-subscription-key";
/// The number of queries whose rows are kept.
const MOST_KEPT: usize = 24;

/// The rows of recent queries, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Vec<KeptRows>>);

/// The rows of one query.
#[derive(Debug)]
struct KeptRows {
    /// The version of the market that they were derived from.
    version: u64,
    query: String,
    rows: Arc<Vec<String>>,
}

impl Kept {
    /// The rows of a query, from the store or newly derived.
    fn rows(
        &self,
        version: u64,
        query: String,
        derive: impl FnOnce() -> Vec<String>,
    ) -> Arc<Vec<String>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|rows| rows.version == version);
        if let Some(known) = kept.iter().find(|rows| rows.query == query) {
            return Arc::clone(&known.rows);
        }
        let rows = Arc::new(derive());
        if kept.len() >= MOST_KEPT {
            kept.remove(0);
        }
        kept.push(KeptRows {
            version,
            query,
            rows: Arc::clone(&rows),
        });
        rows
    }
}

/// Answers a request, with the `Retry-After` in seconds if the call limit is exceeded.
pub(crate) fn answer(world: &World, asked: &Asked, view: View) -> (Answer, Option<u64>) {
    match world
        .register
        .admit(asked.subscription_key.as_deref(), world.log.elapsed())
    {
        Ok(()) => {}
        Err(Refusal::Key(answer)) => return (answer, None),
        Err(Refusal::Limit { answer, retry_secs }) => return (answer, Some(retry_secs)),
    }
    if asked.method != "GET" {
        return (no_operation(), None);
    }
    let segments = asked.segments();
    let kind = PageKind::of(Site::SecOpenApi, &segments);
    let absence = kind.and_then(|kind| world.mass_changes.absence(Site::SecOpenApi, kind));
    if let Some(absent) = absence.and_then(absent) {
        return (absent, None);
    }
    let ["v2", "fund", group, name] = segments.as_slice() else {
        return (no_operation(), None);
    };
    let Some(dataset) = Dataset::of(group, name) else {
        return (no_operation(), None);
    };
    let answer = match Query::parse(dataset, &asked.query, world.register.cursor_epoch()) {
        Ok(query) => page(world, &query, kind, view),
        Err(why) => json_page::bad_request(&why),
    };
    (answer, None)
}

fn page(world: &World, query: &Query, kind: Option<PageKind>, view: View) -> Answer {
    // A fault serves rows outside the range: those of all dates.
    let all_dates = view.outside_range.then(|| query.without_range());
    let selection = all_dates.as_ref().unwrap_or(query);
    if let Some(rows) = world.replaced.rows(selection) {
        return json_page::answer(&rows, query, view);
    }
    let (version, market) = world.versioned(Site::SecOpenApi, kind);
    let rows = world.kept.rows(version, selection.selection_name(), || {
        selection
            .dataset
            .rows(&market, selection, &world.urls().documents)
    });
    drop(market);
    json_page::answer(&rows, query, view)
}

/// The answer of a dataset that has no content.
fn absent(how: Absence) -> Option<Answer> {
    Some(match how {
        Absence::NotFound => no_operation(),
        Absence::NoContent => Answer::json(204, ""),
        Absence::EmptyArray => Answer::json(200, "[]"),
        Absence::EmptyData => Answer::json(200, "{\"data\":[]}"),
        Absence::EmptyFrame => return None,
    })
}

/// The gateway's answer to a path that it does not know.
fn no_operation() -> Answer {
    Answer::json(
        404,
        "{\"statusCode\":404,\"message\":\"Resource not found\"}",
    )
}
