//! Which fund codes are names of one fund: links from an older code to the next one. Pure functions.
//!
//! Three rules find links. Two codes with the same Finnomena id, or with the same ISIN, are names of one fund: such a
//! link is certain. The hand-over rule compares the ends of two NAV series; its links are proposals and never certain.
//!
//! The order of two names is that of their listing: a code that the deciding list still calls active is newer than
//! one that has left the list, and of two that have left it, the one that left later is newer. Two codes that are
//! listed as active now are two funds, or one fund with two codes; neither is the successor of the other.

mod hand_over;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Serialize;

use crate::{FundCode, Number};
pub use hand_over::{HandOver, MAX_GAP_DAYS, NoHandOver, hand_over};

/// Largest number of codes that an id may have in one place of the order, and of candidates that a code may have. More
/// of them show that the id, or the project, does not identify a fund.
pub const MAX_RIVALS: usize = 5;

/// When the deciding list had a code, from the older names to the newer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listing {
    /// No list ever had it.
    Never,
    /// This full cycle was the last one whose list had it. A code that the newest list calls inactive counts as one
    /// that has left.
    Until(i64),
    /// The newest whole list has it and does not call it inactive.
    Now,
}

/// The NAV of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NavDay {
    /// The day.
    pub date: Date,
    /// The NAV per unit, in the fund's currency.
    pub nav: Number,
}

/// What is known about a fund code that has rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeFacts {
    /// The code.
    pub code: FundCode,
    /// When the deciding list had it.
    pub listing: Listing,
    /// The Finnomena ids that the code had, and whether it had that id when it was last listed.
    pub finnomena_ids: BTreeMap<String, bool>,
    /// Its ISINs.
    pub isins: BTreeSet<String>,
    /// Its project in the register; `None` if the register does not know the code, or knows it in several projects.
    pub project: Option<String>,
    /// The first and the last day with a NAV.
    pub navs: Option<(NavDay, NavDay)>,
}

/// The rule that found a link, the strongest one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Finnomena's list had both codes under one id.
    FinnomenaId,
    /// Both codes have the same ISIN.
    Isin,
    /// The NAV series of the new code begins where that of the old one ends, in the same project of the register.
    HandOver,
}

impl Rule {
    /// The name of the rule in `runner.fund_lineage`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FinnomenaId => "finnomena_id",
            Self::Isin => "isin",
            Self::HandOver => "hand_over",
        }
    }
}

/// The values that a link is founded on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The Finnomena ids that both codes had.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub finnomena_ids: BTreeSet<String>,
    /// The ISINs that both codes have.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub isins: BTreeSet<String>,
    /// The ends of the two NAV series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hand_over: Option<HandOver>,
    /// Other codes in the place of the old or the new one, with evidence of their own.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub rivals: BTreeSet<FundCode>,
}

/// A fund's old code and the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The old code.
    pub old: FundCode,
    /// The next code.
    pub new: FundCode,
    /// The strongest rule that found the link.
    pub rule: Rule,
    /// Whether the link is certain; otherwise it is a proposal.
    pub is_certain: bool,
    /// The values behind it.
    pub evidence: Evidence,
}

/// The evidence of each pair of codes, old and new.
type Pairs<'facts> = BTreeMap<(&'facts FundCode, &'facts FundCode), Evidence>;

/// Returns every link between these codes, ordered by old and new code. The order of `facts` does not matter.
///
/// - A link by an id or an ISIN is certain if the old code has no other candidate as its successor, and the new one no
///   other candidate as its predecessor. Otherwise each of the candidates is a proposal. A code therefore has at most
///   one certain successor and at most one certain predecessor.
/// - A link A -> C is left out if A -> B and B -> C are found as well.
/// - The hand-over rule is used only for codes without a link by an id or an ISIN on that side.
/// - No chain of links has a circle, because the listing of the new code is always newer.
#[must_use]
pub fn links(facts: &[CodeFacts]) -> Vec<Link> {
    let mut pairs = Pairs::new();
    let by_id = facts.iter().flat_map(|code| {
        let ids = code.finnomena_ids.iter();
        ids.map(move |(id, held_last)| (id.as_str(), (code, *held_last)))
    });
    for (old, new, id) in successions(by_id) {
        let evidence = pairs.entry((old, new)).or_default();
        evidence.finnomena_ids.insert(id.to_owned());
    }
    let by_isin = facts.iter().flat_map(|code| {
        let isins = code.isins.iter();
        isins.map(move |isin| (isin.as_str(), (code, true)))
    });
    for (old, new, isin) in successions(by_isin) {
        let evidence = pairs.entry((old, new)).or_default();
        evidence.isins.insert(isin.to_owned());
    }
    leave_out_implied(&mut pairs);
    let proposals = hand_overs(facts, &pairs);
    let mut links: Vec<Link> = resolve(pairs).chain(resolve(proposals)).collect();
    links.sort_unstable_by(|one, other| (&one.old, &one.new).cmp(&(&other.old, &other.new)));
    links
}

