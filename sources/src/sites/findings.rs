//! What a parser gathers from one page for one fund: observations, and what could not be read.

use jiff::ToSpan;
use jiff::civil::{Date, date};
use schema::task::Severity;
use schema::{Dataset, FundCode, Observation, Reject, Said, SourceName};

use crate::payload::breach;
use crate::site::{Breach, ReadContext, Reading};

/// How many days after the cycle's date a date is still believed (D9's "one date in 2099 blocks all later days").
const DAYS_AHEAD: i64 = 31;

/// How many days after the cycle's date a fund may still be to begin.
const INCEPTION_DAYS_AHEAD: i64 = 366;
/// No Thai fund is older.
const EARLIEST_INCEPTION: Date = date(1960, 1, 1);
/// Most notes kept of one page; the rest is counted in one more.
const MAX_NOTES: usize = 1_000;
/// Most records of one page that may be lost. Each of them is kept, since by their number the contract is judged (D6); a
/// page that loses more is no page of its kind. The longest real one, a NAV history, has some 6,000 days.
const MAX_LOST: usize = 10_000;
/// Most funds that a list of the market may have: ten times what there are. A longer one is broken or hostile, and each
/// of its entries would be some pages to ask.
pub const MAX_LISTED: usize = 50_000;

/// A list beyond [`MAX_LISTED`].
pub fn too_many_funds(field: &str, found: usize) -> Breach {
    breach(
        field,
        &format!("at most {MAX_LISTED} funds"),
        &found.to_string(),
    )
}

/// Gathers what a page says of one fund.
pub struct Findings {
    source: SourceName,
    fund_code: Option<FundCode>,
    url: String,
    latest_believed: Option<Date>,
    observations: Vec<Observation>,
    rejects: Vec<Reject>,
    /// Records lost, those beyond [`MAX_LOST`] too.
    lost: usize,
    /// Notes, those beyond [`MAX_NOTES`] too.
    notes: usize,
    earliest_refused_inception: Option<Date>,
    refused_by_cycle_date: bool,
}

impl Findings {
    /// For one fund; `url` is what `source_url` will show.
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

    /// For a page that speaks for the whole market.
    pub fn of_market(source: SourceName, url: String, context: &ReadContext) -> Self {
        Self {
            source,
            fund_code: None,
            url,
            // A cycle at the end of the calendar bounds nothing.
            latest_believed: context.cycle_date.checked_add(DAYS_AHEAD.days()).ok(),
            observations: Vec::new(),
            rejects: Vec::new(),
            lost: 0,
            notes: 0,
            earliest_refused_inception: context
                .cycle_date
                .checked_add(INCEPTION_DAYS_AHEAD.days())
                .ok(),
            refused_by_cycle_date: false,
        }
    }

    /// The fund the page is about.
    pub const fn fund_code(&self) -> Option<&FundCode> {
        self.fund_code.as_ref()
    }

    /// Takes a statement about the page's fund.
    pub fn say(&mut self, as_of_date: Option<Date>, said: Said) {
        if let Some(fund_code) = self.fund_code.clone() {
            self.say_of(fund_code, as_of_date, said);
        }
    }

    /// Takes a statement about a fund.
    pub fn say_of(&mut self, fund_code: FundCode, as_of_date: Option<Date>, said: Said) {
        self.observations.push(Observation {
            fund_code,
            source: self.source,
            as_of_date,
            url: self.url.clone(),
            said,
        });
    }

    /// Notes that a record or field was not taken.
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

    /// Notes something worth knowing about what was taken.
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

    /// As [`Findings::reject`] or [`Findings::note`], of another fund than the page's.
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

    /// The value of a field, or a reject in its place: one bad field costs itself (D6).
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

    /// Whether a NAV or as-of date can be believed. Records a refusal that the cycle's date decides.
    pub fn believes(&mut self, day: Date) -> bool {
        let too_late = self.latest_believed.is_some_and(|latest| day > latest);
        self.refused_by_cycle_date |= too_late;
        day >= date(1970, 1, 1) && !too_late
    }

