//! The proxies of the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in upper or lower case.
//!
//! They are read once for HTTP and the browser, so that both take the same route. A variable that cannot be read is an
//! error, because a direct connection instead would ignore the operator's intention.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use url::Url;

use super::host::HostKey;

/// A port on which no program listens. The browser is sent there instead of to a foreign host.
pub const NOWHERE: &str = "PROXY 127.0.0.1:9";

/// A proxy variable that cannot be used. Never shows a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the proxy variable {variable} cannot be used: {why}; correct it or unset it; no site was requested"
)]
pub struct ProxyError {
    /// The name as it is set.
    pub variable: &'static str,
    /// What was expected and found.
    pub why: String,
}

/// One proxy. Its text form has neither user name nor password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyServer {
    /// The variable that sets it.
    pub variable: &'static str,
    url: Url,
    host: String,
    port: u16,
}

impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.url.scheme(), self.host, self.port)
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.variable)
    }
}

impl ProxyServer {
    /// The URL with its password, for the client that connects; never log it.
    #[must_use]
    pub fn expose(&self) -> &Url {
        &self.url
    }

    /// Host and port of the proxy.
    #[must_use]
    pub fn address(&self) -> (String, u16) {
        (self.host.trim_matches(['[', ']']).to_owned(), self.port)
    }

    /// Whether the URL has a user name or password.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        !self.url.username().is_empty() || self.url.password().is_some()
    }

    /// The proxy as a proxy auto-config (PAC) script returns it.
    fn as_pac(&self) -> String {
        let kind = match self.url.scheme() {
            "http" => "PROXY",
            "https" => "HTTPS",
            "socks4" | "socks4a" => "SOCKS4",
            _ => "SOCKS5",
        };
        format!("{kind} {}:{}", self.host, self.port)
    }
}

/// Hosts that are requested without a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Bypass {
    All,
    Network(IpAddr, u8),
    /// The name and all its subdomains, on this port or on any.
    Name(String, Option<u16>),
}

/// The proxy settings of the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<ProxyServer>,
    https: Option<ProxyServer>,
    all: Option<ProxyServer>,
    bypass: Vec<Bypass>,
}

impl Proxies {
    /// The settings of this process.
    ///
    /// # Errors
    /// A variable that cannot be read.
    pub fn from_environment() -> Result<Self, ProxyError> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// The settings in these variables. If both spellings are set, the upper-case one is used. An empty variable
    /// is treated as unset.
    ///
    /// # Errors
    /// A variable that cannot be read.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ProxyError> {
        // A CGI server sets HTTP_PROXY from a header of the client (CVE-2016-5385).
        let in_cgi = variable("REQUEST_METHOD").is_some();
        let text = |names: [&'static str; 2]| {
            for name in names {
                let Some(value) = variable(name) else {
                    continue;
                };
                if in_cgi && name == "HTTP_PROXY" {
                    continue;
                }
                let value = value.into_string().map_err(|_| ProxyError {
                    variable: name,
                    why: "it is not UTF-8 text".to_owned(),
                })?;
                if !value.trim().is_empty() {
                    return Ok(Some((name, value.trim().to_owned())));
                }
            }
            Ok(None)
        };
        let server = |names| {
            text(names)?
                .map(|(variable, value)| {
                    server(variable, &value).map_err(|why| ProxyError { variable, why })
                })
                .transpose()
        };
        let bypass = match text(["NO_PROXY", "no_proxy"])? {
            Some((variable, value)) => value
                .split([',', ' '])
                .map(str::trim)
                .filter(|entry| !entry.is_empty())
                .map(|entry| bypass(entry).map_err(|why| ProxyError { variable, why }))
                .collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        Ok(Self {
            http: server(["HTTP_PROXY", "http_proxy"])?,
            https: server(["HTTPS_PROXY", "https_proxy"])?,
            all: server(["ALL_PROXY", "all_proxy"])?,
            bypass,
        })
    }

    /// The proxies that are set.
    pub fn servers(&self) -> impl Iterator<Item = &ProxyServer> {
        [&self.http, &self.https, &self.all].into_iter().flatten()
    }

