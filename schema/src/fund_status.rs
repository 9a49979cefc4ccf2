//! The fund status: whether a fund is active, decided from the lists that contain it (D8). Pure functions.

/// The two values of `fund_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FundStatus {
    /// Sold, or at least priced.
    Active,
    /// Expired, renamed, or absent from the list for a long time.
    Inactive,
}

impl FundStatus {
    /// The word that is stored in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }
}

/// Number of closed full cycles of different dates after which a fund that is absent from the list becomes inactive.
pub const ABSENCES_TO_INACTIVE: usize = 3;

/// The words of the official register for the status of a share class.
pub const REGISTER_STATUSES: [&str; 5] = ["IPO", "Registered", "Expired", "Canceled", "Liquidated"];
/// The word for a class that is priced and sold.
pub const REGISTERED: &str = "Registered";

/// Whether the register's word means that the fund is active; `None` for a fund in its IPO, and for no word.
#[must_use]
pub fn register_says_active(word: Option<&str>) -> Option<bool> {
    match word? {
        REGISTERED => Some(true),
        "Expired" | "Canceled" | "Liquidated" => Some(false),
        _ => None,
    }
}

/// What the deciding list reports about a fund. Only whole lists that full cycles parsed are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListStanding {
    /// Whether the official register calls the fund active; `None` if it does not have the fund or has no opinion.
    pub register_says_active: Option<bool>,
    /// Whether the newest whole list calls the fund active; `None` if it does not contain the code.
    pub says_active: Option<bool>,
    /// Whether the newest whole list has the fund's key under another code.
    pub renamed: bool,
    /// Number of different dates of closed full cycles since the code was last listed.
    pub absences: usize,
    /// Whether the fund has rows only because a provisional list contains it. The deciding list was never read then.
    pub provisional: bool,
}

/// Returns the status, or `None` if the lists give no reason to change it.
#[must_use]
pub const fn fund_status(standing: ListStanding) -> Option<FundStatus> {
    let says_active = match standing.register_says_active {
        None => standing.says_active,
        registered => registered,
    };
    match says_active {
        Some(true) => Some(FundStatus::Active),
        Some(false) => Some(FundStatus::Inactive),
        None if standing.provisional => Some(FundStatus::Active),
        None if standing.renamed || standing.absences >= ABSENCES_TO_INACTIVE => {
            Some(FundStatus::Inactive)
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fund_is_inactive_when_reported_so_renamed_or_absent_three_times() {
        for (says_active, renamed, absences, status) in [
            (Some(true), false, 0, Some(FundStatus::Active)),
            (Some(true), true, 5, Some(FundStatus::Active)),
            (Some(false), false, 0, Some(FundStatus::Inactive)),
            (None, true, 0, Some(FundStatus::Inactive)),
            (None, false, 2, None),
            (None, false, 3, Some(FundStatus::Inactive)),
        ] {
            let standing = ListStanding {
                register_says_active: None,
                says_active,
                renamed,
                absences,
                provisional: false,
            };
            assert_eq!(fund_status(standing), status, "{standing:?}");
        }
    }

    #[test]
    fn the_register_decides_before_the_list_and_absence() {
        for (word, status) in [
            ("Registered", FundStatus::Active),
            ("Expired", FundStatus::Inactive),
            ("Canceled", FundStatus::Inactive),
            ("Liquidated", FundStatus::Inactive),
        ] {
            for (says_active, renamed) in [(Some(true), false), (Some(false), false), (None, true)]
            {
                let standing = ListStanding {
                    register_says_active: register_says_active(Some(word)),
                    says_active,
                    renamed,
                    absences: 0,
                    provisional: false,
                };
                assert_eq!(fund_status(standing), Some(status), "{word} {standing:?}");
            }
        }
        assert_eq!(register_says_active(Some("IPO")), None);
        assert_eq!(register_says_active(None), None);
    }

    #[test]
    fn a_provisional_fund_is_active() {
        let standing = ListStanding {
            register_says_active: None,
            says_active: None,
            renamed: false,
            absences: 0,
            provisional: true,
        };
        assert_eq!(fund_status(standing), Some(FundStatus::Active));
    }
}
