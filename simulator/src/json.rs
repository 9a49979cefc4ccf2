//! Writes JSON in the sites' spelling: keys in a fixed order, numbers as an exact text, bare `NaN` possible.

use std::fmt::{self, Display, Formatter};

/// A JSON value whose spelling the simulator controls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    /// A text that is written unchanged: a number in any spelling, `NaN`, `true`.
    Raw(String),
    Text(String),
    Null,
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    pub(crate) fn raw(text: impl Display) -> Self {
        Json::Raw(text.to_string())
    }

    pub(crate) fn text(text: impl Display) -> Self {
        Json::Text(text.to_string())
    }

    /// The text, or null.
    pub(crate) fn text_or_null(text: Option<impl Display>) -> Self {
        text.map_or(Json::Null, Json::text)
    }
}

impl Display for Json {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Json::Raw(text) => out.write_str(text),
            Json::Text(text) => write_text(out, text),
            Json::Null => out.write_str("null"),
            Json::List(items) => {
                out.write_str("[")?;
                for (place, item) in items.iter().enumerate() {
                    let comma = if place == 0 { "" } else { "," };
                    write!(out, "{comma}{item}")?;
                }
                out.write_str("]")
            }
            Json::Object(members) => {
                out.write_str("{")?;
                for (place, (key, value)) in members.iter().enumerate() {
                    let comma = if place == 0 { "" } else { "," };
                    write!(out, "{comma}\"{key}\":{value}")?;
                }
                out.write_str("}")
            }
        }
    }
}

fn write_text(out: &mut Formatter<'_>, text: &str) -> fmt::Result {
    out.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}