    /// The proxy for `url`; `None`: a direct connection. Requests to this machine never use a proxy.
    #[must_use]
    pub fn route(&self, url: &Url) -> Option<&ProxyServer> {
        let host = HostKey::of(url)?;
        if host.is_loopback() || self.is_bypassed(url) {
            return None;
        }
        let own = if host.is_https() {
            &self.https
        } else {
            &self.http
        };
        own.as_ref().or(self.all.as_ref())
    }

    /// The route to `url` as a PAC script returns it.
    #[must_use]
    pub fn pac(&self, url: &Url) -> String {
        self.route(url)
            .map_or_else(|| "DIRECT".to_owned(), ProxyServer::as_pac)
    }

    fn is_bypassed(&self, url: &Url) -> bool {
        let Some(name) = url.host_str() else {
            return false;
        };
        let name = name.trim_matches(['[', ']']).trim_end_matches('.');
        let address = name.parse::<IpAddr>().ok();
        let port = url.port_or_known_default();
        self.bypass.iter().any(|bypass| match bypass {
            Bypass::All => true,
            Bypass::Network(network, bits) => {
                address.is_some_and(|address| is_within(address, *network, *bits))
            }
            Bypass::Name(bypassed, at) => {
                let below = name
                    .strip_suffix(bypassed.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                below && (at.is_none() || *at == port)
            }
        })
    }
}

fn server(variable: &'static str, value: &str) -> Result<ProxyServer, String> {
    const ALLOWED: &str = "http, https, socks4, socks4a, socks5 or socks5h";
    let with_scheme = if value.contains("://") {
        value.to_owned()
    } else {
        format!("http://{value}")
    };
    // Drop the parser's own error text, because it may contain the password.
    let url = Url::parse(&with_scheme)
        .map_err(|_| format!("expected scheme://host:port with {ALLOWED}, found something else"))?;
    let usual_port = match url.scheme() {
        "http" => 80,
        "https" => 443,
        "socks4" | "socks4a" | "socks5" | "socks5h" => 1080,
        scheme => {
            return Err(format!(
                "its scheme is `{}`; expected {ALLOWED}",
                scheme.chars().take(20).collect::<String>()
            ));
        }
    };
    let host = match url.host_str() {
        Some(host) if !host.is_empty() => host.to_owned(),
        _ => return Err("it names no host; expected scheme://host:port".to_owned()),
    };
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("it has a path; expected scheme://host:port".to_owned());
    }
    Ok(ProxyServer {
        variable,
        port: url.port().unwrap_or(usual_port),
        host,
        url,
    })
}

