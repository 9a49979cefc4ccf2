//! Decides when a source breaches its contract (D6, D7): pure counting over one cycle.
//!
//! For pages of single funds the limits are numbers of funds: a fund is counted once, however many records its answer
//! lost. The share is that of the funds for which the page is planned. So neither the order of the funds nor the answer
//! about one fund can stop a source. For a list of the whole market the limits are numbers of entries, and one list can
//! stop the source.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use schema::task::Severity;
use schema::{Dataset, ObservationData, Reject, TaskId};

/// Fewer funds with lost records, fewer broken pages, or fewer lost entries of a list than this are never a breach,
/// whatever their share.
const TOLERATED: usize = 20;
/// The tolerated share, in percent of the planned funds or of the entries of a list. From [`TOLERATED`] on, a larger
/// share is a breach.
const TOLERATED_PERCENT: usize = 30;

/// The counts of a source's pages in this cycle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContractTally {
    pages: BTreeMap<&'static str, PageTally>,
}

/// The counts of one kind of page. A fund is stored as the hash of its code, in eight bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct PageTally {
    /// All funds that the page is planned for in this cycle, answered or not.
    asked: HashSet<u64>,
    /// Funds whose page was broken in this round.
    broken: HashSet<u64>,
    /// Funds whose page lost a record in this round, by dataset.
    lost: BTreeMap<Dataset, HashSet<u64>>,
    /// For the last list of the whole market, by dataset: the number of entries, and how many of them were lost.
    entries: BTreeMap<Dataset, (usize, usize)>,
}

/// Whether `bad` of `all` is a breach: at least 20, and more than 30 %.
const fn is_breach(bad: usize, all: usize) -> bool {
    bad >= TOLERATED && bad.saturating_mul(100) > all.saturating_mul(TOLERATED_PERCENT)
}

