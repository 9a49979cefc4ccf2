//! Dealing kinds of values so that each kind occurs early and often: a shuffled deck, shuffled again when it is empty.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Cards that are dealt in random order, every card once before any card twice.
pub(crate) struct Deck<T> {
    cards: Vec<T>,
    left: Vec<T>,
}

impl<T: Copy> Deck<T> {
    /// A deck of `special` cards and `plain` copies of the plain card. An awkward market holds the special cards too.
    pub(crate) fn new(awkward: bool, plain_card: T, plain: usize, special: &[T]) -> Self {
        let mut cards = vec![plain_card; plain.max(1)];
        if awkward {
            cards.extend_from_slice(special);
        }
        Deck {
            cards,
            left: Vec::new(),
        }
    }

    /// The next card.
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
