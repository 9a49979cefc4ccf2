//! Generates the holdings and allocations of a fund on both sites. The portfolios of the two sites are separate rows of
//! the tables, so the sites cannot contradict each other.

use jiff::civil::Date;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::deck::Deck;
use super::spelling::{
    Name, awkward_name, exponent, more_than_ten_decimals, negative, page_date, rfc3339, scaled,
    trailing_zeros,
};
use super::{Sketch, portfolio_date};
use crate::edge_case::EdgeCase;
use crate::market::{Block, BlockRow, Emptiness, FinnomenaPortfolio, Fund};

/// The site that a block belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Site {
    Finnomena,
    WealthMagik,
}

pub(super) struct PortfolioDecks {
    finnomena_shape: Deck<Option<EdgeCase>>,
    wealthmagik_shape: Deck<Option<EdgeCase>>,
    finnomena_rows: Deck<Option<EdgeCase>>,
    wealthmagik_rows: Deck<Option<EdgeCase>>,
    finnomena_date: Deck<Option<EdgeCase>>,
    wealthmagik_date: Deck<Option<EdgeCase>>,
}

impl PortfolioDecks {
    pub(super) fn new(edge_cases: bool) -> Self {
        use EdgeCase::*;
        let common = [
            PercentDash,
            PercentNegative,
            EqualRows,
            SumOver100,
            HoldingNameOver255,
            HoldingNameWhiteSpace,
            NamePercent,
            NameApostrophe,
            NameZeroWidth,
            TrailingZeros,
        ];
        let finnomena_rows: Vec<Option<EdgeCase>> = common
            .into_iter()
            .chain([PercentNan, ManyDecimals, Exponent])
            .map(Some)
            .collect();
        let wealthmagik_rows: Vec<Option<EdgeCase>> = common
            .into_iter()
            .chain([PercentUnreadable])
            .map(Some)
            .collect();
        PortfolioDecks {
            finnomena_shape: Deck::new(
                edge_cases,
                None,
                4,
                &[
                    PortfolioAbsent,
                    PortfolioEmpty,
                    SectorOldName,
                    RegionsSumTo200,
                ]
                .map(Some),
            ),
            wealthmagik_shape: Deck::new(
                edge_cases,
                None,
                3,
                &[PortfolioEmpty, PortOldDate, EmptyInOneContainer].map(Some),
            ),
            finnomena_rows: Deck::new(edge_cases, None, 3, &finnomena_rows),
            wealthmagik_rows: Deck::new(edge_cases, None, 3, &wealthmagik_rows),
            finnomena_date: Deck::new(
                edge_cases,
                None,
                4,
                &[PortfolioUndated, PortfolioYearOne].map(Some),
            ),
            wealthmagik_date: Deck::new(
                edge_cases,
                None,
                3,
                &[
                    PortfolioUndated,
                    DateShortYear,
                    DateThaiDigits,
                    DateEnglish,
                    DateSlashes,
                ]
                .map(Some),
            ),
        }
    }
}

/// The portfolios of a fund on both sites.
pub(super) struct Portfolios {
    pub(super) finnomena: Option<FinnomenaPortfolio>,
    pub(super) port: Block,
    pub(super) port_old_date: bool,
    pub(super) by_asset: Block,
    pub(super) by_country: Block,
}

const HOLDINGS: [&str; 12] = [
    "KASIKORNBANK (KBANK)",
    "หุ้นสามัญ ปูนซิเมนต์ไทย (SCC)",
    "ADVANCED INFO SERVICE (ADVANC)",
    "CP ALL (CPALL)",
    "SPDR Gold Trust (GLD)",
    "พันธบัตรรัฐบาล LB31DA",
    "Microsoft Corp (MSFT)",
    "Taiwan Semiconductor (2330 TT)",
    "AIRPORTS OF THAILAND (AOT)",
    "เงินฝากธนาคาร",
    "Novo Nordisk A/S (NOVOB)",
    "DELTA ELECTRONICS (DELTA)",
];
const SECTORS: [&str; 6] = [
    "บริการด้านการเงิน",
    "พลังงาน",
    "เทคโนโลยี",
    "การแพทย์",
    "อสังหาริมทรัพย์",
    "วัสดุทั่วไป",
];
const ASSETS: [&str; 4] = [
    "หุ้น",
    "เงินฝากธนาคาร P/N และ B/E",
    "พันธบัตร",
    "สินทรัพย์อื่นๆ/หนี้สินอื่นๆ",
];
const COUNTRIES: [&str; 5] = ["ไทย", "สหรัฐอเมริกา", "ญี่ปุ่น", "จีน", "Luxembourg"];

