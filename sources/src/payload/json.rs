//! Access to JSON by its text (D5). Every value keeps its original text until the rule of its field parses it. Every
//! element of an array is parsed separately, so that a bad record makes no other record unreadable (D6).

use std::borrow::Cow;
use std::fmt;

use schema::Number;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::payload::{bare_nan, breach, text_of};
use crate::site::Breach;
use crate::text::number::{self, FeeCell, Quantity};
use crate::text::stated_date::StatedDate;
use crate::text::{excerpt, thai_date};

/// The maximum number of elements of one array; more means a hostile or broken answer.
pub const MAX_ELEMENTS: usize = 500_000;

/// The text of a JSON body, repaired by [`bare_nan::made_lawful`].
///
/// # Errors
/// The body is not UTF-8.
pub fn document(body: &[u8]) -> Result<Cow<'_, str>, Breach> {
    text_of(body).map(bare_nan::made_lawful)
}

/// The outermost value of a document.
///
/// # Errors
/// The text is not one JSON value.
pub fn root(document: &str) -> Result<Field<'_>, Breach> {
    serde_json::from_str::<&RawValue>(document)
        .map(|raw| Field(Some(raw.get())))
        .map_err(|error| Breach {
            field: "body".to_owned(),
            expected: "JSON".to_owned(),
            found: format!("`{}` ({error})", excerpt(document.trim())),
        })
}

/// One field of a record as its original text. The default is a missing key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Field<'json>(Option<&'json str>);

impl<'de: 'json, 'json> Deserialize<'de> for Field<'json> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'de RawValue>::deserialize(deserializer).map(|raw| Self(Some(raw.get())))
    }
}

/// The elements of an array, at most [`MAX_ELEMENTS`].
struct Elements<'json>(Vec<Field<'json>>);

impl<'de: 'json, 'json> Deserialize<'de> for Elements<'json> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Gather;

        impl<'de> Visitor<'de> for Gather {
            type Value = Vec<Field<'de>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an array of at most {MAX_ELEMENTS} elements")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = array.next_element()? {
                    if elements.len() == MAX_ELEMENTS {
                        return Err(A::Error::custom(format!(
                            "expected at most {MAX_ELEMENTS} elements, found more"
                        )));
                    }
                    elements.push(element);
                }
                Ok(elements)
            }
        }

        deserializer.deserialize_seq(Gather).map(Self)
    }
}

impl<'json> Field<'json> {
    /// The field with this text.
    #[must_use]
    pub fn of(raw: &'json RawValue) -> Self {
        Self(Some(raw.get()))
    }

    /// Whether the key is present, whatever its value.
    #[must_use]
    pub const fn is_present(self) -> bool {
        self.0.is_some()
    }

