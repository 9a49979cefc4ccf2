//! The lists whose records are read together, class by class or project by project: one statement for each.

use schema::observation::KeyedObservation;
use schema::{Dataset, ObservationData};

use super::contract;
use super::group::{Group, Level, Projects};
use super::page::{self, ListPage};
use super::{
    allocation, dividend_policy, factsheet_links, fees, minimums, portfolio, risk, statistics,
};
use crate::site::Reading;
use crate::sites::findings::Findings;

/// How the records of a list are read.
#[derive(Debug, Clone, Copy)]
pub struct Grouped {
    dataset: Dataset,
    level: Level,
    /// The field with the as-of date of a record.
    date_field: &'static str,
    /// Whether a statement replaces the earlier one as a whole, so that it must not be made in parts.
    is_whole: bool,
    read: fn(&Group<'_>, &mut Findings) -> Option<ObservationData>,
}

/// How the list with this page name is read; `None` for another page.
pub fn of_page(name: &str) -> Option<Grouped> {
    let grouped = |dataset, level, read| Grouped {
        dataset,
        level,
        date_field: "start_date",
        is_whole: false,
        read,
    };
    let of_classes = |dataset, read| grouped(dataset, Level::Class, read);
    let of_projects = |dataset, read| grouped(dataset, Level::Project, read);
    let grouped = match name {
        contract::STATISTICS => of_classes(Dataset::Statistics, statistics::read as _),
        contract::FEES => of_classes(Dataset::Fees, fees::read as _),
        contract::MINIMUMS => of_classes(Dataset::Minimums, minimums::read as _),
        contract::DIVIDEND_POLICY => {
            of_classes(Dataset::DividendPolicy, dividend_policy::read as _)
        }
        contract::FACTSHEET_LINKS => Grouped {
            date_field: "as_of_date",
            ..of_classes(Dataset::FactsheetLink, factsheet_links::read as _)
        },
        contract::RISK => of_projects(Dataset::Risk, risk::read as _),
        contract::ALLOCATION => Grouped {
            is_whole: true,
            ..of_projects(Dataset::AssetAllocation, allocation::read as _)
        },
        contract::PORTFOLIO => Grouped {
            is_whole: true,
            date_field: "as_of_date",
            ..of_projects(Dataset::FullHoldings, portfolio::read as _)
        },
        _ => return None,
    };
    Some(grouped)
}

impl Grouped {
    /// Parses one page. `carried` are the records of the page before that belong to a project which may go on.
    pub fn read<'json>(
        self,
        list: ListPage<'json>,
        carried: Option<&'json str>,
        url: &str,
        mut findings: Findings,
    ) -> Reading {
        let mut projects = match Projects::of_page(&list, carried, self.dataset, &mut findings) {
            Ok(projects) => projects,
            Err(breach) => return Reading::Broken(breach),
        };
        let mut keyed: Vec<KeyedObservation> = Vec::new();
        for group in projects.groups(self.level, self.date_field, &mut findings) {
            if self.is_whole && !projects.is_first(&group, &mut findings) {
                continue;
            }
            if let Some(data) = (self.read)(&group, &mut findings) {
                let newest = group.newest();
                keyed.push(page::keyed(group.key, newest, url, data));
            }
        }
        match projects.carry() {
            Ok(carry) => list.part(findings, keyed, carry),
            Err(breach) => Reading::Broken(breach),
        }
    }
}
