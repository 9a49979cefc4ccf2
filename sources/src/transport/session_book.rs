//! Chooses the session and tab for the next page. Pure.
//!
//! | state | next |
//! |---|---|
//! | a session has no open page, and is ending or has shown its maximum of pages | it is closed |
//! | a session has an idle tab | that tab, of the busiest such session |
//! | a session may open another tab, and memory is free | another tab |
//! | another session is allowed, and none is being started or closed | a session is started |
//! | none of these | wait |
//!
//! Busy sessions are preferred, so that few sessions, each of about 500 MB, do the work.

/// The limits of the pool.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The maximum number of sessions.
    pub sessions: usize,
    /// The maximum number of tabs in one session.
    pub tabs: usize,
    /// The maximum number of pages of one session.
    pub pages: usize,
}

/// The sessions `S` and their idle tabs `T`.
#[derive(Debug)]
pub struct Book<S, T> {
    entries: Vec<Entry<S, T>>,
    /// Sessions being started or closed.
    moving: usize,
    last_id: u64,
}

#[derive(Debug)]
struct Entry<S, T> {
    id: u64,
    session: S,
    most_tabs: usize,
    idle: Vec<T>,
    in_hand: usize,
    pages: usize,
    ending: bool,
}

impl<S, T> Entry<S, T> {
    fn is_worn(&self, limits: &Limits) -> bool {
        self.ending || self.pages >= limits.pages
    }
}

/// The next step for a page that needs a tab.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<S, T> {
    /// This tab of this session.
    Tab(u64, S, T),
    /// A new tab of this session, which the caller opens.
    OpenTab(u64, S),
    /// Nothing yet: the caller closes this session and then calls [`Book::moved`].
    Close(S),
    /// Nothing yet: the caller starts a session and then calls [`Book::moved`].
    Start,
    /// Nothing yet: the caller waits until the book changes.
    Wait,
}

impl<S, T> Default for Book<S, T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            moving: 0,
            last_id: 0,
        }
    }
}

impl<S: Clone, T> Book<S, T> {
    /// Chooses the session and tab for the next page. `has_memory` returns whether there is memory for another tab.
    pub fn next(&mut self, limits: &Limits, has_memory: impl FnOnce() -> bool) -> Next<S, T> {
        let ended = |entry: &Entry<S, T>| entry.is_worn(limits) && entry.in_hand == 0;
        if let Some(place) = self.entries.iter().position(ended) {
            self.moving += 1;
            return Next::Close(self.entries.remove(place).session);
        }
        let usable = self
            .entries
            .iter_mut()
            .filter(|entry| !entry.is_worn(limits));
        let (idle, rest): (Vec<_>, Vec<_>) = usable.partition(|entry| !entry.idle.is_empty());
        if let Some(entry) = idle.into_iter().max_by_key(|entry| entry.in_hand)
            && let Some(tab) = entry.idle.pop()
        {
            entry.pages += 1;
            entry.in_hand += 1;
            return Next::Tab(entry.id, entry.session.clone(), tab);
        }
        let has_room = |entry: &&mut Entry<S, T>| entry.in_hand < entry.most_tabs.min(limits.tabs);
        if let Some(entry) = rest.into_iter().find(has_room)
            && has_memory()
        {
            entry.pages += 1;
            entry.in_hand += 1;
            return Next::OpenTab(entry.id, entry.session.clone());
        }
        if self.moving == 0 && self.entries.len() < limits.sessions {
            self.moving += 1;
            return Next::Start;
        }
        Next::Wait
    }

    /// Records that a session was started or closed, or that its start was cancelled.
    pub const fn moved(&mut self) {
        self.moving = self.moving.saturating_sub(1);
    }

    /// Adds a session that can have `most_tabs` tabs, with its first tab.
    pub fn add(&mut self, session: S, most_tabs: usize, tab: T) {
        self.last_id += 1;
        self.entries.push(Entry {
            id: self.last_id,
            session,
            most_tabs,
            idle: vec![tab],
            in_hand: 0,
            pages: 0,
            ending: false,
        });
    }

    /// Puts back a tab that shows the empty page. Returns its session if that is ending and has no other page; the
    /// caller ends it.
    pub fn give_back(&mut self, id: u64, tab: T) -> Option<S> {
        let entry = self.entries.iter_mut().find(|entry| entry.id == id)?;
        entry.in_hand -= 1;
        entry.idle.push(tab);
        self.ended(id)
    }

    /// Records that a tab cannot be used again; its session gets no further pages. Returns the session as
    /// [`Book::give_back`] does.
    pub fn lose_tab(&mut self, id: u64) -> Option<S> {
        let entry = self.entries.iter_mut().find(|entry| entry.id == id)?;
        entry.in_hand -= 1;
        entry.ending = true;
        self.ended(id)
    }

    /// Removes a lost session; `None`: it was removed before.
    pub fn lose_session(&mut self, id: u64) -> Option<S> {
        let place = self.entries.iter().position(|entry| entry.id == id)?;
        Some(self.entries.remove(place).session)
    }

    fn ended(&mut self, id: u64) -> Option<S> {
        let ended = |entry: &Entry<S, T>| entry.id == id && entry.ending && entry.in_hand == 0;
        let place = self.entries.iter().position(ended)?;
        Some(self.entries.remove(place).session)
    }

    /// Removes and returns all sessions that have no page.
    pub fn take_idle(&mut self) -> Vec<S> {
        let (idle, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|entry| entry.in_hand == 0);
        self.entries = kept;
        idle.into_iter().map(|entry| entry.session).collect()
    }

    /// Whether there is no session, including sessions being started or closed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.moving == 0
    }

    /// Records that a session is being closed outside [`Book::next`].
    pub const fn closing(&mut self) {
        self.moving += 1;
    }
}

#[cfg(test)]
mod tests {
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
}
