//! `runner.news`: writes the newest NAV of each fund, as reported in a cycle by a page about many funds.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::civil::Date;

use schema::cycle::Cycle;
use schema::observation::NavDigest;
use schema::{Observation, ObservationData, SourceName};

use super::connection::{Queries as _, Transaction};
use super::error::StoreError;

/// The last news about a fund, and whether all news about the fund agree.
struct Told<'said> {
    news: &'said NavDigest,
    agrees: bool,
}

/// Records the news of this cycle about funds of the universe; other codes are ignored. If a fund's news is reported
/// twice in a cycle with different content, it is stored without a value, whatever the order.
pub(super) async fn record(
    tx: &Transaction<'_>,
    cycle: &Cycle,
    observations: &[&Observation],
) -> Result<(), StoreError> {
    let told = agreed(observations);
    if told.is_empty() {
        return Ok(());
    }
    let (mut sources, mut codes, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    let (mut dates, mut navs): (Vec<Date>, Vec<Option<String>>) = (Vec::new(), Vec::new());
    for ((source, code), Told { news, agrees }) in &told {
        sources.push(source.as_str());
        codes.push(*code);
        keys.push(news.source_key.as_str());
        dates.push(news.nav_date);
        navs.push(agrees.then(|| news.nav.to_string()));
    }
    tx.execute_counted(
        "runner.news",
        "WITH meant AS (
         SELECT f.fund_id, told.source, told.source_key, told.nav_date, told.nav::numeric, $6::bigint
         FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::text[])
              AS told (source, fund_code, source_key, nav_date, nav)
         JOIN runner.fund f ON f.fund_code = told.fund_code COLLATE \"C\" AND f.in_universe
         ), written AS (
         INSERT INTO runner.news AS held (fund_id, source, source_key, nav_date, nav_value, cycle_id)
         SELECT * FROM meant
         ON CONFLICT (fund_id, source) DO UPDATE SET
             source_key = EXCLUDED.source_key, nav_date = EXCLUDED.nav_date, cycle_id = EXCLUDED.cycle_id,
             told_at = EXCLUDED.told_at,
             nav_value = CASE WHEN held.cycle_id = EXCLUDED.cycle_id
                 AND (held.source_key, held.nav_date, held.nav_value)
                     IS DISTINCT FROM (EXCLUDED.source_key, EXCLUDED.nav_date, EXCLUDED.nav_value)
                 THEN NULL ELSE EXCLUDED.nav_value END
         RETURNING 1)
         SELECT (SELECT count(*) FROM meant), (SELECT count(*) FROM written)",
        &[&sources, &codes, &keys, &dates, &navs, &cycle.id],
    )
    .await?;
    Ok(())
}

fn agreed<'said>(
    observations: &[&'said Observation],
) -> BTreeMap<(SourceName, &'said str), Told<'said>> {
    let mut told = BTreeMap::new();
    for observation in observations {
        let ObservationData::NavDigest(news) = &observation.data else {
            continue;
        };
        match told.entry((observation.source, observation.fund_code.as_str())) {
            Entry::Vacant(place) => {
                place.insert(Told { news, agrees: true });
            }
            Entry::Occupied(mut place) => {
                let agrees = place.get().agrees && place.get().news == news;
                place.insert(Told { news, agrees });
            }
        }
    }
    told
}
