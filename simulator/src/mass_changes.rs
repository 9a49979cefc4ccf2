//! Mass changes: a site reports wrong values for many funds at once, while the truth and the other sites stay as they
//! are.
//!
//! The site answers from a copy of the present market that the change has distorted.

use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;
use parking_lot::Mutex;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::edge_case::EdgeCase;
use crate::hosts::Site;
use crate::json::Json;
use crate::market::{Block, Emptiness, FeeAnswer, Fund, Market, SecSays, Standing};

/// A kind of page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    /// The list of all funds, at Finnomena and WealthMagik; the profiles of the register.
    List,
    /// Finnomena's filter pages: each has the newest NAV of a hundred funds.
    Filter,
    /// Finnomena's NAV history; the NAVs of the register.
    Nav,
    /// Finnomena's fund page.
    Fund,
    /// Fees, at Finnomena, WealthMagik and the register.
    Fee,
    /// Finnomena's portfolio; the quarterly portfolio of the register.
    Portfolio,
    /// WealthMagik's profile with the prices.
    Profile,
    /// WealthMagik's full holdings.
    Port,
    /// WealthMagik's allocations.
    Allocation,
    /// The SEC's statistics, on the page, from the API and in the register.
    Statistics,
    /// A PDF of the document storage.
    Factsheet,
}

impl PageKind {
    /// The kind of page that a request is for; None if it belongs to neither a fund nor a list.
    pub(crate) fn of(site: Site, segments: &[&str]) -> Option<Self> {
        Some(match (site, segments) {
            (Site::Finnomena, ["fn3", "api", "fund", "v2", "public", rest @ ..]) => match rest {
                ["funds"] => PageKind::List,
                ["filter"] => PageKind::Filter,
                ["funds", _] => PageKind::Fund,
                ["funds", _, "nav", "q"] => PageKind::Nav,
                ["funds", _, "fee"] => PageKind::Fee,
                ["funds", _, "portfolio"] => PageKind::Portfolio,
                _ => return None,
            },
            (Site::WealthMagik, ["json-search", "fundSearch.json"] | ["funds"]) => PageKind::List,
            (Site::WealthMagik, ["api", "fundscreener"]) => PageKind::List,
            (Site::WealthMagik, ["funds", _, page]) => match *page {
                "profile" => PageKind::Profile,
                "port" => PageKind::Port,
                "allocation" => PageKind::Allocation,
                "fee" => PageKind::Fee,
                _ => return None,
            },
            (Site::SecApi, ["api", "funds"]) | (Site::SecPage, _) => PageKind::Statistics,
            (Site::Documents, _) => PageKind::Factsheet,
            (Site::SecOpenApi, ["v2", "fund", group, name]) => match (*group, *name) {
                ("general-info", "profiles") => PageKind::List,
                ("daily-info", "nav") => PageKind::Nav,
                ("factsheet", "fees") => PageKind::Fee,
                ("factsheet", "statistics") => PageKind::Statistics,
                ("outstanding", "portfolio") => PageKind::Portfolio,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Whether the page covers the whole market.
    pub(crate) const fn is_market_wide(self) -> bool {
        matches!(self, PageKind::List | PageKind::Filter)
    }
}

/// How a page reports that it has no content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// Status 404, as the site answers for an unknown fund.
    NotFound,
    /// Status 204.
    NoContent,
    /// `[]`.
    EmptyArray,
    /// `{"data":[]}`, in the site's envelope if it has one.
    EmptyData,
    /// The site's own frame without values: `navs: []`, `fees: []`, blocks without elements, `.emptyData`, dashes.
    EmptyFrame,
}

/// What the site reports wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MassKind {
    /// The page has no content for any fund.
    Absent {
        /// The page.
        page: PageKind,
        /// How the page reports that it has no content.
        how: Absence,
    },
    /// Lists and pages of news stay as they were when the change was set; the funds' own pages stay current.
    ListsFrozen,
    /// Each night, lists lose this share of their remaining entries. Inactive funds are removed as well as active ones.
    ListShrinks {
        /// 0.09 means 9 % a night.
        each_night: f64,
    },
    /// Funds are listed as not active.
    Inactive,
    /// NAVs older than this differ from the values that the site reported before.
    SettledNavsRewritten {
        /// The age in days, counted from the simulator's date.
        older_than_days: u32,
    },
    /// Every AUM is 0.
    AumZero,
    /// The answer for every fund has the values of a fund of another project.
    AnswersSwapped {
        /// The page.
        page: PageKind,
        /// Whether the answer contains the id of the requested fund; otherwise it contains no id.
        with_own_id: bool,
    },
    /// The answer for every fund has the values of the same one fund and contains no id.
    OneAnswer {
        /// The page.
        page: PageKind,
    },
    /// All statistics are 0.
    StatisticsZero,
    /// All fees are 0.
    FeesZero,
    /// All percents of the portfolios are 0.
    PortfoliosZero,
    /// A request for a whole history is answered with its last month.
    HistoryShort,
    /// Names differ from before.
    NamesChanged,
    /// Codes differ from before; ids stay.
    CodesChanged,
    /// Risk levels differ from before.
    RisksChanged,
}

/// A mass change of a site.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MassChange {
    /// The site that reports wrong values.
    pub site: Site,
    /// What the site reports wrongly.
    pub kind: MassKind,
    /// The share of the active funds that is affected, 0 to 1; the same funds on every day. An `Absent` page is missing
    /// for all funds, except with `Absence::EmptyFrame`.
    #[serde(default = "all")]
    pub share: f64,
}

fn all() -> f64 {
    1.0
}

impl MassChange {
    /// A change that affects every fund.
    pub fn of(site: Site, kind: MassKind) -> Self {
        MassChange {
            site,
            kind,
            share: all(),
        }
    }

