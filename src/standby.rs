//! `--standby`: waits beside the runner that holds the database, and takes over when it is gone or frozen.

use std::time::Duration;

use store::{FROZEN_AFTER, HolderWatch, LOOK_EVERY, Look, StoreError};
use tokio::time::Instant;

/// A look that takes longer has met a connection whose other side is gone.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Ends when nobody holds the database any more: then it can be tried for. Returns when its holder was last seen alive.
///
/// # Errors
/// The database is away; what waiting cannot mend.
pub async fn stand_by(database: &str) -> Result<Instant, StoreError> {
    let mut watch = HolderWatch::open(database).await?;
    // Said once for each cause.
    let mut said: Option<String> = None;
    let mut seen_alive = Instant::now();
    loop {
        let look = tokio::time::timeout(LOOK_LIMIT, watch.look())
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Outage(format!(
                    "no answer within {} s",
                    LOOK_LIMIT.as_secs()
                )))
            })?;
        match look {
            Look::Free => return Ok(seen_alive),
            Look::Held { .. } => {
                said = None;
                seen_alive = Instant::now();
            }
            Look::Ended { who } => {
                seen_alive = seen_alive.checked_sub(FROZEN_AFTER).unwrap_or(seen_alive);
                tracing::warn!(
                    holder = who,
                    "the runner that holds the database has shown no life for {} s: its session was ended, this one takes over",
                    FROZEN_AFTER.as_secs()
                );
            }
            Look::Untouchable { who, why } => {
                if said.as_ref() != Some(&why) {
                    tracing::warn!(
                        holder = who,
                        "the runner that holds the database has shown no life for {} s, and this one cannot take over: {why}; it goes on waiting",
                        FROZEN_AFTER.as_secs()
                    );
                    said = Some(why);
                }
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permission_to_ask_the_sites_runs_out_before_anybody_takes_over() {
        // A sign of life is sent before it is seen: what the holder counts begins no later than what the watcher counts.
        assert!(sources::transport::LEASE < FROZEN_AFTER);
        assert!(actors::loader_actor::HEARTBEAT_EVERY * 3 < FROZEN_AFTER);
    }
}
