//! The address of the database: a URL or libpq's `key=value` form, with libpq's TLS parameters. Pure functions.

use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// The value of libpq's `sslmode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS if the server offers it, without checking its certificate; otherwise no TLS.
    #[default]
    Prefer,
    /// TLS, without checking the certificate. If there is a file of authorities, `sslmode=require` becomes
    /// [`Self::VerifyCa`], as in libpq.
    Require,
    /// TLS, with a certificate that a trusted authority signed.
    VerifyCa,
    /// Like `verify-ca`, and the certificate must name the host.
    VerifyFull,
}

impl TlsMode {
    /// Returns the mode that applies if there is a file of authorities.
    fn with_authorities_file(self) -> Self {
        match self {
            Self::Require => Self::VerifyCa,
            other => other,
        }
    }
}

/// The trusted certificate authorities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Authorities {
    /// No `sslrootcert`: the authorities in `~/.postgresql/root.crt` if that file exists, otherwise the authorities of
    /// the operating system.
    #[default]
    Usual,
    /// `sslrootcert=system`: the authorities of the operating system.
    System,
    /// A file of certificates (PEM).
    File(PathBuf),
}

/// The TLS parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// `sslmode`.
    pub mode: TlsMode,
    /// `sslrootcert`.
    pub authorities: Authorities,
    /// `sslcert` and `sslkey`: the client's certificate and its key (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
}

impl TlsSettings {
    /// Applies libpq's default file of authorities, `~/.postgresql/root.crt`, if the address names no other.
    /// `default_file` is its path, or `None` if it does not exist.
    ///
    /// With this file `require` checks the certificate like `verify-ca`: PostgreSQL manual, section 34.19.1.
    #[must_use]
    pub fn with_default_file(self, default_file: Option<PathBuf>) -> Self {
        match (&self.authorities, default_file) {
            (Authorities::Usual, Some(file)) => Self {
                mode: self.mode.with_authorities_file(),
                authorities: Authorities::File(file),
                client: self.client,
            },
            _ => self,
        }
    }
}

/// The address of a database. It may contain a password and therefore has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseAddress {
    /// Hosts, user, database and other parameters for the client library.
    pub config: Config,
    /// The TLS parameters of the connection.
    pub tls: TlsSettings,
}

/// The reason why an address is invalid. It contains no part of a value, because a value could be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressProblem {
    /// The text cannot be parsed.
    #[error(
        "it is not a PostgreSQL URL or connection string; expected something like postgres://user:password@host:port/database"
    )]
    Unreadable,
    /// The address names no host.
    #[error(
        "it names no host; expected something like postgres://user:password@host:port/database"
    )]
    NoHost,
    /// An unknown parameter.
    #[error("the parameter {0} is unknown; known are {known}", known = Self::KNOWN.join(", "))]
    UnknownParameter(String),
    /// A parameter with an invalid value.
    #[error("the parameter {name} has a value that it cannot have; expected {expected}")]
    BadValue {
        /// The name of the parameter.
        name: String,
        /// The allowed values.
        expected: &'static str,
    },
}

impl AddressProblem {
    /// The known parameters: those of the client library and of [`TlsSettings`].
    pub const KNOWN: [&str; 24] = [
        "host",
        "hostaddr",
        "port",
        "user",
        "password",
        "dbname",
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "sslnegotiation",
        "channel_binding",
        "application_name",
        "options",
        "connect_timeout",
        "tcp_user_timeout",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_retries",
        "target_session_attrs",
        "load_balance_hosts",
        "gssencmode",
        "client_encoding",
    ];
}

type Pairs = Vec<(String, String)>;

impl FromStr for DatabaseAddress {
    type Err = AddressProblem;