    /// Restricts the change to this share of the active funds.
    pub fn for_share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }
}

/// A change, and the market (with its date) when it was set.
#[derive(Clone, Debug)]
struct Set {
    change: MassChange,
    market_then: Arc<Market>,
}

/// The mass changes of a running simulator.
#[derive(Debug, Default)]
pub(crate) struct MassChanges {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    set: Vec<Set>,
    /// Distorted copies of the market: the site, whether the copy is for market-wide pages, the market's version, the
    /// copy.
    made: Vec<(Site, bool, u64, Arc<Market>)>,
}

impl MassChanges {
    pub(crate) fn set(&self, change: MassChange, market: &Market) {
        let mut state = self.state.lock();
        state.made.clear();
        state.set.push(Set {
            change,
            market_then: Arc::new(market.clone()),
        });
    }

    pub(crate) fn clear(&self) {
        *self.state.lock() = State::default();
    }

    pub(crate) fn list(&self) -> Vec<MassChange> {
        self.state.lock().set.iter().map(|set| set.change).collect()
    }

    /// The market that the site answers from, for its market-wide pages or for the funds' own pages. None if no change
    /// is set for the site.
    pub(crate) fn distorted(
        &self,
        site: Site,
        market_wide: bool,
        version: u64,
        market: &Market,
    ) -> Option<Arc<Market>> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let of_site: Vec<&Set> = state
            .set
            .iter()
            .filter(|set| same_source(set.change.site, site))
            .collect();
        if of_site.is_empty() {
            return None;
        }
        let fits = |(of, wide, made, _): &&(Site, bool, u64, Arc<Market>)| {
            (*of, *wide, *made) == (site, market_wide, version)
        };
        if let Some((.., made)) = state.made.iter().find(fits) {
            return Some(Arc::clone(made));
        }
        let frozen = of_site
            .iter()
            .find(|set| market_wide && set.change.kind == MassKind::ListsFrozen);
        let mut copy = frozen.map_or_else(|| market.clone(), |set| (*set.market_then).clone());
        for set in &of_site {
            distort(&mut copy, set, site, market_wide);
        }
        let copy = Arc::new(copy);
        state
            .made
            .retain(|(of, wide, ..)| (*of, *wide) != (site, market_wide));
        state
            .made
            .push((site, market_wide, version, Arc::clone(&copy)));
        Some(copy)
    }

    /// How this page reports that it has no content; None if it has content.
    pub(crate) fn absence(&self, site: Site, page: PageKind) -> Option<Absence> {
        self.of_site(site).find_map(|kind| match kind {
            MassKind::Absent { page: absent, how } if absent == page => Some(how),
            _ => None,
        })
    }

    /// Whether the site answers a request for a whole history with one month.
    pub(crate) fn shortens_histories(&self, site: Site) -> bool {
        self.of_site(site)
            .any(|kind| kind == MassKind::HistoryShort)
    }

    /// Whether this page's answer omits the fund's id.
    pub(crate) fn hides_ids(&self, site: Site, page: PageKind) -> bool {
        let swapped = MassKind::AnswersSwapped {
            page,
            with_own_id: false,
        };
        self.of_site(site)
            .any(|kind| kind == swapped || kind == MassKind::OneAnswer { page })
    }

    fn of_site(&self, site: Site) -> impl Iterator<Item = MassKind> {
        let kinds: Vec<MassKind> = self
            .state
            .lock()
            .set
            .iter()
            .filter(|set| same_source(set.change.site, site))
            .map(|set| set.change.kind)
            .collect();
        kinds.into_iter()
    }
}

