//! Reads real NAV histories (`--real DIR`) for the market.
//!
//! Real values:
//! - the class codes,
//! - date, NAV (`last_val`) and AUM (`net_asset`) of every row of a class,
//! - offer (`sell_price`) and bid (`buy_price`) of its latest row, in the file's spelling.
//!
//! Everything else is generated: names, fees, portfolios, statistics, factsheets, ids. All classes of the file are
//! served as active funds; `funds` and `days` have no effect.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use jiff::civil::Date;

/// The quote of the price page, with the true values. None means that the page shows 0.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quote {
    pub(crate) date: Date,
    pub(crate) nav: Option<String>,
    pub(crate) bid: Option<String>,
    pub(crate) offer: Option<String>,
    pub(crate) aum: String,
}

/// One row of the file.
#[derive(Clone, Debug)]
pub(crate) struct RealDay {
    pub(crate) date: Date,
    pub(crate) net_asset: Box<str>,
    pub(crate) last_val: Box<str>,
    sell_price: Box<str>,
    buy_price: Box<str>,
}

impl RealDay {
    /// The NAV; None if the file has 0.
    pub(crate) fn nav(&self) -> Option<String> {
        unless_zero(&self.last_val)
    }

    /// The offer in the file's spelling; 0 if there is none.
    pub(crate) fn sell_price(&self) -> &str {
        &self.sell_price
    }

    /// The bid in the file's spelling; 0 if there is none.
    pub(crate) fn buy_price(&self) -> &str {
        &self.buy_price
    }

    /// WealthMagik's quote of this day.
    pub(crate) fn quote(&self) -> Quote {
        Quote {
            date: self.date,
            nav: self.nav(),
            bid: unless_zero(&self.buy_price),
            offer: unless_zero(&self.sell_price),
            aum: canonical(&self.net_asset),
        }
    }
}

fn unless_zero(number: &str) -> Option<String> {
    Some(canonical(number)).filter(|number| number != "0")
}

/// The number without needless zeros at its end.
pub(crate) fn canonical(number: &str) -> String {
    let short = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    };
    short.to_owned()
}

/// The history of one class, and the class code in the file's spelling.
#[derive(Clone, Debug)]
pub(crate) struct RealClass {
    pub(crate) code: String,
    pub(crate) code_spelt: String,
    pub(crate) proj_id: String,
    pub(crate) days: Arc<[RealDay]>,
}

/// All classes of `nav_history.csv.gz` in `folder`, sorted by code, each with its days in ascending order.
pub(crate) fn read_classes(folder: &Path) -> io::Result<Vec<RealClass>> {
    let mut text = Vec::new();
    MultiGzDecoder::new(File::open(folder.join("nav_history.csv.gz"))?).read_to_end(&mut text)?;
    let mut classes: BTreeMap<String, (String, String, Vec<RealDay>)> = BTreeMap::new();
    for line in BufReader::new(text.as_slice()).lines().skip(1) {
        let line = line?;
        let cells: Vec<&str> = line.split(',').collect();
        let [
            proj_id,
            _,
            class,
            date,
            net_asset,
            last_val,
            sell_price,
            buy_price,
            ..,
        ] = cells[..]
        else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a row of too few cells: {line}"),
            ));
        };
        let date = date.parse().map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{error}: {line}"))
        })?;
        let day = RealDay {
            date,
            net_asset: net_asset.into(),
            last_val: last_val.into(),
            sell_price: sell_price.into(),
            buy_price: buy_price.into(),
        };
        let code = class.split_whitespace().collect::<Vec<_>>().join(" ");
        classes
            .entry(code)
            .or_insert_with(|| (class.to_owned(), proj_id.to_owned(), Vec::new()))
            .2
            .push(day);
    }
    Ok(classes
        .into_iter()
        .map(|(code, (code_spelt, proj_id, mut days))| {
            days.sort_by_key(|day| day.date);
            RealClass {
                code,
                code_spelt,
                proj_id,
                days: days.into(),
            }
        })
        .collect())
}

/// The last date of the histories in `folder`.
pub fn last_date(folder: &Path) -> io::Result<Option<Date>> {
    Ok(read_classes(folder)?
        .iter()
        .filter_map(|class| class.days.last())
        .map(|day| day.date)
        .max())
}