    fn from_str(text: &str) -> Result<Self, AddressProblem> {
        let text = text.trim();
        let is_url = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        let (base, pairs) = if is_url {
            let (base, query) = text.split_once('?').unwrap_or((text, ""));
            (base, url_pairs(query)?)
        } else {
            ("", key_values(text)?)
        };
        for (name, _) in &pairs {
            if !AddressProblem::KNOWN.contains(&name.as_str()) {
                return Err(AddressProblem::UnknownParameter(shown(name)));
            }
        }
        let tls = tls_settings(&pairs)?;
        let rest = pairs.iter().filter(|(name, _)| {
            ![
                "sslmode",
                "sslrootcert",
                "sslcert",
                "sslkey",
                "gssencmode",
                "client_encoding",
            ]
            .contains(&name.as_str())
        });
        let plain = if is_url {
            let encode = |text: &str| {
                percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                    .to_string()
            };
            let query: Vec<String> = rest
                .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
                .collect();
            format!("{base}?{}", query.join("&"))
        } else {
            let words: Vec<String> = rest
                .map(|(name, value)| {
                    let value = value.replace('\\', "\\\\").replace('\'', "\\'");
                    format!("{name}='{value}'")
                })
                .collect();
            words.join(" ")
        };
        let mut config: Config = plain
            .trim_end_matches('?')
            .parse()
            .map_err(|error| bad_value(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(AddressProblem::NoHost);
        }
        // As in libpq, a connection over a Unix socket is not encrypted.
        let local = !config.get_hosts().is_empty()
            && config
                .get_hosts()
                .iter()
                .all(|host| matches!(host, Host::Unix(_)));
        config.ssl_mode(match tls.mode {
            _ if local => SslMode::Disable,
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        });
        Ok(Self { config, tls })
    }
}

/// A parameter's name for a message. A text that cannot be a name is not shown, because it may be part of a password.
fn shown(name: &str) -> String {
    let is_name = name.len() <= 40
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_name { name } else { "(not shown)" }.to_owned()
}

/// Returns only the parameter's name from the library's message. Other parts of the message may quote a password.
fn bad_value(error: &tokio_postgres::Error) -> AddressProblem {
    let text = super::error::with_causes(error);
    let name = text
        .split_once("invalid value for option `")
        .and_then(|(_, rest)| rest.split_once('`'))
        .map(|(name, _)| name.to_owned());
    match name {
        Some(name) => AddressProblem::BadValue {
            name,
            expected: "a value that the PostgreSQL manual lists (section 34.1.2)",
        },
        None => AddressProblem::Unreadable,
    }
}

fn tls_settings(pairs: &Pairs) -> Result<TlsSettings, AddressProblem> {
    let value = |name: &str| {
        pairs
            .iter()
            .rev()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    };
    let bad = |name: &str, expected| {
        Err(AddressProblem::BadValue {
            name: name.to_owned(),
            expected,
        })
    };
    let authorities = match value("sslrootcert") {
        None => Authorities::Usual,
        Some("system") => Authorities::System,
        Some(file) => Authorities::File(file.into()),
    };
    let mode = match (value("sslmode"), &authorities) {
        (Some("disable"), _) => TlsMode::Disable,
        // As in libpq: the operating system's authorities sign for every host, so the name must be compared.
        (None, Authorities::System) => TlsMode::VerifyFull,
        (Some("allow" | "prefer" | "require" | "verify-ca"), Authorities::System) => {
            return bad("sslmode", "verify-full, or none, with sslrootcert=system");
        }
        // For `allow`, libpq first tries without TLS. Either kind of connection is acceptable then, so `allow` is
        // treated like `prefer`.
        (None | Some("allow" | "prefer"), _) => TlsMode::Prefer,
        (Some("require"), Authorities::File(_)) => TlsMode::Require.with_authorities_file(),
        // `TlsSettings::with_default_file` changes this to `verify-ca` if the default file exists.
        (Some("require"), _) => TlsMode::Require,
        (Some("verify-ca"), _) => TlsMode::VerifyCa,
        (Some("verify-full"), _) => TlsMode::VerifyFull,
        (Some(_), _) => {
            return bad(
                "sslmode",
                "disable, prefer, require, verify-ca or verify-full",
            );
        }
    };
    let client = match (value("sslcert"), value("sslkey")) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        (Some(_), None) => return bad("sslkey", "the file of the key that belongs to sslcert"),
        (None, Some(_)) => {
            return bad(
                "sslcert",
                "the file of the certificate that belongs to sslkey",
            );
        }
    };
    if value("gssencmode").is_some_and(|mode| mode == "require") {
        return bad(
            "gssencmode",
            "disable or prefer: GSSAPI encryption is not supported",
        );
    }
    if value("client_encoding")
        .is_some_and(|name| !["utf8", "utf-8", "auto"].contains(&&*name.to_lowercase()))
    {
        return bad("client_encoding", "UTF8");
    }
    Ok(TlsSettings {
        mode,
        authorities,
        client,
    })
}

fn url_pairs(query: &str) -> Result<Pairs, AddressProblem> {
    let decode = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| AddressProblem::Unreadable)
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or(AddressProblem::Unreadable)?;
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

