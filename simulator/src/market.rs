//! The market: the true values of each fund, what each site reports about it, and the calendar.
//!
//! The generator decides the truth first and derives each site's values from it, in the site's spelling. Where two
//! sites disagree, the generator made the lower-ranked site wrong. Nothing in this crate ranks sources.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;

use crate::edge_case::EdgeCase;
use crate::generator::spelling::Name;
use crate::json::Json;
use crate::lineage::TrueLink;
use crate::nav_series::{NavPlan, TrueDay};
use crate::register::records::{ClassData, Register};
pub(crate) use crate::tables::Cells;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// Which sites know a fund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Finnomena lists it as active.
    Active,
    /// Finnomena lists it as inactive. A code that was active before keeps the rows that it had on that day.
    Inactive { active_until: Option<Date> },
    /// Only WealthMagik lists it.
    WealthMagikOnly,
    /// The code of a fund before it was renamed on that day: no site lists it any more, its rows stay.
    RenamedOn(Date),
}

/// One share class: its true values and what each site reports about it.
#[derive(Clone, Debug)]
pub(crate) struct Fund {
    pub(crate) code: String,
    /// The code in the lists' spelling.
    pub(crate) code_spelt: String,
    pub(crate) fund_id: String,
    pub(crate) proj_id: String,
    pub(crate) standing: Standing,
    pub(crate) master: Cells,
    pub(crate) fees: Cells,
    /// None if the SEC has no values for the code.
    pub(crate) statistics: Option<Cells>,
    pub(crate) finnomena: FinnomenaSays,
    pub(crate) wealthmagik: Option<WealthMagikSays>,
    pub(crate) sec: SecSays,
    pub(crate) factsheet: Factsheet,
    pub(crate) nav: NavPlan,
    /// The page that `fees` come from.
    pub(crate) fee_page: FeePage,
    pub(crate) edge_cases: BTreeSet<EdgeCase>,
    /// Dates of the quotes that WealthMagik's profile page has served.
    pub(crate) quotes_served: BTreeSet<Date>,
    /// Whether Finnomena omits the fund from its list.
    pub(crate) unlisted: bool,
    /// The register's records of the class; `None` if it lacks the class.
    pub(crate) register: Option<Arc<ClassData>>,
}

/// The page that reports a fund's fees.
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
    /// The master fields and the fees that the answers mean, in the tables' form.
    pub(crate) true_master: Cells,
    pub(crate) true_fees: Cells,
    pub(crate) list_name_th: Json,
    /// Members of `/funds/{fund_id}`; None means 404.
    pub(crate) page: Option<Vec<(&'static str, Json)>>,
    pub(crate) fees: FeeAnswer,
    /// The portfolio page; None means 404.
    pub(crate) portfolio: Option<FinnomenaPortfolio>,
}

/// Finnomena's fee answer.
#[derive(Clone, Debug)]
pub(crate) enum FeeAnswer {
    Absent,
    Null,
    /// Rows of this class, beside rows of other classes.
    Rows(Vec<FeeRow>),
    /// The rows of every class of the project, in one answer that all classes share.
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
    /// The member `other_description`.
    pub(crate) note: &'static str,
    pub(crate) unit: &'static str,
}

/// Finnomena's portfolio page.
#[derive(Clone, Debug)]
pub(crate) struct FinnomenaPortfolio {
    pub(crate) top_holdings: Block,
    pub(crate) sectors: Block,
    /// Whether the sector block has its older name.
    pub(crate) sectors_old_name: bool,
    pub(crate) assets: Block,
    pub(crate) regions: Block,
}

/// A list of names and percents with its own date.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    /// The true as-of date.
    pub(crate) as_of: Option<Date>,
    /// The date in the site's spelling; None if the site leaves it out.
    pub(crate) as_of_spelt: Option<String>,
    pub(crate) rows: Vec<BlockRow>,
    /// How the site shows a block without rows.
    pub(crate) emptiness: Emptiness,
}

/// How a site shows that a block has no rows.
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
    /// The percentage in the site's spelling: bare JSON at Finnomena, text at WealthMagik.
    pub(crate) percent_spelt: String,
}

/// The form of the link in WealthMagik's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkStyle {
    Rooted,
    Bare,
    Absolute,
    Foreign,
    WithProfile,
}

/// How much of its embedded state a WealthMagik page contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateScript {
    Whole,
    WithoutDetail,
    Missing,
}