fn fund(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

impl ContractTally {
    /// Begins the second round. Its broken pages and losses are counted anew, as a share of all funds planned in the
    /// cycle.
    pub fn begin_round(&mut self) {
        for page in self.pages.values_mut() {
            page.broken.clear();
            page.lost.clear();
            page.entries.clear();
        }
    }

    /// Counts a planned task of `page`.
    pub fn page_asked(&mut self, page: &'static str, key: &str) {
        self.pages.entry(page).or_default().asked.insert(fund(key));
    }

    /// Counts a parsed page, its observations and its rejects. Notes and missing values are not losses.
    pub fn page_read(
        &mut self,
        page: &'static str,
        key: &str,
        said: &[&ObservationData],
        rejects: &[Reject],
    ) {
        let tally = self.pages.entry(page).or_default();
        let rejected = rejects
            .iter()
            .filter(|reject| reject.severity == Severity::Rejected);
        if key.starts_with(TaskId::MARKET_PREFIX) {
            tally.entries.clear();
            for data in said {
                let share = tally.entries.entry(data.dataset()).or_default();
                share.0 += data.rows();
            }
            for reject in rejected {
                let share = tally.entries.entry(reject.dataset).or_default();
                share.0 += 1;
                share.1 += 1;
            }
            return;
        }
        let fund = fund(key);
        tally.asked.insert(fund);
        tally.broken.remove(&fund);
        for reject in rejected {
            tally.lost.entry(reject.dataset).or_default().insert(fund);
        }
    }

    /// Counts a page that does not meet its contract.
    pub fn page_broken(&mut self, page: &'static str, key: &str) {
        let tally = self.pages.entry(page).or_default();
        tally.asked.insert(fund(key));
        tally.broken.insert(fund(key));
    }

    /// Returns the counts of the first dataset in which too many records were lost, as a part of a sentence; `None` if
    /// there is no such dataset.
    #[must_use]
    pub fn breached_dataset(&self) -> Option<String> {
        self.pages.iter().find_map(|(page, tally)| {
            let of_list = tally.entries.iter().find_map(|(dataset, (all, lost))| {
                is_breach(*lost, *all).then(|| {
                    format!("{lost} of {all} {dataset} records of the {page} page were rejected")
                })
            });
            of_list.or_else(|| {
                tally.lost.iter().find_map(|(dataset, funds)| {
                    is_breach(funds.len(), tally.asked.len()).then(|| {
                        format!(
                            "{} of the {} funds requested from the {page} page lost {dataset} records in this round",
                            funds.len(),
                            tally.asked.len()
                        )
                    })
                })
            })
        })
    }

    /// Returns the counts as a part of a sentence if too many answers of `page` were broken, otherwise `None`.
    #[must_use]
    pub fn breached_page(&self, page: &str) -> Option<String> {
        let tally = self.pages.get(page)?;
        let (broken, asked) = (tally.broken.len(), tally.asked.len());
        is_breach(broken, asked).then(|| {
            format!("{broken} of the {asked} requested {page} pages were broken in this round")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(dataset: Dataset, severity: Severity) -> Reject {
        Reject {
            fund_code: None,
            dataset,
            field: "*".to_owned(),
            reason: String::new(),
            sample: String::new(),
            severity,
        }
    }

    fn lost(dataset: Dataset) -> Reject {
        reject(dataset, Severity::Rejected)
    }

    fn asked(page: &'static str, funds: usize) -> ContractTally {
        let mut tally = ContractTally::default();
        for at in 0..funds {
            tally.page_asked(page, &at.to_string());
        }
        tally
    }

    /// D6: more than 30 % of the planned funds, and at least 20.
    #[test]
    fn broken_pages_are_counted_relative_to_the_requested_funds() {
        for (asked_for, broken, breach) in [
            (19, 19, false),
            (20, 20, true),
            (67, 20, false),
            (66, 20, true),
            (1_299, 299, false),
            (2_200, 660, false),
            (2_200, 661, true),
        ] {
            let mut tally = asked("nav", asked_for);
            for at in 0..broken {
                tally.page_broken("nav", &at.to_string());
            }
            assert_eq!(
                tally.breached_page("nav").is_some(),
                breach,
                "{asked_for} {broken}"
            );
            assert_eq!(tally.breached_page("fee"), None);
        }
    }

    /// D6: a fund is counted once, however many of its records are lost and however often it is requested.
    #[test]
    fn one_fund_that_loses_every_day_is_one_fund() {
        let days: Vec<Reject> = vec![lost(Dataset::Daily); 5_000];
        let mut tally = ContractTally::default();
        for at in 0..19 {
            tally.page_read("nav", &at.to_string(), &[], &days);
            tally.page_read("nav", &at.to_string(), &[], &days);
        }
        assert_eq!(tally.breached_dataset(), None);
        tally.page_read("nav", "19", &[], &days);
        let breach = tally.breached_dataset().expect("20 of 20 funds");
        assert!(breach.contains("20 of the 20 funds"), "{breach}");
    }

    /// D6: the funds that sort first may all be unusual.
    #[test]
    fn the_first_funds_of_a_large_market_stop_no_source() {
        let mut tally = asked("fee", 2_000);
        for at in 0..600 {
            tally.page_read("fee", &at.to_string(), &[], &[lost(Dataset::Fees)]);
            assert_eq!(tally.breached_dataset(), None, "{at}");
        }
        tally.page_read("fee", "600", &[], &[lost(Dataset::Fees)]);
        assert!(tally.breached_dataset().is_some());
    }

    /// D6: a note is not a lost record, and each dataset is judged separately.
    #[test]
    fn notes_do_not_count_and_datasets_are_apart() {
        let mut tally = asked("fee", 100);
        for at in 0..100 {
            let noted = [
                reject(Dataset::Fees, Severity::Noted),
                reject(Dataset::Minimums, Severity::Noted),
            ];
            tally.page_read("fee", &at.to_string(), &[], &noted);
        }
        for at in 0..30 {
            tally.page_read("fee", &at.to_string(), &[], &[lost(Dataset::Fees)]);
            tally.page_read(
                "fee",
                &(at + 50).to_string(),
                &[],
                &[lost(Dataset::Minimums)],
            );
        }
        assert_eq!(tally.breached_dataset(), None);
        tally.page_read("fee", "30", &[], &[lost(Dataset::Fees)]);
        assert!(
            tally
                .breached_dataset()
                .is_some_and(|text| text.contains("lost fees records"))
        );
    }

    /// D6: round 2 requests only what failed, so its few answers are compared with the whole cycle.
    #[test]
    fn the_few_tasks_of_round_two_are_judged_against_the_cycle() {
        let mut tally = asked("nav", 1_000);
        for at in 0..25 {
            tally.page_broken("nav", &at.to_string());
        }
        tally.begin_round();
        for at in 0..25 {
            tally.page_broken("nav", &at.to_string());
        }
        assert_eq!(tally.breached_page("nav"), None);
        // A page that is parsed in the end is not counted as broken.
        let mut tally = asked("nav", 20);
        for at in 0..19 {
            tally.page_broken("nav", &at.to_string());
        }
        tally.page_read("nav", "0", &[], &[]);
        tally.page_broken("nav", "19");
        assert_eq!(tally.breached_page("nav"), None);
    }

    /// D6: a list of the whole market is one answer for all funds and is judged by its entries.
    #[test]
    fn a_list_is_judged_by_its_entries() {
        for (rejected, breach) in [(19, false), (20, true), (1_000, true)] {
            let mut tally = ContractTally::default();
            let rejects = vec![lost(Dataset::Listing); rejected];
            tally.page_read("list", TaskId::WHOLE_MARKET, &[], &rejects);
            assert_eq!(tally.breached_dataset().is_some(), breach, "{rejected}");
        }
    }
}
