//! The failures of a visit in the browser, by their cause: the host, the page, the tab or the browser.

use fantoccini::error::CmdError;
use url::Url;

use super::host::HostKey;

/// The beginning of the URL of the page that the browser shows for a page that could not be loaded.
const ERROR_PAGE: &str = "about:neterror";
/// The beginning of the URL of the page that the browser shows for a host whose certificate is refused.
const CERTIFICATE_PAGE: &str = "about:certerror";

/// The failure of a visit.
#[derive(Debug)]
pub enum VisitFailure {
    /// The host did not answer; the session still works.
    Host(String),
    /// The page is not acceptable; the session still works.
    Page(String),
    /// The page's list is incomplete; the session's cookies may have expired.
    CutShort(String),
    /// The page keeps its browser busy without end. The session cannot be used again, and another attempt would fail.
    Busy(String),
    /// The browser or its page hangs. The session cannot be used again.
    Hung(String),
    /// The session is lost.
    Lost(String),
    /// The tab is lost; the session still answers.
    TabLost(String),
}

/// The failure of a navigation to `visited`: Firefox shows `about:neterror` if a host does not answer.
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

/// The failure if the browser shows its own error page instead of `visited`. An error page never changes.
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

/// The failure if the browser shows another host than that of `visited`, or an error page because that other host is
/// blocked. The cause is the page, not its host.
pub fn led_away(shown: &str, visited: &Url) -> Option<VisitFailure> {
    let wanted = wanted_url(shown);
    let arrived = Url::parse(&wanted).ok();
    (arrived.as_ref().and_then(HostKey::of) != HostKey::of(visited)).then(|| {
        let wanted: String = wanted.chars().take(200).collect();
        VisitFailure::Page(format!(
            "the page led the browser to another host, which was not requested: {wanted}"
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

/// The URL that the browser shows. For the browser's own error page, the URL that failed.
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
                elsewhere
                    .is_none_or(|url| words
                        .is_some_and(|words| words.contains(&format!("requested: {url}\"")))),
                "{shown}"
            );
        }
    }

    /// P3: the host is not at fault if its page sent the browser elsewhere while loading.
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
