//! robots.txt by RFC 9309: interprets the answer to its request, and decides whether it allows a URL. Pure.
//!
//! Implemented here because the well-known crates compare patterns and paths without the percent-encoding rules of
//! section 2.2.2, or apply rules that precede every `user-agent` line.

use url::Url;

/// The product token of this program (section 2.2.1).
pub const PRODUCT_TOKEN: &str = "master_runner";
/// How many bytes of a robots.txt are parsed; the RFC requires at least 500 KiB (section 2.5).
pub const MAX_BYTES: usize = 512 * 1024;

/// The rules of a host's robots.txt that apply to this program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RobotsRules {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    allow: bool,
    pattern: String,
}

/// The meaning of the answer to a request for robots.txt (section 2.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RobotsAnswer {
    /// These rules apply; a 4xx status or a body that is not text means no rules.
    Rules(RobotsRules),
    /// The server failed: no other request is allowed until it answers.
    ServerFailed,
}

/// Interprets the final answer to a request for robots.txt, after redirects and throttling.
#[must_use]
pub fn answer(status: u16, content_type: Option<&str>, body: &[u8]) -> RobotsAnswer {
    match status {
        200..=299 if is_text(content_type, body) => RobotsAnswer::Rules(RobotsRules::parse(body)),
        500..=599 => RobotsAnswer::ServerFailed,
        _ => RobotsAnswer::Rules(RobotsRules::default()),
    }
}

fn is_text(content_type: Option<&str>, body: &[u8]) -> bool {
    let declared = content_type.is_none_or(|kind| {
        let kind = kind.trim_start().to_ascii_lowercase();
        kind.starts_with("text/")
    });
    // Applications that answer every path with their start page also do so for robots.txt.
    let is_markup = body.trim_ascii_start().starts_with(b"<");
    declared && !is_markup && !body.contains(&0)
}

impl RobotsRules {
    /// Parses a robots.txt: all groups that name this program; if there are none, the `*` groups.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        let body = &body[..body.len().min(MAX_BYTES)];
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}');
        let (mut own, mut general) = (Group::default(), Group::default());
        // Consecutive user-agent lines open one group; the first rule ends its list of agents.
        let (mut names_us, mut names_all, mut in_rules) = (false, false, false);
        for line in text.split(['\r', '\n']) {
            let line = line.split_once('#').map_or(line, |(before, _)| before);
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "user-agent" => {
                    if in_rules {
                        (names_us, names_all, in_rules) = (false, false, false);
                    }
                    if value == "*" {
                        names_all = true;
                        general.named = true;
                    } else if product_token(value).eq_ignore_ascii_case(PRODUCT_TOKEN) {
                        names_us = true;
                        own.named = true;
                    }
                }
                key @ ("allow" | "disallow") => {
                    in_rules = true;
                    // An empty pattern matches nothing.
                    if value.is_empty() {
                        continue;
                    }
                    let rule = Rule {
                        allow: key == "allow",
                        pattern: normalised(value),
                    };
                    if names_us {
                        own.rules.push(rule.clone());
                    }
                    if names_all {
                        general.rules.push(rule);
                    }
                }
                _ => {}
            }
        }
        Self {
            rules: if own.named { own.rules } else { general.rules },
        }
    }

    /// Whether `url` may be requested. The longest matching pattern decides, `Allow` wins a tie, and robots.txt itself
    /// is always allowed (section 2.2.2).
    #[must_use]
    pub fn allow(&self, url: &Url) -> bool {
        let mut path = url.path().to_owned();
        if path == "/robots.txt" {
            return true;
        }
        if let Some(query) = url.query() {
            path.push('?');
            path.push_str(query);
        }
        let path = normalised(&path);
        self.rules
            .iter()
            .filter(|rule| matches(&rule.pattern, &path))
            .max_by_key(|rule| (rule.pattern.len(), rule.allow))
            .is_none_or(|rule| rule.allow)
    }
}

#[derive(Default)]
struct Group {
    named: bool,
    rules: Vec<Rule>,
}

fn product_token(value: &str) -> &str {
    let end = value
        .find(|c: char| !(c.is_ascii_alphabetic() || c == '_' || c == '-'))
        .unwrap_or(value.len());
    &value[..end]
}

/// Normalises percent-encoding for comparison: unreserved characters plain, all other encoded bytes in upper-case hex,
/// non-ASCII bytes encoded.
fn normalised(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = String::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        let encoded = (*byte == b'%')
            .then(|| path.get(index + 1..index + 3))
            .flatten()
            .filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match encoded {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
            }
            Some(byte) => push_encoded(&mut out, byte),
            None if byte.is_ascii_graphic() => out.push(char::from(*byte)),
            None => push_encoded(&mut out, *byte),
        }
        index += if encoded.is_some() { 3 } else { 1 };
    }
    out
}

