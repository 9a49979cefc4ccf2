use jiff::ToSpan as _;
use jiff::civil::date;
use proptest::prelude::*;

use super::*;

/// A code that the list has until this cycle; 9 is the newest list.
fn code(name: &str, until: i64) -> CodeFacts {
    CodeFacts {
        code: FundCode::parse(name).unwrap(),
        listing: match until {
            9 => Listing::Now,
            _ => Listing::Until(until),
        },
        finnomena_ids: BTreeMap::new(),
        isins: BTreeSet::new(),
        project: None,
        navs: None,
    }
}

impl CodeFacts {
    fn id(mut self, id: &str) -> Self {
        self.finnomena_ids.insert(id.to_owned(), true);
        self
    }

    fn isin(mut self, isin: &str) -> Self {
        self.isins.insert(isin.to_owned());
        self
    }

    /// A series of NAVs in a project: the first and the last day of October 2026, and their NAVs.
    fn series(mut self, project: &str, days: [i8; 2], navs: [&str; 2]) -> Self {
        self.project = Some(project.to_owned());
        let day = |at: usize| NavDay {
            date: date(2026, 10, days[at]),
            nav: Number::parse(navs[at]).unwrap(),
        };
        self.navs = Some((day(0), day(1)));
        self
    }
}

/// The links as text: `A -> B rule` or `A ?> B rule` for a proposal.
fn shown(facts: &[CodeFacts]) -> Vec<String> {
    let links = links(facts);
    links
        .iter()
        .map(|link| {
            let arrow = if link.is_certain { "->" } else { "?>" };
            format!("{} {arrow} {} {}", link.old, link.new, link.rule.as_str())
        })
        .collect()
}

#[test]
fn one_finnomena_id_or_one_isin_under_two_codes_is_a_certain_link() {
    for (facts, expected) in [
        (
            vec![code("A", 5).id("F1"), code("B", 9).id("F1")],
            vec!["A -> B finnomena_id"],
        ),
        (
            vec![code("A", 5).isin("I1"), code("B", 9).isin("I1")],
            vec!["A -> B isin"],
        ),
        // The stronger rule names the link.
        (
            vec![
                code("A", 5).id("F1").isin("I1"),
                code("B", 9).id("F1").isin("I1"),
            ],
            vec!["A -> B finnomena_id"],
        ),
        // A chain by two rules.
        (
            vec![
                code("A", 3).id("F1"),
                code("B", 5).id("F1").isin("I1"),
                code("C", 9).isin("I1"),
            ],
            vec!["A -> B finnomena_id", "B -> C isin"],
        ),
        // A -> C by the ISIN is implied: B has none.
        (
            vec![
                code("A", 3).id("F1").isin("I1"),
                code("B", 5).id("F1"),
                code("C", 9).id("F1").isin("I1"),
            ],
            vec!["A -> B finnomena_id", "B -> C finnomena_id"],
        ),
        // Closed funds keep their links.
        (
            vec![code("A", 3).id("F1"), code("B", 5).id("F1")],
            vec!["A -> B finnomena_id"],
        ),
        (
            vec![code("A", 5).id("F1").isin("I1"), code("B", 9).id("F2")],
            vec![],
        ),
    ] {
        assert_eq!(shown(&facts), expected, "{facts:?}");
    }
}

#[test]
fn a_code_that_is_listed_again_has_no_successor_and_may_have_become_the_newer_name() {
    let old = |until| code("A", until).id("F1").isin("I1");
    let new = |until| code("B", until).id("F1").isin("I1");
    assert_eq!(shown(&[old(5), new(9)]), ["A -> B finnomena_id"]);
    assert_eq!(shown(&[old(9), new(9)]), [""; 0], "both are listed");
    assert_eq!(shown(&[old(9), new(8)]), ["B -> A finnomena_id"]);
}

#[test]
fn a_listed_code_that_is_called_inactive_may_be_the_older_name() {
    let mut old = code("A", 9).isin("I1");
    old.listing = Listing::Until(9);
    assert_eq!(shown(&[old, code("B", 9).isin("I1")]), ["A -> B isin"]);
}

#[test]
fn an_id_that_a_code_gave_up_before_it_left_the_list_leads_to_no_successor() {
    let mut old = code("A", 5).id("F2");
    old.finnomena_ids.insert("F1".to_owned(), false);
    let new = code("B", 9).id("F1");
    assert_eq!(shown(&[old.clone(), new]), [""; 0]);
    let older = code("Z", 3).id("F1");
    assert_eq!(shown(&[older, old]), ["Z -> A finnomena_id"]);
}

