//! The key `precedence` of `runner.ron`: a map from a table or `table.column` to the names of sources.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::Word;

/// The entries in the order of the file. An entry that appears twice is kept, so that it is reported with all other
/// wrong values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrecedenceConfig(pub Vec<(String, Vec<Word>)>);

impl<'de> Deserialize<'de> for PrecedenceConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = PrecedenceConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{\"table\": [\"source\", …], \"table.column\": […]}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(PrecedenceConfig(entries))
    }
}
