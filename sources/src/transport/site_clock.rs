//! Collects what the sites' answers show about the time: their `Date` headers, and certificates that are not valid by
//! this machine's clock. The comparison with the system clock shows whether that clock is plausible.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use schema::SourceName;
use tokio::time::Instant;
use url::Url;

use super::Transport;
use super::fetch::Call;
use super::host::HostKey;
use super::redirect::RedirectScope;
use super::waiting::{WaitingOn, lock};
use crate::site::StatusMeaning;

/// The time by one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteClock {
    /// The host.
    pub host: String,
    /// The current time there; `None`: its certificate is not valid by this machine's clock.
    pub shows: Option<SystemTime>,
}

/// The newest observation of each host. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SiteClocks(Arc<Mutex<BTreeMap<HostKey, Heard>>>);

#[derive(Debug, Clone, Copy)]
struct Heard {
    date: Option<SystemTime>,
    at: Instant,
}

impl SiteClocks {
    /// Records the `Date` of an answer from `url`. A date that cannot be parsed is ignored.
    pub(super) fn answered(&self, url: &Url, date: &str) {
        if let Ok(date) = httpdate::parse_http_date(date) {
            self.hear(url, Some(date));
        }
    }

    /// Records that the certificate of `url` is not valid by this machine's clock.
    pub(super) fn certificate_out_of_date(&self, url: &Url) {
        self.hear(url, None);
    }

    fn hear(&self, url: &Url, date: Option<SystemTime>) {
        if let Some(host) = HostKey::of(url) {
            let at = Instant::now();
            lock(&self.0).insert(host, Heard { date, at });
        }
    }

    fn of(&self, host: &HostKey) -> Option<SiteClock> {
        let heard = *lock(&self.0).get(host)?;
        Some(SiteClock {
            host: host.to_string(),
            shows: heard.date.map(|date| date + heard.at.elapsed()),
        })
    }
}

impl Transport {
    /// The time by the own hosts of these sources. If the robots.txt of a host is not known, it is requested, as before
    /// every fetch; with `again`, it is requested from every host. Hosts that do not answer within `limit` are left
    /// out, unless an earlier answer is known.
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
