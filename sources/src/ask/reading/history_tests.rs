//! Tests of histories: parsing only what follows the known prefix gives the same result as parsing the whole history,
//! whatever changed in it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jiff::ToSpan;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use schema::observation::DailyPoint;
use schema::task::KnownPrefix;
use schema::{ObservationData, TaskId};
use url::Url;

use super::*;
use crate::site::Via;
use crate::sites::asked;
use crate::sites::finnomena::Finnomena;

/// One entry of the list.
#[derive(Debug, Clone)]
struct Day {
    date: Date,
    value: String,
    amount: String,
}

impl Day {
    fn new(date: Date, value: &dyn ToString, amount: &dyn ToString) -> Self {
        Self {
            date,
            value: value.to_string(),
            amount: amount.to_string(),
        }
    }
}

/// `count` dates from the beginning of 2024, two of every three calendar days.
fn days(count: i64) -> Vec<Day> {
    (0..count)
        .map(|at| {
            let day = date(2024, 1, 1) + (at * 3 / 2).days();
            Day::new(day, &format!("1{}.25", at % 7), &(at * 10))
        })
        .collect()
}

fn newest(days: &[Day]) -> Date {
    days.iter()
        .map(|day| day.date)
        .max()
        .unwrap_or(date(2024, 1, 1))
}

/// The entries of the list's last month.
fn last_month(days: &[Day]) -> Vec<Day> {
    last(31, days)
}

fn last(count: i64, days: &[Day]) -> Vec<Day> {
    let first = newest(days) - count.days();
    let is_in = |day: &&Day| day.date >= first;
    days.iter().filter(is_in).cloned().collect()
}

fn body(days: &[Day]) -> Bytes {
    let days: Vec<String> = days
        .iter()
        .map(|day| {
            format!(
                r#"{{"date":"{}T00:00:00Z","value":{},"amount":{}}}"#,
                day.date, day.value, day.amount
            )
        })
        .collect();
    let text = format!(
        r#"{{"status":true,"service_code":"51","data":{{"fund_id":"F0","navs":[{}],"short_code":"A"}}}}"#,
        days.join(",")
    );
    Bytes::from(text)
}

/// What a warehouse knows of one page, and stores of one fund.
#[derive(Debug, Default)]
struct Books {
    remembers: bool,
    known_payload: Option<(PayloadHash, i32)>,
    known_prefix: Option<KnownPrefix>,
    rows: BTreeMap<Date, DailyPoint>,
    /// All notes so far, without duplicates.
    noted: BTreeSet<(String, String)>,
    /// The rejects of the last answer.
    lost: Vec<Reject>,
    /// The number of days in the last answer; `None`: the payload hash was known.
    said: Option<usize>,
}

impl Books {
    fn task(&self, extent: &str) -> PlannedTask {
        PlannedTask {
            locator: Some("F0".to_owned()),
            extent: Some(extent.to_owned()),
            known_payload: self.known_payload.filter(|_| self.remembers),
            known_prefix: self.known_prefix.filter(|_| self.remembers),
            ..PlannedTask::new(TaskId {
                source: schema::SourceName::Finnomena,
                page: "nav".to_owned(),
                key: "A".to_owned(),
            })
        }
    }

    fn take(&mut self, extent: &str, body: Bytes, cycle_date: Date) {
        self.take_task(self.task(extent), body, cycle_date, 1);
    }

    /// Parses an answer and keeps what the store would keep.
    fn take_task(&mut self, task: PlannedTask, body: Bytes, cycle_date: Date, version: i32) {
        let root = Url::parse("https://www.finnomena.com").expect("a URL");
        let site = Finnomena::new(&root, Vec::new());
        let page = PageSpec {
            parser_version: version,
            ..asked::page(&site, "nav")
        };
        let answer = Answer {
            url: root,
            status: 200,
            content_type: None,
            body,
            via: Via::Http,
        };
        let context = ReadContext { cycle_date };
        let read = recognise_or_read(&site, &page, vec![task], &answer, context).remove(0);
        self.lost.clear();
        self.said = None;
        let hash = read.hash;
        let Some(history::Read {
            reading,
            known_prefix,
            ..
        }) = read.read
        else {
            return;
        };
        let Reading::Observed {
            observations,
            rejects,
            ..
        } = reading
        else {
            panic!("a lawful history is broken: {reading:?}");
        };
        self.said = Some(0);
        for observation in observations {
            let ObservationData::Daily(days) = observation.data else {
                panic!("a NAV page says {}", observation.data.dataset());
            };
            self.said = Some(days.len());
            for day in days {
                let row = self.rows.entry(day.nav_date).or_insert(day);
                row.nav = day.nav.or(row.nav);
                row.aum = day.aum.or(row.aum);
            }
        }
        for reject in rejects {
            match reject.severity {
                Severity::Rejected => self.lost.push(reject),
                Severity::Noted => {
                    self.noted.insert((reject.reason, reject.sample));
                }
            }
        }
        let clean = self.lost.is_empty();
        self.known_payload = clean.then_some((hash, page.parser_version));
        self.known_prefix = known_prefix.filter(|_| clean);
    }
}

