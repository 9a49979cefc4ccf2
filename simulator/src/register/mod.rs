//! The SEC's register, "SEC Open API v2": `GET /v2/fund/<group>/<dataset>`.
//!
//! The rules are those of docs/sites.md. Each dataset is a list of rows; a query selects some of them and returns them
//! in pages. The rows are derived from the market when a query needs them, and kept until the market changes.

pub(crate) mod access;
mod amc;
pub(crate) mod class;
mod cursor;
mod dataset;
pub(crate) mod deal;
mod dividend;
mod fee;
mod json_page;
pub(crate) mod kept;
mod link;
pub(crate) mod nav;
mod performance;
pub(crate) mod portfolio;
mod profile;
mod query;
pub(crate) mod records;
pub(crate) mod replaced;
mod risk;
mod rows;
pub(crate) mod sheet;
mod stamp;
mod statistic;

pub use access::RegisterLimits;

use crate::hosts::Site;
use crate::mass_changes::{Absence, PageKind};
use crate::site::{Answer, Asked, View, World};
use access::Refusal;
use dataset::Dataset;
use query::Query;

/// The header of the subscription key.
pub(crate) const KEY_HEADER: &str = "ocp-apim-subscription-key";

/// Answers a request, with the `Retry-After` in seconds if the call limit is exceeded.
pub(crate) fn answer(world: &World, asked: &Asked, view: View) -> (Answer, Option<u64>) {
    match world
        .register
        .admit(asked.subscription_key.as_deref(), world.log.elapsed())
    {
        Ok(()) => {}
        Err(refusal) => return refused(&refusal),
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
        Ok(mut query) => {
            query.page_size = query.page_size.min(world.register.most_rows());
            page(world, &query, kind, view)
        }
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
        rows::selected(&market, selection, &world.urls().documents)
    });
    drop(market);
    json_page::answer(&rows, query, view)
}

/// The gateway's answer to a request that it does not pass on. Its body has the status, too.
fn refused(refusal: &Refusal) -> (Answer, Option<u64>) {
    let (status, retry_secs) = match refusal {
        Refusal::Key(_) => (401, None),
        Refusal::Limit { retry_secs } => (421, Some(*retry_secs)),
    };
    let body = format!("{{\"statusCode\":{status},\"message\":\"{refusal}\"}}");
    (Answer::json(status, &body), retry_secs)
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
