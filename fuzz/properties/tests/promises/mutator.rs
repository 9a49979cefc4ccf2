//! Seeded, repeatable mutations, as a fuzzer without guidance makes them.

use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;

/// The largest input that is built.
const MAX_BYTES: usize = 16 * 1024;

/// One of the `seeds`, changed in one to six steps.
pub fn mutated(random: &mut ChaCha8Rng, seeds: &[Vec<u8>], tokens: &[Vec<u8>]) -> Vec<u8> {
    let seed = pick(random, seeds);
    let mut input = window(random, seed);
    for _ in 0..random.random_range(1..=6) {
        step(random, &mut input, seeds, tokens);
        input.truncate(MAX_BYTES);
    }
    input
}

fn step(random: &mut ChaCha8Rng, input: &mut Vec<u8>, seeds: &[Vec<u8>], tokens: &[Vec<u8>]) {
    let at = random.random_range(0..=input.len());
    let length = random.random_range(0..=(input.len() - at).min(64));
    let part = at..at + length;
    match random.random_range(0..8) {
        0 => drop(input.drain(part)),
        1 => {
            let doubled = input[part.clone()].to_vec();
            drop(input.splice(part.start..part.start, doubled));
        }
        2 => {
            let many = input[part.clone()].repeat(random.random_range(2..40));
            drop(input.splice(part, many));
        }
        3 | 4 => drop(input.splice(at..at, pick(random, tokens).iter().copied())),
        5 => drop(input.splice(part, pick(random, tokens).iter().copied())),
        6 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = u8::try_from(random.next_u32() & 0xFF).unwrap_or(0);
            }
        }
        _ => {
            let other = pick(random, seeds);
            let from = random.random_range(0..=other.len());
            let to = other.len().min(from + 200);
            drop(input.splice(at..at, other[from..to].iter().copied()));
        }
    }
}

/// The whole seed; of a long one, its beginning and a later part.
fn window(random: &mut ChaCha8Rng, seed: &[u8]) -> Vec<u8> {
    if seed.len() <= MAX_BYTES {
        return seed.to_vec();
    }
    let from = random.random_range(MAX_BYTES / 2..seed.len());
    let to = seed.len().min(from + MAX_BYTES / 2);
    [&seed[..MAX_BYTES / 2], &seed[from..to]].concat()
}

fn pick<'all>(random: &mut ChaCha8Rng, all: &'all [Vec<u8>]) -> &'all [u8] {
    &all[random.random_range(0..all.len())]
}

/// The words of a dictionary in libFuzzer's notation.
pub fn words_of(dictionary: &str) -> Vec<Vec<u8>> {
    dictionary
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'))
        .map(|quoted| {
            let mut word = Vec::new();
            let mut rest = quoted.bytes();
            while let Some(byte) = rest.next() {
                word.push(match (byte, byte == b'\\') {
                    (_, true) => match rest.next() {
                        Some(b'x') => {
                            let hex = [rest.next(), rest.next()].map(|digit| digit.expect("hex"));
                            let hex = std::str::from_utf8(&hex).expect("hex").to_owned();
                            u8::from_str_radix(&hex, 16).expect("hex")
                        }
                        escaped => escaped.expect("a character behind the backslash"),
                    },
                    (byte, false) => byte,
                });
            }
            word
        })
        .collect()
}
