//! Tests of the choice of sessions and tabs.

use super::*;

const LIMITS: Limits = Limits {
    sessions: 1,
    tabs: 3,
    pages: 5,
};

fn next(book: &mut Book<&'static str, u8>, limits: &Limits) -> Next<&'static str, u8> {
    book.next(limits, || true)
}

#[test]
fn one_session_is_filled_with_tabs_before_another_starts() {
    let limits = Limits {
        sessions: 2,
        tabs: 2,
        pages: 100,
    };
    let mut book = Book::default();
    assert_eq!(next(&mut book, &limits), Next::Start);
    assert_eq!(next(&mut book, &limits), Next::Wait, "one start at a time");
    book.add("a", usize::MAX, 0);
    book.moved();
    assert_eq!(next(&mut book, &limits), Next::Tab(1, "a", 0));
    assert_eq!(next(&mut book, &limits), Next::OpenTab(1, "a"));
    assert_eq!(next(&mut book, &limits), Next::Start);
    book.add("b", usize::MAX, 0);
    book.moved();
    assert_eq!(next(&mut book, &limits), Next::Tab(2, "b", 0));
    book.give_back(1, 7);
    book.give_back(2, 8);
    // Session a still has a page, so it continues.
    assert_eq!(next(&mut book, &limits), Next::Tab(1, "a", 7));
    assert!(!book.is_empty());
}

#[test]
fn without_memory_or_tabs_pages_wait_for_one_another() {
    for (most_tabs, has_memory) in [(usize::MAX, false), (1, true)] {
        let mut book: Book<&str, u8> = Book::default();
        assert_eq!(book.next(&LIMITS, || has_memory), Next::Start);
        book.add("a", most_tabs, 0);
        book.moved();
        assert_eq!(book.next(&LIMITS, || has_memory), Next::Tab(1, "a", 0));
        assert_eq!(book.next(&LIMITS, || has_memory), Next::Wait);
        book.give_back(1, 0);
        assert_eq!(book.next(&LIMITS, || has_memory), Next::Tab(1, "a", 0));
    }
}

#[test]
fn a_worn_or_spoilt_session_ends_when_its_pages_are_done() {
    let mut book = Book::default();
    assert_eq!(next(&mut book, &LIMITS), Next::Start);
    book.add("a", usize::MAX, 0);
    book.moved();
    for _ in 0..4 {
        let Next::Tab(id, _, tab) = next(&mut book, &LIMITS) else {
            panic!("a tab");
        };
        assert_eq!(book.give_back(id, tab), None);
    }
    assert_eq!(
        next(&mut book, &LIMITS),
        Next::Tab(1, "a", 0),
        "the fifth page"
    );
    assert_eq!(next(&mut book, &LIMITS), Next::Wait);
    assert_eq!(book.give_back(1, 0), None);
    assert_eq!(next(&mut book, &LIMITS), Next::Close("a"));
    assert_eq!(next(&mut book, &LIMITS), Next::Wait, "until it is closed");
    book.moved();
    assert_eq!(next(&mut book, &LIMITS), Next::Start);
    book.add("b", usize::MAX, 0);
    book.moved();
    assert_eq!(next(&mut book, &LIMITS), Next::Tab(2, "b", 0));
    assert_eq!(next(&mut book, &LIMITS), Next::OpenTab(2, "b"));
    assert_eq!(book.lose_tab(2), None, "its neighbour goes on");
    assert_eq!(next(&mut book, &LIMITS), Next::Wait, "no further page");
    assert_eq!(book.give_back(2, 0), Some("b"), "it ends at once");
    assert!(book.is_empty());
}

#[test]
fn a_lost_session_is_reported_once() {
    let mut book = Book::default();
    next(&mut book, &LIMITS);
    book.add("a", usize::MAX, 0);
    book.moved();
    next(&mut book, &LIMITS);
    next(&mut book, &LIMITS);
    assert_eq!(book.lose_session(1), Some("a"));
    assert_eq!(book.lose_session(1), None);
    assert_eq!(book.lose_tab(1), None);
    assert!(book.is_empty());
}

fn next_from(book: &mut Book<&'static str, u8>) -> Next<&'static str, u8> {
    book.next_from("/fund", &LIMITS, || true)
}

fn started() -> Book<&'static str, u8> {
    let mut book = Book::default();
    assert_eq!(next_from(&mut book), Next::Start);
    book.add("a", usize::MAX, 0);
    book.moved();
    book
}

#[test]
fn requests_from_one_page_share_its_tab_and_take_no_tab_from_other_pages() {
    let mut book = started();
    assert_eq!(next_from(&mut book), Next::Tab(1, "a", 0), "the idle tab");
    assert_eq!(next_from(&mut book), Next::Tab(1, "a", 0), "shared");
    for _ in 0..LIMITS.tabs {
        let one = book.next(&Limits { pages: 9, ..LIMITS }, || true);
        assert_eq!(one, Next::OpenTab(1, "a"));
    }
    assert_eq!(book.request_ended(1, "/fund", true), None);
    assert_eq!(book.request_ended(1, "/fund", true), None);
    assert_eq!(next_from(&mut book), Next::Wait, "five pages were shown");
    for tab in 1..=3 {
        assert_eq!(book.give_back(1, tab), None);
    }
    assert_eq!(next_from(&mut book), Next::Close("a"));
}

#[test]
fn a_page_is_opened_by_one_request_and_the_others_wait() {
    let mut book = started();
    assert_eq!(next(&mut book, &LIMITS), Next::Tab(1, "a", 0));
    let without_memory = book.next_from("/fund", &LIMITS, || false);
    assert_eq!(without_memory, Next::Wait);
    assert_eq!(next_from(&mut book), Next::OpenTab(1, "a"));
    assert_eq!(next_from(&mut book), Next::Wait);
    book.opened(1, "/fund", 8);
    assert_eq!(next_from(&mut book), Next::Tab(1, "a", 8));
    // The idle tab became the page's: the next page needs no free memory to get one.
    let mut book = started();
    assert_eq!(next_from(&mut book), Next::Tab(1, "a", 0));
    assert_eq!(book.next(&LIMITS, || false), Next::OpenTab(1, "a"));
    assert_eq!(book.next(&LIMITS, || false), Next::Wait);
}

#[test]
fn a_lost_page_is_reported_once_and_ends_its_session() {
    let mut book = started();
    assert_eq!(next_from(&mut book), Next::Tab(1, "a", 0));
    assert_eq!(next_from(&mut book), Next::Tab(1, "a", 0));
    assert!(book.take_idle().is_empty(), "it is in use");
    assert_eq!(book.lose_page(1, "/fund"), (true, None));
    assert_eq!(next_from(&mut book), Next::Wait, "no further request");
    assert_eq!(book.lose_page(1, "/fund"), (false, Some("a")));
    assert!(book.is_empty());
    // A refusal ends the session as well, after the requests in hand.
    let mut book = started();
    assert_eq!(next_from(&mut book), Next::Tab(1, "a", 0));
    assert_eq!(book.request_ended(1, "/fund", false), Some("a"));
    assert_eq!(book.request_ended(1, "/fund", true), None);
}

#[test]
fn a_session_with_one_tab_keeps_no_page() {
    let mut book: Book<&str, u8> = Book::default();
    book.add("a", 1, 0);
    assert_eq!(next_from(&mut book), Next::OneTab);
    assert_eq!(next(&mut book, &LIMITS), Next::Tab(1, "a", 0));
}
