//! Checks of single values of `runner.ron`: each method returns the value, or records what is wrong with it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Time;
use sources::ask::TransportMode;
use sources::transport::HostLimits;
use url::Url;

use crate::runner_config::{Problem, Word};
use crate::secret::without_passwords;

/// A day, in seconds: the longest duration that a setting may have.
pub(super) const DAY_SECS: i64 = 86_400;

/// The problems found so far. Each method returns the value, or records a problem and returns `None`.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
}

impl Findings {
    pub(super) fn wrong<T>(&mut self, key: &str, found: &str, expected: &str) -> Option<T> {
        self.problems.push(Problem {
            key: key.to_owned(),
            found: found.chars().take(200).collect(),
            expected: expected.to_owned(),
        });
        None
    }

    pub(super) fn parsed<T: FromStr>(
        &mut self,
        key: &str,
        text: &str,
        expected: &str,
    ) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(_) => self.wrong(key, &quoted(text), expected),
        }
    }

    /// Parses `HH:MM` on a 24-hour clock.
    pub(super) fn time(&mut self, key: &str, text: &str) -> Option<Time> {
        let read = || {
            let (hour, minute) = text.split_once(':')?;
            let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            if !(digits(hour) && digits(minute)) {
                return None;
            }
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        match read() {
            Some(time) => Some(time),
            None => self.wrong(key, &quoted(text), "a time such as \"03:00\""),
        }
    }

    pub(super) fn count(&mut self, key: &str, number: i64, least: i64, most: i64) -> Option<u64> {
        match u64::try_from(number) {
            Ok(value) if (least..=most).contains(&number) => Some(value),
            _ => self.wrong(
                key,
                &number.to_string(),
                &format!("a number from {least} to {most}"),
            ),
        }
    }

    pub(super) fn size(&mut self, key: &str, number: i64, most: i64) -> Option<NonZeroUsize> {
        let value = self.count(key, number, 1, most)?;
        NonZeroUsize::new(usize::try_from(value).ok()?)
    }

    pub(super) fn secs(
        &mut self,
        key: &str,
        number: i64,
        least: i64,
        most: i64,
    ) -> Option<Duration> {
        match u64::try_from(number) {
            Ok(value) if (least..=most).contains(&number) => Some(Duration::from_secs(value)),
            _ => self.wrong(
                key,
                &number.to_string(),
                &format!("{least} to {most} seconds"),
            ),
        }
    }

    /// Checks a pair of pauses, (first, longest), in seconds: 1 <= first <= longest <= one day.
    pub(super) fn span(
        &mut self,
        key: &str,
        (first, longest): (i64, i64),
    ) -> Option<(Duration, Duration)> {
        if 1 <= first && first <= longest && longest <= DAY_SECS {
            let secs = |number: i64| u64::try_from(number).ok().map(Duration::from_secs);
            return Some((secs(first)?, secs(longest)?));
        }
        self.wrong(
            key,
            &format!("({first}, {longest})"),
            &format!("(first, longest) in seconds, 1 <= first <= longest <= {DAY_SECS}"),
        )
    }

    pub(super) fn path(&mut self, key: &str, text: &str) -> Option<PathBuf> {
        if text.trim().is_empty() || text.contains('\0') {
            return self.wrong(key, &quoted(text), "a path");
        }
        Some(PathBuf::from(text))
    }

    pub(super) fn limits(
        &mut self,
        source: &str,
        rate: f64,
        concurrent: i64,
    ) -> Option<HostLimits> {
        const MOST_PER_SEC: f64 = 1000.0;
        let requests_per_sec = if rate > 0.0 && rate <= MOST_PER_SEC {
            Some(rate)
        } else {
            self.wrong(
                &format!("{source}.requests_per_sec"),
                &rate.to_string(),
                &format!("a number above 0 and at most {MOST_PER_SEC}"),
            )
        };
        let concurrent_requests =
            self.size(&format!("{source}.concurrent_requests"), concurrent, 64);
        Some(HostLimits {
            requests_per_sec: requests_per_sec?,
            concurrent_requests: concurrent_requests?,
        })
    }

    pub(super) fn transport(&mut self, source: &str, word: &Word) -> Option<TransportMode> {
        match word.0.as_str() {
            "Auto" => Some(TransportMode::Auto),
            "Http" => Some(TransportMode::Http),
            "Browser" => Some(TransportMode::Browser),
            other => self.wrong(
                &format!("{source}.transport"),
                other,
                "Auto, Http or Browser",
            ),
        }
    }

    pub(super) fn http_url(&mut self, key: &str, text: &str) -> Option<Url> {
        match Url::parse(text) {
            Ok(url)
                if matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none() =>
            {
                Some(url)
            }
            _ => self.wrong(
                key,
                &quoted(text),
                "an address such as \"https://www.example.org\" (http or https, no user name)",
            ),
        }
    }

    /// Parses a host: scheme, name and port, without path, query and fragment.
    pub(super) fn host(&mut self, key: &str, text: &str) -> Option<Url> {
        let url = self.http_url(key, text)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return self.wrong(
                key,
                &quoted(text),
                "an address without a path, such as \"https://www.example.org\"",
            );
        }
        Some(url)
    }

    /// Parses the listed hosts and adds the source's own hosts, as `name:port`.
    pub(super) fn factsheet_hosts(
        &mut self,
        source: &str,
        listed: &[String],
        own: Option<&Url>,
    ) -> Vec<String> {
        let mut hosts: Vec<Url> = own.cloned().into_iter().collect();
        for (at, text) in listed.iter().enumerate() {
            let host = self.host(&format!("{source}.factsheet_hosts[{at}]"), text);
            hosts.extend(host.filter(|host| Some(host) != own));
        }
        hosts.iter().filter_map(name_and_port).collect()
    }
}

/// `name:port`, as in lists of allowed hosts.
fn name_and_port(url: &Url) -> Option<String> {
    Some(format!(
        "{}:{}",
        url.host_str()?,
        url.port_or_known_default()?
    ))
}

/// A text of the file in quotes, shortened, without secrets.
pub(super) fn quoted(text: &str) -> String {
    let cut: String = without_passwords(text).chars().take(100).collect();
    format!("{cut:?}")
}
