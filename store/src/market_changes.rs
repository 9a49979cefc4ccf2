//! Reads the changes of the market in a cycle, as counts with examples for the summary and the log: funds that are new,
//! renamed, became active or inactive, and contradictions between sources.

use std::collections::BTreeMap;

use super::connection::Queries;
use super::error::StoreError;
use super::report::{Counted, MarketChange};

/// Reads what happened to funds in a cycle, and the contradictions between sources that began in this cycle.
pub(super) async fn read(
    client: &impl Queries,
    cycle_id: i64,
) -> Result<BTreeMap<MarketChange, Counted>, StoreError> {
    let mut changes = BTreeMap::new();
    for kind in MarketChange::ALL {
        let what = match kind {
            MarketChange::New => "SELECT fund_code AS what FROM runner.fund WHERE entered_cycle = $1",
            MarketChange::Active => {
                "SELECT fund_code AS what FROM history.change
                 WHERE cycle_id = $1 AND field = 'fund_status' AND new_value = 'active'"
            }
            MarketChange::Inactive => {
                "SELECT fund_code AS what FROM history.change
                 WHERE cycle_id = $1 AND field = 'fund_status' AND new_value = 'inactive'"
            }
            MarketChange::Renamed => {
                "SELECT f.fund_code || COALESCE(' (now ' || (
                     SELECT min(other.fund_code) FROM runner.alias a
                     JOIN runner.alias now ON now.source = a.source AND now.source_key = a.source_key
                     JOIN runner.fund other ON other.fund_id = now.fund_id
                     WHERE a.fund_id = f.fund_id AND other.listed_cycle = f.renamed_cycle) || ')', '') AS what
                 FROM runner.fund f WHERE f.renamed_cycle = $1"
            }
            MarketChange::Contradiction => {
                "SELECT concat_ws(' ', fund_code, nullif(key, ''), field, source, says, 'stands', stands) AS what
                 FROM runner.conflict WHERE cycle_id = $1"
            }
        };
        let row = client
            .query_one(
                &format!(
                    "WITH found AS MATERIALIZED ({what})
                     SELECT count(*), ARRAY(SELECT what::text FROM found ORDER BY what LIMIT $2) FROM found"
                ),
                &[
                    &cycle_id,
                    &i64::try_from(Counted::EXAMPLES).unwrap_or(i64::MAX),
                ],
            )
            .await?;
        let counted = Counted {
            count: row.try_get::<_, i64>(0)?.unsigned_abs(),
            examples: row.try_get(1)?,
        };
        if counted.count > 0 {
            changes.insert(kind, counted);
        }
    }
    Ok(changes)
}
