//! Converts stored texts to the types of `schema`: fund codes, numbers and source names.

use schema::{FundCode, Number, SourceName};

use super::error::StoreError;

/// Parses a stored code. A failure means that the stored state is inconsistent.
pub(super) fn read_code(text: &str) -> Result<FundCode, StoreError> {
    FundCode::parse(text).map_err(|error| {
        StoreError::Inconsistent(format!("the stored fund code {text:?} is none: {error}"))
    })
}

pub(super) fn read_number(text: Option<String>) -> Result<Option<Number>, StoreError> {
    text.map(|text| {
        Number::parse(&text)
            .map_err(|error| StoreError::Inconsistent(format!("a stored number: {error}")))
    })
    .transpose()
}

pub(super) fn read_source(name: &str) -> Result<SourceName, StoreError> {
    name.parse()
        .map_err(|error| StoreError::Inconsistent(format!("a stored source name: {error}")))
}
