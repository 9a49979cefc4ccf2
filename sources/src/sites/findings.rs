//! Collects what a parser finds on one page: observations, rejects and notes.

use jiff::civil::Date;
use schema::task::Severity;
use schema::{Dataset, FundCode, Number, Observation, ObservationData, Reject, SourceName};

use crate::payload::breach;
use crate::site::{Breach, ReadContext, Reading};
use crate::sites::plausible::{self, Believed, FeeColumn, FeeValue};
use crate::text::number::{FeeCell, Quantity, Unit};
use crate::text::stated_date::{PageDates, StatedDate};

/// The maximum number of notes kept per page. One more note has the number of the notes that are not kept.
const MAX_NOTES: usize = 1_000;
/// The maximum number of lost records per page. All of them are kept, because the contract is judged by their number
/// (D6). A page that loses more is broken. The longest real page, a NAV history, has about 6,000 days.
const MAX_LOST: usize = 10_000;
/// The maximum number of funds in a list of the market: ten times the real number. A longer list is broken or hostile,
/// and each of its entries would cause several requests.
pub const MAX_LISTED: usize = 50_000;

/// The breach of a list longer than [`MAX_LISTED`].
pub fn too_many_funds(field: &str, found: usize) -> Breach {
    breach(
        field,
        &format!("at most {MAX_LISTED} funds"),
        &found.to_string(),
    )
}

/// The breach of a page whose calendar dates and instants cannot be distinguished.
pub fn mixed_dates(mixture: &str) -> Breach {
    breach(
        "dates",
        "one way of writing them: midnight UTC for a calendar day, or instants",
        mixture,
    )
}

/// Collects the content of a page.
pub struct Findings {
    source: SourceName,
    fund_code: Option<FundCode>,
    url: String,
    believed: Believed,
    dates: PageDates,
    observations: Vec<Observation>,
    rejects: Vec<Reject>,
    /// Number of lost records, including those beyond [`MAX_LOST`].
    lost: usize,
    /// Number of notes, including those beyond [`MAX_NOTES`].
    notes: usize,
    /// Whether a date was rejected that a later cycle may accept (D12).
    refused_by_cycle_date: bool,
}

impl Findings {
    /// Starts the findings of a page about one fund. `url` becomes the `source_url` of the rows.
    pub fn of_fund(
        source: SourceName,
        fund_code: FundCode,
        url: String,
        context: &ReadContext,
    ) -> Self {
        Self {
            fund_code: Some(fund_code),
            ..Self::of_market(source, url, context)
        }
    }

    /// Starts the findings of a page about the whole market.
    pub fn of_market(source: SourceName, url: String, context: &ReadContext) -> Self {
        Self {
            source,
            fund_code: None,
            url,
            believed: Believed::in_cycle_of(context.cycle_date),
            dates: PageDates::default(),
            observations: Vec::new(),
            rejects: Vec::new(),
            lost: 0,
            notes: 0,
            refused_by_cycle_date: false,
        }
    }

    /// The fund of the page.
    pub const fn fund_code(&self) -> Option<&FundCode> {
        self.fund_code.as_ref()
    }

    /// Adds a statement about the page's fund.
    pub fn say(&mut self, as_of_date: Option<Date>, said: ObservationData) {
        if let Some(fund_code) = self.fund_code.clone() {
            self.say_of(fund_code, as_of_date, said);
        }
    }

    /// Adds a statement about a fund.
    pub fn say_of(&mut self, fund_code: FundCode, as_of_date: Option<Date>, said: ObservationData) {
        self.observations.push(Observation {
            fund_code,
            source: self.source,
            as_of_date,
            url: self.url.clone(),
            data: said,
        });
    }

    /// Adds a reject: a record or field that is not stored.
    pub fn reject(
        &mut self,
        dataset: Dataset,
        field: &str,
        reason: impl Into<String>,
        sample: &str,
    ) {
        let fund_code = self.fund_code.as_ref().map(ToString::to_string);
        self.push(
            fund_code,
            dataset,
            field,
            reason.into(),
            sample,
            Severity::Rejected,
        );
    }

    /// Adds a note: a remark about a stored record.
    pub fn note(&mut self, dataset: Dataset, field: &str, reason: impl Into<String>, sample: &str) {
        let fund_code = self.fund_code.as_ref().map(ToString::to_string);
        self.push(
            fund_code,
            dataset,
            field,
            reason.into(),
            sample,
            Severity::Noted,
        );
    }

    /// Like [`Findings::reject`] or [`Findings::note`], but about another fund than that of the page.
    pub fn push(
        &mut self,
        fund_code: Option<String>,
        dataset: Dataset,
        field: &str,
        reason: String,
        sample: &str,
        severity: Severity,
    ) {
        let (count, most) = match severity {
            Severity::Rejected => (&mut self.lost, MAX_LOST),
            Severity::Noted => (&mut self.notes, MAX_NOTES),
        };
        *count += 1;
        if *count > most {
            return;
        }
        self.rejects.push(Reject {
            fund_code: fund_code.map(|code| Reject::sample_of(&code)),
            dataset,
            field: field.to_owned(),
            reason,
            sample: Reject::sample_of(sample),
            severity,
        });
    }

