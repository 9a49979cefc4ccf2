//! What is true: the funds of the market, what each site says about them, and the calendar.
//!
//! The generator decides the truth first and derives from it what each site says, in the site's spelling. Where two sites disagree the
//! generator has decided that the lower-ranked one is off, so nothing here ranks sources.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::awkward::Awkward;
use crate::generator::spelling::Name;
use crate::json::Json;
use crate::living::Life;
use crate::nav_series::{NavPlan, TrueDay};

/// Cells of one row by column; a column that is not there is NULL.
pub(crate) type Cells = BTreeMap<&'static str, String>;

/// Who knows a fund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Finnomena lists it as active.
    Active,
    /// Finnomena lists it as inactive; a code that was active before keeps the rows it had on that day.
    Inactive { active_until: Option<Date> },
    /// No Finnomena entry, only a WealthMagik one.
    WealthMagikOnly,
    /// The code a fund had before it was renamed on that day: no site knows it any more, its rows stay.
    RenamedOn(Date),
}

/// One share class, true values and what is said about it.
#[derive(Clone, Debug)]
pub(crate) struct Fund {
    pub(crate) code: String,
    /// The code as the lists spell it.
    pub(crate) code_spelt: String,
    pub(crate) fund_id: String,
    pub(crate) proj_id: String,
    pub(crate) standing: Standing,
    pub(crate) master: Cells,
    pub(crate) fees: Cells,
    /// None where the SEC does not answer for the code with anything.
    pub(crate) statistics: Option<Cells>,
    pub(crate) finnomena: FinnomenaSays,
    pub(crate) wealthmagik: Option<WealthMagikSays>,
    pub(crate) sec: SecSays,
    pub(crate) factsheet: Factsheet,
    pub(crate) nav: NavPlan,
    /// Where `fees` come from.
    pub(crate) fee_page: FeePage,
    pub(crate) awkward: BTreeSet<Awkward>,
    /// Dates of the quotes that WealthMagik's profile page has served.
    pub(crate) quotes_served: BTreeSet<Date>,
    /// Finnomena leaves the fund out of its list, without a word.
    pub(crate) unlisted: bool,
}

/// The page that said a fund's fees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeePage {
    FinnomenaFee,
    WealthMagik,
    /// Only Finnomena's minimums are known.
    FinnomenaFund,
}

/// Finnomena's answers about a fund.
#[derive(Clone, Debug)]
pub(crate) struct FinnomenaSays {
    pub(crate) list_name_th: Json,
    /// Members of `/funds/{fund_id}`; None = 404.
    pub(crate) page: Option<Vec<(&'static str, Json)>>,
    pub(crate) fees: FeeAnswer,
    /// None = 404.
    pub(crate) portfolio: Option<FinnomenaPortfolio>,
}

/// Finnomena's fee answer.
#[derive(Clone, Debug)]
pub(crate) enum FeeAnswer {
    Absent,
    Null,
    /// This class's rows and other classes' beside them.
    Rows(Vec<FeeRow>),
    /// The rows of every class of the project, in one answer that all of them share.
    Shared(Vec<FeeRow>),
}

/// One row of a fee answer.
#[derive(Clone, Debug)]
pub(crate) struct FeeRow {
    pub(crate) class: String,
    pub(crate) description: String,
    pub(crate) rate: Json,
    pub(crate) actual: Json,
    pub(crate) rate_unit: &'static str,
    /// `other_description`.
    pub(crate) note: &'static str,
    pub(crate) unit: &'static str,
}

/// Finnomena's portfolio page.
#[derive(Clone, Debug)]
pub(crate) struct FinnomenaPortfolio {
    pub(crate) top_holdings: Block,
    pub(crate) sectors: Block,
    /// The sector block stands under its older name.
    pub(crate) sectors_old_name: bool,
    pub(crate) assets: Block,
    pub(crate) regions: Block,
}

/// A list of names and percents with a date of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    /// The true date.
    pub(crate) as_of: Option<Date>,
    /// The date as the site writes it; None = left out.
    pub(crate) as_of_spelt: Option<String>,
    pub(crate) rows: Vec<BlockRow>,
    /// How a block without rows is told.
    pub(crate) emptiness: Emptiness,
}

/// How a site says that a block has no rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Emptiness {
    /// A null block; `.emptyData` on a page.
    #[default]
    Null,
    /// An empty list of elements.
    NoElements,
}

/// One row of a block.
#[derive(Clone, Debug)]
pub(crate) struct BlockRow {
    pub(crate) name: Name,
    pub(crate) percent: Option<String>,
    /// As written: bare JSON at Finnomena, text at WealthMagik.
    pub(crate) percent_spelt: String,
}

/// How WealthMagik's list writes its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkStyle {
    Rooted,
    Bare,
    Absolute,
    Foreign,
    WithProfile,
}

/// Where a WealthMagik page carries its embedded state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateScript {
    Whole,
    WithoutDetail,
    Missing,
}