/// WealthMagik's pages of a fund.
#[derive(Clone, Debug)]
pub(crate) struct WealthMagikSays {
    /// The master fields and the fees that the pages mean, in the tables' form.
    pub(crate) true_master: Cells,
    pub(crate) true_fees: Cells,
    pub(crate) link: LinkStyle,
    pub(crate) listed_twice: bool,
    pub(crate) state: StateScript,
    /// The text of `.fundName span.categoryTH`.
    pub(crate) name_th: String,
    /// The values of `wmg.funddetailinfo.text.<field>.<value>`, without the quote's fields.
    pub(crate) info: Vec<(&'static str, String)>,
    /// FX hedging and turnover as this site shows them.
    pub(crate) details: [String; 2],
    pub(crate) port: Block,
    /// Whether the port page shows its date in the older place.
    pub(crate) port_old_date: bool,
    pub(crate) by_asset: Block,
    pub(crate) by_country: Block,
    /// Element id and text of each cell of the fee page.
    pub(crate) fees: Vec<(&'static str, String)>,
}

/// Whether the SEC has values for a code.
#[derive(Clone, Debug)]
pub(crate) enum SecSays {
    /// The API omits the code from its 200 answer.
    Unknown,
    /// The API answers 400 to each batch that contains the code.
    SpoilsBatch,
    Knows(SecAnswer),
}

/// The SEC's values of a code, in the spelling of the API and of the page.
#[derive(Clone, Debug)]
pub(crate) struct SecAnswer {
    pub(crate) as_of: Option<Date>,
    /// `representDate` as JSON.
    pub(crate) as_of_json: Json,
    /// One entry for each value that the SEC reports.
    pub(crate) values: Vec<SecValue>,
    /// Year, month and day as the API reports them.
    pub(crate) recovering: [Option<u32>; 3],
}

/// One number of the SEC: its API member, its element id on the page, its JSON and its text.
#[derive(Clone, Debug)]
pub(crate) struct SecValue {
    pub(crate) member: &'static str,
    pub(crate) element: &'static str,
    pub(crate) json: Json,
    pub(crate) text: String,
}

/// A fund's factsheet: its paths on the sites and what is printed on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Factsheet {
    /// The path on the documents host in Finnomena's link.
    pub(crate) finnomena_path: Option<String>,
    /// The path on the documents host in WealthMagik's link.
    pub(crate) wealthmagik_path: Option<String>,
    /// The path on the documents host in the register's link.
    pub(crate) register_path: Option<String>,
    /// The expected path in the tables.
    pub(crate) true_path: Option<String>,
    pub(crate) answer: FactsheetAnswer,
    pub(crate) isin: Option<String>,
    /// Whether the codes of a master fund and of another class are printed as well, as on real factsheets.
    pub(crate) prints_other_codes: bool,
    /// A code with a wrong check digit that is printed beside the ISIN.
    pub(crate) wrong_isin: Option<String>,
    pub(crate) bloomberg: Option<String>,
}

/// The documents host's answer to a request for a factsheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FactsheetAnswer {
    #[default]
    Pdf,
    NotFound,
    Html,
}

/// The market: every fund, and the date on the calendar.
#[derive(Clone, Debug)]
pub struct Market {
    pub(crate) seed: u64,
    pub(crate) today: Date,
    pub(crate) funds: Vec<Fund>,
    /// The blank codes, as JSON, of Finnomena's list entries that have no code.
    pub(crate) blank_entries: Vec<Json>,
    /// The state that drives the daily changes of a living market.
    pub(crate) life: Life,
    pub(crate) register: Arc<Register>,
    /// The renames so far, in their order.
    pub(crate) lineage: Vec<TrueLink>,
}

impl Market {
    /// The date on the calendar.
    pub fn today(&self) -> Date {
        self.today
    }

    /// The codes that have rows, sorted: those that are or were active.
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

    /// The codes that have an edge case, with or without rows. The register's own classes come last.
    pub fn codes_with(&self, edge_case: EdgeCase) -> Vec<&str> {
        let funds = self
            .funds
            .iter()
            .filter(|fund| fund.edge_cases.contains(&edge_case));
        let others = self
            .register
            .others
            .iter()
            .filter(|other| other.edge_case == edge_case);
        funds
            .map(|fund| fund.code.as_str())
            .chain(others.map(|other| other.code.as_str()))
            .collect()
    }

    /// Whether anything in the market has this edge case.
    pub fn holds(&self, edge_case: EdgeCase) -> bool {
        match edge_case {
            EdgeCase::BlankShortCode => !self.blank_entries.is_empty(),
            _ => !self.codes_with(edge_case).is_empty(),
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
    /// Whether this code has rows in the seven tables.
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

    /// Whether Finnomena lists the code.
    pub(crate) fn on_finnomena(&self) -> bool {
        matches!(self.standing, Standing::Active | Standing::Inactive { .. })
    }

    /// Whether any site lists the code.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.standing, Standing::RenamedOn(_))
    }

    /// The last day of this code's series.
    pub(crate) fn known_until(&self, today: Date) -> Date {
        match self.standing {
            Standing::RenamedOn(day)
            | Standing::Inactive {
                active_until: Some(day),
            } => day,
            _ => today,
        }
    }

    /// The true values of every day up to `today`: from Finnomena's list on that date, from the quotes that were
    /// served, and from the quote that is shown on that date.
    pub(crate) fn true_days(&self, today: Date) -> Vec<TrueDay> {
        let mut quoted = BTreeSet::new();
        if self.wealthmagik.is_some() {
            quoted.extend(self.quotes_served.iter().copied());
            quoted.extend(self.nav.quote_date(today));
        }
        self.nav.true_days(today, &quoted)
    }
}

/// The state of a living market.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) random: ChaCha8Rng,
    /// Funds that will be launched, in reverse order: the last element is launched next.
    pub(crate) unborn: Vec<Fund>,
    /// The number of funds that got another name or code so far. It makes each new name unique.
    pub(crate) named: usize,
}

impl Life {
    pub(crate) fn new(seed: u64, mut unborn: Vec<Fund>) -> Self {
        unborn.reverse();
        Life {
            random: ChaCha8Rng::seed_from_u64(seed ^ 0x11fe),
            unborn,
            named: 0,
        }
    }
}
