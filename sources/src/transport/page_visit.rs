//! Decides the state of a page in the browser from a sequence of looks. Pure. A page is still if neither its document
//! nor its requests have changed for a short time.
//!
//! | state | observation | next |
//! |---|---|---|
//! | loading | still the empty page, or a document that is loading, after the page time-out | failed: the host |
//! | loading | another host, or the browser's own error page | failed: the page or the host |
//! | loading | another document for the ninth time | failed: the page |
//! | loading | a ready selector matches, and the page is still | ready |
//! | loading | an error status, and the document is still | ready: the caller judges the status |
//! | loading | complete, no request in flight, no change for a short while | nothing |
//! | loading | the visit's patience is over | nothing, or ready if a ready selector matches |
//!
//! A page with the verdict "nothing" is parsed like a ready page: it may state that there is no data.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use crate::site::BrowserVisit;

use super::page_look::Look;
use super::page_requests::Traffic;
use super::visit_failure::{VisitFailure, error_page, led_away};

/// If the page's requests are not known, a ready document is still when it has not changed for this long.
const AT_REST: Duration = Duration::from_millis(300);
/// If the page's requests are known, a ready page is still when no request is in flight and neither document nor
/// requests have changed for this long.
const AT_REST_IDLE: Duration = Duration::from_millis(150);
/// The longest wait until a ready document stops changing. After that it is accepted as it is.
pub const AT_REST_PATIENCE: Duration = Duration::from_secs(3);
/// If the root element has content, the verdict is "nothing" after the document and the requests have not changed for
/// this long.
const IDLE_RENDERED: Duration = Duration::from_secs(1);
/// The same time for an empty root element, whose script may wait for something other than a request.
const IDLE_UNRENDERED: Duration = Duration::from_secs(3);
/// The same time if the page's requests are not known, because a request may be in flight.
const IDLE_UNWATCHED: Duration = Duration::from_secs(10);
/// Number of looks in a row without a change that are required for "ready", however long they took. On a machine that
/// stalls, much time may pass between two looks in which the page does not run either.
const STILL_LOOKS_READY: u32 = 2;
/// The same number for the verdict "nothing".
const STILL_LOOKS_NOTHING: u32 = 6;
/// How often a page may change to another document in one visit. A page that keeps reloading requests its host without
/// regard to the pace (P1).
const MAX_CHANGES: u32 = 8;
/// The maximum number of clicks on an overlay; one that stays after them is not an overlay.
pub const MAX_OVERLAY_CLICKS: u32 = 5;
/// The page that a tab shows between two visits.
pub const EMPTY_PAGE: &str = "about:blank";

/// One look at a page.
#[derive(Debug)]
pub struct Observation {
    /// The time of the look.
    pub at: Instant,
    /// The content of the page; `None` if its document was being replaced.
    pub look: Option<Look>,
    /// The page's requests; `None` if they are not known in this browser.
    pub traffic: Option<Traffic>,
}

/// The state of a visit.
#[derive(Debug)]
pub enum Verdict {
    /// The visit continues.
    Loading,
    /// The page shows the expected content, or its error.
    Ready(Look),
    /// The page is finished, and does not show the expected content.
    Nothing(Look),
    /// The page could not be loaded.
    Failed(VisitFailure),
}

/// A visit in progress.
pub struct PageVisit<'visit> {
    url: &'visit Url,
    patience: Duration,
    page_timeout: Duration,
    began: Instant,
    /// When a document other than the empty page was first loaded.
    readable_since: Option<Instant>,
    /// The last document.
    born: Option<serde_json::Number>,
    changes: u32,
    clicks: u32,
    size: u64,
    changed_at: Instant,
    ready_since: Option<Instant>,
    looked_at: Instant,
    /// Looks in a row without a change.
    still_looks: u32,
}

impl<'visit> PageVisit<'visit> {
    /// A visit whose navigation began at `began`, in a tab that showed the empty page.
    pub fn new(visit: &'visit BrowserVisit, page_timeout: Duration, began: Instant) -> Self {
        Self {
            url: &visit.url,
            patience: visit.patience,
            page_timeout,
            began,
            readable_since: None,
            born: None,
            changes: 0,
            clicks: 0,
            size: 0,
            changed_at: began,
            ready_since: None,
            looked_at: began,
            still_looks: 0,
        }
    }

