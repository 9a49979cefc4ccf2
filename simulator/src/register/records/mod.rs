//! What the register records of share classes and of projects.
//!
//! The records hold what only the register decides, and the draws that decide it. Codes, NAVs and the standing come
//! from the fund, so the register follows renames, closures and launches.

pub(crate) mod company;
pub(crate) mod dividend;
pub(crate) mod fee;
pub(crate) mod performance;
pub(crate) mod portfolio;
pub(crate) mod publication;
pub(crate) mod risk;
pub(crate) mod statistic;

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::edge_case::EdgeCase;
use crate::generator::spelling::Name;
use crate::lineage::KeptOnRename;
use crate::nav_series::NavPlan;
use company::COMPANIES;
use dividend::Dividends;
use fee::Fees;
use performance::Performance;
use portfolio::Portfolio;
use publication::Publication;
use risk::Risk;
use statistic::Statistics;

/// `fund_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ipo,
    Registered,
    Expired,
    Canceled,
    Liquidated,
}

impl Status {
    /// The statuses of classes that have ended.
    pub(crate) const DEAD: [Status; 3] = [Status::Expired, Status::Canceled, Status::Liquidated];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Ipo => "IPO",
            Status::Registered => "Registered",
            Status::Expired => "Expired",
            Status::Canceled => "Canceled",
            Status::Liquidated => "Liquidated",
        }
    }
}

/// The register's records of one class.
#[derive(Clone, Debug)]
pub(crate) struct ClassData {
    /// Draws that the datasets make for this class alone.
    pub(crate) seed: u64,
    /// The class is its project's only one: its name is `main`, and the project's short name is the code.
    pub(crate) is_main: bool,
    /// The name arrives with stray spaces.
    pub(crate) spaced: bool,
    /// The code under which the register lists the class, if it is another one than the market's.
    pub(crate) other_code: Option<String>,
    /// A status that does not follow the market's.
    pub(crate) status: Option<Status>,
    /// The status of the class when the market calls it inactive.
    pub(crate) dead: Status,
    /// The last day whose publications the class has.
    pub(crate) ended: Option<Date>,
    /// The day on which the class got its present name: earlier publications have the former one.
    pub(crate) renamed: Option<Date>,
    /// The class's rows are now those of another code.
    pub(crate) has_moved: bool,
    /// The project's short name, if it is another one than `Project::stem`.
    pub(crate) own_stem: Option<String>,
    pub(crate) isin: Option<Isin>,
    /// RMF, SSF, TESG, TESGX or LTF.
    pub(crate) tax: Option<&'static str>,
    pub(crate) publication: Publication,
    /// The last factsheet is still in effect beside the current one.
    pub(crate) overlaps: bool,
    pub(crate) statistics: Statistics,
    pub(crate) fees: Fees,
    pub(crate) dividends: Dividends,
    pub(crate) performance: Performance,
}

impl ClassData {
    /// Renames the class. `former` becomes the records of its former code, which is `code`.
    ///
    /// - The register's own code of a class stays.
    /// - A class `main` whose project gets another short name keeps its rows: all of them now belong to the new code.
    /// - A fund that gets a new `fund_id` gets a new class as well, in the same project.
    /// - A class `main` that becomes a named class, and a named class, leave their earlier rows under the former name.
    ///   The project keeps its short name.
    pub(crate) fn rename(
        &mut self,
        former: &mut ClassData,
        code: &str,
        day: Date,
        kept: KeptOnRename,
    ) {
        if kept == KeptOnRename::Project {
            self.isin = None;
        }
        let project_is_renamed =
            kept == KeptOnRename::FundId && self.is_main && self.seed.is_multiple_of(2);
        if self.other_code.is_some() || project_is_renamed {
            former.has_moved = true;
            return;
        }
        if self.is_main {
            self.is_main = false;
            self.own_stem = Some(code.to_owned());
        }
        self.renamed = Some(day);
    }
}

/// An ISIN as the register has it.
#[derive(Clone, Debug)]
pub(crate) struct Isin {
    pub(crate) code: String,
    /// Whether the check digit is right.
    pub(crate) is_valid: bool,
}

/// The register's records of one project, which its classes share.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    /// The place of its company in `COMPANIES`.
    pub(crate) company: usize,
    pub(crate) name_th: Name,
    pub(crate) name_en: Name,
    /// `proj_abbr_name` of a project of several classes.
    pub(crate) stem: String,
    pub(crate) approved: Date,
    /// The registration date, which is the inception date of the tables.
    pub(crate) registered: Option<Date>,
    /// The registration date is a Thai text.
    pub(crate) thai_date: bool,
    /// `policy_desc`; it is no category.
    pub(crate) policy: &'static str,
    pub(crate) style: Option<&'static str>,
    /// The master fund of a feeder fund, and its country.
    pub(crate) master_fund: Option<(&'static str, &'static str)>,
    pub(crate) risk: Risk,
    pub(crate) portfolio: Portfolio,
}

impl Project {
    /// The company's English name in the tables' form.
    pub(crate) fn company_name(&self) -> &'static str {
        COMPANIES[self.company].2.trim()
    }
}

/// A class that no other source knows.
#[derive(Clone, Debug)]
pub(crate) struct OtherClass {
    pub(crate) code: String,
    pub(crate) proj_id: String,
    pub(crate) edge_case: EdgeCase,
    pub(crate) nav: Option<NavPlan>,
    pub(crate) data: ClassData,
}

/// The register of a market.
#[derive(Clone, Debug)]
pub(crate) struct Register {
    pub(crate) projects: BTreeMap<String, Project>,
    pub(crate) others: Vec<OtherClass>,
    /// The first and the last of the days that the register lacks for every class.
    pub(crate) hole: Option<(Date, Date)>,
    /// The first date on the market's calendar.
    pub(crate) began: Date,
}