/// A change of the list between two cycles. Positions are in thousandths of its length.
#[derive(Debug, Clone)]
enum Change {
    Appended(i64),
    Corrected(usize, u32),
    NewestCorrected(u32),
    AmountLost(usize),
    Silent(usize),
    Unreadable(usize),
    Swapped(usize, usize),
    Doubled(usize, usize, u32),
    Dropped(usize),
    CutAtItsBeginning(usize),
    CutAtItsEnd(usize),
    Ahead(i64),
    /// The list is again as it was in the last whole history.
    AsTold,
}

fn change() -> impl Strategy<Value = Change> {
    let at = || 0_usize..1000;
    prop_oneof![
        8 => (1_i64..40).prop_map(Change::Appended),
        1 => (at(), 1_u32..9).prop_map(|(at, value)| Change::Corrected(at, value)),
        2 => (1_u32..9).prop_map(Change::NewestCorrected),
        1 => at().prop_map(Change::AmountLost),
        1 => at().prop_map(Change::Silent),
        1 => at().prop_map(Change::Unreadable),
        1 => (at(), at()).prop_map(|(one, other)| Change::Swapped(one, other)),
        // More often near the end, where known prefixes end.
        1 => (700_usize..1000, 700_usize..1000).prop_map(|(one, other)| Change::Swapped(one, other)),
        1 => (at(), at(), 0_u32..9).prop_map(|(of, to, value)| Change::Doubled(of, to, value)),
        1 => (at(), Just(999), 0_u32..9).prop_map(|(of, to, value)| Change::Doubled(of, to, value)),
        1 => at().prop_map(Change::Dropped),
        1 => (0_usize..300).prop_map(Change::CutAtItsBeginning),
        1 => (700_usize..1000).prop_map(Change::CutAtItsEnd),
        1 => (1_i64..60).prop_map(Change::Ahead),
        2 => Just(Change::AsTold),
    ]
}

fn changed(list: &mut Vec<Day>, told: &[Day], change: &Change) {
    let place = |at: usize| at * list.len() / 1000;
    if list.is_empty() && !matches!(change, Change::Appended(_)) {
        return;
    }
    match *change {
        Change::Appended(count) => {
            let last = newest(list);
            list.extend((1..=count).map(|at| Day::new(last + at.days(), &"9.5", &at)));
        }
        Change::Corrected(at, value) => {
            let at = place(at);
            list[at].value = value.to_string();
        }
        Change::NewestCorrected(value) => {
            let last = list.len() - 1;
            list[last].value = value.to_string();
        }
        Change::AmountLost(at) => {
            let at = place(at);
            list[at].amount = "NaN".to_owned();
        }
        Change::Silent(at) => {
            let at = place(at);
            list[at] = Day::new(list[at].date, &0, &"null");
        }
        Change::Unreadable(at) => {
            let at = place(at);
            list[at].value = "true".to_owned();
        }
        Change::Swapped(one, other) => {
            let (one, other) = (place(one), place(other));
            list.swap(one, other);
        }
        Change::Doubled(of, to, value) => {
            let (of, to) = (place(of), place(to));
            let again = Day::new(list[of].date, &value, &"null");
            // The position after the last entry is possible, too.
            list.insert(to + usize::from(to + 1 == list.len()), again);
        }
        Change::Dropped(at) => {
            let at = place(at);
            list.remove(at);
        }
        Change::CutAtItsBeginning(at) => {
            let at = place(at);
            list.drain(..at);
        }
        Change::CutAtItsEnd(at) => {
            let at = place(at);
            list.truncate(at);
        }
        Change::Ahead(days) => {
            let ahead = newest(list) + days.days();
            list.push(Day::new(ahead, &"7.75", &1));
        }
        Change::AsTold => {
            let since = newest(told);
            list.retain(|day| day.date > since);
            list.splice(..0, told.iter().cloned());
        }
    }
}

