//! The truth about renames: which code became which, and what the two codes have in common.

/// What stays when a fund is renamed: how the two codes can be recognised as one fund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptOnRename {
    /// Finnomena's `fund_id`, the ISIN, the project and the whole history.
    FundId,
    /// The ISIN and the project. The history begins anew where the old one ends.
    Isin,
    /// The project alone. The history begins anew where the old one ends.
    Project,
}

/// A fund's code and the code that it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueLink {
    /// The old code.
    pub old: String,
    /// The code from then on.
    pub new: String,
    /// What both codes have in common.
    pub kept: KeptOnRename,
}
