//! Why a page was not seen in the browser, and whose doing that is.

use fantoccini::error::CmdError;
use url::Url;

use super::host::HostKey;

/// How the browser's own page begins that stands in the place of one that could not be loaded.
const ERROR_PAGE: &str = "about:neterror";
/// Likewise where the host's certificate is refused.
const CERTIFICATE_PAGE: &str = "about:certerror";

/// Why there is no page.
#[derive(Debug)]
pub enum VisitFailure {
    /// The host did not answer; the session is well.
    Host(String),
    /// The page is not what may be taken; the session is well.
    Page(String),
    /// The page's list did not come to its end: perhaps the session's cookies have expired.
    CutShort(String),
    /// The page keeps its browser busy without end. The session is of no more use, nor is another attempt.
    Busy(String),
    /// The browser hangs, or the page in it. The session is of no more use.
    Hung(String),
    /// The session is gone.
    Lost(String),
    /// The tab is gone; the session still answers.
    TabLost(String),
}

/// A navigation to `visited` that failed: Firefox shows `about:neterror` where a host does not answer.
pub fn navigation_failure(error: &CmdError, visited: &Url) -> VisitFailure {
    match error {
        CmdError::Standard(standard) if standard.message.contains(ERROR_PAGE) => {
            let shown = standard.message.find(ERROR_PAGE);
            let shown = shown.map_or("", |at| &standard.message[at..]);
            error_page(shown, visited)
                .unwrap_or_else(|| VisitFailure::Host("no answer in the browser".to_owned()))
        }
        CmdError::Standard(standard) if error.is_insecure_certificate() => {
            VisitFailure::Host(format!("certificate refused: {}", standard.message))
        }
        _ => VisitFailure::Lost(error.to_string()),
    }
}

/// Why the browser shows its own error page in place of `visited`, if it does: that page becomes nothing else.
pub fn error_page(shown: &str, visited: &Url) -> Option<VisitFailure> {
    if let Some(page) = shown.strip_prefix(CERTIFICATE_PAGE) {
        return Some(led_away(shown, visited).unwrap_or_else(|| {
            VisitFailure::Host(format!("certificate refused: {}", reason(page)))
        }));
    }
    shown.starts_with(ERROR_PAGE).then(|| {
        led_away(shown, visited).unwrap_or_else(|| {
            VisitFailure::Host(format!("no answer in the browser: {}", reason(shown)))
        })
    })
}

/// Where the browser shows another host than that of `visited`, or an error page because that one was not let be asked:
/// the page led it there, and its host has done its part.
pub fn led_away(shown: &str, visited: &Url) -> Option<VisitFailure> {
    let wanted = wanted_url(shown);
    let arrived = Url::parse(&wanted).ok();
    (arrived.as_ref().and_then(HostKey::of) != HostKey::of(visited)).then(|| {
        let wanted: String = wanted.chars().take(200).collect();
        VisitFailure::Page(format!(
            "the page led the browser to another host, which was not asked: {wanted}"
        ))
    })
}

fn reason(error_page: &str) -> &str {
    error_page
        .split("e=")
        .nth(1)
        .and_then(|rest| rest.split('&').next())
        .unwrap_or("unknown reason")
}

/// The URL that the browser shows; of its own error page, the one it was to show.
fn wanted_url(shown: &str) -> String {
    let wanted = Url::parse(shown)
        .ok()
        .filter(|url| url.scheme() == "about")
        .and_then(|url| {
            url.query_pairs()
                .find_map(|(name, value)| (name == "u").then(|| value.into_owned()))
        });
    wanted.unwrap_or_else(|| shown.to_owned())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use fantoccini::error::ErrorStatus;

    use super::*;

    const OWN: &str = "about:neterror?e=netReset&u=http%3A//a.th/x&c=UTF-8&d=%20";
    const FOREIGN: &str =
        "about:neterror?e=proxyConnectFailure&u=http%3A//b.th/x%3Fy%3D1&c=UTF-8&d=%20";

    #[test]
    fn p1_only_the_visited_host_is_arrived_at() {
        let visited = Url::parse("http://a.th/page").expect("a URL");
        for (shown, elsewhere) in [
            ("http://a.th/other", None),
            (OWN, None),
            (FOREIGN, Some("http://b.th/x?y=1")),
            ("about:blank", Some("about:blank")),
            (
                "http://b.th/?u=http://a.th/",
                Some("http://b.th/?u=http://a.th/"),
            ),
            ("no URL", Some("no URL")),
        ] {
            let words = led_away(shown, &visited).map(|failure| format!("{failure:?}"));
            assert_eq!(words.is_some(), elsewhere.is_some(), "{shown}: {words:?}");
            assert!(
                elsewhere.is_none_or(
                    |url| words.is_some_and(|words| words.contains(&format!("asked: {url}\"")))
                ),
                "{shown}"
            );
        }
    }

    /// P3: the host did its part, where its page led the browser elsewhere before it had loaded.
    #[test]
    fn a_navigation_that_failed_is_the_doing_of_the_host_or_of_the_page() {
        let visited = Url::parse("http://a.th/page").expect("a URL");
        let failed = |page: &str| {
            let message = Cow::from(format!("Reached error page: {page}"));
            let error = fantoccini::error::WebDriver::new(ErrorStatus::UnknownError, message);
            navigation_failure(&CmdError::Standard(error), &visited)
        };
        assert!(matches!(failed(OWN), VisitFailure::Host(why) if why.ends_with("netReset")));
        assert!(matches!(failed(FOREIGN), VisitFailure::Page(why) if why.contains("b.th")));
    }
}
