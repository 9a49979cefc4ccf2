//! Whether a fund is active (D8). Pure.

/// The two words of `fund_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FundStatus {
    /// Sold or at least priced.
    Active,
    /// Expired, renamed, or long absent from the list.
    Inactive,
}

impl FundStatus {
    /// The word as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }
}

/// How many closed full cycles of different dates a fund must be absent from the list to be inactive.
pub const ABSENCES_TO_INACTIVE: usize = 3;

/// How a fund stands in Finnomena's whole lists, as full cycles read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListStanding {
    /// What the newest whole list says; `None` where it does not hold the code.
    pub says_active: Option<bool>,
    /// The newest whole list shows the fund's key under another code.
    pub renamed: bool,
    /// Different dates of closed full cycles since the code was last listed.
    pub absences: usize,
}

/// The status, or `None` where the lists give no reason to change it.
#[must_use]
pub const fn fund_status(standing: ListStanding) -> Option<FundStatus> {
    match standing.says_active {
        Some(true) => Some(FundStatus::Active),
        Some(false) => Some(FundStatus::Inactive),
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
    fn a_fund_is_inactive_when_said_so_renamed_or_absent_three_times() {
        for (says_active, renamed, absences, status) in [
            (Some(true), false, 0, Some(FundStatus::Active)),
            (Some(true), true, 5, Some(FundStatus::Active)),
            (Some(false), false, 0, Some(FundStatus::Inactive)),
            (None, true, 0, Some(FundStatus::Inactive)),
            (None, false, 2, None),
            (None, false, 3, Some(FundStatus::Inactive)),
        ] {
            let standing = ListStanding {
                says_active,
                renamed,
                absences,
            };
            assert_eq!(fund_status(standing), status, "{standing:?}");
        }
    }
}