    /// Whether the key is present with the value `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0 == Some("null")
    }

    /// The original text, for samples; empty for a missing key.
    #[must_use]
    pub fn raw(self) -> &'json str {
        self.0.unwrap_or("")
    }

    /// The text of the value; `None` for `null` and for a missing key.
    fn said(self) -> Option<&'json str> {
        self.0.filter(|raw| *raw != "null")
    }

    /// A string. A number is accepted as its original text.
    ///
    /// # Errors
    /// Any other type, or invalid escapes.
    pub fn text(self) -> Result<Option<String>, String> {
        let Some(raw) = self.said() else {
            return Ok(None);
        };
        match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw)
                .map(Some)
                .map_err(|error| format!("expected text: {error}")),
            Some(b'-' | b'0'..=b'9') => Ok(Some(raw.to_owned())),
            _ => Err(format!("expected text, found `{}`", excerpt(raw))),
        }
    }

    /// A number, or a string that contains one.
    ///
    /// # Errors
    /// Any other type, or a string that is not a number.
    pub fn quantity(self) -> Result<Option<Quantity>, String> {
        let Some(raw) = self.said() else {
            return Ok(None);
        };
        match raw.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => Number::parse(raw)
                .map(|value| Some(Quantity { value, unit: None }))
                .map_err(|error| error.to_string()),
            Some(b'"') => number::read(&unquoted(raw)?).map_err(|error| error.to_string()),
            _ => Err(not_a_number(raw)),
        }
    }

    /// A fee or minimum cell, by the rules of [`number::read_fee`].
    ///
    /// # Errors
    /// As [`Field::quantity`].
    pub fn fee_cell(self) -> Result<FeeCell, String> {
        let read = |text: &str| number::read_fee(text).map_err(|error| error.to_string());
        match self.said().map(|raw| (raw, raw.as_bytes().first())) {
            None => Ok(FeeCell::NotSaid),
            Some((raw, Some(b'-' | b'0'..=b'9'))) => read(raw),
            Some((raw, Some(b'"'))) => read(&unquoted(raw)?),
            Some((raw, _)) => Err(not_a_number(raw)),
        }
    }

    /// The value of [`Field::quantity`].
    ///
    /// # Errors
    /// As [`Field::quantity`].
    pub fn number(self) -> Result<Option<Number>, String> {
        Ok(self.quantity()?.map(|quantity| quantity.value))
    }

    /// A boolean; 0 and 1, as number or string, are accepted.
    ///
    /// # Errors
    /// Anything else.
    pub fn flag(self) -> Result<Option<bool>, String> {
        match self
            .said()
            .map(|raw| raw.trim_matches('"').to_ascii_lowercase())
            .as_deref()
        {
            None | Some("" | "null") => Ok(None),
            Some("true" | "1" | "yes" | "y") => Ok(Some(true)),
            Some("false" | "0" | "no" | "n") => Ok(Some(false)),
            Some(other) => Err(format!(
                "expected true or false, found `{}`",
                excerpt(other)
            )),
        }
    }

    /// A calendar date.
    ///
    /// # Errors
    /// The value is not a date.
    pub fn date(self) -> Result<Option<StatedDate>, String> {
        let read = |text: &str| thai_date::read(text).map_err(|error| error.to_string());
        if let Some(text) = self.said().and_then(as_it_stands) {
            return read(text);
        }
        match self.text()? {
            None => Ok(None),
            Some(text) => read(&text),
        }
    }

    /// The elements of an array, each as a separate field; `None` for `null` and for a missing key.
    ///
    /// # Errors
    /// Not an array, or more than [`MAX_ELEMENTS`] elements; further elements are not collected.
    pub fn elements(self) -> Result<Option<Vec<Field<'json>>>, String> {
        let Some(raw) = self.said() else {
            return Ok(None);
        };
        if !raw.starts_with('[') {
            return Err(format!("expected an array, found `{}`", excerpt(raw)));
        }
        serde_json::from_str(raw)
            .map(|Elements(elements)| Some(elements))
            .map_err(|error| error.to_string())
    }

    /// A required record.
    ///
    /// # Errors
    /// The breach of `field`, with the reason: the value is not an object, or it contains a key twice.
    pub fn required<T: Deserialize<'json>>(self, field: &str, expected: &str) -> Result<T, Breach> {
        match self.record() {
            Ok(Some(record)) => Ok(record),
            Ok(None) => Err(self.breach(field, expected)),
            Err(reason) => Err(breach(field, expected, &reason)),
        }
    }

    /// A record; `None` for `null` and for a missing key.
    ///
    /// # Errors
    /// The value is not an object, or it contains a key twice.
    pub fn record<T: Deserialize<'json>>(self) -> Result<Option<T>, String> {
        let Some(raw) = self.said() else {
            return Ok(None);
        };
        // Without this check an array would be parsed as a record by position.
        if !raw.starts_with('{') {
            return Err(format!("expected an object, found `{}`", excerpt(raw)));
        }
        serde_json::from_str(raw)
            .map(Some)
            .map_err(|error| error.to_string())
    }

    /// The breach of `field`, with what was expected and the field's text.
    #[must_use]
    pub fn breach(self, field: &str, expected: &str) -> Breach {
        if self.is_present() {
            breach(field, expected, self.raw())
        } else {
            breach(field, expected, "no such key")
        }
    }
}