    /// An as-of date: an unreadable or unbelievable one is noted and left out, the record stays.
    pub fn as_of<E: ToString>(
        &mut self,
        dataset: Dataset,
        field: &str,
        read: Result<Option<Date>, E>,
        sample: &str,
    ) -> Option<Date> {
        match read {
            Ok(Some(day)) if !self.believes(day) => {
                self.note(
                    dataset,
                    field,
                    format!("the as-of date {day} cannot be: taken as not said"),
                    sample,
                );
                None
            }
            Ok(day) => day,
            Err(reason) => {
                self.note(dataset, field, reason.to_string(), sample);
                None
            }
        }
    }

    /// A fund's first day: one that cannot be is rejected, so that it overwrites no good one.
    pub fn inception<E: ToString>(
        &mut self,
        field: &str,
        read: Result<Option<Date>, E>,
        sample: &str,
    ) -> Option<Date> {
        let day = self.field(Dataset::Master, field, read, sample)?;
        let too_late = self
            .earliest_refused_inception
            .is_some_and(|refused| day >= refused);
        self.refused_by_cycle_date |= too_late;
        if too_late || day < EARLIEST_INCEPTION {
            let reason = format!(
                "the fund cannot have begun on {day}: before {EARLIEST_INCEPTION} or more than a year ahead"
            );
            self.reject(Dataset::Master, field, reason, sample);
            return None;
        }
        Some(day)
    }

    /// The page as read.
    pub fn said(mut self) -> Reading {
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
        Reading::Said {
            observations: self.observations,
            rejects: self.rejects,
            refused_by_cycle_date: self.refused_by_cycle_date,
        }
    }

    /// The page as read, unless it came to nothing at all: silence is not success (D7).
    pub fn said_unless_silent(self, silence: Breach) -> Reading {
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

    fn read(lost: usize, notes: usize) -> Reading {
        let context = ReadContext {
            cycle_date: date(2026, 10, 15),
        };
        let mut findings = Findings::of_market(SourceName::Finnomena, String::new(), &context);
        for _ in 0..notes {
            findings.note(Dataset::Daily, "date", "said twice", "");
        }
        for _ in 0..lost {
            findings.reject(Dataset::Daily, "value", "no number", "");
        }
        findings.said()
    }

    #[test]
    fn d6_no_number_of_notes_hides_a_lost_record_and_none_is_lost_uncounted() {
        let Reading::Said { rejects, .. } = read(5_000, 3_000) else {
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
        assert!(matches!(read(MAX_LOST, 0), Reading::Said { .. }));
        assert!(matches!(read(MAX_LOST + 1, 0), Reading::Broken(_)));
    }

    /// D12: what the cycle's date refused is marked, because a later cycle takes it; what the payload alone decides is not.
    #[test]
    fn only_a_refusal_by_the_cycle_date_is_marked() {
        let context = ReadContext {
            cycle_date: date(2026, 10, 15),
        };
        let marked = |take: &dyn Fn(&mut Findings)| {
            let mut findings = Findings::of_market(SourceName::Finnomena, String::new(), &context);
            take(&mut findings);
            match findings.said() {
                Reading::Said {
                    refused_by_cycle_date,
                    ..
                } => refused_by_cycle_date,
                other => panic!("{other:?}"),
            }
        };
        let as_of = |day: Date| {
            marked(&move |findings| {
                findings.as_of::<String>(Dataset::Statistics, "as_of", Ok(Some(day)), "");
            })
        };
        assert!(as_of(date(2027, 1, 1)));
        assert!(!as_of(date(2026, 10, 15)));
        assert!(!as_of(date(1950, 1, 1)));
        let inception = |day: Date| {
            marked(&move |findings| {
                findings.inception::<String>("inception_date", Ok(Some(day)), "");
            })
        };
        assert!(inception(date(2028, 1, 1)));
        assert!(!inception(date(2020, 1, 1)));
        assert!(!inception(date(1900, 1, 1)));
        assert!(marked(&|findings| {
            findings.believes(date(2099, 1, 1));
        }));
        assert!(!marked(&|findings| {
            findings.as_of(Dataset::Statistics, "as_of", Err("no date"), "x");
        }));
    }
}
