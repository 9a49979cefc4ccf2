//! The keys of the register: the first one is used until the register refuses it, then the next one.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::api_key::{ApiKey, SecretHeader};

/// The header of the key.
const HEADER: &str = "Ocp-Apim-Subscription-Key";

/// The keys, and which of them is used.
#[derive(Debug)]
pub struct Keys {
    keys: Vec<ApiKey>,
    used: AtomicUsize,
}

impl Keys {
    pub const fn new(keys: Vec<ApiKey>) -> Self {
        Self {
            keys,
            used: AtomicUsize::new(0),
        }
    }

    /// The header with the key that is used now; `None` without a key.
    pub fn header(&self) -> Option<SecretHeader> {
        let key = self.keys.get(self.used.load(Ordering::Relaxed))?;
        Some(SecretHeader {
            name: HEADER,
            value: key.clone(),
        })
    }

    /// Takes the next key after a refusal of the request with this header. Returns whether another key than the refused
    /// one is used now; several requests may be refused before the first refusal is known.
    pub fn take_next(&self, refused: Option<&SecretHeader>) -> bool {
        let used = self.used.load(Ordering::Relaxed);
        let is_newer = self
            .keys
            .get(used)
            .is_some_and(|key| refused.is_none_or(|refused| refused.value != *key));
        if is_newer {
            return true;
        }
        let next = used + 1;
        if next >= self.keys.len() {
            return false;
        }
        // Another refusal may have taken it at the same moment; then it is used already.
        let _ = self
            .used
            .compare_exchange(used, next, Ordering::Relaxed, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Keys {
        let keys = ["one", "two"].into_iter().take(count);
        Keys::new(keys.filter_map(ApiKey::of).collect())
    }

    #[test]
    fn a_refused_key_gives_way_to_the_next_one_once() {
        let keys = keys(2);
        let first = keys.header();
        assert!(keys.take_next(first.as_ref()), "the second key");
        let second = keys.header();
        assert_ne!(first, second);
        assert!(
            keys.take_next(first.as_ref()),
            "a late refusal of the first key changes nothing"
        );
        assert_eq!(keys.header(), second);
        assert!(!keys.take_next(second.as_ref()), "no third key");
    }

    #[test]
    fn a_single_key_has_no_successor() {
        let one = keys(1);
        assert!(!one.take_next(one.header().as_ref()));
        assert!(!keys(0).take_next(None));
    }

    #[test]
    fn a_key_is_never_shown() {
        let header = keys(1).header();
        assert!(!format!("{header:?}").contains("one"));
    }
}
