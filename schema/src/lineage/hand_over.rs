//! The hand-over rule: whether the NAV series of one code goes on under another one. Pure functions.

use rust_decimal::Decimal;
use serde::Serialize;

use jiff::civil::Date;

use super::CodeFacts;
use crate::Number;

/// Largest number of days from the last NAV of the old code to the first NAV of the new one. Around long holidays
/// there are 10 to 12 days without a NAV.
pub const MAX_GAP_DAYS: i32 = 14;
/// The NAV may change by one part in this many: by 5 %.
const NAV_TOLERANCE: i64 = 20;

/// The ends of two NAV series that may be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HandOver {
    /// The register's project of both codes.
    pub project: String,
    /// The last NAV day of the old code.
    pub last_day: Date,
    /// Its NAV on that day.
    pub last_nav: Number,
    /// The first NAV day of the new code.
    pub first_day: Date,
    /// Its NAV on that day.
    pub first_nav: Number,
    /// The days between the two.
    pub gap_days: i32,
    /// The change of the NAV, in percent.
    pub change_percent: Number,
}

/// Why the rule does not propose two codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoHandOver {
    /// The list still calls the old code active, or it left the list no earlier than the new one.
    StillListed,
    /// The register does not know both codes. The same company is not enough: a company closes and launches funds in
    /// one week, and their first NAV is near 10 baht.
    ProjectUnknown,
    /// They belong to two projects of the register.
    OtherProject,
    /// One of them has no NAV.
    NoNav,
    /// The series of the new code begins before that of the old one ends, or too long after it.
    Gap,
    /// The NAV changes by more than 5 %.
    OtherNav,
}

/// Compares the end of one NAV series with the beginning of another.
///
/// # Errors
/// The first condition of the rule that the two codes do not meet.
pub fn hand_over(old: &CodeFacts, new: &CodeFacts) -> Result<HandOver, NoHandOver> {
    if old.listing >= new.listing {
        return Err(NoHandOver::StillListed);
    }
    let (Some(project), Some(other_project)) = (&old.project, &new.project) else {
        return Err(NoHandOver::ProjectUnknown);
    };
    if project != other_project {
        return Err(NoHandOver::OtherProject);
    }
    let (Some((_, last)), Some((first, _))) = (old.navs, new.navs) else {
        return Err(NoHandOver::NoNav);
    };
    // A gap of at least one day means that the two series share no day.
    let gap_days = (first.date - last.date).get_days();
    if !(1..=MAX_GAP_DAYS).contains(&gap_days) {
        return Err(NoHandOver::Gap);
    }
    let (before, after) = (last.nav.decimal(), first.nav.decimal());
    let change = after - before;
    if before <= Decimal::ZERO || change.abs() * Decimal::from(NAV_TOLERANCE) > before {
        return Err(NoHandOver::OtherNav);
    }
    let percent = (change * Decimal::ONE_HUNDRED / before).round_dp(4);
    Ok(HandOver {
        project: project.clone(),
        last_day: last.date,
        last_nav: last.nav,
        first_day: first.date,
        first_nav: first.nav,
        gap_days,
        change_percent: Number::try_from(percent).map_err(|_| NoHandOver::OtherNav)?,
    })
}