pub(super) fn decide(
    decks: &mut PortfolioDecks,
    sketch: &mut Sketch<'_>,
    random: &mut ChaCha8Rng,
) -> Portfolios {
    use EdgeCase::*;
    let shape = decks.finnomena_shape.deal(random);
    sketch.edge_cases.extend(shape);
    let empty = shape == Some(PortfolioEmpty);
    let top_holdings = decks.block(Site::Finnomena, &HOLDINGS, 5, empty, sketch, random);
    let sectors = decks.block(Site::Finnomena, &SECTORS, 5, empty, sketch, random);
    let assets = decks.block(
        Site::Finnomena,
        &ASSETS,
        4,
        empty && random.random_bool(0.5),
        sketch,
        random,
    );
    let regions = regions(shape == Some(RegionsSumTo200), sketch, random);
    let finnomena = (shape != Some(PortfolioAbsent)).then_some(FinnomenaPortfolio {
        top_holdings,
        sectors,
        sectors_old_name: shape == Some(SectorOldName),
        assets,
        regions,
    });
    if !sketch.on_wealthmagik {
        return Portfolios {
            finnomena,
            port: Block::default(),
            port_old_date: false,
            by_asset: Block::default(),
            by_country: Block::default(),
        };
    }
    let shape = decks.wealthmagik_shape.deal(random);
    sketch.edge_cases.extend(shape);
    let empty = shape == Some(PortfolioEmpty);
    let holdings = random.random_range(8..=31);
    Portfolios {
        finnomena,
        port: decks.block(
            Site::WealthMagik,
            &HOLDINGS,
            holdings,
            empty,
            sketch,
            random,
        ),
        port_old_date: shape == Some(PortOldDate),
        by_asset: decks.block(Site::WealthMagik, &ASSETS, 4, empty, sketch, random),
        by_country: decks.block(
            Site::WealthMagik,
            &COUNTRIES,
            4,
            empty || shape == Some(EmptyInOneContainer),
            sketch,
            random,
        ),
    }
}

/// The block of regions: one view, or two views in one list. The tables do not store it, so the truth does not contain
/// it.
fn regions(two_views: bool, sketch: &Sketch<'_>, random: &mut ChaCha8Rng) -> Block {
    let names: &[&str] = if two_views {
        &["Asia - Emerging", "Emerging Market"]
    } else {
        &["Asia - Emerging"]
    };
    let row = |name: &&str| BlockRow {
        name: Name::plain(*name),
        percent: Some("100".to_owned()),
        percent_spelt: "100".to_owned(),
    };
    let as_of = portfolio_date(sketch.today, random);
    Block {
        as_of: Some(as_of),
        as_of_spelt: Some(rfc3339(as_of)),
        rows: names.iter().map(row).collect(),
        emptiness: Emptiness::Null,
    }
}

impl PortfolioDecks {
    fn block(
        &mut self,
        site: Site,
        names: &[&str],
        count: usize,
        empty: bool,
        sketch: &mut Sketch<'_>,
        random: &mut ChaCha8Rng,
    ) -> Block {
        use EdgeCase::*;
        let date_kind = match site {
            Site::Finnomena => self.finnomena_date.deal(random),
            Site::WealthMagik => self.wealthmagik_date.deal(random),
        };
        let row_kind = match site {
            Site::Finnomena => self.finnomena_rows.deal(random),
            Site::WealthMagik => self.wealthmagik_rows.deal(random),
        };
        let emptiness = if random.random_bool(0.5) {
            Emptiness::Null
        } else {
            Emptiness::NoElements
        };
        let said = portfolio_date(sketch.today, random);
        let as_of =
            (!matches!(date_kind, Some(PortfolioUndated | PortfolioYearOne))).then_some(said);
        let as_of_spelt = match (site, date_kind) {
            (Site::Finnomena, Some(PortfolioUndated)) => None,
            (Site::Finnomena, Some(PortfolioYearOne)) => Some("0001-01-01T00:00:00Z".to_owned()),
            (Site::Finnomena, _) => Some(rfc3339(said)),
            (Site::WealthMagik, Some(PortfolioUndated)) => {
                random.random_bool(0.5).then(|| "ข้อมูล ณ วันที่ -".to_owned())
            }
            (Site::WealthMagik, kind) => Some(page_date(said, kind)),
        };
        if empty {
            return Block {
                as_of: None,
                as_of_spelt,
                rows: Vec::new(),
                emptiness,
            };
        }
        sketch.edge_cases.extend(date_kind);
        sketch.edge_cases.extend(row_kind);

        let mut order: Vec<&str> = names.to_vec();
        order.shuffle(random);
        let each = if row_kind == Some(SumOver100) {
            6_000
        } else {
            10_000 / i64::try_from(count).expect("a short list")
        };
        let mut rows: Vec<BlockRow> = (0..count)
            .map(|place| {
                let name = order[place % order.len()];
                let name = if place < order.len() {
                    name.to_owned()
                } else {
                    format!("{name} #{}", place / order.len() + 1)
                };
                let percent = scaled(random.random_range(each / 2..=each), 2);
                BlockRow {
                    percent_spelt: percent.clone(),
                    percent: Some(percent),
                    name: Name::plain(name),
                }
            })
            .collect();
        if let Some(kind) = row_kind {
            let place = random.random_range(0..rows.len());
            make_awkward(&mut rows, place, kind, site, random);
        }
        if site == Site::WealthMagik {
            for row in &mut rows {
                row.percent_spelt = with_percent_sign(row);
            }
        }
        Block {
            as_of,
            as_of_spelt,
            rows,
            emptiness,
        }
    }
}