/// The text of a JSON string that should contain a number.
fn unquoted(raw: &str) -> Result<String, String> {
    serde_json::from_str(raw).map_err(|error| format!("expected a number: {error}"))
}

fn not_a_number(raw: &str) -> String {
    format!("expected a number, found `{}`", excerpt(raw))
}

/// The text of a JSON string without escapes.
fn as_it_stands(raw: &str) -> Option<&str> {
    let text = raw.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(raw: &str) -> Field<'_> {
        Field(Some(raw))
    }

    #[test]
    fn a_field_of_another_type_is_read_where_it_is_unambiguous() {
        let number = |raw| field(raw).number().map(|n| n.map(|n| n.to_string()));
        assert_eq!(number("12.3400"), Ok(Some("12.34".to_owned())));
        assert_eq!(number("1e3"), Ok(Some("1000".to_owned())));
        assert_eq!(number("\"1,234.5\""), Ok(Some("1234.5".to_owned())));
        assert_eq!(
            number("0.1234567890123456789"),
            Ok(Some("0.123456789".to_owned()))
        );
        assert_eq!(number("\"NaN\""), Ok(None));
        assert_eq!(number("null"), Ok(None));
        assert!(number("true").is_err());
        assert!(number("{}").is_err());
        assert_eq!(field("007").text(), Ok(Some("007".to_owned())));
        assert_eq!(field(r#""\u0e01A""#).text(), Ok(Some("กA".to_owned())));
        assert!(field(r#""\ud800""#).text().is_err());
        for (raw, flag) in [
            ("true", true),
            ("1", true),
            ("\"1\"", true),
            ("0", false),
            ("\"false\"", false),
        ] {
            assert_eq!(field(raw).flag(), Ok(Some(flag)));
        }
        assert_eq!(field("null").flag(), Ok(None));
        assert!(field("2").flag().is_err());
        assert_eq!(
            field("20260212")
                .date()
                .ok()
                .flatten()
                .map(StatedDate::date),
            Some(jiff::civil::date(2026, 2, 12))
        );
    }

    #[test]
    fn the_marker_999999_is_no_fee_in_any_spelling() {
        for raw in [
            "999999",
            "999999.00",
            "\"999999\"",
            "\"999,999.00\"",
            "9.99999e5",
        ] {
            assert_eq!(field(raw).fee_cell(), Ok(FeeCell::NotSaid), "{raw}");
        }
    }

    #[test]
    fn a_deep_document_is_refused_without_a_stack_overflow() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        if let Ok(root) = root(&deep) {
            assert!(
                root.record::<std::collections::BTreeMap<String, Field<'_>>>()
                    .is_err()
            );
            assert!(
                root.elements()
                    .is_ok_and(|elements| elements.is_some_and(|e| e.len() == 1))
            );
        }
    }

    #[test]
    fn an_array_is_gathered_up_to_its_bound_and_no_further() {
        let array = |elements: usize| format!("[{}0]", "0,".repeat(elements - 1));
        let most = array(MAX_ELEMENTS);
        assert!(
            field(&most)
                .elements()
                .is_ok_and(|all| all.is_some_and(|all| all.len() == MAX_ELEMENTS))
        );
        let too_many = array(MAX_ELEMENTS + 1);
        let refused = field(&too_many).elements();
        assert!(refused.is_err_and(|why| why.contains("at most 500000 elements")));
    }

    #[test]
    fn a_duplicate_key_is_named() {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Twice<'json> {
            #[serde(borrow)]
            _name: Field<'json>,
        }
        let breach = field(r#"{"_name":1,"_name":2}"#).required::<Twice<'_>>("data", "an object");
        assert!(breach.is_err_and(|breach| breach.found.contains("duplicate field `_name`")));
    }

    #[test]
    fn invalid_utf_8_is_a_breach_and_a_byte_order_mark_is_not() {
        assert!(document(b"{\"a\":\"\xff\"}").is_err());
        assert_eq!(document(b"\xef\xbb\xbf[1]").as_deref(), Ok("[1]"));
    }
}
