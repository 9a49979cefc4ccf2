use jiff::civil::date;

use super::*;
use crate::columns::{
    DividendFields, FeeFields, MasterFields, PerformanceFields, StatisticsFields,
};
use crate::fold::{Folded, fold};
use crate::observation::{
    DailyPoint, Dividend, PerformanceRow, Portfolio, PortfolioKind, SecurityCode,
};
use crate::{FundCode, Number, SourceName};

fn number(text: &str) -> Number {
    Number::parse(text).unwrap()
}

fn says(said: ObservationData) -> Observation {
    Observation {
        fund_code: FundCode::parse("K-USA-A").unwrap(),
        source: SourceName::Finnomena,
        as_of_date: None,
        url: String::new(),
        data: said,
    }
}

/// What `examine` returns for `new` after the same source reported `before`.
fn found(before: Option<ObservationData>, new: ObservationData) -> Option<(DoubtKind, Evidence)> {
    let held = before.map(|said| match fold(None, None, &says(said), 1) {
        Folded::Changed(held) => held,
        other => panic!("{other:?}"),
    });
    examine(held.as_ref(), &says(new))
}

fn kind(before: Option<ObservationData>, new: ObservationData) -> Option<DoubtKind> {
    found(before, new).map(|(kind, _)| kind)
}

#[test]
fn a_share_is_compared_with_the_larger_of_limit_and_twice_the_usual() {
    let limits = DoubtLimits::USUAL;
    for (kind, affected, asked, usual, believed) in [
        // A share equal to the limit is believed; one fund more is not.
        (DoubtKind::Settled, 15, 100, Some(0), true),
        (DoubtKind::Settled, 16, 100, Some(0), false),
        (DoubtKind::Settled, 550, 2_200, None, false),
        (DoubtKind::Status, 58, 60, Some(0), false),
        (DoubtKind::Status, 6, 60, Some(0), true),
        (DoubtKind::Absent, 20, 100, None, true),
        (DoubtKind::Absent, 21, 100, None, false),
        (DoubtKind::Absent, 60, 60, Some(20), false),
        // A share that is usual in this market is not doubted.
        (DoubtKind::Settled, 24, 100, Some(120), true),
        // A change of more than half of the market is always doubted.
        (DoubtKind::Settled, 51, 100, Some(400), false),
        // Few funds requested, or few affected, are no mass change.
        (DoubtKind::Absent, 19, 19, None, true),
        (DoubtKind::Absent, 20, 20, None, false),
        (DoubtKind::Status, 4, 20, Some(0), true),
        // "All" allows for a few exceptions.
        (DoubtKind::AllAbsent, 54, 60, None, true),
        (DoubtKind::AllAbsent, 58, 60, None, false),
        (DoubtKind::AllZero, 60, 60, None, false),
        // The control sample is small.
        (DoubtKind::WithoutNews, 2, 4, None, true),
        (DoubtKind::WithoutNews, 4, 20, None, true),
        (DoubtKind::WithoutNews, 5, 20, None, false),
        (DoubtKind::WithoutNews, 3, 4, None, false),
    ] {
        let share = Share { asked, affected };
        let verdict = judge(kind, share, usual, &limits);
        assert_eq!(verdict.believed, believed, "{kind} {share:?} {usual:?}");
    }
}

#[test]
fn configured_limits_replace_the_usual_ones() {
    let limits = DoubtLimits {
        min_funds: 5,
        settled_percent: 50,
        ..DoubtLimits::USUAL
    };
    let judged = |affected, asked| {
        judge(DoubtKind::Settled, Share { asked, affected }, None, &limits).believed
    };
    assert!(judged(5, 10));
    assert!(!judged(6, 10));
}

#[test]
fn replaced_names_are_doubtful_and_new_ones_are_not() {
    let named = |name: &str| {
        ObservationData::Master(MasterFields {
            full_name_en: Some(name.to_owned()),
            ..MasterFields::default()
        })
    };
    let classed = |risk| {
        ObservationData::Master(MasterFields {
            risk_level: Some(risk),
            ..MasterFields::default()
        })
    };
    assert_eq!(kind(None, named("A")), None);
    assert_eq!(kind(Some(named("A")), named("A")), None);
    assert_eq!(kind(Some(named("A")), named("B")), Some(DoubtKind::Names));
    assert_eq!(kind(Some(classed(5)), named("B")), None);
    assert_eq!(kind(Some(classed(5)), classed(6)), None);
}