/// Whether two hosts serve the same source: the SEC's two hosts do.
fn same_source(one: Site, other: Site) -> bool {
    let is_sec = |site| matches!(site, Site::SecApi | Site::SecPage);
    one == other || (is_sec(one) && is_sec(other))
}

/// The ids of the funds that a change affects. A larger share affects the same funds and more.
fn concerned(market_then: &Market, share: f64, may_be: impl Fn(&Fund) -> bool) -> Vec<String> {
    let mut ids: Vec<String> = market_then
        .funds
        .iter()
        .filter(|fund| may_be(fund))
        .map(|fund| fund.fund_id.clone())
        .collect();
    ids.shuffle(&mut ChaCha8Rng::seed_from_u64(market_then.seed ^ 0x3a55));
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of the funds of a market is a small number"
    )]
    let count = (ids.len() as f64 * share.clamp(0.0, 1.0)).ceil() as usize;
    ids.truncate(count);
    ids
}

fn is_active(fund: &Fund) -> bool {
    fund.standing == Standing::Active
}

fn distort(market: &mut Market, set: &Set, site: Site, market_wide: bool) {
    let today = market.today;
    if let MassKind::ListShrinks { each_night } = set.change.kind {
        if market_wide {
            let nights = (today - set.market_then.today).get_days() + 1;
            let gone = concerned(
                &set.market_then,
                1.0 - (1.0 - each_night).powi(nights),
                Fund::is_known,
            );
            market.funds.retain(|fund| !gone.contains(&fund.fund_id));
        }
        return;
    }
    if let MassKind::AnswersSwapped { page, .. } | MassKind::OneAnswer { page } = set.change.kind {
        if !market_wide {
            let ids = concerned(&set.market_then, set.change.share, is_active);
            let all_alike = matches!(set.change.kind, MassKind::OneAnswer { .. });
            swap_answers(market, page, &ids, all_alike);
        }
        return;
    }
    // A change of all funds also affects funds that were launched since it was set.
    let ids = concerned(&set.market_then, set.change.share, is_active);
    let every = set.change.share >= 1.0;
    let seed = market.seed;
    for fund in market.funds.iter_mut().filter(|fund| {
        fund.is_known() && (ids.contains(&fund.fund_id) || (every && is_active(fund)))
    }) {
        distort_fund(fund, set.change.kind, site, today, seed);
    }
}

fn distort_fund(fund: &mut Fund, kind: MassKind, site: Site, today: Date, seed: u64) {
    match kind {
        MassKind::Absent {
            page,
            how: Absence::EmptyFrame,
        } => empty_frame(fund, page),
        MassKind::Inactive => fund.standing = Standing::Inactive { active_until: None },
        MassKind::SettledNavsRewritten { older_than_days } => {
            let before = today.saturating_sub(i64::from(older_than_days).days());
            let per_mille = ChaCha8Rng::seed_from_u64(seed ^ fund.nav.seed).random_range(900..990);
            fund.nav.distortion.rewritten = Some((before, per_mille));
        }
        MassKind::AumZero => fund.nav.distortion.no_aum = true,
        MassKind::StatisticsZero => {
            if let SecSays::Knows(said) = &mut fund.sec {
                for value in &mut said.values {
                    (value.json, value.text) = (Json::text("0.00"), "0.00".to_owned());
                }
                said.recovering = [Some(0); 3];
            }
        }
        MassKind::FeesZero => {
            let zero = || Json::text("0.00");
            if let FeeAnswer::Rows(rows) | FeeAnswer::Shared(rows) = &mut fund.finnomena.fees {
                for row in rows {
                    (row.rate, row.actual) = (zero(), zero());
                }
            }
            let cells = fund.wealthmagik.iter_mut().flat_map(|said| &mut said.fees);
            for (_, text) in cells {
                "0.00".clone_into(text);
            }
        }
        MassKind::PortfoliosZero => {
            for block in blocks(fund, None) {
                for row in &mut block.rows {
                    let sign = if site == Site::WealthMagik { "%" } else { "" };
                    row.percent_spelt = format!("0.00{sign}");
                }
            }
        }
        MassKind::NamesChanged => {
            fund.append_to_names(" (ชื่อใหม่)");
        }
        MassKind::CodesChanged => {
            let new = format!("{}-Z", fund.code);
            if let FeeAnswer::Rows(rows) | FeeAnswer::Shared(rows) = &mut fund.finnomena.fees {
                rows.iter_mut()
                    .filter(|row| row.class == fund.code_spelt)
                    .for_each(|row| row.class.clone_from(&new));
            }
            fund.code_spelt.clone_from(&new);
            fund.code = new;
        }
        MassKind::RisksChanged => {
            fund.change_risk();
        }
        MassKind::Absent { .. }
        | MassKind::ListsFrozen
        | MassKind::ListShrinks { .. }
        | MassKind::AnswersSwapped { .. }
        | MassKind::OneAnswer { .. }
        | MassKind::HistoryShort => {}
    }
}