    /// The value of a field. If it cannot be parsed, adds a reject: one bad field costs only itself (D6).
    pub fn field<T, E: ToString>(
        &mut self,
        dataset: Dataset,
        field: &str,
        read: Result<Option<T>, E>,
        sample: &str,
    ) -> Option<T> {
        match read {
            Ok(value) => value,
            Err(reason) => {
                self.reject(dataset, field, reason.to_string(), sample);
                None
            }
        }
    }

    /// A price or an amount of money. If it is not plausible, adds a reject.
    pub fn money(
        &mut self,
        dataset: Dataset,
        field: &str,
        read: Result<Option<Quantity>, String>,
        sample: &str,
    ) -> Option<Number> {
        let read = read.and_then(|quantity| quantity.map(plausible::money).transpose());
        self.field(dataset, field, read, sample)
    }

    /// The value of a fee cell for a column; `written_beside` are units beside the cell.
    pub fn fee(
        &mut self,
        dataset: Dataset,
        field: &str,
        cell: Result<FeeCell, String>,
        (column, written_beside): (FeeColumn, &[Option<Unit>]),
        sample: &str,
    ) -> Option<Number> {
        let cell = self.field(dataset, field, cell.map(Some), sample)?;
        match plausible::fee(cell, column, written_beside) {
            FeeValue::Is(value) => Some(value),
            FeeValue::NotSaid => None,
            FeeValue::Noted(reason) => {
                self.note(dataset, field, reason, sample);
                None
            }
            FeeValue::Refused(reason) => {
                self.reject(dataset, field, reason, sample);
                None
            }
        }
    }

    /// The date of a NAV or of prices. If it is not plausible, adds a reject.
    pub fn nav_day(
        &mut self,
        dataset: Dataset,
        field: &str,
        read: Result<Option<StatedDate>, String>,
        sample: &str,
    ) -> Option<Date> {
        let read = read.and_then(|stated| self.believed_nav_day(stated));
        self.field(dataset, field, read, sample)
    }

    /// The date of a NAV, for a page whose rejects name the fund of the record.
    ///
    /// # Errors
    /// The reason why the date is not plausible.
    pub fn believed_nav_day(&mut self, stated: Option<StatedDate>) -> Result<Option<Date>, String> {
        let Some(stated) = stated else {
            return Ok(None);
        };
        self.dates.take(stated);
        let day = self.believed.nav_day(stated);
        self.mark(stated, &day);
        day.map(Some)
    }

    /// The XD date or the payment date of a dividend. If it is not plausible, adds a reject.
    pub fn dividend_day(
        &mut self,
        field: &str,
        read: Result<Option<StatedDate>, String>,
        sample: &str,
    ) -> Option<Date> {
        let read = read.and_then(|stated| {
            let Some(stated) = stated else {
                return Ok(None);
            };
            self.dates.take(stated);
            let day = self.believed.dividend_day(stated);
            self.mark(stated, &day);
            day.map(Some)
        });
        self.field(Dataset::Dividends, field, read, sample)
    }

    /// An as-of date. If it cannot be parsed or is not plausible, it is left out with a note; the record is kept.
    pub fn as_of<E: ToString>(
        &mut self,
        dataset: Dataset,
        field: &str,
        read: Result<Option<StatedDate>, E>,
        sample: &str,
    ) -> Option<Date> {
        let read = match read {
            Ok(None) => return None,
            Ok(Some(stated)) => {
                self.dates.take(stated);
                let day = self.believed.as_of_day(stated);
                self.mark(stated, &day);
                day
            }
            Err(reason) => Err(reason.to_string()),
        };
        match read {
            Ok(day) => Some(day),
            Err(reason) => {
                self.note(
                    dataset,
                    field,
                    format!("{reason}; treated as missing"),
                    sample,
                );
                None
            }
        }
    }

    /// The inception date of a fund. A date that is not plausible is rejected, so that it replaces no good date.
    pub fn inception<E: ToString>(
        &mut self,
        field: &str,
        read: Result<Option<StatedDate>, E>,
        sample: &str,
    ) -> Option<Date> {
        let read = match read {
            Ok(None) => Ok(None),
            Ok(Some(stated)) => {
                self.dates.take(stated);
                let day = self.believed.inception(stated);
                self.mark(stated, &day);
                day.map(Some)
            }
            Err(reason) => Err(reason.to_string()),
        };
        self.field(Dataset::Master, field, read, sample)
    }

