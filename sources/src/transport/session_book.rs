//! Chooses the session and tab for the next page. Pure.
//!
//! | state | next |
//! |---|---|
//! | a session has no open page, and is ending or has shown its maximum of pages | it is closed |
//! | for a request from inside a page: a session has a tab with that page | that tab, shared with other requests |
//! | the same, and the tab is being opened | wait |
//! | a session has an idle tab | that tab, of the busiest such session |
//! | a session may open another tab, and memory is free | another tab |
//! | another session is allowed, and none is being started or closed | a session is started |
//! | none of these | wait |
//!
//! Busy sessions are preferred, so that few sessions, each of about 500 MB, do the work. A tab with a page to request
//! from stays with this page until its session ends. It is not one of the tabs that are limited, so it takes no tab
//! away from the pages of other hosts. Each request counts as a page of its session.

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
    /// Tabs in use for one page each.
    in_hand: usize,
    /// Tabs with a page to request from.
    shared: Vec<Shared<T>>,
    pages: usize,
    ending: bool,
}

/// A tab with a page that several requests are sent from.
#[derive(Debug)]
struct Shared<T> {
    page: String,
    /// `None`: it is being opened.
    tab: Option<T>,
    /// Requests in hand.
    requests: usize,
    /// It cannot be used again.
    lost: bool,
}

impl<S, T> Entry<S, T> {
    fn shared(&mut self, page: &str) -> Option<&mut Shared<T>> {
        self.shared.iter_mut().find(|shared| shared.page == page)
    }

    fn is_used(&self) -> bool {
        self.in_hand > 0 || self.shared.iter().any(|shared| shared.requests > 0)
    }

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
    /// Nothing ever: the sessions have one tab each, which no page can keep.
    OneTab,
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
        if let Some(session) = self.take_ended(limits) {
            return Next::Close(session);
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
            // The first page cannot wait for memory that another page of the session gives back.
            && (entry.in_hand == 0 || has_memory())
        {
            entry.pages += 1;
            entry.in_hand += 1;
            return Next::OpenTab(entry.id, entry.session.clone());
        }
        self.start_or_wait(limits)
    }

    /// Chooses what the next request from inside `page` gets: [`Next::Tab`] is a tab that it shares with other requests
    /// from the same page, [`Next::OpenTab`] one that the caller opens and then passes to [`Book::opened`].
    pub fn next_from(
        &mut self,
        page: &str,
        limits: &Limits,
        has_memory: impl FnOnce() -> bool,
    ) -> Next<S, T>
    where
        T: Clone,
    {
        if let Some(session) = self.take_ended(limits) {
            return Next::Close(session);
        }
        let mut usable: Vec<_> = self
            .entries
            .iter_mut()
            .filter(|entry| !entry.is_worn(limits))
            .collect();
        if usable.iter().any(|entry| entry.most_tabs == 1) {
            return Next::OneTab;
        }
        for entry in &mut usable {
            let (id, session) = (entry.id, entry.session.clone());
            let Some(shared) = entry.shared(page) else {
                continue;
            };
            let Some(tab) = shared.tab.clone() else {
                return Next::Wait;
            };
            shared.requests += 1;
            entry.pages += 1;
            return Next::Tab(id, session, tab);
        }
        let busiest = usable
            .into_iter()
            .max_by_key(|entry| (!entry.idle.is_empty(), entry.in_hand));
        if let Some(entry) = busiest
            && (!entry.idle.is_empty() || entry.in_hand == 0 || has_memory())
        {
            let tab = entry.idle.pop();
            entry.pages += 1;
            entry.shared.push(Shared {
                page: page.to_owned(),
                tab: tab.clone(),
                requests: 1,
                lost: false,
            });
            let (id, session) = (entry.id, entry.session.clone());
            return match tab {
                Some(tab) => Next::Tab(id, session, tab),
                None => Next::OpenTab(id, session),
            };
        }
        self.start_or_wait(limits)
    }

    fn take_ended(&mut self, limits: &Limits) -> Option<S> {
        let ended = |entry: &Entry<S, T>| entry.is_worn(limits) && !entry.is_used();
        let place = self.entries.iter().position(ended)?;
        self.moving += 1;
        Some(self.entries.remove(place).session)
    }

    fn start_or_wait(&mut self, limits: &Limits) -> Next<S, T> {
        if self.moving == 0 && self.entries.len() < limits.sessions {
            self.moving += 1;
            return Next::Start;
        }
        Next::Wait
    }

    /// Records the tab that was opened to request from `page`.
    pub fn opened(&mut self, id: u64, page: &str, tab: T) {
        if let Some(shared) = self.entry(id).and_then(|entry| entry.shared(page)) {
            shared.tab = Some(tab);
        }
    }

    /// Records that a request from inside `page` has ended. `goes_on`: whether the session may get further pages.
    /// Returns the session as [`Book::give_back`] does.
    pub fn request_ended(&mut self, id: u64, page: &str, goes_on: bool) -> Option<S> {
        let entry = self.entry(id)?;
        entry.ending |= !goes_on;
        if let Some(shared) = entry.shared(page) {
            shared.requests -= 1;
        }
        self.ended(id)
    }

    /// Records that the tab with `page` cannot be used again, so the requests from it fail; its session gets no further
    /// pages. Returns whether this was not known before, and the session as [`Book::give_back`] does.
    pub fn lose_page(&mut self, id: u64, page: &str) -> (bool, Option<S>) {
        let shared = self.entry(id).and_then(|entry| entry.shared(page));
        let is_new = shared.is_some_and(|shared| !std::mem::replace(&mut shared.lost, true));
        (is_new, self.request_ended(id, page, false))
    }

    fn entry(&mut self, id: u64) -> Option<&mut Entry<S, T>> {
        self.entries.iter_mut().find(|entry| entry.id == id)
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
            shared: Vec::new(),
            pages: 0,
            ending: false,
        });
    }

    /// Puts back a tab that shows the empty page. Returns its session if that is ending and has no other page; the
    /// caller ends it.
    pub fn give_back(&mut self, id: u64, tab: T) -> Option<S> {
        let entry = self.entry(id)?;
        entry.in_hand -= 1;
        entry.idle.push(tab);
        self.ended(id)
    }

    /// Records that a tab cannot be used again; its session gets no further pages. Returns the session as
    /// [`Book::give_back`] does.
    pub fn lose_tab(&mut self, id: u64) -> Option<S> {
        let entry = self.entry(id)?;
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
        let ended = |entry: &Entry<S, T>| entry.id == id && entry.ending && !entry.is_used();
        let place = self.entries.iter().position(ended)?;
        Some(self.entries.remove(place).session)
    }

    /// Removes and returns all sessions that have no page.
    pub fn take_idle(&mut self) -> Vec<S> {
        let (idle, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|entry| !entry.is_used());
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
mod tests;
