//! Reads robots.txt before any other request to a host (P1): once a day, by one call, while the other calls wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::Transport;
use super::backend::Outgoing;
use super::exchange::Nothing;
use super::fetch::{Call, is_redirect};
use super::host_gate::{HostGate, HostGivenUp};
use super::redirect::{MAX_REDIRECTS, RedirectScope};
use super::retry::{self, MAX_ATTEMPTS};
use super::robots::{self, RobotsAnswer, RobotsRules};
use super::waiting::Waiting;

/// How long the rules of a robots.txt are valid (RFC 9309 section 2.4).
const ROBOTS_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
impl Transport {
    /// Whether the host's robots.txt allows `url`. Reads robots.txt first, unless its rules are less than a day old.
    /// One call reads robots.txt, the other calls wait.
    pub(super) async fn allowed_by_robots(
        &self,
        gate: &Arc<HostGate>,
        url: &Url,
        call: &Call<'_>,
    ) -> Result<bool, HostGivenUp> {
        call.waiting.set(Waiting::Robots);
        let mut known = gate.robots.lock().await;
        if let Some((rules, read_at)) = &*known
            && read_at.elapsed() < ROBOTS_LIFETIME
        {
            return Ok(rules.allow(url));
        }
        gate.reading_robots(true);
        let _reading = ReadingRobots(gate);
        let rules = self.read_robots(gate, url, call).await?;
        let allowed = rules.allow(url);
        *known = Some((rules, Instant::now()));
        Ok(allowed)
    }

    /// Requests robots.txt until it is answered. Failures are retried like those of any request. After the last attempt
    /// the host is treated as down, and the next request for robots.txt is its probe. Returns an error when the host is
    /// given up.
    async fn read_robots(
        &self,
        gate: &Arc<HostGate>,
        url: &Url,
        call: &Call<'_>,
    ) -> Result<RobotsRules, HostGivenUp> {
        let start = {
            let mut robots = url.clone();
            robots.set_path("/robots.txt");
            robots.set_query(None);
            robots.set_fragment(None);
            robots
        };
        let mut failed = 0;
        let mut at = start.clone();
        let mut redirects = 0;
        loop {
            let hop = self.gate(call.source, &at).map_err(HostGivenUp)?;
            let outgoing = Outgoing::robots(at.clone());
            let why = match self.exchange(&hop, &outgoing, call.waiting).await {
                Ok((incoming, started)) if matches!(incoming.status, 421 | 429) => {
                    started.throttled(incoming.retry_after);
                    hop.throttled_out().map_or(Ok(()), Err)?;
                    continue;
                }
                Ok((incoming, started))
                    if incoming.status == 503 && incoming.retry_after.is_some() =>
                {
                    started.throttled(incoming.retry_after);
                    hop.throttled_out().map_or(Ok(()), Err)?;
                    continue;
                }
                Ok((incoming, started)) if is_redirect(incoming.status) => {
                    started.succeeded();
                    redirects += 1;
                    let scope = RedirectScope::AnyHost;
                    match self.redirected(&outgoing, &incoming, scope, call.source) {
                        Ok(to) if redirects <= MAX_REDIRECTS => at = to,
                        // Section 2.3.1.2: too many redirects, or an invalid redirect, are treated as "unavailable": no
                        // rules.
                        _ => return Ok(RobotsRules::default()),
                    }
                    continue;
                }
                Ok((incoming, started)) => {
                    let kind = incoming.content_type.as_deref();
                    match robots::answer(incoming.status, kind, &incoming.body) {
                        RobotsAnswer::Rules(rules) => {
                            started.succeeded();
                            return Ok(rules);
                        }
                        RobotsAnswer::ServerFailed => {
                            let why = format!("{at} answered {}", incoming.status);
                            started.failed(&why);
                            why
                        }
                    }
                }
                Err(Nothing::GivenUp(text)) => return Err(HostGivenUp(text)),
                // Larger than any robots.txt: no rules.
                Err(Nothing::Final(_) | Nothing::Forbidden(_)) => return Ok(RobotsRules::default()),
                Err(Nothing::Failed(text)) => format!("{at}: {text}"),
            };
            (at, redirects) = (start.clone(), 0);
            failed += 1;
            gate.count_retry();
            if failed >= MAX_ATTEMPTS {
                gate.declare_down(&why);
            } else {
                self.sleep(retry::delay(failed, rand::random()), call.waiting)
                    .await;
            }
        }
    }
}

struct ReadingRobots<'gate>(&'gate HostGate);

impl Drop for ReadingRobots<'_> {
    fn drop(&mut self) {
        self.0.reading_robots(false);
    }
}
