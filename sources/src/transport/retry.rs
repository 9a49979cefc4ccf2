//! The attempts of one request, the first level of retry (P3): their number and the waits between them. Pure.

use std::time::Duration;

use schema::back_off::BackOff;

/// Attempts of one request in a round, the first included.
pub const MAX_ATTEMPTS: u32 = 4;
/// The longest wait after a failed attempt.
const DELAY: BackOff = BackOff::new(Duration::from_millis(500), Duration::from_secs(30));

/// The wait after `failed` failed attempts, with full jitter. It is `fraction` (0 to 1, a new random number each time)
/// of 0.5 s, doubled for each failure after the first, at most 30 s.
#[must_use]
pub fn delay(failed: u32, fraction: f64) -> Duration {
    DELAY.jittered(failed.saturating_sub(1), fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p3_the_delay_doubles_from_half_a_second_to_thirty() {
        for (failed, millis) in [
            (0, 500),
            (1, 500),
            (2, 1_000),
            (3, 2_000),
            (6, 16_000),
            (7, 30_000),
            (99, 30_000),
        ] {
            assert_eq!(
                delay(failed, 1.0),
                Duration::from_millis(millis),
                "{failed}"
            );
            assert_eq!(delay(failed, 0.0), Duration::ZERO);
        }
    }
}
