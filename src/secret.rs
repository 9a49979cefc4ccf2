//! Hides the password of the database address in everything that is displayed (O5): [`DatabaseUrl`] shows the address
//! without it, [`without_passwords`] removes passwords from texts. `src/cli.rs` reads the address from `DATABASE_URL`.

use std::fmt;
use std::str::FromStr;

use store::{AddressProblem, DatabaseAddress};

/// The address of a database, which may contain a password. Its displayed form contains only user, host, port and
/// database.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    text: String,
    shown: String,
}

impl DatabaseUrl {
    /// Returns the whole address, with the password. Only the database client may receive it; never display it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl FromStr for DatabaseUrl {
    type Err = AddressProblem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let config = DatabaseAddress::from_str(text)?.config;
        let hosts: Vec<String> = config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| {
                let host = match host {
                    tokio_postgres::config::Host::Tcp(name) => name.clone(),
                    tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
                };
                let port = config.get_ports().get(at).or(config.get_ports().first());
                port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
            })
            .collect();
        let user = config
            .get_user()
            .map(|user| format!("{user}@"))
            .unwrap_or_default();
        let database = config
            .get_dbname()
            .map(|name| format!("/{name}"))
            .unwrap_or_default();
        Ok(Self {
            text: text.to_owned(),
            shown: format!("postgres://{user}{}{database}", hosts.join(",")),
        })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Removes passwords from a text for display, in `…://user:password@…` and `password=…`.
#[must_use]
pub fn without_passwords(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        safe.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || c == '"')
            .unwrap_or(after.len());
        // A password may contain `@` and `/`, so the last `@` ends it.
        rest = match after[..end].rfind('@') {
            Some(host) => {
                let user = after[..host].split(':').next().unwrap_or_default();
                safe.push_str(user);
                &after[host..]
            }
            // Without `@` there is no password, and the text does not need to be searched again.
            None => {
                safe.push_str(&after[..end]);
                &after[end..]
            }
        };
    }
    safe.push_str(rest);
    let mut words: Vec<&str> = Vec::new();
    let mut hidden = false;
    for word in safe.split(' ') {
        match word.find("password=") {
            Some(at) => {
                words.push(&word[..at + "password=".len()]);
                hidden = true;
            }
            None => words.push(word),
        }
    }
    if hidden { words.join(" ") } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (text, shown) in [
            (
                "postgres://me:hunter2@db.example:5433/funds_db",
                "postgres://me@db.example:5433/funds_db",
            ),
            (
                "postgresql://me@localhost/funds_db",
                "postgres://me@localhost:5432/funds_db",
            ),
            (
                "host=/run/pg user=me password=hunter2 dbname=funds_db",
                "postgres://me@/run/pg/funds_db",
            ),
        ] {
            let url: DatabaseUrl = text.parse().expect("an address");
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
            assert_eq!(url.expose(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_shown() {
        for text in [
            "",
            "funds_db",
            "mysql://me:hunter2@host/db",
            "postgres://me@host:port/hunter2",
        ] {
            if let Err(error) = text.parse::<DatabaseUrl>() {
                assert!(!error.to_string().contains("hunter2"));
            } else {
                panic!("{text:?} was taken");
            }
        }
    }

    #[test]
    fn a_text_full_of_addresses_is_read_once() {
        let text = "://x".repeat(250_000);
        let started = std::time::Instant::now();
        assert_eq!(without_passwords(&text), text);
        assert!(started.elapsed() < std::time::Duration::from_secs(10));
    }

    #[test]
    fn no_text_shows_a_password() {
        for (text, safe) in [
            ("no secret here", "no secret here"),
            (
                "found \"postgres://me:hunter2@h/db\" instead",
                "found \"postgres://me@h/db\" instead",
            ),
            ("postgres://me:hun@ter/2@h/db", "postgres://me@h/db"),
            (
                "http://a/b and http://me:hunter2@c",
                "http://a/b and http://me@c",
            ),
            (
                "host=h password=hunter2 user=me",
                "host=h password= user=me",
            ),
        ] {
            assert_eq!(without_passwords(text), safe);
        }
    }
}
