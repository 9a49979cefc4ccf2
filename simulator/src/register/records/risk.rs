//! The risk spectrum of a project.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The spellings of the highest risk, 8+, which the tables store as 8.
const HIGHEST: [&str; 3] = ["RS81", "RS8+", "RS8"];

/// The risk spectrum of a project.
#[derive(Clone, Debug)]
pub(crate) struct Risk {
    /// 1 to 8.
    pub(crate) level: u32,
    pub(crate) spelt: String,
}

/// Draws the risk: mostly the level that the other sites report.
pub(crate) fn deal(others: Option<u32>, random: &mut ChaCha8Rng) -> Risk {
    let own = random.random_range(1..=8);
    let agrees = random.random_bool(0.9);
    let level = others.filter(|_| agrees).unwrap_or(own);
    let highest = HIGHEST[random.random_range(0..HIGHEST.len())];
    Risk {
        level,
        spelt: if level == 8 {
            highest.to_owned()
        } else {
            format!("RS{level}")
        },
    }
}
