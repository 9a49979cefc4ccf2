//! Parser of `POST /api/funds`: statistics of several codes in one answer, in any order. Codes that the SEC does not
//! know are missing.

use std::collections::BTreeMap;

use schema::columns::StatisticsFields;
use schema::{Dataset, FundCode, Number, ObservationData};

use crate::payload::breach;
use crate::payload::json::{self, Field};
use crate::site::{Breach, Reading};
use crate::sites::findings::{Findings, mixed_dates};
use crate::sites::sec_fundcheck::api_types::{FundStatistics, RecoveringPeriod, Wrapped};
use crate::sites::sec_fundcheck::contract::REQUIRED;
use crate::text::stated_date::{PageDates, StatedDate};
use crate::text::{name, number, period};

/// An answer with its elements by code.
pub struct ApiAnswer<'json> {
    by_code: BTreeMap<FundCode, Vec<Field<'json>>>,
    /// Elements without a code.
    nameless: Vec<Field<'json>>,
}

impl<'json> ApiAnswer<'json> {
    /// Sorts the elements of a document by code.
    ///
    /// # Errors
    /// The document is not an array, none of its elements has a code, or it mixes two forms of dates.
    pub fn read(document: &'json str) -> Result<Self, Breach> {
        let root = json::root(document)?;
        let array = if root.raw().starts_with('{') {
            match root.record::<Wrapped<'_>>() {
                Ok(Some(wrapped)) if wrapped.data.is_present() => wrapped.data,
                _ => return Err(root.breach("body", "an array of funds")),
            }
        } else {
            root
        };
        let Ok(Some(elements)) = array.elements() else {
            return Err(array.breach("body", "an array of funds"));
        };
        let mut answer = Self {
            by_code: BTreeMap::new(),
            nameless: Vec::new(),
        };
        let mut dates = PageDates::default();
        for element in elements {
            if let Some(stated) = date_of(element) {
                dates.take(stated);
            }
            match code_of(element) {
                Some(code) => answer.by_code.entry(code).or_default().push(element),
                None => answer.nameless.push(element),
            }
        }
        if let Some(mixture) = dates.mixture() {
            return Err(mixed_dates(&mixture));
        }
        match answer.nameless.first() {
            Some(nameless) if answer.by_code.is_empty() => {
                Err(nameless.breach("[].abbrName", "a fund code"))
            }
            _ => Ok(answer),
        }
    }

    /// The reading for one fund. A code that is missing in the answer is absent: the SEC does not know it.
    pub fn of_fund(&self, code: &FundCode, mut findings: Findings) -> Reading {
        let Some(elements) = self.by_code.get(code) else {
            // An element without a code may be this fund, so the fund cannot be called absent.
            return match self.nameless.first() {
                None => Reading::Absent,
                Some(nameless) => {
                    Reading::Broken(nameless.breach("[].abbrName", &format!("the code `{code}`")))
                }
            };
        };
        let [.., element] = elements.as_slice() else {
            return Reading::Absent;
        };
        if elements.len() > 1 {
            findings.note(
                Dataset::Statistics,
                "abbrName",
                "the code is answered twice: the later one counts",
                element.raw(),
            );
        }
        let fund: FundStatistics<'_> = match element.required("[]", "an object") {
            Ok(fund) => fund,
            Err(breach) => return Reading::Broken(breach),
        };
        let unsaid = fund.missing_keys();
        if let Some(required) = REQUIRED.iter().find(|key| unsaid.contains(key)) {
            let field = format!("[].{required}");
            return Reading::Broken(breach(
                &field,
                "the key, null where there is no value",
                "no such key",
            ));
        }
        if !unsaid.is_empty() {
            let reason = format!("the answer lacks {}: treated as missing", unsaid.join(", "));
            findings.note(Dataset::Statistics, "*", reason, element.raw());
        }
        let mut number = |field: &str, value: Field<'_>| -> Option<Number> {
            let read = value.quantity().and_then(number::believed);
            let quantity = findings.field(Dataset::Statistics, field, read, value.raw())?;
            Some(quantity.value)
        };
        let statistics = StatisticsFields {
            sharpe_ratio: number("sharpRatio", fund.sharp_ratio),
            alpha: number("alpha", fund.alpha),
            beta: number("beta", fund.beta),
            max_drawdown: number("maximumDrawdown", fund.maximum_drawdown),
            tracking_error: number("trackingError", fund.tracking_error),
            turnover_ratio: number("turnoverRatio", fund.turnover_ratio),
            fx_hedging: number("fxHedging", fund.fx_hedging),
            recovering_period: findings.field(
                Dataset::Statistics,
                "recoveringPeriod",
                recovering_days(fund.recovering_period),
                fund.recovering_period.raw(),
            ),
        };
        let as_of_date = findings.as_of(
            Dataset::Statistics,
            "representDate",
            fund.represent_date.date(),
            fund.represent_date.raw(),
        );
        if as_of_date.is_some() || statistics != StatisticsFields::default() {
            findings.say(as_of_date, ObservationData::Statistics(statistics));
        }
        findings.said()
    }
}

/// The date of an element, to detect a mixture of date forms in the answer.
fn date_of(element: Field<'_>) -> Option<StatedDate> {
    let fund = element.record::<FundStatistics<'_>>().ok()??;
    fund.represent_date.date().ok()?
}

/// The code of an element; `None` if it has none or an invalid one.
fn code_of(element: Field<'_>) -> Option<FundCode> {
    let Ok(Some(fund)) = element.record::<FundStatistics<'_>>() else {
        return None;
    };
    match fund.abbr_name.text() {
        Ok(Some(code)) => name::fund_code(&code).ok(),
        Ok(None) | Err(_) => None,
    }
}

/// A recovering period in days: from `{year, month, day}`, or from the text that the page shows.
fn recovering_days(field: Field<'_>) -> Result<Option<i32>, String> {
    if field.raw().starts_with('{') {
        let Some(parts) = field.record::<RecoveringPeriod<'_>>()? else {
            return Ok(None);
        };
        let [years, months, days] = [parts.year, parts.month, parts.day].map(count);
        return period::days(years?, months?, days?).ok_or_else(|| {
            breach(
                "recoveringPeriod",
                "years, months and days from 0",
                field.raw(),
            )
            .to_string()
        });
    }
    match field.text()? {
        None => Ok(None),
        Some(text) => period::read(&text).map_err(|error| error.to_string()),
    }
}

/// An integer; 0 if the part is missing.
fn count(field: Field<'_>) -> Result<i32, String> {
    match field.number()? {
        None => Ok(0),
        Some(number) => number
            .to_string()
            .parse()
            .map_err(|_| format!("expected a whole number, found `{number}`")),
    }
}