fn bypass(entry: &str) -> Result<Bypass, String> {
    let shown: String = entry.chars().take(100).collect();
    if entry == "*" {
        return Ok(Bypass::All);
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let network = network.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let most = network.map_or(0, |network| if network.is_ipv4() { 32 } else { 128 });
        return match (network, bits.parse::<u8>()) {
            (Some(network), Ok(bits)) if bits <= most => Ok(Bypass::Network(network, bits)),
            _ => Err(format!("`{shown}` is not a network such as 10.0.0.0/8")),
        };
    }
    if let Ok(address) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        return Ok(Bypass::Network(address, bits));
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => return Err(format!("`{shown}` is not a host or host:port")),
        },
        None => (entry, None),
    };
    let name = name.strip_prefix('*').unwrap_or(name);
    let name = name.trim_matches(['.', '[', ']']).to_lowercase();
    if name.is_empty() || name.contains(['/', '*', '@']) {
        return Err(format!("`{shown}` is not a host or host:port"));
    }
    Ok(Bypass::Name(name, port))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            (u32::from(address) ^ u32::from(network)) & mask == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            (u128::from(address) ^ u128::from(network)) & mask == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
        Proxies::from_variables(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn each_site_takes_the_way_its_variables_name() {
        let many = [
            ("HTTP_PROXY", "http://me:hunter2@web:3128"),
            ("https_proxy", "secure.example"),
            ("ALL_PROXY", "socks5h://10.0.0.1"),
            (
                "NO_PROXY",
                "intern.th, .bank.th:8443,*.corp, 10.1.0.0/16, 2001:db8::1",
            ),
        ];
        let one = [
            ("all_proxy", "socks5://[2001:db8::2]:9050"),
            ("HTTP_PROXY", ""),
        ];
        let cgi = [("HTTP_PROXY", "http://evil"), ("REQUEST_METHOD", "GET")];
        for (variables, url, way) in [
            (&many[..], "http://a.th/x", "PROXY web:3128"),
            (&many, "https://a.th/x", "PROXY secure.example:80"),
            (&many, "https://intern.th/", "DIRECT"),
            (&many, "https://www.intern.th/", "DIRECT"),
            (&many, "https://notintern.th/", "PROXY secure.example:80"),
            (&many, "https://x.bank.th:8443/", "DIRECT"),
            (&many, "https://x.bank.th/", "PROXY secure.example:80"),
            (&many, "http://a.corp/", "DIRECT"),
            (&many, "http://10.1.2.3/", "DIRECT"),
            (&many, "http://10.2.2.3/", "PROXY web:3128"),
            (&many, "http://[2001:db8::1]/", "DIRECT"),
            (&many, "http://127.0.0.1:8080/", "DIRECT"),
            (&many, "http://localhost/", "DIRECT"),
            (&one, "http://a.th/", "SOCKS5 [2001:db8::2]:9050"),
            (&one, "https://a.th/", "SOCKS5 [2001:db8::2]:9050"),
            (&cgi, "http://a.th/", "DIRECT"),
            (
                &[("ALL_PROXY", "socks4a://s:1")],
                "http://a.th/",
                "SOCKS4 s:1",
            ),
            (&[("ALL_PROXY", "https://p")], "http://a.th/", "HTTPS p:443"),
            (
                &[("ALL_PROXY", "p:1"), ("NO_PROXY", "*")],
                "http://a.th/",
                "DIRECT",
            ),
            (&[], "https://a.th/", "DIRECT"),
        ] {
            let proxies = proxies(variables).expect("readable");
            let url = Url::parse(url).expect("a URL");
            assert_eq!(proxies.pac(&url), way, "{variables:?} {url}");
        }
    }

    /// O5: a variable that cannot be read is an error that names it and never its password.
    #[test]
    fn an_unreadable_variable_is_an_error_and_no_password_is_shown() {
        for (variable, value, words) in [
            ("ALL_PROXY", "ftp://me:hunter2@p", "`ftp`"),
            ("https_proxy", "socks6://me:hunter2@p", "`socks6`"),
            ("HTTP_PROXY", "http://me:hunter2@p:port", "something else"),
            ("http_proxy", "http://", "something else"),
            ("HTTPS_PROXY", "http://me:hunter2@p/path", "a path"),
            ("all_proxy", "socks5:///x", "no host"),
            ("NO_PROXY", "10.0.0.0/40", "10.0.0.0/40"),
            ("no_proxy", "a.th:https", "a.th:https"),
        ] {
            let error = proxies(&[(variable, value)]).expect_err(value);
            let said = error.to_string();
            assert_eq!(error.variable, variable);
            assert!(said.contains(variable) && said.contains(words), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
        let not_text = Proxies::from_variables(|name| {
            (name == "HTTPS_PROXY").then(|| OsString::from_vec(vec![b'p', 0xFF]))
        });
        assert!(
            not_text
                .expect_err("not text")
                .to_string()
                .contains("HTTPS_PROXY")
        );
        let proxies = proxies(&[("HTTP_PROXY", "http://me:hunter2@p:1")]).expect("readable");
        let url = Url::parse("http://a.th").expect("a URL");
        let server = proxies.route(&url).expect("a proxy");
        assert!(server.has_credentials());
        assert!(!format!("{proxies:?}{server}{}", proxies.pac(&url)).contains("hunter2"));
        assert_eq!(server.expose().password(), Some("hunter2"));
    }
}