#[test]
fn two_candidates_are_two_proposals_and_name_each_other() {
    for (facts, expected) in [
        // Two codes under the id in the newest list.
        (
            vec![
                code("A", 5).id("F1"),
                code("B", 9).id("F1"),
                code("C", 9).id("F1"),
            ],
            vec!["A ?> B finnomena_id", "A ?> C finnomena_id"],
        ),
        // Two codes that left the list together.
        (
            vec![
                code("A", 5).isin("I1"),
                code("B", 5).isin("I1"),
                code("C", 9).isin("I1"),
            ],
            vec!["A ?> C isin", "B ?> C isin"],
        ),
        // The id and the ISIN lead to different codes.
        (
            vec![
                code("A", 5).id("F1").isin("I1"),
                code("B", 9).id("F1"),
                code("C", 9).isin("I1"),
            ],
            vec!["A ?> B finnomena_id", "A ?> C isin"],
        ),
    ] {
        assert_eq!(shown(&facts), expected, "{facts:?}");
        for link in links(&facts) {
            let rivals = &link.evidence.rivals;
            assert_eq!(rivals.len(), 1, "{link:?}");
            assert!(!rivals.contains(&link.old) && !rivals.contains(&link.new));
        }
    }
}

#[test]
fn an_id_of_many_codes_links_none() {
    let mut facts = vec![code("A", 5).isin("I1")];
    let new = |at: usize| code(&format!("B{at}"), 9).isin("I1");
    facts.extend((0..MAX_RIVALS).map(new));
    assert_eq!(links(&facts).len(), MAX_RIVALS);
    facts.push(new(MAX_RIVALS));
    assert_eq!(links(&facts), []);
}

#[test]
fn a_series_that_goes_on_in_the_same_project_is_a_proposal_with_its_values() {
    let old = code("A", 5).series("M1", [1, 10], ["9", "10"]);
    let new = code("B", 9).series("M1", [13, 20], ["10.2", "11"]);
    let found = links(&[old, new]);
    let [link] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(!link.is_certain && link.rule == Rule::HandOver);
    let expected = HandOver {
        project: "M1".to_owned(),
        last_day: date(2026, 10, 10),
        last_nav: 10.into(),
        first_day: date(2026, 10, 13),
        first_nav: Number::parse("10.2").unwrap(),
        gap_days: 3,
        change_percent: 2.into(),
    };
    assert_eq!(link.evidence.hand_over.as_ref(), Some(&expected));
}

#[test]
fn the_hand_over_rule_needs_every_one_of_its_conditions() {
    use NoHandOver::*;
    let old =
        |until, last_day, last_nav| code("A", until).series("M1", [1, last_day], ["10", last_nav]);
    let new = |project, first_day, first_nav| {
        code("B", 9).series(project, [first_day, 30], [first_nav, "99"])
    };
    let unknown = |facts: CodeFacts| CodeFacts {
        project: None,
        ..facts
    };
    let empty = |facts: CodeFacts| CodeFacts {
        navs: None,
        ..facts
    };
    for (old, new, expected) in [
        (old(5, 10, "10"), new("M1", 11, "10"), None),
        (old(5, 10, "10"), new("M1", 24, "10"), None),
        (old(5, 10, "10"), new("M1", 25, "10"), Some(Gap)),
        // A shared day.
        (old(5, 10, "10"), new("M1", 10, "10"), Some(Gap)),
        (old(5, 10, "10"), new("M1", 3, "10"), Some(Gap)),
        (old(5, 10, "10"), new("M1", 11, "10.5"), None),
        (old(5, 10, "10"), new("M1", 11, "9.5"), None),
        (old(5, 10, "10"), new("M1", 11, "10.5001"), Some(OtherNav)),
        (old(5, 10, "10"), new("M1", 11, "9.4999"), Some(OtherNav)),
        (old(5, 10, "10"), new("M2", 11, "10"), Some(OtherProject)),
        (
            unknown(old(5, 10, "10")),
            new("M1", 11, "10"),
            Some(ProjectUnknown),
        ),
        (
            old(5, 10, "10"),
            unknown(new("M1", 11, "10")),
            Some(ProjectUnknown),
        ),
        (empty(old(5, 10, "10")), new("M1", 11, "10"), Some(NoNav)),
        (old(9, 10, "10"), new("M1", 11, "10"), Some(StillListed)),
    ] {
        let found = hand_over(&old, &new).err();
        assert_eq!(found, expected, "{old:?} {new:?}");
        let proposed = links(&[old, new]).len();
        assert_eq!(proposed, usize::from(expected.is_none()));
    }
}

