//! The measured figures and their limits.

use std::fmt;

/// One row of the result table.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The measured work.
    pub what: String,
    /// The measured value.
    pub measured: String,
    /// The limit, measured in the same run.
    pub limit: String,
    /// Measured value divided by limit, or another ratio.
    pub ratio: f64,
    /// The target of the ratio.
    pub target: Target,
    /// Additional information.
    pub remark: String,
}

/// The result of one measurement.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Rows for the result table.
    pub figures: Vec<Figure>,
    /// Additional Markdown tables.
    pub tables: Vec<String>,
}

/// The bound of a ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// At most this value.
    AtMost(f64),
    /// At least this value.
    AtLeast(f64),
}

impl Target {
    /// Whether `ratio` meets the target.
    #[must_use]
    pub fn is_met_by(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(most) => ratio <= most,
            Self::AtLeast(least) => ratio >= least,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AtLeast(least) => write!(f, ">= {least}"),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.target.is_met_by(self.ratio) {
            "pass"
        } else {
            "SHORT"
        };
        write!(
            f,
            "| {} | {} | {} | {:.3} | {} | {verdict} | {} |",
            self.what, self.measured, self.limit, self.ratio, self.target, self.remark
        )
    }
}

/// The header of the result table, in Markdown.
pub const HEAD: &str =
    "| what | measured | limit in the same run | ratio | target | verdict | remark |
|---|---|---|---|---|---|---|";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_passes_on_its_target_and_falls_short_beyond_it() {
        let figure = |ratio, target| Figure {
            what: "w".to_owned(),
            measured: "m".to_owned(),
            limit: "l".to_owned(),
            ratio,
            target,
            remark: String::new(),
        };
        for (ratio, target, verdict) in [
            (1.05, Target::AtMost(1.05), "| pass |"),
            (1.051, Target::AtMost(1.05), "| SHORT |"),
            (0.6, Target::AtLeast(0.6), "| pass |"),
            (0.59, Target::AtLeast(0.6), "| SHORT |"),
            (f64::NAN, Target::AtMost(1.0), "| SHORT |"),
        ] {
            let line = figure(ratio, target).to_string();
            assert!(line.contains(verdict), "{line}");
        }
    }
}
