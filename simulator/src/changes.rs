//! Changes of the market while the simulator runs: days pass, values are revised, funds close, change their codes, move
//! documents.
//!
//! Each change is applied to the market itself, so the truth and the sites' answers change together.

use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;

use crate::edge_case::EdgeCase;
use crate::generator::spelling::page_date;
use crate::lineage::{KeptOnRename, TrueLink};
use crate::market::{FeeAnswer, Fund, Market, Standing};

/// The error for a code that is not in the market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCode(pub String);

impl std::fmt::Display for UnknownCode {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "the market has no fund {:?}", self.0)
    }
}

impl std::error::Error for UnknownCode {}

impl Market {
    pub(crate) fn advance_days(&mut self, days: u32) {
        self.today = self.today.saturating_add(i64::from(days).days());
    }

    pub(crate) fn revise_nav(
        &mut self,
        code: &str,
        date: Date,
        nav: &str,
    ) -> Result<(), UnknownCode> {
        self.known(code)?.nav.revisions.insert(date, nav.to_owned());
        Ok(())
    }

    pub(crate) fn set_publication(
        &mut self,
        code: &str,
        lag_days: u32,
        is_monthly: bool,
    ) -> Result<(), UnknownCode> {
        let records = self.known(code)?.register.as_mut();
        let records = records.ok_or_else(|| UnknownCode(code.to_owned()))?;
        let publication = &mut Arc::make_mut(records).publication;
        publication.lag_days = i64::from(lag_days);
        publication.is_monthly = is_monthly;
        Ok(())
    }

    pub(crate) fn set_active(&mut self, code: &str, active: bool) -> Result<(), UnknownCode> {
        let today = self.today;
        let fund = self.known(code)?;
        fund.standing = match (active, fund.standing) {
            (true, _) => Standing::Active,
            (false, Standing::Active) => Standing::Inactive {
                active_until: Some(today),
            },
            (false, unchanged) => unchanged,
        };
        Ok(())
    }

    pub(crate) fn set_listed(&mut self, code: &str, listed: bool) -> Result<(), UnknownCode> {
        self.known(code)?.unlisted = !listed;
        Ok(())
    }

    pub(crate) fn rename(&mut self, code: &str, new_code: &str) -> Result<(), UnknownCode> {
        let today = self.today;
        let fund = self.known(code)?;
        let mut old = Fund {
            standing: Standing::RenamedOn(today),
            ..fund.clone()
        };
        let kept = fund.kept_on_rename();
        if kept != KeptOnRename::FundId {
            fund.fund_id.push('R');
            // No site has published this day under the old code yet.
            fund.nav.since = Some(today);
        }
        if kept == KeptOnRename::Project {
            fund.factsheet.isin = None;
        }
        let old_spelling = std::mem::replace(&mut fund.code_spelt, new_code.to_owned());
        fund.code = new_code.to_owned();
        fund.quotes_served.clear();
        if let FeeAnswer::Rows(rows) | FeeAnswer::Shared(rows) = &mut fund.finnomena.fees {
            rows.iter_mut()
                .filter(|row| row.class == old_spelling)
                .for_each(|row| row.class = new_code.to_owned());
        }
        if let (Some(records), Some(former)) = (&mut fund.register, &mut old.register) {
            Arc::make_mut(records).rename(Arc::make_mut(former), code, today, kept);
        }
        self.lineage.push(TrueLink {
            old: code.to_owned(),
            new: new_code.to_owned(),
            kept,
        });
        self.funds.push(old);
        Ok(())
    }

    pub(crate) fn move_factsheet(&mut self, code: &str) -> Result<(), UnknownCode> {
        let sheet = &mut self.known(code)?.factsheet;
        for path in [
            &mut sheet.finnomena_path,
            &mut sheet.wealthmagik_path,
            &mut sheet.register_path,
            &mut sheet.true_path,
        ]
        .into_iter()
        .flatten()
        {
            path.insert_str(0, "/moved");
        }
        Ok(())
    }

    pub(crate) fn publish_holdings(&mut self, code: &str) -> Result<(), UnknownCode> {
        let newer = self.today.first_of_month().saturating_sub(1.day());
        if let Some(said) = &mut self.known(code)?.wealthmagik {
            let port = &mut said.port;
            if port.rows.len() > 1 {
                port.rows.remove(0);
                port.rows.rotate_left(1);
                (port.as_of, port.as_of_spelt) = (Some(newer), Some(page_date(newer, None)));
            }
        }
        Ok(())
    }

    fn known(&mut self, code: &str) -> Result<&mut Fund, UnknownCode> {
        self.by_code_mut(code)
            .ok_or_else(|| UnknownCode(code.to_owned()))
    }
}

impl Fund {
    /// What of this fund stays when it is renamed.
    fn kept_on_rename(&self) -> KeptOnRename {
        if self.edge_cases.contains(&EdgeCase::NewIdOnRename) {
            KeptOnRename::Isin
        } else if self.edge_cases.contains(&EdgeCase::NewIdAndIsinOnRename) {
            KeptOnRename::Project
        } else {
            KeptOnRename::FundId
        }
    }
}
