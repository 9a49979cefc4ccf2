//! `--standby`: waits while another runner has the lock, and takes over when that runner is gone or frozen.

use std::time::Duration;

use store::{FROZEN_AFTER, HolderWatch, LOOK_EVERY, Look, StoreError};
use tokio::time::Instant;

/// Time limit of one check. If it takes longer, the peer of the connection is assumed to be gone.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Waits until no runner has the lock any more, so that the caller can try to take it. Returns the time at which the
/// holder last made progress.
///
/// # Errors
/// An outage of the database, or an error that waiting cannot fix.
pub async fn stand_by(database: &str) -> Result<Instant, StoreError> {
    let mut watch = HolderWatch::open(database).await?;
    // The last reported cause, so that each cause is logged once.
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
                        "the runner that holds the database has shown no life for {} s, and this one cannot take over: {why}; it keeps waiting",
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
    fn permission_to_fetch_expires_before_a_takeover() {
        // The holder sends a heartbeat before the watcher sees it. So the holder's lease begins no later than the time
        // from which the watcher measures the silence.
        assert!(sources::transport::LEASE < FROZEN_AFTER);
        assert!(actors::loader_actor::HEARTBEAT_EVERY * 3 < FROZEN_AFTER);
    }
}
