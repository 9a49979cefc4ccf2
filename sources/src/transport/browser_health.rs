//! Decides whether the browser itself works. A browser that dies on every page, or does not start, is not started again
//! for each of ten thousand pages. Pure; the counterpart of [`super::host_health`].
//!
//! | state | event | next |
//! |---|---|---|
//! | works | a visit succeeded | works, failures reset to 0 |
//! | works | lost on a page for the first time, or not started | one more failure; after the 5th: out of order |
//! | works | lost on the same page again | unchanged: the page is the cause |
//! | out of order | the pause is over | the browser is tried again |
//! | out of order | failed again | out of order, the pause doubled up to the longest |
//! | out of order | a visit succeeded | works |

use std::collections::BTreeSet;
use std::time::Duration;

use schema::back_off::BackOff;
use tokio::time::Instant;

/// Number of failures without a successful visit in between after which the browser is out of order: it is not tried
/// during a pause.
pub const FAILURES_UNTIL_OUT_OF_ORDER: usize = 5;
/// The pause; it doubles with each further failure.
const PAUSE: BackOff = BackOff::new(Duration::from_secs(30), Duration::from_secs(600));

/// The failures of the browser since its last successful visit.
#[derive(Debug, Default)]
pub struct BrowserHealth {
    /// Pages on which the browser was lost.
    lost_over: BTreeSet<String>,
    /// Starts that failed.
    not_started: usize,
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Outage {
    /// The same sentence for every waiting page, so that a summary shows them in one line.
    text: String,
    retry_at: Instant,
    /// Failures since the browser went out of order.
    failures: u32,
}

impl BrowserHealth {
    /// The reason why no browser is available at `now`; `None` if the browser may be tried.
    pub fn out_of_order(&self, now: Instant) -> Option<String> {
        let outage = self.outage.as_ref()?;
        (now < outage.retry_at).then(|| outage.text.clone())
    }

    /// Records a successful visit, whatever the status of the page.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Records that the browser hung or died on the page `over`.
    pub fn lost(&mut self, now: Instant, over: &str, why: &str) {
        self.lost_over.insert(over.to_owned());
        self.judge(now, why);
    }

    /// Records that the browser did not start.
    pub fn not_started(&mut self, now: Instant, why: &str) {
        self.not_started += 1;
        self.judge(now, why);
    }

    fn judge(&mut self, now: Instant, why: &str) {
        if let Some(outage) = &mut self.outage {
            // Failures of visits that were in flight when the browser went out of order change nothing.
            if now >= outage.retry_at {
                outage.failures = outage.failures.saturating_add(1);
                outage.retry_at = now + PAUSE.after(outage.failures);
            }
            return;
        }
        if self.lost_over.len() + self.not_started < FAILURES_UNTIL_OUT_OF_ORDER {
            return;
        }
        let text = format!(
            "the browser is out of order: it failed {FAILURES_UNTIL_OUT_OF_ORDER} times without showing a page, the last time: {why}; `master_runner check` tries it"
        );
        tracing::error!(
            "{text}; pages that need it are deferred, it is tried again after {} s",
            PAUSE.first.as_secs()
        );
        self.outage = Some(Outage {
            text,
            retry_at: now + PAUSE.first,
            failures: 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_browser_that_dies_on_every_page_is_out_of_order_after_five() {
        let now = Instant::now();
        let mut health = BrowserHealth::default();
        for page in 1..=5 {
            assert_eq!(health.out_of_order(now), None, "page {page}");
            health.lost(now, &format!("page {page}"), "it died");
        }
        let text = health.out_of_order(now).expect("out of order");
        assert!(text.contains("it died"), "{text}");
        let later = now + PAUSE.first;
        assert_eq!(health.out_of_order(later), None, "it is tried again");
        health.lost(later, "page 6", "it froze");
        assert_eq!(
            health.out_of_order(later + PAUSE.first),
            Some(text),
            "one sentence for all, and twice the pause"
        );
        assert_eq!(health.out_of_order(later + PAUSE.first * 2), None);
        health.succeeded();
        assert_eq!(health.out_of_order(now), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_kills_its_browser_each_time_counts_once() {
        let now = Instant::now();
        let mut health = BrowserHealth::default();
        for _ in 0..100 {
            health.lost(now, "one page", "it died");
        }
        assert_eq!(health.out_of_order(now), None);
        for _ in 0..4 {
            health.not_started(now, "no session");
        }
        assert!(health.out_of_order(now).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_page_forgives_and_the_pause_is_bounded() {
        let mut now = Instant::now();
        let mut health = BrowserHealth::default();
        for start in 0..100 {
            health.not_started(now, "no session");
            if start % 4 == 3 {
                health.succeeded();
            }
        }
        assert_eq!(health.out_of_order(now), None);
        for _ in 0..100 {
            health.not_started(now, "no session");
            now += PAUSE.longest;
        }
        assert_eq!(health.out_of_order(now), None, "tried at least that often");
    }
}
