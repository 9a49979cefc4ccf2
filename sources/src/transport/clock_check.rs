//! Asks the sites' hosts for their time, for the check of the system clock (O9).

use std::collections::BTreeMap;
use std::time::Duration;

use schema::SourceName;
use tokio::time::Instant;
use url::Url;

use super::Transport;
use super::fetch::Call;
use super::host::HostKey;
use super::redirect::RedirectScope;
use super::site_clock::SiteClock;
use super::waiting::WaitingOn;
use crate::site::StatusMeaning;

impl Transport {
    /// Returns the time that the own hosts of these sources report. It is read from the answers of this process so far.
    /// If the robots.txt of a host is not known, it is requested, as before every fetch; with `again`, it is requested
    /// from every host. Hosts that do not answer within `limit` are left out, unless an earlier answer is known.
    pub async fn site_clocks(
        &self,
        sources: &[SourceName],
        again: bool,
        limit: Duration,
    ) -> Vec<SiteClock> {
        let mut hosts: BTreeMap<HostKey, (SourceName, Url)> = BTreeMap::new();
        for source in sources {
            let own = self.0.config.sources.get(source);
            for url in own.into_iter().flat_map(|source| &source.own_hosts) {
                if let Some(host) = HostKey::of(url) {
                    hosts.entry(host).or_insert_with(|| (*source, url.clone()));
                }
            }
        }
        // One host after the other, as in the sequential mode; `limit` applies to all of them together.
        let give_up = Instant::now() + limit;
        for (source, url) in hosts.values() {
            let waiting = WaitingOn::default();
            let call = Call {
                source: *source,
                meaning: &|status| StatusMeaning::usual(status, 1),
                attempts_before: 0,
                redirects: RedirectScope::SameHost,
                waiting: &waiting,
            };
            if let Ok(gate) = self.gate(*source, url) {
                if again {
                    *gate.robots.lock().await = None;
                }
                // Without an answer there is nothing to compare.
                let _ = tokio::time::timeout_at(give_up, self.allowed_by_robots(&gate, url, &call))
                    .await;
            }
        }
        hosts
            .keys()
            .filter_map(|host| self.0.clocks.of(host))
            .collect()
    }
}
