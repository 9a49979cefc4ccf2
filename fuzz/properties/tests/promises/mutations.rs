//! A short run without a fuzzer: a few hundred mutations for each target, from a seed that is printed if one fails.
//! `MASTER_RUNNER_SEED` repeats a run, `MASTER_RUNNER_SOAK_SECS` lengthens it.

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use parser_properties::{TARGETS, Target};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::{mutator, seeds};

/// The number of mutations for each target, unless a soak run continues longer.
const ROUNDS: u64 = 150;

fn number_from(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

#[test]
fn d5_d6_no_mutation_of_a_page_breaks_a_promise_of_its_parser() {
    let seed = number_from("MASTER_RUNNER_SEED").unwrap_or(20_261_015);
    let soak = number_from("MASTER_RUNNER_SOAK_SECS").map(Duration::from_secs);
    let seeds = seeds::all();
    let tokens = mutator::words_of(include_str!("../../../tokens.dict"));
    let started = Instant::now();
    for (place, target) in (0_u64..).zip(TARGETS) {
        let of_target = &seeds[target.name];
        println!("{} after {:?}", target.name, started.elapsed());
        let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(place));
        // A PDF starts a process, and a grown page has a quarter of a megabyte.
        let rounds = match target.name {
            "factsheet_pdf" | "grown_pages" => ROUNDS / 25,
            _ => ROUNDS,
        };
        for input in of_target {
            held(target, input, seed);
        }
        let targets = u32::try_from(TARGETS.len()).expect("small");
        let share = soak.map(|soak| soak * u32::try_from(place + 1).expect("small") / targets);
        let mut round = 0;
        while round < rounds || share.is_some_and(|share| started.elapsed() < share) {
            let input = mutator::mutated(&mut random, of_target, &tokens);
            held(target, &input, seed);
            round += 1;
        }
    }
}

/// Checks one input. If it breaks a promise, the input is saved and its path is printed.
fn held(target: Target, input: &[u8], seed: u64) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.check)(input))) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("broken-{}", target.name));
        fs::write(&kept, input).expect("the input is kept");
        eprintln!(
            "{} broke a promise (MASTER_RUNNER_SEED={seed}); the input is kept at {}; once mended it belongs to fuzz/finds/{}",
            target.name,
            kept.display(),
            target.name
        );
        std::panic::resume_unwind(panic);
    }
}

/// Writes the first corpus of the fuzzers from the simulator's pages.
#[test]
#[ignore = "script/fuzz calls it to write the first corpus to $MASTER_RUNNER_CORPUS"]
fn write_seeds() {
    let corpus = env::var_os("MASTER_RUNNER_CORPUS").expect("MASTER_RUNNER_CORPUS names a folder");
    for (target, seeds) in seeds::all() {
        let folder = Path::new(&corpus).join(target);
        fs::create_dir_all(&folder).expect("a folder");
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed).expect("a seed");
        }
    }
}