    /// Whether the overlay may still be clicked.
    pub const fn may_click(&self) -> bool {
        self.clicks < MAX_OVERLAY_CLICKS
    }

    /// Evaluates one more look.
    pub fn observe(&mut self, seen: Observation) -> Verdict {
        let now = seen.at;
        let Some(look) = seen.look else {
            return self.changes_document(None, now).unwrap_or(Verdict::Loading);
        };
        if self.born.is_none() && look.url == EMPTY_PAGE {
            return self.in_time(now);
        }
        if let Some(failure) = error_page(&look.url, self.url) {
            return Verdict::Failed(failure);
        }
        if let Some(elsewhere) = led_away(&look.url, self.url) {
            return Verdict::Failed(elsewhere);
        }
        if self.born.as_ref() != Some(&look.born)
            && let Some(verdict) = self.changes_document(Some(&look), now)
        {
            return verdict;
        }
        self.clicks += u32::from(look.clicked);
        let since_last_look = now.saturating_duration_since(self.looked_at);
        self.looked_at = now;
        self.still_looks += 1;
        let asks = |traffic: Traffic| traffic.in_flight > 0 || traffic.quiet < since_last_look;
        if self.size != look.size || look.clicked {
            (self.size, self.changed_at) = (look.size, now);
            self.still_looks = 0;
        } else if seen.traffic.is_some_and(asks) {
            self.still_looks = 0;
        }
        if look.loading {
            return self.in_time(now);
        }
        let readable_since = *self.readable_since.get_or_insert(now);
        let unchanged = now.saturating_duration_since(self.changed_at);
        let is_idle = seen.traffic.is_some_and(|traffic| traffic.in_flight == 0);
        if look.ready {
            let since = *self.ready_since.get_or_insert(now);
            let quiet = seen.traffic.map_or(Duration::ZERO, |traffic| traffic.quiet);
            let at_rest = match seen.traffic {
                Some(_) => {
                    is_idle
                        && look.complete
                        && unchanged.min(quiet) >= AT_REST_IDLE
                        && self.still_looks >= STILL_LOOKS_READY
                }
                None => unchanged >= AT_REST,
            };
            if at_rest || now.saturating_duration_since(since) >= AT_REST_PATIENCE {
                return Verdict::Ready(look);
            }
        } else if look.status >= 400 && unchanged >= AT_REST {
            // An error page need not become ready.
            return Verdict::Ready(look);
        } else if self.comes_to_nothing(&look, seen.traffic, unchanged) {
            return Verdict::Nothing(look);
        }
        if now.saturating_duration_since(readable_since) < self.patience {
            Verdict::Loading
        } else if look.ready {
            Verdict::Ready(look)
        } else {
            Verdict::Nothing(look)
        }
    }

    fn comes_to_nothing(&self, look: &Look, traffic: Option<Traffic>, unchanged: Duration) -> bool {
        let idle = match traffic {
            None => IDLE_UNWATCHED,
            Some(_) if look.rendered => IDLE_RENDERED,
            Some(_) => IDLE_UNRENDERED,
        };
        let rests = traffic.is_none_or(|traffic| traffic.in_flight == 0 && traffic.quiet >= idle);
        look.complete && rests && unchanged >= idle && self.still_looks >= STILL_LOOKS_NOTHING
    }

    /// Records a change to another document; `None`: the visit may continue.
    fn changes_document(&mut self, look: Option<&Look>, now: Instant) -> Option<Verdict> {
        self.changes += 1;
        self.born = look.map(|look| look.born.clone()).or(self.born.take());
        (self.ready_since, self.changed_at, self.still_looks) = (None, now, 0);
        (self.changes > MAX_CHANGES).then(|| {
            Verdict::Failed(VisitFailure::Page(format!(
                "the page reloads itself again and again: {} times within {} ms",
                self.changes,
                now.saturating_duration_since(self.began).as_millis()
            )))
        })
    }

