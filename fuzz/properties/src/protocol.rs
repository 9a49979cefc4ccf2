//! What hosts send beside their pages: robots.txt, `Retry-After`, redirects.

use std::time::{Duration, SystemTime};

use sources::transport::RedirectScope;
use sources::transport::redirect;
use sources::transport::retry_after;
use sources::transport::robots::{self, RobotsAnswer, RobotsRules};

use crate::holds;
use crate::pages::url;

/// P1: robots.txt itself may always be requested; a 404 answer means that there are no rules.
pub fn robots_txt(body: &[u8]) {
    let rules = RobotsRules::parse(body);
    assert!(rules.allow(&url("https://site.th/robots.txt")));
    let mut asked = url("https://site.th/");
    let path = String::from_utf8_lossy(&body[..body.len().min(200)]);
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    asked.set_path(path);
    asked.set_query(Some(query));
    let _ = rules.allow(&asked);
    let _ = rules.allow(&url("https://site.th/funds/KFGTECH/profile?a=%E0%B8%81"));
    let none = RobotsAnswer::Rules(RobotsRules::default());
    assert_eq!(robots::answer(404, Some("text/plain"), body), none);
    assert_eq!(robots::answer(500, None, body), RobotsAnswer::ServerFailed);
    let _ = robots::answer(200, None, body);
}

/// P1: the input has two lines, the value and the server's date. The wait is never longer than a day.
pub fn retry_after(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (value, server_date) = match text.split_once('\n') {
        Some((value, date)) => (value, Some(date)),
        None => (text.as_ref(), None),
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    if let Some(wait) = retry_after::delay(value, server_date, now) {
        assert!(wait <= retry_after::LONGEST);
    }
}

/// P1: the first byte selects status, method and scope; the rest is the `Location`. No redirect leads to a host that is
/// not allowed.
pub fn redirect(input: &[u8]) {
    let Some((choice, location)) = input.split_first() else {
        return;
    };
    let location = String::from_utf8_lossy(location);
    let scope = [
        RedirectScope::SameHost,
        RedirectScope::FactsheetHosts,
        RedirectScope::AnyHost,
    ][usize::from(choice % 3)];
    let status = [301, 302, 303, 307, 308][usize::from(choice / 3 % 5)];
    let is_post = choice & 0x80 != 0;
    let from = url("https://www.finnomena.com/fn3/a?b");
    let listed = ["docs.example.org".to_owned()];
    match redirect::target(&from, status, Some(&location), is_post, scope, &listed) {
        Ok(to) => {
            assert!(!is_post || matches!(status, 307 | 308));
            // A dot after a host name has no effect.
            let host = to.host_str().expect("a host").trim_end_matches('.');
            let own = host == "www.finnomena.com" && to.scheme() == "https";
            let allowed = match scope {
                RedirectScope::SameHost => own,
                RedirectScope::FactsheetHosts => {
                    own || (host == "docs.example.org" && to.scheme() == "https")
                }
                RedirectScope::AnyHost => matches!(to.scheme(), "http" | "https"),
            };
            assert!(allowed, "{scope:?} leads to {to}");
        }
        Err(sentence) => holds::message(&sentence),
    }
}