    /// Records whether a rejection depends on the cycle date: a later cycle may accept the same date.
    fn mark(&mut self, stated: StatedDate, day: &Result<Date, String>) {
        self.refused_by_cycle_date |= day.is_err() && self.believed.depends_on_cycle(stated);
    }

    /// Adds a date that was parsed earlier on the same page, so that a mixture with the later dates is detected.
    pub fn seen_before(&mut self, stated: StatedDate) {
        self.dates.take(stated);
    }

    /// Returns the parsed page.
    pub fn said(mut self) -> Reading {
        if let Some(mixture) = self.dates.mixture() {
            return Reading::Broken(mixed_dates(&mixture));
        }
        if self.lost > MAX_LOST {
            return Reading::Broken(breach(
                "*",
                &format!("at most {MAX_LOST} records that cannot be read"),
                &self.lost.to_string(),
            ));
        }
        let more = self.notes.saturating_sub(MAX_NOTES);
        let last = self
            .rejects
            .iter()
            .rev()
            .find(|one| one.severity == Severity::Noted);
        if let (1.., Some(last)) = (more, last) {
            let reason = format!(
                "{more} more notes of this page are not kept; the last one kept: {}",
                last.reason
            );
            self.rejects.push(Reject {
                reason,
                ..last.clone()
            });
        }
        Reading::Observed {
            observations: self.observations,
            rejects: self.rejects,
            refused_by_cycle_date: self.refused_by_cycle_date,
        }
    }

    /// Returns the parsed page; broken with `silence` if the page has neither an observation nor a reject (D7).
    pub fn into_reading_unless_silent(self, silence: Breach) -> Reading {
        if self.observations.is_empty() && self.rejects.is_empty() {
            Reading::Broken(silence)
        } else {
            self.said()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::thai_date;

    fn read(lost: usize, notes: usize) -> Reading {
        let context = ReadContext {
            cycle_date: jiff::civil::date(2026, 10, 15),
        };
        let mut findings = Findings::of_market(SourceName::Finnomena, String::new(), &context);
        for _ in 0..notes {
            findings.note(Dataset::Daily, "date", "reported twice", "");
        }
        for _ in 0..lost {
            findings.reject(Dataset::Daily, "value", "no number", "");
        }
        findings.said()
    }

    #[test]
    fn d6_no_number_of_notes_hides_a_lost_record_and_none_is_lost_uncounted() {
        let Reading::Observed { rejects, .. } = read(5_000, 3_000) else {
            panic!("a page that lost fewer than may be lost");
        };
        let counted = |severity| {
            rejects
                .iter()
                .filter(|one| one.severity == severity)
                .count()
        };
        assert_eq!(counted(Severity::Rejected), 5_000);
        assert_eq!(counted(Severity::Noted), MAX_NOTES + 1);
        assert!(
            rejects
                .iter()
                .any(|one| one.reason.starts_with("2000 more notes"))
        );
        assert!(matches!(read(MAX_LOST, 0), Reading::Observed { .. }));
        assert!(matches!(read(MAX_LOST + 1, 0), Reading::Broken(_)));
    }
    /// D12: a rejection that depends on the cycle date is marked, because a later cycle accepts the date. A rejection
    /// that depends only on the payload is not.
    #[test]
    fn only_a_refusal_by_the_cycle_date_is_marked() {
        let context = ReadContext {
            cycle_date: jiff::civil::date(2026, 10, 15),
        };
        type Read = Result<Option<StatedDate>, String>;
        let marked = |take: &dyn Fn(&mut Findings, Read), text: &str| {
            let mut findings = Findings::of_market(SourceName::Finnomena, String::new(), &context);
            take(
                &mut findings,
                thai_date::read(text).map_err(|error| error.to_string()),
            );
            match findings.said() {
                Reading::Observed {
                    refused_by_cycle_date,
                    ..
                } => refused_by_cycle_date,
                other => panic!("{other:?}"),
            }
        };
        let as_of = |findings: &mut Findings, read: Result<Option<StatedDate>, String>| {
            findings.as_of(Dataset::Statistics, "as_of", read, "");
        };
        let inception = |findings: &mut Findings, read: Result<Option<StatedDate>, String>| {
            findings.inception("inception_date", read, "");
        };
        let nav = |findings: &mut Findings, read: Result<Option<StatedDate>, String>| {
            findings.nav_day(Dataset::Daily, "date", read, "");
        };
        for (text, by_as_of, by_inception, by_nav) in [
            ("01/01/2570", true, false, true),
            ("16/10/2569", false, false, true),
            ("15/10/2569", false, false, false),
            ("01/01/2571", true, true, true),
            ("01/01/2443", false, false, false),
            ("no date", false, false, false),
        ] {
            assert_eq!(marked(&as_of, text), by_as_of, "as-of {text}");
            assert_eq!(marked(&inception, text), by_inception, "inception {text}");
            assert_eq!(marked(&nav, text), by_nav, "NAV {text}");
        }
    }
}