/// Parses libpq's form: words `key = value`. A value with spaces is quoted with `'`; a quote or backslash is escaped
/// with `\\`.
fn key_values(text: &str) -> Result<Pairs, AddressProblem> {
    let mut pairs = Pairs::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(pairs);
        }
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != '=') {
            name.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if name.is_empty() || chars.next() != Some('=') {
            return Err(AddressProblem::Unreadable);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match chars.next() {
                Some('\\') => value.push(chars.next().ok_or(AddressProblem::Unreadable)?),
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some(c) => value.push(c),
                None if quoted => return Err(AddressProblem::Unreadable),
                None => break,
            }
        }
        pairs.push((name, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DatabaseAddress, AddressProblem> {
        text.parse()
    }

    #[test]
    fn url_and_key_value_form_have_the_same_tls_parameters() {
        use TlsMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
        for (parameters, mode) in [
            (&[][..], Prefer),
            (&[("sslmode", "disable")], Disable),
            (&[("sslmode", "prefer")], Prefer),
            (&[("sslmode", "require")], Require),
            (&[("sslmode", "verify-ca")], VerifyCa),
            (&[("sslmode", "verify-full")], VerifyFull),
            (
                &[("sslmode", "require"), ("sslrootcert", "/etc/my ca.crt")],
                VerifyCa,
            ),
            (&[("sslrootcert", "system")], VerifyFull),
            (
                &[
                    ("sslmode", "require"),
                    ("channel_binding", "require"),
                    ("gssencmode", "disable"),
                ],
                Require,
            ),
        ] {
            let query: Vec<String> = parameters
                .iter()
                .map(|(name, value)| {
                    format!("{name}={}", value.replace('/', "%2F").replace(' ', "%20"))
                })
                .collect();
            let words: Vec<String> = parameters
                .iter()
                .map(|(name, value)| format!("{name} = '{value}'"))
                .collect();
            let url = read(&format!(
                "postgres://me:p%40ss@db.example:5433/funds_db?{}",
                query.join("&")
            ));
            let line = read(&format!(
                "host=db.example port=5433 user=me password='p@ss' dbname=funds_db {}",
                words.join(" ")
            ));
            for address in [url, line] {
                let address = address.map_err(|problem| problem.to_string());
                let found = address.as_ref().map(|address| address.tls.mode);
                assert_eq!(found.as_ref(), Ok(&mode), "{parameters:?}");
                let password =
                    address.map(|address| address.config.get_password().map(<[u8]>::to_vec));
                assert_eq!(password, Ok(Some(b"p@ss".to_vec())), "{parameters:?}");
            }
        }
    }

    #[test]
    fn require_checks_the_certificate_if_the_default_file_of_authorities_exists() {
        use TlsMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
        let usual = PathBuf::from("/home/me/.postgresql/root.crt");
        let file = |path: &str| Authorities::File(path.into());
        for (parameters, exists, mode, authorities) in [
            ("sslmode=require", false, Require, Authorities::Usual),
            (
                "sslmode=require",
                true,
                VerifyCa,
                Authorities::File(usual.clone()),
            ),
            (
                "sslmode=require sslrootcert=/etc/ca.crt",
                true,
                VerifyCa,
                file("/etc/ca.crt"),
            ),
            (
                "sslmode=require sslrootcert=/etc/ca.crt",
                false,
                VerifyCa,
                file("/etc/ca.crt"),
            ),
            ("", true, Prefer, Authorities::File(usual.clone())),
            (
                "sslmode=disable",
                true,
                Disable,
                Authorities::File(usual.clone()),
            ),
            ("sslmode=verify-ca", false, VerifyCa, Authorities::Usual),
            (
                "sslmode=verify-full",
                true,
                VerifyFull,
                Authorities::File(usual.clone()),
            ),
            ("sslrootcert=system", true, VerifyFull, Authorities::System),
        ] {
            let default_file = exists.then(|| usual.clone());
            let tls = read(&format!("host=db.example {parameters}"))
                .map(|address| address.tls.with_default_file(default_file));
            let expected = TlsSettings {
                mode,
                authorities,
                client: None,
            };
            assert_eq!(tls, Ok(expected), "{parameters}, default file: {exists}");
        }
    }

    #[test]
    fn a_wrong_parameter_is_named_without_its_value() {
        for (text, named) in [
            (
                "postgres://me:hunter2@h/db?pgbouncer=true",
                "the parameter pgbouncer is unknown",
            ),
            (
                "postgres://me:hunter2@h/db?sslmod=require",
                "the parameter sslmod is unknown",
            ),
            (
                "host=h user=me password=hunter2 sslcrl=x",
                "the parameter sslcrl is unknown",
            ),
            (
                "postgres://me:hunter2@h/db?sslmode=always",
                "sslmode has a value that it cannot have; expected disable, prefer",
            ),
            (
                "host=h password=hunter2 port=abc",
                "port has a value that it cannot have",
            ),
            (
                "host=h password=hunter2 sslcert=/c.crt",
                "sslkey has a value",
            ),
            (
                "host=h password=hunter2 sslmode=require sslrootcert=system",
                "verify-full",
            ),
            ("user=me password=hunter2", "it names no host"),
            ("host=h password='hunter2", "not a PostgreSQL URL"),
            ("hunter2", "not a PostgreSQL URL"),
        ] {
            let problem = match read(text) {
                Ok(_) => "none".to_owned(),
                Err(problem) => problem.to_string(),
            };
            assert!(problem.contains(named), "{text}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn a_socket_of_this_machine_is_not_encrypted() {
        for (text, mode) in [
            (
                "host=/run/postgresql dbname=d sslmode=verify-full",
                SslMode::Disable,
            ),
            ("host=/run/postgresql dbname=d", SslMode::Disable),
            ("host=127.0.0.1 dbname=d sslmode=require", SslMode::Require),
        ] {
            let found = read(text).map(|address| address.config.get_ssl_mode());
            assert_eq!(found, Ok(mode), "{text}");
        }
    }
}