#[test]
fn two_hand_overs_are_two_proposals_and_a_certain_link_leaves_none() {
    let old = code("A", 5).series("M1", [1, 10], ["10", "10"]);
    let new = |name| code(name, 9).series("M1", [12, 30], ["10", "10"]);
    assert_eq!(
        shown(&[old.clone(), new("B"), new("C")]),
        ["A ?> B hand_over", "A ?> C hand_over"]
    );
    assert_eq!(
        shown(&[old.isin("I1"), new("B"), new("C").isin("I1")]),
        ["A -> C isin"]
    );
}

/// Up to eight codes with few ids, ISINs, projects and cycles, so that they share many of them.
fn any_facts() -> impl Strategy<Value = Vec<CodeFacts>> {
    let day = || (1_i8..29, 95_i32..106);
    let ids = || proptest::collection::btree_map("F[12]", any::<bool>(), 0..2);
    let isins = || proptest::collection::btree_set("I[123]", 0..2);
    let fund = (
        0_i64..6,
        ids(),
        isins(),
        proptest::option::of("M[12]"),
        proptest::option::of((day(), day())),
    );
    proptest::collection::vec(fund, 0..8).prop_map(|funds| {
        let funds = funds.into_iter().enumerate();
        funds
            .map(|(at, (listing, ids, isins, project, navs))| {
                let nav_day = |(day, nav): (i8, i32)| NavDay {
                    date: date(2026, 10, day),
                    nav: nav.into(),
                };
                CodeFacts {
                    code: FundCode::parse(&format!("C{at}")).unwrap(),
                    listing: match listing {
                        0 => Listing::Never,
                        5 => Listing::Now,
                        until => Listing::Until(until),
                    },
                    finnomena_ids: ids,
                    isins,
                    project,
                    navs: navs.map(|(first, last)| {
                        let (first, last) = (nav_day(first), nav_day(last));
                        let end = NavDay {
                            date: first.date.max(last.date).saturating_add(1.day()),
                            ..last
                        };
                        (first, end)
                    }),
                }
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn chains_have_no_circle_and_a_code_at_most_one_certain_neighbour_on_each_side(facts in any_facts()) {
        let links = links(&facts);
        let listing: BTreeMap<&FundCode, Listing> =
            facts.iter().map(|code| (&code.code, code.listing)).collect();
        let (mut successors, mut predecessors) = (BTreeSet::new(), BTreeSet::new());
        for link in &links {
            // The listing grows along each link, so no way leads back.
            prop_assert!(listing[&link.old] < listing[&link.new], "{link:?}");
            prop_assert!(listing[&link.old] != Listing::Now, "{link:?}");
            if link.is_certain {
                prop_assert!(link.rule != Rule::HandOver, "{link:?}");
                prop_assert!(successors.insert(&link.old), "{link:?}");
                prop_assert!(predecessors.insert(&link.new), "{link:?}");
                let others = links.iter().filter(|other| {
                    *other != link && (other.old == link.old || other.new == link.new)
                });
                prop_assert_eq!(others.count(), 0, "a rival of {:?}", link);
            }
        }
    }

    #[test]
    fn the_order_of_the_facts_does_not_matter(facts in any_facts(), seed in any::<u64>()) {
        let mut shuffled = facts.clone();
        shuffled.sort_by_key(|code| {
            let number = code.code.as_str().bytes().map(u64::from).sum::<u64>();
            (number ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        prop_assert_eq!(links(&facts), links(&shuffled));
    }

    #[test]
    fn a_code_that_the_list_shows_again_loses_its_links_to_newer_codes(facts in any_facts(), at in 0_usize..8) {
        let mut facts = facts;
        if let Some(code) = facts.get_mut(at) {
            code.listing = Listing::Now;
            let code = code.code.clone();
            prop_assert!(links(&facts).iter().all(|link| link.old != code));
        }
    }
}
