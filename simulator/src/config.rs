//! The configuration of a simulator: the market to generate, the ports, and how the hosts serve their pages.

use std::path::PathBuf;

use clap::ValueEnum;
use jiff::civil::{Date, date};

/// The sites whose data needs a browser: WealthMagik builds its pages by a script, the SEC's API refuses clients that
/// are not a browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum JavascriptPages {
    /// WealthMagik is server-rendered, and the SEC's API answers every client. (The SEC's page is always a JavaScript
    /// application.)
    #[default]
    None,
    /// WealthMagik's pages are built by a script from an encoded answer.
    #[value(name = "wealthmagik")]
    WealthMagik,
    /// The SEC's API answers 403 to clients that are not a browser, so only the SEC's page has the data.
    Sec,
    /// WealthMagik and the SEC, as above.
    All,
}

impl JavascriptPages {
    /// Whether a script builds WealthMagik's pages.
    pub fn wealthmagik(self) -> bool {
        matches!(self, JavascriptPages::WealthMagik | JavascriptPages::All)
    }

    /// Whether the SEC's API refuses clients that are not a browser.
    pub fn sec(self) -> bool {
        matches!(self, JavascriptPages::Sec | JavascriptPages::All)
    }
}

/// The market to generate, and how the hosts serve it.
#[derive(Clone, Debug)]
pub struct MarketConfig {
    /// The number of funds that Finnomena lists, including inactive ones.
    pub funds: usize,
    /// The number of business days of NAV history before `today`.
    pub days: usize,
    /// The date of the first day on the simulator's calendar.
    pub today: Date,
    /// Equal seeds make equal markets.
    pub seed: u64,
    /// The folder of the real NAV histories. If set, their classes replace `funds` and `days`.
    pub real: Option<PathBuf>,
    /// Whether to generate edge cases as well as plain values.
    pub edge_cases: bool,
    /// Whether the market lives: it follows the Thai calendar, NAVs are as late as real ones, some funds have one NAV a
    /// week or a month, and `Simulator::next_day` moves it to the next day.
    pub lives: bool,
    /// Which pages need JavaScript.
    pub javascript: JavascriptPages,
    /// The delay before every answer, in milliseconds.
    pub latency_ms: u64,
    /// The ports to listen on.
    pub ports: SimulatorPorts,
}

impl Default for MarketConfig {
    fn default() -> Self {
        MarketConfig {
            funds: 30,
            days: 60,
            today: date(2026, 10, 15),
            seed: 1,
            real: None,
            edge_cases: true,
            lives: false,
            javascript: JavascriptPages::None,
            latency_ms: 0,
            ports: SimulatorPorts::default(),
        }
    }
}

/// Ports on 127.0.0.1; 0 lets the operating system choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimulatorPorts {
    /// Finnomena.
    pub finnomena: u16,
    /// WealthMagik.
    pub wealthmagik: u16,
    /// The SEC's page.
    pub sec_page: u16,
    /// The SEC's API.
    pub sec_api: u16,
    /// Factsheets, and the control endpoint.
    pub documents: u16,
    /// The SEC's register.
    pub sec_open_api: u16,
}

impl SimulatorPorts {
    /// Six consecutive ports, starting with `base`.
    pub fn from_base(base: u16) -> Self {
        SimulatorPorts {
            finnomena: base,
            wealthmagik: base + 1,
            sec_page: base + 2,
            sec_api: base + 3,
            documents: base + 4,
            sec_open_api: base + 5,
        }
    }
}
