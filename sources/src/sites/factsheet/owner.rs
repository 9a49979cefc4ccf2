//! Decides to which fund or share class a code on a factsheet belongs, by the text beside it (docs/decisions/0003).

use schema::FundCode;

use super::class_label::{class_behind, class_in};
use super::fund_mention::names;
use super::master_fund;

/// The maximum length of a line, in bytes: longer lines are not text and are skipped.
const MAX_LINE: usize = 4_096;

/// The fund or class to which a code belongs, according to the text beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The label names the fund's own class, or the line names the fund.
    ThisClass,
    /// A label without a class.
    Unnamed,
    /// The code has no label of its own.
    Unlabelled,
    /// Another class of the project.
    OtherClass,
    /// The fund that this one invests in.
    Master,
}

/// A factsheet and the fund whose codes are searched.
pub struct Sheet<'text> {
    text: &'text str,
    fund: &'text FundCode,
}

impl<'text> Sheet<'text> {
    pub const fn new(text: &'text str, fund: &'text FundCode) -> Self {
        Self { text, fund }
    }

    /// The lines that are text.
    pub fn lines(&self) -> impl Iterator<Item = &'text str> {
        self.text.lines().filter(|line| line.len() <= MAX_LINE)
    }

    /// The owner of a code, according to its label (the text since the previous code) and the text after the code.
    pub fn owner(&self, line: &str, label: &str, behind: &str) -> Owner {
        let lower = label.to_lowercase();
        if master_fund::is_mentioned(&lower) {
            return Owner::Master;
        }
        let class = class_in(label).or_else(|| class_behind(behind));
        if let Some(class) = class {
            return if self.is_own_class(class) {
                Owner::ThisClass
            } else {
                Owner::OtherClass
            };
        }
        if names(line, self.fund) {
            return Owner::ThisClass;
        }
        if lower.contains("isin") || lower.contains("bloomberg") {
            Owner::Unnamed
        } else {
            Owner::Unlabelled
        }
    }

    /// Whether the class in a label is the fund's own: the whole code, or its last part (`D` of `X-D`, `X(D)` and
    /// `X D`). A class without a separator (`XD`) is its own only if the sheet also names the project, `X`.
    fn is_own_class(&self, class: &str) -> bool {
        let code = self.fund.as_str();
        if code == class {
            return true;
        }
        let Some(before) = code.strip_suffix(class) else {
            let bracketed = code
                .strip_suffix(')')
                .and_then(|rest| rest.strip_suffix(class));
            return bracketed.is_some_and(|before| before.ends_with('('));
        };
        if before.ends_with(['-', '(', ' ', '_', '/', '.']) {
            return true;
        }
        let project = FundCode::parse(before);
        before.len() > 1
            && project.is_ok_and(|project| self.lines().any(|line| names(line, &project)))
    }
}