/// The holders of one id by their place in the order, each with its flag.
type Places<'facts> = BTreeMap<Listing, Vec<(&'facts CodeFacts, bool)>>;

/// The pairs of neighbours among the codes that share an id: old, new, id. The flag of a code is whether the id was
/// still its own when it was last listed; without it, the code is not the older name.
fn successions<'facts>(
    holders: impl Iterator<Item = (&'facts str, (&'facts CodeFacts, bool))>,
) -> Vec<(&'facts FundCode, &'facts FundCode, &'facts str)> {
    let mut places: BTreeMap<&str, Places<'_>> = BTreeMap::new();
    for (id, (code, held_last)) in holders {
        let place = places.entry(id).or_default().entry(code.listing);
        place.or_default().push((code, held_last));
    }
    let mut pairs = Vec::new();
    for (id, places) in places {
        let places: Vec<_> = places.into_values().collect();
        for neighbours in places.windows(2) {
            let [older, newer] = neighbours else { continue };
            if older.len() > MAX_RIVALS || newer.len() > MAX_RIVALS {
                continue;
            }
            for (old, _) in older.iter().filter(|(_, held_last)| *held_last) {
                pairs.extend(newer.iter().map(|(new, _)| (&old.code, &new.code, id)));
            }
        }
    }
    pairs
}

/// Removes each pair that a longer way of other pairs leads through.
fn leave_out_implied(pairs: &mut Pairs<'_>) {
    let mut next: BTreeMap<&FundCode, Vec<&FundCode>> = BTreeMap::new();
    for (old, new) in pairs.keys() {
        next.entry(old).or_default().push(new);
    }
    pairs.retain(|(old, new), _| {
        let mut open: Vec<&FundCode> = next[*old]
            .iter()
            .copied()
            .filter(|code| code != new)
            .collect();
        let mut seen: BTreeSet<&FundCode> = BTreeSet::new();
        while let Some(code) = open.pop() {
            if code == *new {
                return false;
            }
            if seen.insert(code) {
                open.extend(next.get(code).into_iter().flatten());
            }
        }
        true
    });
}

/// The pairs of the hand-over rule between codes that no other rule links on that side.
fn hand_overs<'facts>(facts: &'facts [CodeFacts], known: &Pairs<'_>) -> Pairs<'facts> {
    let with_successor: BTreeSet<&FundCode> = known.keys().map(|(old, _)| *old).collect();
    let with_predecessor: BTreeSet<&FundCode> = known.keys().map(|(_, new)| *new).collect();
    let mut projects: BTreeMap<&str, Vec<&CodeFacts>> = BTreeMap::new();
    for code in facts {
        if let Some(project) = &code.project {
            projects.entry(project).or_default().push(code);
        }
    }
    let mut pairs = Pairs::new();
    for codes in projects.into_values() {
        for old in &codes {
            for new in &codes {
                if !with_successor.contains(&old.code)
                    && !with_predecessor.contains(&new.code)
                    && let Ok(found) = hand_over(old, new)
                {
                    let evidence = Evidence {
                        hand_over: Some(found),
                        ..Evidence::default()
                    };
                    pairs.insert((&old.code, &new.code), evidence);
                }
            }
        }
    }
    let (successors, predecessors) = candidates(&pairs);
    pairs.retain(|(old, new), _| {
        successors[old].len() <= MAX_RIVALS && predecessors[new].len() <= MAX_RIVALS
    });
    pairs
}

/// Codes and their candidates.
type Candidates<'facts> = BTreeMap<&'facts FundCode, BTreeSet<&'facts FundCode>>;

/// The successors of each old code, and the predecessors of each new one.
fn candidates<'facts>(pairs: &Pairs<'facts>) -> (Candidates<'facts>, Candidates<'facts>) {
    let (mut successors, mut predecessors) = (Candidates::new(), Candidates::new());
    for (old, new) in pairs.keys() {
        successors.entry(old).or_default().insert(new);
        predecessors.entry(new).or_default().insert(old);
    }
    (successors, predecessors)
}

/// Makes links of pairs. A pair with a rival on either side, and every hand-over, is a proposal.
fn resolve(pairs: Pairs<'_>) -> impl Iterator<Item = Link> {
    let (successors, predecessors) = candidates(&pairs);
    pairs.into_iter().map(move |((old, new), mut evidence)| {
        let others = successors[old].iter().chain(&predecessors[new]);
        let is_rival = |code: &&&FundCode| **code != old && **code != new;
        evidence.rivals = others
            .filter(is_rival)
            .map(|code| (*code).clone())
            .collect();
        let rule = if !evidence.finnomena_ids.is_empty() {
            Rule::FinnomenaId
        } else if !evidence.isins.is_empty() {
            Rule::Isin
        } else {
            Rule::HandOver
        };
        Link {
            old: old.clone(),
            new: new.clone(),
            rule,
            is_certain: rule != Rule::HandOver && evidence.rivals.is_empty(),
            evidence,
        }
    })
}

#[cfg(test)]
mod tests;
