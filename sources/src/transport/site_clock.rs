//! Collects what the sites' answers show about the time: their `Date` headers, and certificates that are not valid by
//! this machine's clock. The comparison with the system clock shows whether that clock is plausible.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::time::Instant;
use url::Url;

use super::host::HostKey;

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
            self.0.lock().insert(host, Heard { date, at });
        }
    }

    pub(super) fn of(&self, host: &HostKey) -> Option<SiteClock> {
        let heard = *self.0.lock().get(host)?;
        Some(SiteClock {
            host: host.to_string(),
            shows: heard.date.map(|date| date + heard.at.elapsed()),
        })
    }
}
