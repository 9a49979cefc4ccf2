//! `Retry-After`, in its two forms: seconds and an HTTP date (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

/// The longest wait that is obeyed. After a longer `Retry-After`, the host is requested again after this time.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait that a `Retry-After` value requests; `None` if it has neither form. A date is compared with the server's
/// own clock (its `Date` header) if that is present, because clocks differ; otherwise with `our_now`.
#[must_use]
pub fn delay(value: &str, server_date: Option<&str>, our_now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit into a u64 still mean a long wait.
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let now = server_date
        .and_then(|date| httpdate::parse_http_date(date.trim()).ok())
        .unwrap_or(our_now);
    // A date in the past means no wait.
    let wait = until.duration_since(now).unwrap_or(Duration::ZERO);
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_seconds_and_dates_are_obeyed() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let in_90_s = httpdate::fmt_http_date(now + Duration::from_secs(90));
        let server = httpdate::fmt_http_date(now + Duration::from_secs(60));
        let secs = |n| Some(Duration::from_secs(n));
        for (value, date, expected) in [
            ("5", None, secs(5)),
            (" 120 ", None, secs(120)),
            ("0", None, secs(0)),
            ("99999999999999999999999", None, Some(LONGEST)),
            (in_90_s.as_str(), None, secs(90)),
            (in_90_s.as_str(), Some(server.as_str()), secs(30)),
            (in_90_s.as_str(), Some("nonsense"), secs(90)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", None, secs(0)),
            ("-5", None, None),
            ("1.5", None, None),
            ("soon", None, None),
            ("", None, None),
        ] {
            assert_eq!(delay(value, date, now), expected, "{value} {date:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_panics_or_waits_for_ever(value in ".*", date in ".*") {
            if let Some(wait) = delay(&value, Some(&date), SystemTime::now()) {
                proptest::prop_assert!(wait <= LONGEST);
            }
        }
    }
}
