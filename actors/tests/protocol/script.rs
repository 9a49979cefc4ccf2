//! Scripts: lists of choices that are given, drawn at random, or enumerated by a search.
//!
//! At every point where a fault is possible, the world takes a choice from the script. Choice 0 is the undisturbed one.
//! Every other choice is a *disturbance*: a fault, or a delay during which other work overtakes.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A choice that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    pub point: &'static str,
    pub chosen: usize,
    pub of: usize,
}

/// Where the choices come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// These choices, then no disturbance.
    Given(Vec<usize>),
    /// A disturbance with this probability at every point.
    Drawn(Box<ChaCha8Rng>, f64),
}

#[derive(Debug)]
pub struct Script {
    source: Source,
    pub taken: Vec<Choice>,
}

impl Script {
    pub const fn given(choices: Vec<usize>) -> Self {
        Self {
            source: Source::Given(choices),
            taken: Vec::new(),
        }
    }

    pub fn drawn(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let probability = [0.02, 0.1, 0.3][random.random_range(0..3_usize)];
        Self {
            source: Source::Drawn(Box::new(random), probability),
            taken: Vec::new(),
        }
    }

    pub fn choose(&mut self, point: &'static str, of: usize) -> usize {
        let chosen = match &mut self.source {
            Source::Given(choices) => choices.get(self.taken.len()).copied().unwrap_or(0),
            Source::Drawn(random, probability) => {
                if random.random_bool(*probability) {
                    random.random_range(1..of)
                } else {
                    0
                }
            }
        };
        assert!(
            chosen < of,
            "a replay came to {point} with choice {chosen} of {of}"
        );
        self.taken.push(Choice { point, chosen, of });
        chosen
    }
}

/// Enumerates every run with at most `most` disturbances, each once. `run` executes a list of choices and returns all
/// choices taken. Returns the number of runs.
pub fn search(most: usize, mut run: impl FnMut(&[usize]) -> Vec<Choice>) -> usize {
    let mut open: Vec<(Vec<usize>, usize, Vec<Choice>)> = vec![(Vec::new(), most, Vec::new())];
    let mut runs = 0;
    while let Some((choices, left, expected)) = open.pop() {
        let taken = run(&choices);
        runs += 1;
        assert!(
            taken.starts_with(&expected),
            "not deterministic: {choices:?} came to {taken:?}, expected {expected:?}"
        );
        if left == 0 {
            continue;
        }
        for at in choices.len()..taken.len() {
            for other in 1..taken[at].of {
                let mut next: Vec<usize> = taken[..at].iter().map(|choice| choice.chosen).collect();
                next.push(other);
                open.push((next, left - 1, taken[..at].to_vec()));
            }
        }
    }
    runs
}
