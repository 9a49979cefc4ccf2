//! Decides where a redirect may lead (P1): a limited number, and only to allowed hosts. Pure.

use url::Url;

use super::host::HostKey;

/// The maximum number of redirects of one request.
pub const MAX_REDIRECTS: usize = 5;

/// Which other hosts a redirect may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectScope {
    /// No other host: only the same scheme, host and port.
    SameHost,
    /// The source's `factsheet_hosts` as well.
    FactsheetHosts,
    /// Any host. Used for robots.txt only (RFC 9309 section 2.3.1.2).
    AnyHost,
}

/// Resolves `location`, the target of a redirect that `from` answered with `status`.
///
/// # Errors
/// The target is missing or invalid, its host is not allowed, or the redirect would turn a POST into a GET: a sentence
/// for the operator.
pub fn target(
    from: &Url,
    status: u16,
    location: Option<&str>,
    is_post: bool,
    scope: RedirectScope,
    factsheet_hosts: &[String],
) -> Result<Url, String> {
    // `from` may itself be the target of an earlier redirect.
    let said_by = shown(from);
    let Some(location) = location else {
        return Err(format!(
            "{said_by} answered {status} without saying where to"
        ));
    };
    let to = from.join(location).map_err(|error| {
        // Shorten after escaping: an escaped control character has six characters.
        let spelt = shown(format_args!("{location:?}"));
        format!("{said_by} redirects to {spelt}, which is no URL: {error}")
    })?;
    if is_post && !matches!(status, 307 | 308) {
        return Err(format!(
            "{said_by} answered a POST with {status} to {}; only 307 and 308 keep the question",
            shown(&to)
        ));
    }
    let (Some(from_host), Some(to_host)) = (HostKey::of(from), HostKey::of(&to)) else {
        return Err(format!(
            "{said_by} redirects to {}, which is not http or https",
            shown(&to)
        ));
    };
    let allowed = to_host == from_host
        || match scope {
            RedirectScope::SameHost => false,
            RedirectScope::AnyHost => true,
            RedirectScope::FactsheetHosts => {
                let downgraded = from_host.is_https() && !to_host.is_https();
                !downgraded
                    && factsheet_hosts
                        .iter()
                        .any(|entry| to_host.is_named_by(entry))
            }
        };
    if allowed {
        return Ok(to);
    }
    let to_host = shown(to_host);
    Err(match scope {
        RedirectScope::FactsheetHosts => format!(
            "{said_by} redirects to {to_host}, which is not among the source's factsheet_hosts; if that host is right, add it there"
        ),
        _ => format!(
            "{said_by} redirects to another host, {to_host}; if the site has moved, set the source's base_url to it"
        ),
    })
}

/// Shortens text from a host: a `Location` may be as long as all headers together.
fn shown(said: impl std::fmt::Display) -> String {
    said.to_string().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_location_is_shown_bounded() {
        let long = "x".repeat(60_000);
        let from = Url::parse(&format!("https://a.th/{long}")).expect("a URL");
        let controls = "\u{19}".repeat(60_000);
        for (location, is_post) in [
            (format!("//Q{controls}"), false),
            (format!("https://{long}.th/"), false),
            (format!("data:{long}"), false),
            (format!("/{long}"), true),
            (format!("http://[{long}"), false),
        ] {
            let scope = RedirectScope::SameHost;
            let refused = target(&from, 302, Some(&location), is_post, scope, &[]);
            let sentence = refused.expect_err("not allowed");
            assert!(sentence.len() < 600, "{} bytes", sentence.len());
        }
    }

    #[test]
    fn p1_a_redirect_stays_on_its_host_unless_a_factsheet_host_is_allowed() {
        use RedirectScope::{AnyHost, FactsheetHosts, SameHost};
        let allowed = ["docs.th".to_owned()];
        for (location, scope, ok) in [
            (Some("/b"), SameHost, true),
            (Some("b?x=1"), SameHost, true),
            (Some("https://a.th:443/b"), SameHost, true),
            (Some("http://a.th/b"), SameHost, false),
            (Some("https://docs.th/b"), SameHost, false),
            (Some("https://docs.th/b"), FactsheetHosts, true),
            (Some("http://docs.th/b"), FactsheetHosts, false),
            (Some("https://evil.th/b"), FactsheetHosts, false),
            (Some("//evil.th/b"), SameHost, false),
            (Some("file:///etc/passwd"), AnyHost, false),
            (Some("https://www.a.th/robots.txt"), AnyHost, true),
            (Some("http://["), SameHost, false),
            (None, SameHost, false),
        ] {
            let from = Url::parse("https://a.th/a").expect("a URL");
            let to = target(&from, 302, location, false, scope, &allowed);
            assert_eq!(to.is_ok(), ok, "{location:?} {scope:?} {to:?}");
        }
    }

    #[test]
    fn a_post_is_not_turned_into_a_get() {
        let from = Url::parse("https://a.th/a").expect("a URL");
        for (status, ok) in [
            (301, false),
            (302, false),
            (303, false),
            (307, true),
            (308, true),
        ] {
            let to = target(
                &from,
                status,
                Some("/b"),
                true,
                RedirectScope::SameHost,
                &[],
            );
            assert_eq!(to.is_ok(), ok, "{status}");
        }
    }
}