/// WealthMagik's pages about a fund.
#[derive(Clone, Debug)]
pub(crate) struct WealthMagikSays {
    pub(crate) link: LinkStyle,
    pub(crate) listed_twice: bool,
    pub(crate) state: StateScript,
    /// The text of `.fundName span.categoryTH`.
    pub(crate) name_th: String,
    /// `wmg.funddetailinfo.text.<field>.<value>` without the quote's fields.
    pub(crate) info: Vec<(&'static str, String)>,
    /// FX hedging and turnover as this site shows them.
    pub(crate) details: [String; 2],
    pub(crate) port: Block,
    /// The older place of the port page's date.
    pub(crate) port_old_date: bool,
    pub(crate) by_asset: Block,
    pub(crate) by_country: Block,
    /// Element id and text of each cell of the fee page.
    pub(crate) fees: Vec<(&'static str, String)>,
}

/// Whether and how the SEC knows a code.
#[derive(Clone, Debug)]
pub(crate) enum SecSays {
    /// Left out of a 200 answer.
    Unknown,
    /// Makes its batch a 400.
    SpoilsBatch,
    Knows(SecAnswer),
}

/// The SEC's values of a code, spelt for the API and for the page.
#[derive(Clone, Debug)]
pub(crate) struct SecAnswer {
    pub(crate) as_of: Option<Date>,
    /// `representDate` as JSON.
    pub(crate) as_of_json: Json,
    /// API member, page element id, JSON, text.
    pub(crate) values: Vec<SecValue>,
    /// Year, month and day as the API gives them.
    pub(crate) recovering: [Option<u32>; 3],
}

/// One number of the SEC.
#[derive(Clone, Debug)]
pub(crate) struct SecValue {
    pub(crate) member: &'static str,
    pub(crate) element: &'static str,
    pub(crate) json: Json,
    pub(crate) text: String,
}

/// A fund's factsheet: where the sites say it is and what is printed on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Factsheet {
    /// Path on the documents host that Finnomena names.
    pub(crate) finnomena_path: Option<String>,
    /// Path on the documents host that WealthMagik names.
    pub(crate) wealthmagik_path: Option<String>,
    /// The path that the tables should name.
    pub(crate) true_path: Option<String>,
    pub(crate) answer: FactsheetAnswer,
    pub(crate) isin: Option<String>,
    /// Printed beside the ISIN, with a wrong check digit.
    pub(crate) wrong_isin: Option<String>,
    pub(crate) bloomberg: Option<String>,
}

/// What the documents host answers for a factsheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FactsheetAnswer {
    #[default]
    Pdf,
    NotFound,
    Html,
}

/// The market: every fund and the date on the calendar.
#[derive(Clone, Debug)]
pub struct Market {
    pub(crate) seed: u64,
    pub(crate) today: Date,
    pub(crate) funds: Vec<Fund>,
    /// List entries of Finnomena without a code to key them by: the spelling of the blank.
    pub(crate) blank_entries: Vec<Json>,
    /// What happens in the market by itself from one day to the next.
    pub(crate) life: Life,
}

impl Market {
    /// The date on the calendar.
    pub fn today(&self) -> Date {
        self.today
    }

    /// The codes that have rows: those that are or once were active, in order.
    pub fn codes(&self) -> Vec<&str> {
        let mut codes: Vec<&str> = self
            .funds
            .iter()
            .filter(|fund| fund.has_rows())
            .map(|fund| fund.code.as_str())
            .collect();
        codes.sort_unstable();
        codes
    }

    /// The codes that were dealt an awkward value, rows or not.
    pub fn codes_with(&self, awkward: Awkward) -> Vec<&str> {
        self.funds
            .iter()
            .filter(|fund| fund.awkward.contains(&awkward))
            .map(|fund| fund.code.as_str())
            .collect()
    }

    /// Was this awkward value dealt to anything in the market?
    pub fn holds(&self, awkward: Awkward) -> bool {
        match awkward {
            Awkward::BlankShortCode => !self.blank_entries.is_empty(),
            _ => !self.codes_with(awkward).is_empty(),
        }
    }

    /// Finnomena's id of a code.
    pub fn fund_id(&self, code: &str) -> Option<&str> {
        self.by_code(code).map(|fund| fund.fund_id.as_str())
    }

    pub(crate) fn by_code(&self, code: &str) -> Option<&Fund> {
        self.funds
            .iter()
            .find(|fund| fund.is_known() && fund.code == code)
    }

    pub(crate) fn by_code_mut(&mut self, code: &str) -> Option<&mut Fund> {
        self.funds
            .iter_mut()
            .find(|fund| fund.is_known() && fund.code == code)
    }
}

impl Fund {
    /// Has this code rows in the seven tables?
    pub(crate) fn has_rows(&self) -> bool {
        matches!(
            self.standing,
            Standing::Active
                | Standing::Inactive {
                    active_until: Some(_)
                }
                | Standing::RenamedOn(_)
        )
    }

    /// Does Finnomena know the code?
    pub(crate) fn on_finnomena(&self) -> bool {
        matches!(self.standing, Standing::Active | Standing::Inactive { .. })
    }

    /// Does any site know the code?
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.standing, Standing::RenamedOn(_))
    }

    /// The last day that this code's series knows of.
    pub(crate) fn known_until(&self, today: Date) -> Date {
        match self.standing {
            Standing::RenamedOn(day)
            | Standing::Inactive {
                active_until: Some(day),
            } => day,
            _ => today,
        }
    }

    /// What is true of every day up to `today`: of what Finnomena's list says then, of the quotes that were served, and of the one that is
    /// shown then.
    pub(crate) fn true_days(&self, today: Date) -> Vec<TrueDay> {
        let mut quoted = BTreeSet::new();
        if self.wealthmagik.is_some() {
            quoted.extend(self.quotes_served.iter().copied());
            quoted.extend(self.nav.quote_date(today));
        }
        self.nav.true_days(today, &quoted)
    }
}