fn push_encoded(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// Whether `pattern` matches the beginning of `path`. `*` matches any sequence of characters, a final `$` the end of
/// the path. Each part between stars is searched once, leftmost, so the time is at most proportional to the product of
/// the lengths.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, anchored) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return !anchored || rest.is_empty();
    };
    for part in middle {
        let Some(found) = rest.find(part) else {
            return false;
        };
        rest = &rest[found + part.len()..];
    }
    if anchored {
        rest.ends_with(last)
    } else {
        rest.contains(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(robots: &str, path: &str) -> bool {
        let url = Url::parse(&format!("https://site.th{path}")).expect("a URL");
        RobotsRules::parse(robots.as_bytes()).allow(&url)
    }

    #[test]
    fn rfc_9309_groups_and_rules() {
        let all = "User-agent: *\nDisallow: /private\n";
        for (robots, path, allowed) in [
            ("", "/x", true),
            (all, "/private", false),
            (all, "/private/x?y", false),
            (all, "/priv", true),
            (all, "/PRIVATE", true),
            (all, "/robots.txt", true),
            ("User-agent: *\nDisallow:\n", "/x", true),
            ("Disallow: /\n", "/x", true),
            (
                "user-agent: *\r\ndisallow: /a # why\r\nallow: /a/b\r\n",
                "/a/b",
                true,
            ),
            ("user-agent: *\rdisallow: /a\r", "/a", false),
            ("user-agent: *\ndisallow: /a\nallow: /a\n", "/a", true),
            (
                "user-agent: *\nallow: /a\ndisallow: /a/b\n",
                "/a/b/c",
                false,
            ),
            (
                "user-agent: MASTER_RUNNER/2.0 (x)\ndisallow: /\n",
                "/x",
                false,
            ),
            ("user-agent: master\ndisallow: /\n", "/x", true),
            ("user-agent: other\ndisallow: /\n", "/x", true),
            (
                "user-agent: *\ndisallow: /\n\nuser-agent: master_runner\nallow: /\n",
                "/x",
                true,
            ),
            (
                "user-agent: master_runner\n\nuser-agent: *\ndisallow: /\n",
                "/x",
                false,
            ),
            (
                "user-agent: master_runner\nuser-agent: x\ndisallow: /a\nuser-agent: master_runner\ndisallow: /b\n",
                "/b",
                false,
            ),
            (
                "user-agent: master_runner\nuser-agent: x\nsitemap: /s\ndisallow: /a\nuser-agent: y\ndisallow: /b\n",
                "/b",
                true,
            ),
            ("user-agent: *\ndisallow: /*.pdf$\n", "/x/y.pdf", false),
            ("user-agent: *\ndisallow: /*.pdf$\n", "/x/y.pdf?z", true),
            ("user-agent: *\ndisallow: /a*b*c\n", "/a1b2c3", false),
            ("user-agent: *\ndisallow: /a*b*c\n", "/a1c2b3", true),
            ("user-agent: *\ndisallow: /x?q=\n", "/x?q=1", false),
            (
                "user-agent: *\ndisallow: /funds/%e0%b8%81\n",
                "/funds/ก",
                false,
            ),
            (
                "user-agent: *\ndisallow: /funds/ก\n",
                "/funds/%E0%B8%81",
                false,
            ),
            ("user-agent: *\ndisallow: /%7Ejoe\n", "/~joe", false),
            ("user-agent: *\ndisallow: /a%2Fb\n", "/a/b", true),
            ("\u{feff}user-agent: *\ndisallow: /\n", "/x", false),
            (
                "user-agent: *\ncrawl-delay: 10\ndisallow: /a\n",
                "/a",
                false,
            ),
        ] {
            assert_eq!(allows(robots, path), allowed, "{robots:?} {path}");
        }
    }

    #[test]
    fn p1_4xx_or_not_text_means_no_rules_and_5xx_means_wait() {
        let none = RobotsAnswer::Rules(RobotsRules::default());
        let deny = b"user-agent: *\ndisallow: /\n";
        for status in [400, 401, 403, 404, 410] {
            assert_eq!(answer(status, Some("text/plain"), deny), none, "{status}");
        }
        for kind in ["application/json", "image/png"] {
            assert_eq!(answer(200, Some(kind), deny), none, "{kind}");
        }
        let page = b"<!doctype html>\nuser-agent: *\ndisallow: /";
        assert_eq!(answer(200, Some("text/html"), page), none);
        assert_eq!(answer(200, None, b"user-agent: *\0\ndisallow: /"), none);
        assert_eq!(answer(503, None, b""), RobotsAnswer::ServerFailed);
        assert_ne!(answer(200, Some("text/plain; charset=utf-8"), deny), none);
        assert_ne!(answer(200, None, deny), none);
    }

    proptest::proptest! {
        #[test]
        fn no_robots_txt_panics(body: Vec<u8>, path in "/[ -~ก-ฮ%*$]{0,30}") {
            let mut url = Url::parse("https://site.th/").expect("a URL");
            url.set_path(&path);
            let mut text = b"user-agent: *\ndisallow: ".to_vec();
            text.extend(body);
            let _ = RobotsRules::parse(&text).allow(&url);
        }

        #[test]
        fn a_plain_prefix_matches_exactly_its_prefixes(prefix in "/[a-z/]{0,8}", path in "/[a-z/]{0,12}") {
            proptest::prop_assert_eq!(matches(&prefix, &path), path.starts_with(&prefix));
        }
    }
}
