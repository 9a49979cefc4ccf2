//! The key `sources` of `runner.ron`. The keys of each source and their defaults come from its [`SourceSpec`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

use schema::SourceName;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use sources::sites::SPECS;
use sources::source_spec::SourceSpec;

use super::Word;

/// The sources, by name. Every source of [`SPECS`] has an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct SourcesConfig(pub BTreeMap<SourceName, SourceConfig>);

/// The keys of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// Whether this source is requested at all.
    pub enabled: bool,
    /// Scheme, host name and port of each host, in the order of [`SourceSpec::hosts`].
    pub hosts: Vec<String>,
    /// The environment variables with the keys of a source that demands one: the one that is used first, and the one
    /// that is used if the first is refused.
    pub key_envs: [String; 2],
    /// `Auto`, `Http` or `Browser`.
    pub transport: Word,
    /// Maximum mean request rate, per host.
    pub requests_per_sec: f64,
    /// Maximum number of concurrent requests, per host.
    pub concurrent_requests: i64,
    /// Largest number of pages of histories in a cycle, for a source that has them.
    pub history_pages: i64,
    /// Other hosts whose factsheets may be fetched.
    pub factsheet_hosts: Vec<String>,
}

impl SourceConfig {
    /// The defaults of a source.
    fn default_of(spec: &SourceSpec) -> Self {
        let owned = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
        Self {
            enabled: true,
            hosts: spec
                .hosts
                .iter()
                .map(|host| host.default.to_owned())
                .collect(),
            key_envs: spec
                .api_key
                .map_or([""; 2], |key| [key.primary, key.secondary])
                .map(str::to_owned),
            transport: Word::new(if spec.has_browser_pages {
                "Auto"
            } else {
                "Http"
            }),
            requests_per_sec: spec.requests_per_sec,
            concurrent_requests: spec.concurrent_requests.into(),
            history_pages: spec.history_pages.map_or(0, i64::from),
            factsheet_hosts: spec.factsheet_hosts.map(owned).unwrap_or_default(),
        }
    }
}

impl Default for SourcesConfig {
    fn default() -> Self {
        let defaults = SPECS
            .iter()
            .map(|spec| (spec.name, SourceConfig::default_of(spec)));
        Self(defaults.collect())
    }
}

/// The allowed keys of each source, and those of `sources` itself.
struct Keys {
    sources: Vec<&'static str>,
    of_source: BTreeMap<SourceName, Vec<&'static str>>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    sources: SPECS.iter().map(|spec| spec.name.as_str()).collect(),
    of_source: SPECS
        .iter()
        .map(|spec| (spec.name, spec.keys().collect()))
        .collect(),
});

impl<'de> Deserialize<'de> for SourcesConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("SourcesConfig", &KEYS.sources, SourcesVisitor)
    }
}

struct SourcesVisitor;

impl<'de> Visitor<'de> for SourcesVisitor {
    type Value = SourcesConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sources, by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut config = SourcesConfig::default();
        let mut keys = KeysOnce::new(&KEYS.sources);
        while let Some(key) = keys.next(&mut map)? {
            let Some(spec) = SPECS.iter().find(|spec| spec.name.as_str() == key) else {
                continue;
            };
            config
                .0
                .insert(spec.name, map.next_value_seed(SourceSeed(spec))?);
        }
        Ok(config)
    }
}

/// Reads the keys of one source.
struct SourceSeed(&'static SourceSpec);

impl SourceSeed {
    fn keys(&self) -> &'static [&'static str] {
        KEYS.of_source.get(&self.0.name).map_or(&[], Vec::as_slice)
    }
}

impl<'de> DeserializeSeed<'de> for SourceSeed {
    type Value = SourceConfig;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_struct("SourceConfig", self.keys(), self)
    }
}

impl<'de> Visitor<'de> for SourceSeed {
    type Value = SourceConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the keys of {}", self.0.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut config = SourceConfig::default_of(self.0);
        let mut keys = KeysOnce::new(self.keys());
        while let Some(key) = keys.next(&mut map)? {
            let host = self.0.hosts.iter().position(|host| host.key == key);
            if let Some(host) = host.and_then(|at| config.hosts.get_mut(at)) {
                *host = map.next_value()?;
                continue;
            }
            match key {
                "enabled" => config.enabled = map.next_value()?,
                "key_env" => config.key_envs[0] = map.next_value()?,
                "secondary_key_env" => config.key_envs[1] = map.next_value()?,
                "transport" => config.transport = map.next_value()?,
                "requests_per_sec" => config.requests_per_sec = map.next_value()?,
                "concurrent_requests" => config.concurrent_requests = map.next_value()?,
                "history_pages" => config.history_pages = map.next_value()?,
                "factsheet_hosts" => config.factsheet_hosts = map.next_value()?,
                other => return Err(A::Error::custom(format!("`{other}` has no reader"))),
            }
        }
        Ok(config)
    }
}

/// Reads keys, each of which is allowed and appears once.
struct KeysOnce {
    allowed: &'static [&'static str],
    read: BTreeSet<&'static str>,
}

impl KeysOnce {
    const fn new(allowed: &'static [&'static str]) -> Self {
        Self {
            allowed,
            read: BTreeSet::new(),
        }
    }

    fn next<'de, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
    ) -> Result<Option<&'static str>, A::Error> {
        let Some(key) = map.next_key_seed(KeySeed(self.allowed))? else {
            return Ok(None);
        };
        if !self.read.insert(key) {
            return Err(A::Error::duplicate_field(key));
        }
        Ok(Some(key))
    }
}

struct KeySeed(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {}", self.0.join(", "))
    }

    fn visit_str<E: serde::de::Error>(self, found: &str) -> Result<Self::Value, E> {
        let key = self.0.iter().find(|allowed| **allowed == found);
        key.copied().ok_or_else(|| E::unknown_field(found, self.0))
    }
}
