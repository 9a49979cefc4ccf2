//! The view of a share class and its project that the datasets are built from.

use jiff::civil::Date;

use super::records::{ClassData, Project, Status};
use crate::market::{Factsheet, Fund, Market, Standing};
use crate::nav_series::NavPlan;

/// One class as the datasets show it.
pub(crate) struct Class<'market> {
    /// The code in the tables' form.
    pub(crate) code: String,
    pub(crate) proj_id: &'market str,
    pub(crate) status: Status,
    /// Whether the profiles contain the class. They do not contain former names.
    pub(crate) is_listed: bool,
    /// Whether the register has rows under this code. A former code's rows may have moved to the new one.
    pub(crate) is_served: bool,
    pub(crate) nav: Option<&'market NavPlan>,
    /// Only publications of this day and earlier ones.
    pub(crate) until: Option<Date>,
    /// Only publications after this day.
    pub(crate) after: Option<Date>,
    pub(crate) data: &'market ClassData,
    pub(crate) project: &'market Project,
    /// The factsheet on the document storage.
    pub(crate) factsheet: Option<&'market Factsheet>,
}

impl Class<'_> {
    /// `fund_class_name` in the register's spelling.
    pub(crate) fn name_spelt(&self) -> String {
        if self.data.is_main {
            "main".to_owned()
        } else {
            self.code_spelt()
        }
    }

    /// `proj_abbr_name` in the register's spelling.
    pub(crate) fn abbreviation_spelt(&self) -> String {
        if self.data.is_main {
            self.code_spelt()
        } else {
            let own = self.data.own_stem.as_ref();
            own.unwrap_or(&self.project.stem).clone()
        }
    }

    fn code_spelt(&self) -> String {
        if self.data.spaced {
            format!(" {} ", self.code)
        } else {
            self.code.clone()
        }
    }
}

/// Every class of the register: ordered by project and name.
pub(crate) fn classes(market: &Market) -> Vec<Class<'_>> {
    let register = &market.register;
    let known = market.funds.iter().filter_map(|fund| {
        let data = fund.register.as_ref()?;
        let project = register.projects.get(&fund.proj_id)?;
        Some(of_fund(fund, data, project))
    });
    let others = register.others.iter().filter_map(|other| {
        Some(Class {
            code: other.code.clone(),
            proj_id: &other.proj_id,
            status: other.data.status.unwrap_or(Status::Registered),
            is_listed: true,
            is_served: true,
            nav: other.nav.as_ref(),
            until: other.data.ended,
            after: None,
            data: &other.data,
            factsheet: None,
            project: register.projects.get(&other.proj_id)?,
        })
    });
    let mut classes: Vec<Class<'_>> = known.chain(others).collect();
    classes.sort_by(|one, other| (one.proj_id, &one.code).cmp(&(other.proj_id, &other.code)));
    classes
}

fn of_fund<'market>(
    fund: &'market Fund,
    data: &'market ClassData,
    project: &'market Project,
) -> Class<'market> {
    let status = data.status.unwrap_or(match fund.standing {
        Standing::Active => Status::Registered,
        _ => data.dead,
    });
    let closed = match fund.standing {
        Standing::RenamedOn(day)
        | Standing::Inactive {
            active_until: Some(day),
        } => Some(day),
        _ => None,
    };
    Class {
        code: data.other_code.clone().unwrap_or_else(|| fund.code.clone()),
        proj_id: &fund.proj_id,
        status,
        is_listed: fund.is_known(),
        is_served: !data.has_moved,
        nav: Some(&fund.nav),
        until: [data.ended, closed].into_iter().flatten().min(),
        after: data.renamed,
        data,
        project,
        factsheet: Some(&fund.factsheet),
    }
}