#[test]
fn figures_that_all_become_zero_are_doubtful() {
    let statistics = |sharpe: &str, alpha: &str, beta: &str| {
        let figure = |text: &str| (!text.is_empty()).then(|| number(text));
        ObservationData::Statistics(StatisticsFields {
            sharpe_ratio: figure(sharpe),
            alpha: figure(alpha),
            beta: figure(beta),
            ..StatisticsFields::default()
        })
    };
    for (before, new, expected) in [
        (
            Some(("1.2", "0.3", "1")),
            ("0", "0", "0"),
            Some(DoubtKind::Zeroed),
        ),
        (
            Some(("1.2", "0", "")),
            ("0", "0", ""),
            Some(DoubtKind::Zeroed),
        ),
        (Some(("1.2", "0.3", "1")), ("0", "0", "0.9"), None),
        (Some(("0", "0", "0")), ("0", "0", "0"), None),
        (Some(("1.2", "", "")), ("", "", ""), None),
        (None, ("0", "0", "0"), Some(DoubtKind::AllZero)),
        (None, ("0", "", ""), None),
    ] {
        let before = before.map(|(a, b, c)| statistics(a, b, c));
        assert_eq!(
            kind(before, statistics(new.0, new.1, new.2)),
            expected,
            "{new:?}"
        );
    }
    let fees = |ter: &str| {
        ObservationData::Fees(FeeFields {
            ter_actual: Some(number(ter)),
            ..FeeFields::default()
        })
    };
    assert_eq!(kind(Some(fees("1.5")), fees("0")), Some(DoubtKind::Zeroed));
    assert_eq!(kind(Some(fees("1.5")), fees("1.6")), None);
    let minimums = |min: &str| {
        ObservationData::Minimums(FeeFields {
            min_initial_buy: Some(number(min)),
            min_next_buy: Some(number(min)),
            front_end_max: Some(number(min)),
            ..FeeFields::default()
        })
    };
    assert_eq!(kind(None, minimums("0")), None);
}

#[test]
fn a_portfolio_of_zeros_is_doubtful_where_it_had_shares() {
    let portfolio = |percents: &[&str]| {
        ObservationData::Portfolio(Portfolio {
            kind: PortfolioKind::TopHoldings,
            rows: percents
                .iter()
                .map(|percent| PortfolioRow {
                    name: "A".to_owned(),
                    percent: Some(number(percent)),
                })
                .collect(),
            unreadable: 0,
        })
    };
    assert_eq!(
        kind(Some(portfolio(&["10", "0"])), portfolio(&["0", "0"])),
        Some(DoubtKind::Zeroed)
    );
    assert_eq!(kind(Some(portfolio(&["10"])), portfolio(&["0", "3"])), None);
    assert_eq!(
        kind(None, portfolio(&["0", "0", "0"])),
        Some(DoubtKind::AllZero)
    );
}

#[test]
fn a_code_that_another_of_its_type_replaces_is_doubtful() {
    let codes = |codes: &[(CodeType, &str)]| {
        ObservationData::Codes(
            codes
                .iter()
                .map(|(code_type, code)| SecurityCode {
                    code_type: *code_type,
                    code: (*code).to_owned(),
                })
                .collect(),
        )
    };
    let (isin, bloomberg) = (CodeType::Isin, CodeType::Bloomberg);
    let before = || Some(codes(&[(isin, "X"), (bloomberg, "K TB")]));
    assert_eq!(kind(before(), codes(&[(isin, "X")])), None);
    assert_eq!(kind(before(), codes(&[])), None);
    assert_eq!(
        kind(before(), codes(&[(isin, "Y")])),
        Some(DoubtKind::Codes)
    );
    assert_eq!(
        kind(Some(codes(&[(bloomberg, "K TB")])), codes(&[(isin, "Y")])),
        None
    );
}

