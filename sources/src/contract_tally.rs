//! When a source is in breach of its contract (D6, D7): pure counting over one round.

use std::collections::BTreeMap;

use schema::task::Severity;
use schema::{Dataset, Observation, Reject};

/// So many rejects, or broken pages, are always borne.
const BORNE: u64 = 20;
/// Beyond [`BORNE`], this many in a hundred are.
const BORNE_PERCENT: u64 = 30;

/// What a source's pages have come to in this round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContractTally {
    records: BTreeMap<Dataset, Share>,
    pages: BTreeMap<&'static str, Share>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    all: u64,
    bad: u64,
}

impl Share {
    /// More than 30 % and at least 20.
    const fn is_breach(self) -> bool {
        self.bad >= BORNE && self.bad * 100 > self.all * BORNE_PERCENT
    }
}

impl ContractTally {
    /// A page that was read, with what it said and what of it could not be taken.
    pub fn page_read(&mut self, page: &'static str, said: &[Observation], rejects: &[Reject]) {
        self.pages.entry(page).or_default().all += 1;
        for observation in said {
            let records = u64::try_from(observation.said.rows()).unwrap_or(u64::MAX);
            let share = self.records.entry(observation.said.dataset()).or_default();
            share.all = share.all.saturating_add(records);
        }
        for reject in rejects {
            if reject.severity == Severity::Rejected {
                let share = self.records.entry(reject.dataset).or_default();
                share.all += 1;
                share.bad += 1;
            }
        }
    }

    /// A page that was not what its contract says.
    pub fn page_broken(&mut self, page: &'static str) {
        let share = self.pages.entry(page).or_default();
        share.all += 1;
        share.bad += 1;
    }

    /// The dataset whose records were rejected beyond what is borne: a sentence part with its counts.
    #[must_use]
    pub fn breached_dataset(&self) -> Option<String> {
        let breached = |(_, share): &(&Dataset, &Share)| share.is_breach();
        let (dataset, share) = self.records.iter().find(breached)?;
        Some(format!(
            "{} of {} {dataset} records of this round were rejected",
            share.bad, share.all
        ))
    }

    /// Whether too many answers of `page` were broken: a sentence part with their counts.
    #[must_use]
    pub fn breached_page(&self, page: &str) -> Option<String> {
        let share = self.pages.get(page).filter(|share| share.is_breach())?;
        Some(format!(
            "{} of {} {page} pages of this round were broken",
            share.bad, share.all
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d6_more_than_thirty_percent_and_at_least_twenty_broken_pages_are_a_breach() {
        for (good, broken, breach) in [
            (0, 19, false),
            (0, 20, true),
            (47, 20, false),
            (46, 20, true),
            (1_000, 299, false),
        ] {
            let mut tally = ContractTally::default();
            for _ in 0..good {
                tally.page_read("nav", &[], &[]);
            }
            for _ in 0..broken {
                tally.page_broken("nav");
            }
            assert_eq!(
                tally.breached_page("nav").is_some(),
                breach,
                "{good} {broken}"
            );
            assert_eq!(tally.breached_page("fee"), None);
        }
    }

    #[test]
    fn d6_only_lost_records_count_and_each_dataset_by_itself() {
        let reject = |severity| Reject {
            fund_code: None,
            dataset: Dataset::Fees,
            field: "*".to_owned(),
            reason: String::new(),
            sample: String::new(),
            severity,
        };
        let mut tally = ContractTally::default();
        for _ in 0..100 {
            tally.page_read("fee", &[], &[reject(Severity::Noted)]);
        }
        assert_eq!(tally.breached_dataset(), None);
        for _ in 0..19 {
            tally.page_read("fee", &[], &[reject(Severity::Rejected)]);
        }
        assert_eq!(tally.breached_dataset(), None);
        tally.page_read("fee", &[], &[reject(Severity::Rejected)]);
        assert!(
            tally
                .breached_dataset()
                .is_some_and(|text| text.contains("20 of 20 fees"))
        );
    }
}