/// A cycle: the changes of the list before it, the requested extent, and the distance in days of the cycle date from
/// the newest date so far.
type Step = (Vec<Change>, &'static str, i64);

fn step() -> impl Strategy<Value = Step> {
    (
        prop::collection::vec(change(), 0..3),
        prop_oneof![6 => Just("MAX"), 2 => Just("1M"), 2 => Just("6M")],
        prop_oneof![5 => 0_i64..5, 1 => -90_i64..0],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// D4: rows, notes and rejects are equal in every cycle.
    #[test]
    fn d4_a_history_read_beyond_its_beginning_comes_to_what_the_whole_comes_to(
        count in 0_i64..150,
        steps in prop::collection::vec(step(), 1..8),
    ) {
        let (mut list, mut told) = (days(count), Vec::new());
        let mut whole = Books::default();
        let mut beyond = Books { remembers: true, ..Books::default() };
        for (at, (changes, extent, lies)) in std::iter::once(&(vec![], "MAX", 1)).chain(&steps).enumerate() {
            for change in changes {
                changed(&mut list, &told, change);
            }
            let cycle_date = newest(&list) + lies.days();
            let answer = match *extent {
                "1M" => last_month(&list),
                "6M" => last(184, &list),
                _ => {
                    told.clone_from(&list);
                    list.clone()
                }
            };
            for books in [&mut whole, &mut beyond] {
                books.take(extent, body(&answer), cycle_date);
            }
            prop_assert_eq!(&beyond.rows, &whole.rows, "cycle {}", at);
            prop_assert_eq!(&beyond.noted, &whole.noted, "cycle {}", at);
            // If the payload hash is known, nothing is parsed and nothing rejected, whatever the cycle date.
            if beyond.said.is_some() {
                prop_assert_eq!(&beyond.lost, &whole.lost, "cycle {}", at);
            }
        }
    }
}

/// The state after a first whole history, with the newest date of the list as the cycle date.
fn known(list: &[Day]) -> Books {
    let mut books = Books {
        remembers: true,
        ..Books::default()
    };
    books.take("MAX", body(list), newest(list));
    assert_eq!(books.said, Some(list.len()));
    books
}

/// The known prefix ends more than a month before the newest date: with two dates in three days, about 24 entries are
/// parsed again.
#[test]
fn p2_only_what_lies_beyond_the_beginning_is_read() {
    let mut list = days(1_000);
    let mut books = known(&list);
    for _ in 0..6 {
        changed(&mut list, &[], &Change::Appended(21));
        books.take("MAX", body(&list), newest(&list));
        let said = books.said.expect("days");
        assert!((21..=21 + 36).contains(&said), "{said} days said");
    }
    assert_eq!(books.rows.len(), list.len());
}

#[test]
fn p2_the_whole_is_read_where_anything_is_odd() {
    let list = days(300);
    let last = newest(&list);
    let changed_by = |changes: &[Change]| {
        let mut list = list.clone();
        for change in changes {
            changed(&mut list, &[], change);
        }
        list
    };
    for (why, changes, is_whole) in [
        ("a day more", vec![Change::Appended(1)], false),
        (
            "the newest is another",
            vec![Change::NewestCorrected(3)],
            false,
        ),
        (
            "one is dropped at the end",
            vec![Change::Dropped(999)],
            false,
        ),
        ("the first is another", vec![Change::Corrected(0, 3)], true),
        (
            "one of years ago is another",
            vec![Change::Corrected(500, 3)],
            true,
        ),
        ("one is dropped", vec![Change::Dropped(500)], true),
        (
            "the first is gone",
            vec![Change::CutAtItsBeginning(5)],
            true,
        ),
        ("cut before the seam", vec![Change::CutAtItsEnd(700)], true),
        (
            "a new one cannot be read",
            vec![Change::Appended(2), Change::Unreadable(999)],
            true,
        ),
        ("an old one again", vec![Change::Doubled(100, 999, 3)], true),
        ("out of order", vec![Change::Swapped(100, 999)], true),
    ] {
        let mut books = known(&list);
        let list = changed_by(&changes);
        books.take("MAX", body(&list), newest(&list).max(last));
        let dates: BTreeSet<Date> = list.iter().map(|day| day.date).collect();
        let said = books.said.expect("days");
        assert_eq!(said == dates.len(), is_whole, "{why}: {said}");
        assert!(is_whole || said < 40, "{why}: {said}");
    }
}

#[test]
fn p2_a_beginning_crosses_neither_codes_nor_extents_nor_parsers() {
    let list = days(300);
    let mut longer = list.clone();
    changed(&mut longer, &[], &Change::Appended(1));
    let cycle_date = newest(&longer);
    let said = |spoil: fn(&mut PlannedTask) -> i32, told: &[Day]| {
        let mut books = known(&list);
        let mut task = books.task("MAX");
        let version = spoil(&mut task);
        books.take_task(task, body(told), cycle_date, version);
        books.said
    };
    assert!(said(|_| 1, &longer).is_some_and(|said| said < 40));
    let whole = Some(longer.len());
    assert_eq!(said(|_| 2, &longer), whole, "another parser");
    let spoilt: [fn(&mut PlannedTask) -> i32; 4] = [
        |task| {
            task.id.key = "a".to_owned();
            1
        },
        |task| {
            task.extent = Some("5Y".to_owned());
            1
        },
        |task| {
            task.extent = None;
            1
        },
        |task| {
            let known = task.known_prefix.as_mut().expect("a prefix");
            known.bytes -= 1;
            1
        },
    ];
    for (at, spoil) in spoilt.into_iter().enumerate() {
        // This answer about `a` contains neither key nor id, so it does not name another fund.
        let mut books = known(&list);
        let mut task = books.task("MAX");
        let version = spoil(&mut task);
        let anonymous = String::from_utf8(body(&longer).to_vec()).expect("text");
        let anonymous = anonymous.replace(r#""short_code":"A""#, r#""x":1"#);
        books.take_task(task, Bytes::from(anonymous), cycle_date, version);
        assert_eq!(books.said, whole, "{at}");
    }
}

/// A short history reports the last month again. If it also reports dates within the known prefix, the prefix is
/// discarded.
#[test]
fn a_short_history_with_settled_days_discards_the_known_prefix() {
    let mut list = days(300);
    let mut books = known(&list);
    let begins = books.known_prefix;
    assert!(begins.is_some());
    changed(&mut list, &[], &Change::Appended(3));
    books.take("1M", body(&last_month(&list)), newest(&list));
    assert_eq!(books.known_prefix, begins, "a month on it is there still");

    // An old value changes, and changes back a cycle later.
    let mut revised = list.clone();
    changed(&mut revised, &[], &Change::Corrected(500, 3));
    books.take("1Y", body(&revised[100..]), newest(&list));
    assert_eq!(books.known_prefix, None);
    books.take("MAX", body(&list), newest(&list));
    assert_eq!(books.said, Some(list.len()));
    assert!(books.known_prefix.is_some());

    // After a reject neither hash nor prefix is known.
    changed(&mut list, &[], &Change::Unreadable(999));
    books.take("1M", body(&last_month(&list)), newest(&list));
    assert_eq!((books.known_prefix, books.known_payload), (None, None));
}

/// Parses the entries as the answer to a task with this extent on this cycle date.
fn read_whole(
    books: &Books,
    extent: &str,
    list: &[Day],
    cycle_date: Date,
) -> (Option<Option<Date>>, bool) {
    let root = Url::parse("https://www.finnomena.com").expect("a URL");
    let site = Finnomena::new(&root, Vec::new());
    // The version that `Books::take` uses.
    let page = PageSpec {
        parser_version: 1,
        ..asked::page(&site, "nav")
    };
    let answer = Answer {
        url: root,
        status: 200,
        content_type: None,
        body: body(list),
        via: Via::Http,
    };
    let context = ReadContext { cycle_date };
    let task = books.task(extent);
    let read = recognise_or_read(&site, &page, vec![task], &answer, context).remove(0);
    let read = read.read.expect("a payload that is not known");
    let refused = matches!(
        read.reading,
        Reading::Observed {
            refused_by_cycle_date: true,
            ..
        }
    );
    (read.whole.map(|whole| whole.first_day), refused)
}

#[test]
fn only_a_history_read_from_its_first_day_has_a_known_reach() {
    let list = days(300);
    let today = newest(&list);
    let mut books = Books {
        remembers: true,
        ..Books::default()
    };
    assert_eq!(
        read_whole(&books, "MAX", &list, today).0,
        Some(Some(date(2024, 1, 1)))
    );
    let month = last_month(&list);
    assert_eq!(
        read_whole(&books, "MAX", &month, today).0,
        Some(Some(month[0].date))
    );
    assert_eq!(read_whole(&books, "MAX", &[], today).0, Some(None));
    assert_eq!(read_whole(&books, "1M", &month, today).0, None);
    // With a known prefix the first date is not parsed again.
    books.take("MAX", body(&list), today);
    let mut longer = list.clone();
    longer.push(Day::new(today + 1.days(), &"9.5", &1));
    assert_eq!(read_whole(&books, "MAX", &longer, today + 1.days()).0, None);
}

/// D12: a history with a date rejected because of the cycle date is not remembered, however much of it is settled.
#[test]
fn a_day_after_the_cycle_date_is_marked_in_a_history() {
    let list = days(300);
    let books = Books::default();
    assert!(!read_whole(&books, "MAX", &list, newest(&list)).1);
    for early in [date(2024, 1, 1), date(2024, 12, 1)] {
        assert!(read_whole(&books, "MAX", &list, early).1, "{early}");
    }
}