type Day = (i8, &'static str);

fn series(days: &[Day]) -> BTreeMap<Date, Values> {
    days.iter()
        .map(|(day, nav)| (date(2026, 10, *day), [Some(number(nav)), None, None, None]))
        .collect()
}

fn known(days: &[Day]) -> KnownSeries {
    let days = series(days);
    KnownSeries {
        comes_day_by_day: false,
        span: days
            .keys()
            .next()
            .copied()
            .zip(days.keys().next_back().copied()),
        days,
    }
}

/// The days of October that are set aside.
fn waiting(known: &KnownSeries, said: &BTreeMap<Date, Values>) -> Vec<i8> {
    let doubt = examine_days(known, said, date(2026, 10, 8));
    let days = doubt.iter().flat_map(|doubt| doubt.waiting.keys());
    days.map(|date| date.day()).collect()
}

#[test]
fn rewritten_settled_days_wait_and_new_days_are_taken() {
    let known = known(&[(1, "10"), (2, "11"), (5, "12"), (9, "13"), (12, "14")]);
    for (said, waits) in [
        // An identical answer, a revision within the look-back, a new day.
        (&[(1, "10"), (2, "11"), (12, "14")][..], &[][..]),
        (&[(5, "12"), (9, "13.5"), (12, "14.5"), (13, "15")], &[]),
        // A rewritten settled day is set aside with every other rewritten day. A new day is not.
        (
            &[(2, "21"), (5, "12"), (9, "13"), (12, "14"), (13, "15")],
            &[2],
        ),
        (
            &[
                (1, "10"),
                (2, "21"),
                (5, "12"),
                (9, "13.5"),
                (12, "14"),
                (13, "15"),
            ],
            &[2, 9],
        ),
        // A day that is added between the known days.
        (&[(3, "11.5"), (5, "12"), (12, "14"), (13, "15")], &[3]),
        // Every settled day is rewritten, and the new day continues the known series.
        (
            &[
                (1, "20"),
                (2, "22"),
                (5, "24"),
                (9, "13"),
                (12, "14"),
                (13, "15"),
            ],
            &[1, 2, 5],
        ),
        // Another series: its new days are not credible.
        (
            &[
                (1, "40"),
                (2, "41"),
                (5, "42"),
                (9, "43"),
                (12, "44"),
                (13, "45"),
            ],
            &[1, 2, 5, 9, 12, 13],
        ),
        // The newest known day is revised as well. The other unsettled day shows that it is the same series.
        (&[(2, "21"), (9, "13"), (12, "14.5"), (13, "15")], &[2, 12]),
        // A new day that is published late.
        (&[(9, "13"), (12, "14")], &[]),
        // Another series with other days: its new days are not credible either.
        (&[(3, "41"), (12, "44"), (13, "45")], &[3, 12, 13]),
        (&[(3, "41"), (13, "45")], &[3, 13]),
    ] {
        assert_eq!(waiting(&known, &series(said)), waits, "{said:?}");
    }
}

#[test]
fn new_days_of_a_monthly_fund_are_judged_by_the_newest_known_one() {
    let known = known(&[(1, "10"), (3, "10.1"), (5, "10.2")]);
    // Settled days are rewritten, and a new day is near the known values.
    assert_eq!(
        waiting(
            &known,
            &series(&[(1, "20"), (3, "20.2"), (5, "20.4"), (13, "10.3")])
        ),
        [1, 3, 5]
    );
    // Another monthly fund without a new day, whose history begins earlier.
    assert_eq!(
        waiting(&known, &series(&[(1, "20"), (3, "20.2"), (5, "20.4")])),
        [1, 3, 5]
    );
    // Another monthly fund.
    assert_eq!(
        waiting(
            &known,
            &series(&[(1, "20"), (3, "20.2"), (5, "20.4"), (13, "20.5")])
        ),
        [1, 3, 5, 13]
    );
}

#[test]
fn what_a_source_never_reported_cannot_be_rewritten() {
    let said = series(&[(1, "10"), (2, "11"), (5, "12")]);
    assert_eq!(waiting(&KnownSeries::default(), &said), [0; 0]);
    // Days before the first known day complete the history.
    assert_eq!(waiting(&known(&[(5, "12"), (9, "13")]), &said), [0; 0]);
    let bids = KnownSeries {
        days: BTreeMap::from([(date(2026, 10, 1), [None, Some(number("5")), None, None])]),
        span: Some((date(2026, 10, 9), date(2026, 10, 9))),
        comes_day_by_day: false,
    };
    assert_eq!(waiting(&bids, &said), [0; 0]);
}

#[test]
fn a_new_day_that_is_published_late_is_taken() {
    let known = known(&[(1, "10"), (2, "11")]);
    assert_eq!(waiting(&known, &series(&[(5, "12")])), [0; 0]);
    assert_eq!(
        waiting(&known, &series(&[(1, "10"), (2, "11"), (5, "12")])),
        [0; 0]
    );
}

/// The day of the month, NAV and AUM.
type Sized = (i8, &'static str, &'static str);

fn sized(days: &[Sized]) -> BTreeMap<Date, Values> {
    days.iter()
        .map(|(day, nav, aum)| {
            let values = [Some(number(nav)), None, None, Some(number(aum))];
            (date(2026, 10, *day), values)
        })
        .collect()
}

#[test]
fn an_aum_that_becomes_zero_waits_on_new_days_too_and_their_nav_does_not() {
    let days = sized(&[(1, "10", "7"), (2, "11", "8"), (9, "12", "9")]);
    let known = KnownSeries {
        comes_day_by_day: false,
        span: days
            .keys()
            .next()
            .copied()
            .zip(days.keys().next_back().copied()),
        days,
    };
    let said = sized(&[
        (1, "10", "0"),
        (2, "11", "0"),
        (9, "12", "0"),
        (13, "13", "0"),
    ]);
    let doubt = examine_days(&known, &said, date(2026, 10, 8)).unwrap();
    assert_eq!(doubt.kind, DoubtKind::Settled);
    assert_eq!(
        doubt.waiting[&date(2026, 10, 13)],
        [None, None, None, Some(number("0"))]
    );
    // A single 0 among other figures is a value.
    let said = sized(&[
        (1, "10", "7"),
        (2, "11", "8"),
        (9, "12", "9"),
        (13, "13", "0"),
    ]);
    assert_eq!(waiting(&known, &said), [0; 0]);
}

#[test]
fn a_first_history_without_any_aum_but_zero_waits_with_its_aum_alone() {
    let zeros: Vec<Sized> = (1..=6).map(|day| (day, "10", "0")).collect();
    let doubt = examine_days(&KnownSeries::default(), &sized(&zeros), date(2026, 10, 8)).unwrap();
    assert_eq!(doubt.kind, DoubtKind::AllZero);
    assert!(
        doubt
            .waiting
            .values()
            .all(|values| values[0].is_none() && values[3].is_some())
    );
    assert_eq!(doubt.waiting.len(), 6);
    assert_eq!(
        waiting(&KnownSeries::default(), &sized(&zeros[..1])),
        [0; 0]
    );
    let mut one_figure = zeros;
    one_figure[3].2 = "5";
    assert_eq!(
        waiting(&KnownSeries::default(), &sized(&one_figure)),
        [0; 0]
    );
}

#[test]
fn a_series_hash_differs_for_series_that_move() {
    let points = |navs: &[&str]| -> Vec<DailyPoint> {
        navs.iter()
            .zip(1_i8..)
            .map(|(nav, day)| DailyPoint {
                nav_date: date(2026, 10, day),
                nav: Some(number(nav)),
                aum: None,
                bid: None,
                offer: None,
            })
            .collect()
    };
    let one = series_hash(&points(&["9", "10", "11", "12", "13", "14"]));
    // Only the newest days are hashed: a short and a long answer about one fund have the same hash.
    assert_eq!(
        one,
        series_hash(&points(&["8", "10", "11", "12", "13", "14"]))
    );
    assert_ne!(
        one,
        series_hash(&points(&["9", "10", "11", "12", "13", "15"]))
    );
    assert_eq!(series_hash(&points(&["10", "11"])), None);
    assert_eq!(series_hash(&points(&["10", "10", "10", "10", "11"])), None);
}

#[test]
fn the_same_change_agrees_in_all_that_both_report() {
    let evidence = |pairs: &[(&str, &str)]| -> Evidence {
        pairs
            .iter()
            .map(|(field, value)| ((*field).to_owned(), (*value).to_owned()))
            .collect()
    };
    for (one, other, same) in [
        (evidence(&[]), evidence(&[]), true),
        (
            evidence(&[("a", "1"), ("b", "2")]),
            evidence(&[("b", "2"), ("c", "3")]),
            true,
        ),
        (
            evidence(&[("a", "1"), ("b", "2")]),
            evidence(&[("b", "4")]),
            false,
        ),
        (evidence(&[("a", "1")]), evidence(&[("b", "1")]), false),
        (evidence(&[("a", "1")]), evidence(&[]), false),
    ] {
        assert_eq!(is_same_change(&one, &other), same, "{one:?} {other:?}");
    }
}

#[test]
fn a_control_sample_is_a_fiftieth_of_the_market_within_bounds() {
    assert_eq!(control_funds(19), 0);
    assert_eq!(control_funds(60), 20);
    assert_eq!(control_funds(2_200), 44);
    assert_eq!(control_funds(100_000), 50);
}

#[test]
fn every_kind_has_a_word_of_its_own() {
    for kind in DoubtKind::ALL {
        assert_eq!(DoubtKind::from_name(kind.as_str()), Some(kind));
    }
    assert_eq!(DoubtKind::from_name("other"), None);
}

#[test]
fn a_settled_day_between_known_ones_is_no_doubt_if_the_source_reports_day_by_day() {
    let known = known(&[(1, "10"), (9, "11")]);
    let between = series(&[(4, "10.5")]);
    assert!(examine_days(&known, &between, date(2026, 10, 20)).is_some());
    let by_day = KnownSeries {
        comes_day_by_day: true,
        ..known
    };
    assert_eq!(examine_days(&by_day, &between, date(2026, 10, 20)), None);
    let rewritten = series(&[(1, "12")]);
    assert!(examine_days(&by_day, &rewritten, date(2026, 10, 20)).is_some());
}

/// Dividends of 2026: month of the XD date, value, day of October on which it was changed.
fn dividends(entries: &[(i8, &str, i8)]) -> ObservationData {
    let dividends = entries.iter().map(|(month, value, changed)| Dividend {
        xd_date: date(2026, *month, 1),
        fields: DividendFields {
            pay_date: Some(date(2026, *month, 15)),
            value: Some(number(value)),
        },
        changed_on: Some(date(2026, 10, *changed)),
    });
    ObservationData::Dividends(dividends.collect())
}

/// Performance at the end of September: period, return of the fund.
fn performance(entries: &[(&str, &str)]) -> ObservationData {
    let rows = entries.iter().map(|(period, fund)| PerformanceRow {
        as_of_date: date(2026, 9, 30),
        period: (*period).to_owned(),
        fields: PerformanceFields {
            fund: Some(number(fund)),
            ..PerformanceFields::default()
        },
    });
    ObservationData::Performance(rows.collect())
}

#[test]
fn a_known_dividend_or_return_that_is_rewritten_is_a_doubt_and_a_new_one_is_not() {
    for (before, new, expected) in [
        (
            dividends(&[(3, "0.5", 1)]),
            dividends(&[(3, "0.5", 1), (6, "0.7", 1)]),
            None,
        ),
        // The row was changed, and has the same values.
        (
            dividends(&[(3, "0.5", 1)]),
            dividends(&[(3, "0.5", 4)]),
            None,
        ),
        (
            dividends(&[(3, "0.5", 1), (6, "0.7", 1)]),
            dividends(&[(3, "0.6", 4)]),
            Some(("2026-03-01 value", "0.6")),
        ),
        // An older record of the list changes nothing.
        (
            dividends(&[(3, "0.5", 4)]),
            dividends(&[(3, "0.6", 1)]),
            None,
        ),
        (
            performance(&[("1 year", "4")]),
            performance(&[("1 year", "4"), ("3 years", "9")]),
            None,
        ),
        (
            performance(&[("1 year", "4")]),
            performance(&[("1 year", "5"), ("3 years", "9")]),
            Some(("2026-09-30 1 year fund", "5")),
        ),
    ] {
        let shown = format!("{before:?} {new:?}");
        let expected = expected.map(|(field, value)| {
            let evidence = Evidence::from([(field.to_owned(), value.to_owned())]);
            (DoubtKind::Settled, evidence)
        });
        assert_eq!(found(Some(before), new), expected, "{shown}");
    }
}

#[test]
fn zeros_in_place_of_known_returns_are_a_doubt_also_for_a_new_date() {
    let zeros = || performance(&[("1 year", "0"), ("3 years", "0"), ("5 years", "0")]);
    let known = performance(&[("10 years", "4")]);
    assert_eq!(kind(Some(known.clone()), zeros()), Some(DoubtKind::Zeroed));
    assert_eq!(kind(None, zeros()), Some(DoubtKind::AllZero));
    assert_eq!(kind(None, performance(&[("1 year", "0")])), None);
    assert_eq!(kind(Some(zeros()), zeros()), None);
    let one_zero = performance(&[("1 year", "0"), ("3 years", "9")]);
    assert_eq!(kind(Some(known), one_zero), None);
}

#[test]
fn the_evidence_of_rewritten_rows_is_bounded_to_the_newest() {
    let of_year = |value: &str| {
        let entries: Vec<(i8, &str, i8)> = (1..=12).map(|month| (month, value, 1)).collect();
        dividends(&entries)
    };
    let changed = |said: ObservationData| match said {
        ObservationData::Dividends(mut dividends) => {
            for dividend in &mut dividends {
                dividend.changed_on = Some(date(2026, 11, 1));
            }
            ObservationData::Dividends(dividends)
        }
        other => other,
    };
    let (_, evidence) = found(Some(of_year("0.5")), changed(of_year("0.6"))).unwrap();
    assert_eq!(evidence.len(), 10);
    assert!(
        evidence.contains_key("2026-12-01 value") && !evidence.contains_key("2026-02-01 value")
    );
}