    fn in_time(&self, now: Instant) -> Verdict {
        if now.saturating_duration_since(self.began) < self.page_timeout {
            return Verdict::Loading;
        }
        Verdict::Failed(VisitFailure::Host(format!(
            "the page did not load within {} s in the browser",
            self.page_timeout.as_secs()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(20);

    fn visit() -> BrowserVisit {
        BrowserVisit {
            url: Url::parse("https://a.th/page").expect("a URL"),
            ready_css: vec![".value"],
            overlay_css: None,
            lazy_items_css: None,
            lazy_rest: Duration::ZERO,
            patience: Duration::from_secs(30),
            api_names: Vec::new(),
        }
    }

    /// A document of the page: complete, its root rendered, not ready.
    fn document() -> Look {
        Look {
            ready: false,
            loading: false,
            complete: true,
            rendered: true,
            clicked: false,
            size: 100,
            items: 0,
            status: 200,
            url: "https://a.th/page".to_owned(),
            login: false,
            lost: None,
            now: 0.0,
            born: 1.into(),
        }
    }

    fn of(change: fn(&mut Look)) -> Look {
        let mut look = document();
        change(&mut look);
        look
    }

    fn word(verdict: &Verdict) -> String {
        match verdict {
            Verdict::Loading => "loading".to_owned(),
            Verdict::Ready(_) => "ready".to_owned(),
            Verdict::Nothing(_) => "nothing".to_owned(),
            Verdict::Failed(failure) => format!("{failure:?}"),
        }
    }

    /// Looks every 50 ms at a page that shows `look(ms)` and has `in_flight(ms)` requests; a change of that number
    /// is a change of the requests. Returns the verdict and the time in milliseconds.
    fn comes_to(
        look: impl Fn(u64) -> Option<Look>,
        in_flight: impl Fn(u64) -> Option<usize>,
    ) -> (String, u64) {
        let visit = visit();
        let zero = Instant::now();
        let mut page = PageVisit::new(&visit, TIMEOUT, zero);
        let (mut before, mut moved) = (None, 0);
        for millis in (0..120_000).step_by(50) {
            let now_in_flight = in_flight(millis);
            if now_in_flight != before {
                (before, moved) = (now_in_flight, millis);
            }
            let verdict = page.observe(Observation {
                at: zero + Duration::from_millis(millis),
                look: look(millis),
                traffic: now_in_flight.map(|in_flight| Traffic {
                    in_flight,
                    quiet: Duration::from_millis(millis - moved),
                }),
            });
            if !matches!(verdict, Verdict::Loading) {
                return (word(&verdict), millis);
            }
        }
        panic!("without end");
    }

    fn blank() -> Look {
        of(|look| look.url = EMPTY_PAGE.to_owned())
    }

    #[test]
    fn a_page_is_ready_as_soon_as_it_shows_its_values_and_rests() {
        let shows = |from: u64| {
            move |millis| {
                Some(if millis < from {
                    document()
                } else {
                    of(|look| (look.ready, look.size) = (true, 900))
                })
            }
        };
        let asks_until = |end: u64| move |millis| Some(usize::from(millis < end));
        assert_eq!(
            comes_to(shows(400), asks_until(200)),
            ("ready".to_owned(), 550)
        );
        assert_eq!(
            comes_to(shows(400), asks_until(2_000)),
            ("ready".to_owned(), 2_150),
            "a request in flight may bring more values"
        );
        assert_eq!(
            comes_to(shows(400), |_| Some(1)),
            ("ready".to_owned(), 3_400),
            "requests without end are not waited for"
        );
        assert_eq!(
            comes_to(shows(400), |_| None),
            ("ready".to_owned(), 700),
            "where requests are not known"
        );
        // A page that never stops changing is accepted when the wait for that is over.
        let restless = |millis| {
            let mut look = of(|look| look.ready = true);
            look.size = millis;
            Some(look)
        };
        assert_eq!(comes_to(restless, |_| Some(0)), ("ready".to_owned(), 3_000));
    }

    #[test]
    fn a_page_that_is_done_without_its_values_comes_to_nothing_in_seconds() {
        let asks_until = |end: u64| move |millis| Some(usize::from(millis < end));
        let same = |_| Some(document());
        assert_eq!(
            comes_to(same, asks_until(200)),
            ("nothing".to_owned(), 1_200)
        );
        assert_eq!(
            comes_to(same, asks_until(7_000)),
            ("nothing".to_owned(), 8_000),
            "an answer that takes long is waited for"
        );
        let unrendered = |_| Some(of(|look| look.rendered = false));
        assert_eq!(
            comes_to(unrendered, asks_until(200)),
            ("nothing".to_owned(), 3_200)
        );
        assert_eq!(comes_to(same, |_| None), ("nothing".to_owned(), 10_000));
        let not_complete = |_| Some(of(|look| look.complete = false));
        assert_eq!(
            comes_to(not_complete, |_| Some(0)),
            ("nothing".to_owned(), 30_000)
        );
        assert_eq!(comes_to(same, |_| Some(1)), ("nothing".to_owned(), 30_000));
        // Values that arrive late, while the page still changes, are not missed.
        let late = |millis: u64| {
            let mut look = document();
            look.size = millis / 900;
            look.ready = millis >= 5_000;
            Some(look)
        };
        assert_eq!(comes_to(late, |_| Some(0)).0, "ready");
    }

    #[test]
    fn a_machine_that_stalls_does_not_make_a_page_come_to_nothing() {
        let visit = visit();
        let zero = Instant::now();
        let mut page = PageVisit::new(&visit, TIMEOUT, zero);
        // Five looks, each after 3 s in which neither the page nor this program got processor time.
        for look in 0..5 {
            let verdict = page.observe(Observation {
                at: zero + Duration::from_secs(look * 3),
                look: Some(document()),
                traffic: Some(Traffic {
                    in_flight: 0,
                    quiet: Duration::from_secs(look * 3),
                }),
            });
            assert!(
                matches!(verdict, Verdict::Loading),
                "look {look}: {verdict:?}"
            );
        }
    }

    #[test]
    fn an_error_status_is_taken_as_it_is() {
        let error = |_| Some(of(|look| look.status = 404));
        assert_eq!(comes_to(error, |_| Some(1)), ("ready".to_owned(), 300));
    }

    #[test]
    fn a_document_that_does_not_come_is_the_hosts_doing() {
        for look in [blank(), of(|look| look.loading = true)] {
            let (word, millis) = comes_to(|_| Some(look.clone()), |_| Some(1));
            assert!(
                word.starts_with("Host(\"the page did not load within 20 s"),
                "{word}"
            );
            assert_eq!(millis, 20_000);
        }
    }

    #[test]
    fn a_page_that_leaves_its_host_or_reloads_without_end_fails() {
        let foreign = "about:neterror?e=proxyConnectFailure&u=http%3A//b.th/&c=UTF-8&d=%20";
        let own = "about:neterror?e=netReset&u=https%3A//a.th/page&c=UTF-8&d=%20";
        for (url, words) in [
            (foreign, "Page(\"the page led the browser to another host"),
            (own, "Host(\"no answer in the browser: netReset"),
        ] {
            let shows = |millis: u64| {
                let mut look = document();
                if millis >= 200 {
                    look.url = url.to_owned();
                }
                Some(look)
            };
            let (word, millis) = comes_to(shows, |_| Some(0));
            assert!(word.starts_with(words), "{word}");
            assert_eq!(millis, 200);
        }
        let left = |millis| Some(if millis < 200 { document() } else { blank() });
        assert!(comes_to(left, |_| Some(0)).0.contains("another host"));
        let anew = |millis: u64| {
            let mut look = document();
            look.born = (millis / 100).into();
            Some(look)
        };
        let (word, millis) = comes_to(anew, |_| Some(0));
        assert!(
            word.contains("reloads itself again and again: 9 times"),
            "{word}"
        );
        assert_eq!(millis, 800);
    }
}
