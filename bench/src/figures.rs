//! What was measured, beside its limit.

use std::fmt;

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was done.
    pub what: String,
    /// What it took.
    pub measured: String,
    /// The limit that was measured in the same run.
    pub limit: String,
    /// Measured by limit, or what else is compared.
    pub ratio: f64,
    /// What the ratio should be.
    pub target: Target,
    /// What a reader may want to know besides.
    pub remark: String,
}

/// What one measurement came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Its lines of the table.
    pub figures: Vec<Figure>,
    /// Tables of its own, in Markdown.
    pub tables: Vec<String>,
}

/// The bound of a ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// At most so much.
    AtMost(f64),
    /// At least so much.
    AtLeast(f64),
}

impl Target {
    /// Whether `ratio` keeps it.
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

/// The head of the table, in Markdown.
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