/// The blocks of rows of one page, or of all pages if `page` is None.
fn blocks(fund: &mut Fund, page: Option<PageKind>) -> Vec<&mut Block> {
    let is = |of: PageKind| page.is_none_or(|page| page == of);
    let mut blocks = Vec::new();
    if let Some(said) = fund
        .finnomena
        .portfolio
        .as_mut()
        .filter(|_| is(PageKind::Portfolio))
    {
        blocks.extend([
            &mut said.top_holdings,
            &mut said.sectors,
            &mut said.assets,
            &mut said.regions,
        ]);
    }
    if let Some(said) = &mut fund.wealthmagik {
        if is(PageKind::Port) {
            blocks.push(&mut said.port);
        }
        if is(PageKind::Allocation) {
            blocks.extend([&mut said.by_asset, &mut said.by_country]);
        }
    }
    blocks
}

fn empty_frame(fund: &mut Fund, page: PageKind) {
    match page {
        PageKind::Nav => fund.nav.quirk = Some(EdgeCase::EmptyNavs),
        PageKind::Fund => fund.finnomena.page = Some(Vec::new()),
        PageKind::Statistics => fund.sec = SecSays::Unknown,
        PageKind::Fee => {
            fund.finnomena.fees = FeeAnswer::Rows(Vec::new());
            let cells = fund.wealthmagik.iter_mut().flat_map(|said| &mut said.fees);
            for (_, text) in cells {
                "-".clone_into(text);
            }
        }
        PageKind::Portfolio | PageKind::Port | PageKind::Allocation => {
            for block in blocks(fund, Some(page)) {
                block.rows.clear();
                block.emptiness = Emptiness::NoElements;
            }
        }
        PageKind::Profile => {
            if let Some(said) = &mut fund.wealthmagik {
                said.info.clear();
                said.state = crate::market::StateScript::Missing;
                fund.nav.quirk = Some(EdgeCase::EmptyNavs);
                fund.nav.start = Date::MAX.saturating_sub(1.year());
            }
        }
        PageKind::List | PageKind::Filter | PageKind::Factsheet => {}
    }
}

/// Gives every affected fund the page content of the next affected fund of another project, or gives all of them the
/// content of the first one.
fn swap_answers(market: &mut Market, page: PageKind, ids: &[String], all_alike: bool) {
    let places: Vec<usize> = (0..market.funds.len())
        .filter(|place| ids.contains(&market.funds[*place].fund_id))
        .filter(|place| is_active(&market.funds[*place]))
        .collect();
    let originals = market.funds.clone();
    for (at, place) in places.iter().enumerate() {
        let own = &originals[*place];
        let Some(other) = places
            .iter()
            .cycle()
            .skip(if all_alike { 0 } else { at + 1 })
            .take(places.len())
            .map(|place| &originals[*place])
            .find(|other| all_alike || other.proj_id != own.proj_id)
        else {
            continue;
        };
        let fund = &mut market.funds[*place];
        match page {
            PageKind::Nav | PageKind::Profile => {
                fund.nav = other.nav.clone();
                if let (PageKind::Profile, Some(said), Some(others)) =
                    (page, &mut fund.wealthmagik, &other.wealthmagik)
                {
                    said.info.clone_from(&others.info);
                }
            }
            PageKind::Fund => fund.finnomena.page.clone_from(&other.finnomena.page),
            PageKind::Fee => {
                let mut fees = other.finnomena.fees.clone();
                if let FeeAnswer::Rows(rows) | FeeAnswer::Shared(rows) = &mut fees {
                    rows.iter_mut()
                        .filter(|row| row.class == other.code_spelt)
                        .for_each(|row| row.class.clone_from(&own.code_spelt));
                }
                fund.finnomena.fees = fees;
                if let (Some(said), Some(others)) = (&mut fund.wealthmagik, &other.wealthmagik) {
                    said.fees.clone_from(&others.fees);
                }
            }
            PageKind::Portfolio => fund
                .finnomena
                .portfolio
                .clone_from(&other.finnomena.portfolio),
            PageKind::Port | PageKind::Allocation => {
                if let (Some(said), Some(others)) = (&mut fund.wealthmagik, &other.wealthmagik) {
                    said.port.clone_from(&others.port);
                    said.by_asset.clone_from(&others.by_asset);
                    said.by_country.clone_from(&others.by_country);
                }
            }
            PageKind::Statistics => fund.sec.clone_from(&other.sec),
            PageKind::Factsheet | PageKind::List | PageKind::Filter => {}
        }
    }
}
