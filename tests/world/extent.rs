//! How much of the long products of cases a run covers: every case with `MASTER_RUNNER_FULL` (`script/test --full`), a
//! part of them otherwise. `MASTER_RUNNER_SEED` selects the part.

/// Whether to run every case.
pub fn is_full() -> bool {
    std::env::var_os("MASTER_RUNNER_FULL").is_some()
}

/// All items in a full run, otherwise every `nth`.
///
/// # Panics
/// `nth` is 0.
pub fn some_of<T>(all: impl IntoIterator<Item = T>, nth: usize) -> Vec<T> {
    let (first, nth) = if is_full() {
        (0, 1)
    } else {
        let seed = std::env::var("MASTER_RUNNER_SEED").ok();
        let seed: usize = seed.and_then(|seed| seed.parse().ok()).unwrap_or(2026);
        (seed % nth, nth)
    };
    all.into_iter().skip(first).step_by(nth).collect()
}
