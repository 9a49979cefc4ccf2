//! Generates the funds of a market without their values: codes, which sites list them, projects, and the lists'
//! spelling of the codes.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::edge_case::{CODES, EdgeCase};
use crate::market::{LinkStyle, Standing, StateScript};
use crate::real::{RealClass, RealDay};

/// A fund before the generator decides its values.
pub(super) struct Candidate {
    pub(super) code: String,
    pub(super) code_spelt: String,
    pub(super) proj_id: String,
    pub(super) standing: Standing,
    pub(super) shares_project: bool,
    pub(super) edge_cases: BTreeSet<EdgeCase>,
    pub(super) days: Option<Arc<[RealDay]>>,
}

const HOUSES: [&str; 10] = [
    "K",
    "SCB",
    "KT",
    "TISCO",
    "ONE",
    "ASP",
    "BCAP",
    "PRINCIPAL",
    "KKP",
    "UOB",
];
const THEMES: [&str; 14] = [
    "EQUITY", "GOLD", "TECH", "CHINA", "INDIA", "VIETNAM", "FIXED", "MONEY", "HEALTH", "JPX",
    "EUROPE", "SET50", "REIT", "GLOBAL",
];
/// "SSF" is a substring of "SSFE", so a parser must compare class names as a whole.
const CLASSES: [&str; 4] = ["SSF", "SSFE", "A", "D"];
/// Numbers of launched funds start here, so that their codes and projects differ from all others.
const FIRST_LAUNCH: usize = 9_000;
/// This many of a hundred listed funds are inactive: 61 % of the codes that Finnomena lists are active.
const INACTIVE_PER_HUNDRED: usize = 39;

/// The candidates of a generated market: `count` that Finnomena lists, and a few that only WealthMagik lists.
pub(super) fn candidates(
    count: usize,
    edge_cases: bool,
    random: &mut ChaCha8Rng,
) -> Vec<Candidate> {
    let mut made = Vec::with_capacity(count);
    let mut special = CODES.iter().filter(|_| edge_cases);
    let mut active = 0;
    for place in 0..count {
        let inactive = (place + 1) * INACTIVE_PER_HUNDRED % 100 < INACTIVE_PER_HUNDRED;
        if inactive {
            let mut candidate = plain(place, Standing::Inactive { active_until: None }, random);
            candidate.edge_cases.insert(EdgeCase::Inactive);
            made.push(candidate);
            continue;
        }
        let dealt = if active % 3 == 2 {
            None
        } else {
            special.next()
        };
        let mut candidate = match dealt {
            Some((spelt, code, kind)) => Candidate {
                code: (*code).to_owned(),
                code_spelt: (*spelt).to_owned(),
                edge_cases: BTreeSet::from([*kind]),
                ..plain(place, Standing::Active, random)
            },
            None => plain(place, Standing::Active, random),
        };
        if edge_cases && active % 25 == 5 {
            candidate.edge_cases.insert(EdgeCase::ListedTwice);
        }
        made.push(candidate);
        active += 1;
    }
    group_classes(&mut made);
    if edge_cases {
        for extra in 0..count.div_ceil(50) {
            let mut candidate = plain(count + extra, Standing::WealthMagikOnly, random);
            candidate.edge_cases.insert(EdgeCase::WealthMagikOnly);
            made.push(candidate);
        }
    }
    made
}

/// The funds that a living market launches one after another: active, plain, each with its own project.
pub(super) fn launches(count: usize, random: &mut ChaCha8Rng) -> Vec<Candidate> {
    (0..count)
        .map(|place| plain(FIRST_LAUNCH + place, Standing::Active, random))
        .collect()
}

/// The candidates of the real classes, all active.
pub(super) fn real_candidates(classes: Vec<RealClass>) -> Vec<Candidate> {
    let projects: Vec<String> = classes.iter().map(|class| class.proj_id.clone()).collect();
    classes
        .into_iter()
        .map(|class| Candidate {
            shares_project: projects
                .iter()
                .filter(|project| **project == class.proj_id)
                .count()
                > 1,
            code: class.code,
            code_spelt: class.code_spelt,
            proj_id: class.proj_id,
            standing: Standing::Active,
            edge_cases: BTreeSet::new(),
            days: Some(class.days),
        })
        .collect()
}

fn plain(place: usize, standing: Standing, random: &mut ChaCha8Rng) -> Candidate {
    let house = HOUSES[random.random_range(0..HOUSES.len())];
    let theme = THEMES[random.random_range(0..THEMES.len())];
    let code = format!("{house}-{theme}{place}");
    Candidate {
        code_spelt: code.clone(),
        code,
        proj_id: format!("M{place:04}_25{:02}", random.random_range(35..=69)),
        standing,
        shares_project: false,
        edge_cases: BTreeSet::new(),
        days: None,
    }
}

/// Groups neighbouring plain funds into classes of one project, about a third of the active ones.
fn group_classes(made: &mut [Candidate]) {
    let mut plain: Vec<&mut Candidate> = made
        .iter_mut()
        .filter(|fund| {
            fund.standing == Standing::Active
                && !CODES.iter().any(|(_, code, _)| *code == fund.code)
        })
        .collect();
    for group in plain.chunks_mut(8).filter(|group| group.len() >= 2) {
        let classes = group.len().min(CLASSES.len());
        let (stem, proj_id) = (group[0].code.clone(), group[0].proj_id.clone());
        for (fund, class) in group[..classes].iter_mut().zip(CLASSES) {
            fund.code = format!("{stem}({class})");
            fund.code_spelt.clone_from(&fund.code);
            fund.proj_id.clone_from(&proj_id);
            fund.shares_project = true;
            fund.edge_cases.insert(EdgeCase::ShareClass);
        }
    }
}

/// An id in Morningstar's form; every tenth id has the other form that occurs.
pub(super) fn fund_id(place: usize) -> String {
    let digits: Vec<char> =
        std::iter::successors(Some(place), |rest| (*rest >= 36).then_some(rest / 36))
            .map(|rest| {
                char::from_digit(u32::try_from(rest % 36).unwrap_or(0), 36)
                    .unwrap_or('0')
                    .to_ascii_uppercase()
            })
            .collect();
    let tail: String = digits.into_iter().rev().collect();
    if place % 10 == 9 {
        format!("FOUSA{tail:0>5}")
    } else {
        format!("F0000{tail:0>5}")
    }
}

pub(super) fn link_style(kind: Option<EdgeCase>) -> LinkStyle {
    match kind {
        Some(EdgeCase::WealthMagikLinkBare) => LinkStyle::Bare,
        Some(EdgeCase::WealthMagikLinkAbsolute) => LinkStyle::Absolute,
        Some(EdgeCase::WealthMagikLinkForeign) => LinkStyle::Foreign,
        Some(EdgeCase::WealthMagikLinkProfile) => LinkStyle::WithProfile,
        _ => LinkStyle::Rooted,
    }
}

pub(super) fn state_script(kind: Option<EdgeCase>) -> StateScript {
    match kind {
        Some(EdgeCase::StateMissing) => StateScript::Missing,
        Some(EdgeCase::StateWithoutDetail) => StateScript::WithoutDetail,
        _ => StateScript::Whole,
    }
}
