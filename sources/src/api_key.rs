//! The key of a source that demands one. It is never shown.

use std::fmt;

/// A key. `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key from the environment; `None` if it is empty or has characters that no HTTP header may have.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (!text.is_empty() && is_visible).then(|| Self(text.to_owned()))
    }

    /// The key itself, for the request that carries it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

/// A header whose value is a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretHeader {
    /// The name of the header.
    pub name: &'static str,
    /// Its value.
    pub value: ApiKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_visible_word_and_is_not_shown() {
        let key = ApiKey::of(" abc123\n").expect("a key");
        assert_eq!(key.expose(), "abc123");
        assert_eq!(format!("{key:?}"), "ApiKey(hidden)");
        for text in ["", "  ", "a b", "a\u{7f}b", "กข"] {
            assert_eq!(ApiKey::of(text), None, "{text:?}");
        }
    }
}
