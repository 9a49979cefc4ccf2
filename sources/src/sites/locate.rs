//! Builds and reads URLs of a site: its root, fund codes as path segments, and the paths of links.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schema::{FundCode, PlannedTask};
use url::Url;

use crate::text::{excerpt, name};

/// All characters except `A-Z a-z 0-9 - _ . ~`: a code may contain `/`, `#`, `%`, `&`, spaces.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The root of a site without a slash at its end. It may include a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    text: String,
    host: Option<String>,
    path: String,
}

impl Root {
    /// The root for a configured URL.
    pub fn new(base: &Url) -> Self {
        let mut base = base.clone();
        base.set_query(None);
        base.set_fragment(None);
        Self {
            text: base.as_str().trim_end_matches('/').to_owned(),
            host: base.host_str().map(str::to_ascii_lowercase),
            path: base.path().trim_end_matches('/').to_owned(),
        }
    }

    /// The root as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port, in the form of an `Origin` header.
    pub fn origin(&self) -> &str {
        self.text
            .strip_suffix(self.path.as_str())
            .unwrap_or(&self.text)
    }

    /// The URL of a path that begins with a slash and is already percent-encoded.
    ///
    /// # Errors
    /// The result is not a URL.
    pub fn url(&self, path: &str) -> Result<Url, String> {
        let text = format!("{}{path}", self.text);
        Url::parse(&text).map_err(|error| format!("`{}` is not a URL: {error}", excerpt(&text)))
    }

    /// The path below this root for a link of the site. `link` may begin with `http`, `//`, `/`, the host's name or
    /// none of these. `None` if it leads to another host. Characters that are not allowed in a path (`#`, a bare `%`,
    /// spaces, Thai) are percent-encoded; existing encoding is kept as the site wrote it.
    pub fn path_of(&self, link: &str) -> Option<String> {
        let link = name::normalise(link);
        let below = match split_host(&link) {
            Some((host, path)) => {
                let own = self.host.as_deref() == Some(bare_host(host).as_str());
                own.then_some(path)?
            }
            None => link.as_str(),
        };
        let rooted = if below.starts_with('/') {
            below.to_owned()
        } else {
            match self
                .host
                .as_deref()
                .and_then(|host| below.strip_prefix(host))
            {
                Some(path) if path.starts_with('/') => path.to_owned(),
                _ => format!("/{below}"),
            }
        };
        let path = match rooted.strip_prefix(self.path.as_str()) {
            Some(shorter) if shorter.starts_with('/') => shorter,
            _ => &rooted,
        };
        Some(lawful_path(path))
    }
}

/// Encodes a text as one path segment.
///
/// # Errors
/// The text is blank or only dots: such a segment would change the path.
pub fn segment(text: &str) -> Result<String, String> {
    if text.chars().all(|c| c == '.' || c.is_whitespace()) {
        return Err(format!("`{}` cannot be part of a URL", excerpt(text)));
    }
    Ok(utf8_percent_encode(text, SEGMENT).to_string())
}

/// The task's key as a fund code.
///
/// # Errors
/// The key is not a fund code.
pub fn fund_code(task: &PlannedTask) -> Result<FundCode, String> {
    name::fund_code(&task.id.key)
        .map_err(|error| format!("{}: the key is no fund code: {error}", task.id))
}

/// The task's locator.
///
/// # Errors
/// The task has no locator.
pub fn locator(task: &PlannedTask) -> Result<&str, String> {
    task.locator.as_deref().ok_or_else(|| {
        format!(
            "{}: the page cannot be requested without the key from the source's list",
            task.id
        )
    })
}

/// Splits `scheme://host[:port]/path` or `//host/path`.
fn split_host(link: &str) -> Option<(&str, &str)> {
    let behind = match link.get(..8).map(str::to_ascii_lowercase) {
        Some(start) if start.starts_with("https://") => &link[8..],
        Some(start) if start.starts_with("http://") => &link[7..],
        _ => link.strip_prefix("//")?,
    };
    Some(match behind.find('/') {
        Some(slash) => behind.split_at(slash),
        None => (behind, "/"),
    })
}

fn bare_host(host: &str) -> String {
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    host.to_ascii_lowercase()
}

/// Percent-encodes the characters that are not allowed in a path, and nothing else.
fn lawful_path(path: &str) -> String {
    let mut lawful = String::with_capacity(path.len());
    let bytes = path.as_bytes();
    for (at, c) in path.char_indices() {
        let encoded_already = c == '%'
            && bytes
                .get(at + 1..at + 3)
                .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        let kept = c.is_ascii_alphanumeric() || "-_.~/!$&'()*+,;=:@".contains(c) || encoded_already;
        if kept {
            lawful.push(c);
        } else {
            let mut buffer = [0; 4];
            lawful.extend(utf8_percent_encode(
                c.encode_utf8(&mut buffer),
                NON_ALPHANUMERIC,
            ));
        }
    }
    lawful
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Root {
        Root::new(&Url::parse(text).expect("a URL"))
    }

    #[test]
    fn codes_are_encoded_whole() {
        for (code, encoded) in [
            ("SCBS&P500A", "SCBS%26P500A"),
            ("K-USA-A(A)", "K-USA-A%28A%29"),
            ("BT-AUTOFIX 3Y/1", "BT-AUTOFIX%203Y%2F1"),
            ("KK BRIC 7%#1", "KK%20BRIC%207%25%231"),
            ("O'Neil+~_.", "O%27Neil%2B~_."),
        ] {
            assert_eq!(segment(code).as_deref(), Ok(encoded));
        }
        // Two codes never share a URL.
        assert_ne!(segment("A/B"), segment("A:B"));
        assert!(segment("..").is_err());
    }

    #[test]
    fn a_link_leads_to_a_path_of_the_site_or_elsewhere() {
        let site = root("https://www.wealthmagik.com/");
        for (link, path) in [
            ("/funds/KFGTECH/profile", "/funds/KFGTECH/profile"),
            ("funds/KFGTECH", "/funds/KFGTECH"),
            (
                "https://www.wealthmagik.com/funds/K-USA-A(A)",
                "/funds/K-USA-A(A)",
            ),
            ("HTTP://WWW.wealthmagik.com:443/funds/A", "/funds/A"),
            ("//www.wealthmagik.com/funds/A", "/funds/A"),
            ("www.wealthmagik.com/funds/A", "/funds/A"),
            ("/funds/TERF #1", "/funds/TERF%20%231"),
            ("/funds/KK%20BRIC%207%25%231", "/funds/KK%20BRIC%207%25%231"),
            ("/funds/KK BRIC 7%#1", "/funds/KK%20BRIC%207%25%231"),
        ] {
            assert_eq!(site.path_of(link).as_deref(), Some(path), "{link}");
        }
        assert_eq!(site.path_of("https://www.example.com/funds/A"), None);
        assert_eq!(
            site.path_of("https://www.wealthmagik.com.evil.example/funds/A"),
            None
        );
        assert_eq!(
            site.path_of("https://www.wealthmagik.com@evil.example/funds/A"),
            None
        );
        let below = root("http://127.0.0.1:9000/wm");
        assert_eq!(
            below.path_of("http://127.0.0.1:9000/wm/funds/A").as_deref(),
            Some("/funds/A")
        );
        assert_eq!(
            below.url("/funds/A").map(String::from).as_deref(),
            Ok("http://127.0.0.1:9000/wm/funds/A")
        );
        assert_eq!(below.origin(), "http://127.0.0.1:9000");
        assert_eq!(site.origin(), "https://www.wealthmagik.com");
    }
}
