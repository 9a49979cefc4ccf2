//! Random choice without long gaps: a deck has a card for each kind of value and deals all of them before any card a
//! second time, so that each kind occurs early and often. An empty deck is filled and shuffled again.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Deals its cards in random order: every card once before any card a second time.
pub(crate) struct Deck<T> {
    cards: Vec<T>,
    left: Vec<T>,
}

impl<T: Copy> Deck<T> {
    /// A deck of `plain` copies of the plain card (at least one), plus the `special` cards if the market has edge
    /// cases.
    pub(crate) fn new(edge_cases: bool, plain_card: T, plain: usize, special: &[T]) -> Self {
        let mut cards = vec![plain_card; plain.max(1)];
        if edge_cases {
            cards.extend_from_slice(special);
        }
        Deck {
            cards,
            left: Vec::new(),
        }
    }

    /// Deals the next card.
    pub(crate) fn deal(&mut self, random: &mut ChaCha8Rng) -> T {
        if self.left.is_empty() {
            self.left.clone_from(&self.cards);
            self.left.shuffle(random);
        }
        self.left
            .pop()
            .expect("a deck holds at least one plain card")
    }
}
