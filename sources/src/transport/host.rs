//! The identity of a host for the politeness rules: scheme, name and port (P1). Each such triple has its own pace,
//! concurrency limit, robots.txt and health.

use std::fmt;

use url::Url;

/// Scheme, host name and port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostKey {
    scheme: String,
    name: String,
    port: u16,
}

impl HostKey {
    /// The host of a URL; `None` unless the URL is `http` or `https` with a host name.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            name: url.host_str()?.trim_end_matches('.').to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// The host name without port.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether requests to the host use TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// Whether the host is this machine. Requests to this machine never use a proxy.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let bare = self.name.trim_matches(['[', ']']);
        bare == "localhost"
            || bare.ends_with(".localhost")
            || bare
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// Whether `entry` of a list of allowed hosts matches: a host name, a name with port, or a URL of the host.
    #[must_use]
    pub fn is_named_by(&self, entry: &str) -> bool {
        let entry = entry.trim();
        if let Ok(url) = Url::parse(entry)
            && let Some(host) = Self::of(&url)
        {
            return host == *self;
        }
        entry.eq_ignore_ascii_case(&self.name)
            || entry.eq_ignore_ascii_case(&format!("{}:{}", self.name, self.port))
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual_port = if self.is_https() { 443 } else { 80 };
        write!(f, "{}://{}", self.scheme, self.name)?;
        if self.port != usual_port {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(url: &str) -> HostKey {
        HostKey::of(&Url::parse(url).expect("a URL")).expect("a host")
    }

    #[test]
    fn p1_a_host_is_scheme_name_and_port() {
        assert_eq!(host("https://a.th/x"), host("https://A.th:443/y"));
        assert_ne!(host("https://a.th"), host("http://a.th"));
        assert_ne!(host("http://a.th:81"), host("http://a.th"));
        assert_ne!(host("http://www.a.th"), host("http://a.th"));
        assert_eq!(host("http://a.th:81/x").to_string(), "http://a.th:81");
        assert_eq!(host("https://a.th/x").to_string(), "https://a.th");
        assert_eq!(
            HostKey::of(&Url::parse("file:///etc").expect("a URL")),
            None
        );
        assert_eq!(HostKey::of(&Url::parse("data:,x").expect("a URL")), None);
    }

    #[test]
    fn loopback_is_recognised() {
        for url in [
            "http://127.0.0.1:8080",
            "http://localhost",
            "http://[::1]:1",
        ] {
            assert!(host(url).is_loopback(), "{url}");
        }
        assert!(!host("http://10.0.0.1").is_loopback());
    }

    #[test]
    fn an_allowed_host_is_named_exactly() {
        let storage = host("https://market.sec.or.th/public/x.pdf");
        for entry in [
            "market.sec.or.th",
            "MARKET.sec.or.th:443",
            "https://market.sec.or.th/",
        ] {
            assert!(storage.is_named_by(entry), "{entry}");
        }
        for entry in [
            "sec.or.th",
            "evilmarket.sec.or.th",
            "http://market.sec.or.th",
            "",
        ] {
            assert!(!storage.is_named_by(entry), "{entry}");
        }
    }
}