/// Publishes the fund's portfolios on both sites as of a later date, with other rows in another order. Returns whether
/// any block changed. A block with fewer than two rows or without a date stays as it is.
pub(crate) fn publish(fund: &mut Fund, as_of: Date, random: &mut ChaCha8Rng) -> bool {
    let mut published = false;
    let mut renew = |block: &mut Block, spelt: String| {
        if block.rows.len() > 1 && block.as_of.is_some_and(|known| known < as_of) {
            (block.as_of, block.as_of_spelt) = (Some(as_of), Some(spelt));
            block.rows.rotate_left(1);
            for row in &mut block.rows {
                let Some(percent) = &mut row.percent else {
                    continue;
                };
                let sign = row.percent_spelt.strip_prefix(percent.as_str());
                if let Some(sign) = sign.filter(|sign| ["", "%"].contains(sign)) {
                    let number = scaled(random.random_range(1..1_000), 2);
                    row.percent_spelt = format!("{number}{sign}");
                    *percent = number;
                }
            }
            published = true;
        }
    };
    if let Some(said) = &mut fund.finnomena.portfolio {
        for block in [&mut said.top_holdings, &mut said.sectors, &mut said.assets] {
            renew(block, rfc3339(as_of));
        }
    }
    if let Some(said) = &mut fund.wealthmagik {
        for block in [&mut said.port, &mut said.by_asset, &mut said.by_country] {
            renew(block, page_date(as_of, None));
        }
    }
    published
}

/// Adds WealthMagik's percent sign, within the parentheses if there are any.
fn with_percent_sign(row: &BlockRow) -> String {
    let text = &row.percent_spelt;
    match (&row.percent, text.strip_suffix(')')) {
        (None, _) => text.clone(),
        (Some(_), Some(open)) => format!("{open}%)"),
        (Some(_), None) => format!("{text}%"),
    }
}

fn make_awkward(
    rows: &mut [BlockRow],
    place: usize,
    kind: EdgeCase,
    site: Site,
    random: &mut ChaCha8Rng,
) {
    use EdgeCase::*;
    let row = &mut rows[place];
    let percent = row.percent.clone().unwrap_or_default();
    match kind {
        PercentDash => {
            row.percent = None;
            row.percent_spelt = match (site, random.random_bool(0.5)) {
                (Site::Finnomena, true) => "null",
                (Site::Finnomena, false) => "\"-\"",
                (Site::WealthMagik, true) => "-",
                (Site::WealthMagik, false) => "N/A",
            }
            .to_owned();
        }
        PercentNan => (row.percent, row.percent_spelt) = (None, "NaN".to_owned()),
        PercentUnreadable => (row.percent, row.percent_spelt) = (None, "??,?".to_owned()),
        PercentNegative => {
            let below = format!("-{percent}");
            row.percent_spelt = match site {
                Site::Finnomena => below.clone(),
                Site::WealthMagik => match random.random_range(0..3) {
                    0 => below.clone(),
                    sign => negative(&below, sign == 1),
                },
            };
            row.percent = Some(below);
        }
        EqualRows => {
            let twin = row.clone();
            let next = (place + 1) % rows.len();
            rows[next] = twin;
        }
        HoldingNameOver255 => {
            let long = format!(
                "{} {}",
                row.name.truth,
                "Sustainable Global Infrastructure ".repeat(9).trim_end()
            );
            row.name = Name::plain(long);
        }
        HoldingNameWhiteSpace => {
            row.name.spelt = format!("\n\t{}\u{a0} ", row.name.truth.replace(' ', " \u{a0}"));
        }
        NamePercent | NameApostrophe | NameZeroWidth => {
            row.name = awkward_name(Some(kind), "หุ้นกู้", "Bond (BND)");
        }
        TrailingZeros => row.percent_spelt = trailing_zeros(&percent),
        Exponent => row.percent_spelt = exponent(&percent),
        ManyDecimals => {
            let (truth, spelt) = more_than_ten_decimals(&percent);
            (row.percent, row.percent_spelt) = (Some(truth), spelt);
        }
        SumOver100 => {}
        other => unreachable!("{other:?} is not a kind of portfolio row"),
    }
}
