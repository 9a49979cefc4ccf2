//! The macro `record!` and the records of the fund tables. One list of columns per record defines the struct that the
//! parsers fill and the map [`Fields`] that folding, merging, upserts and history use.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::Number;

/// One present value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Text (`TEXT`).
    Text(String),
    /// An exact number (`NUMERIC`).
    Number(Number),
    /// A whole number (`INTEGER`).
    Int(i32),
    /// A calendar date (`DATE`).
    Date(Date),
    /// A truth value (`BOOLEAN`).
    Flag(bool),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Int(int) => int.fmt(f),
            Self::Date(date) => date.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

/// The type of the [`Value`]s of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `TEXT`
    Text,
    /// `NUMERIC`
    Number,
    /// `INTEGER`
    Int,
    /// `DATE`
    Date,
    /// `BOOLEAN`
    Flag,
}

/// One column: its name in table and observation, its type, and its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The name in SQL and in observations.
    pub name: &'static str,
    /// The type of the values in the column.
    pub kind: Kind,
    /// The meaning, with the unit.
    pub meaning: &'static str,
}

/// The present values of a record by column name. Folding, merging and history use this form.
pub type Fields = BTreeMap<String, Value>;

/// A typed record whose columns are declared once with the macro `record!`.
pub trait Record: Sized {
    /// The columns in order.
    const COLUMNS: &'static [Column];

    /// Returns the values that are present.
    fn into_fields(self) -> Fields;
}

macro_rules! kind_of {
    (Text) => {
        String
    };
    (Number) => {
        $crate::Number
    };
    (Int) => {
        i32
    };
    (Date) => {
        jiff::civil::Date
    };
    (Flag) => {
        bool
    };
}

macro_rules! record {
    (
        $(#[$outer:meta])*
        $name:ident {
            $( $field:ident: $kind:ident = $meaning:literal, )+
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            $(
                #[doc = $meaning]
                pub $field: Option<kind_of!($kind)>,
            )+
        }

        impl Record for $name {
            const COLUMNS: &'static [Column] = &[
                $( Column { name: stringify!($field), kind: Kind::$kind, meaning: $meaning }, )+
            ];

            fn into_fields(self) -> Fields {
                let mut fields = Fields::new();
                $(
                    if let Some(value) = self.$field {
                        fields.insert(stringify!($field).to_owned(), Value::$kind(value));
                    }
                )+
                fields
            }
        }
    };
}

record! {
    /// What a list of funds reports about one fund.
    ListingFields {
        full_name_th: Text = "Thai name",
        category_id: Text = "the source's own category id; a change of it makes the fund's page worth asking",
        sec_is_active: Flag = "whether the SEC counts the fund as active",
        status: Text = "the word of the official register for the fund's status",
    }
}

/// The word in `is_dividend` of a fund that pays dividends.
pub const PAYS_DIVIDENDS: &str = "จ่าย";
/// The word in `is_dividend` of a fund that pays none.
pub const PAYS_NO_DIVIDENDS: &str = "ไม่จ่าย";

record! {
    /// The descriptive columns of `funds_master_info`.
    MasterFields {
        full_name_th: Text = "Thai name",
        full_name_en: Text = "English name",
        amc: Text = "asset management company, English name as said",
        category: Text = "AIMC category, English name",
        risk_level: Int = "risk spectrum, 1 to 8",
        is_dividend: Text = "จ่าย or ไม่จ่าย",
        inception_date: Date = "date of inception",
        currency: Text = "ISO 4217 code",
        country: Text = "ISO 3166 code",
        fund_tax_type: Text = "tax privilege: RMF, SSF, TESG, TESGX or LTF",
        feeder_master_fund: Text = "name of the master fund of a feeder fund",
        management_style: Text = "the register's word for the management style, such as AN",
    }
}

record! {
    /// The columns of `funds_fee`. Fees are in percent, minimums in baht.
    FeeFields {
        front_end_max: Number = "front-end fee, cap, percent",
        front_end_actual: Number = "front-end fee, charged, percent",
        back_end_max: Number = "back-end fee, cap, percent",
        back_end_actual: Number = "back-end fee, charged, percent",
        management_max: Number = "management fee, cap, percent a year",
        management_actual: Number = "management fee, charged, percent a year",
        ter_max: Number = "total expense ratio, cap, percent a year",
        ter_actual: Number = "total expense ratio, charged, percent a year",
        switching_in_max: Number = "switching-in fee, cap, percent",
        switching_in_actual: Number = "switching-in fee, charged, percent",
        switching_out_max: Number = "switching-out fee, cap, percent",
        switching_out_actual: Number = "switching-out fee, charged, percent",
        min_initial_buy: Number = "minimum first purchase, baht",
        min_next_buy: Number = "minimum further purchase, baht",
    }
}

record! {
    /// The columns of `funds_statistics`, without the as-of date, which is part of the observation.
    StatisticsFields {
        sharpe_ratio: Number = "Sharpe ratio",
        alpha: Number = "alpha, percent",
        beta: Number = "beta",
        max_drawdown: Number = "maximum drawdown, percent, negative",
        recovering_period: Int = "recovering period, days",
        tracking_error: Number = "tracking error, percent",
        turnover_ratio: Number = "portfolio turnover ratio",
        fx_hedging: Number = "share of foreign exposure that is hedged, percent",
    }
}

record! {
    /// The columns of `funds_dividends`, without the XD date, which is part of the key.
    DividendFields {
        pay_date: Date = "day of the payment",
        value: Number = "dividend per unit, in the fund's currency",
    }
}

record! {
    /// The columns of `funds_performance`, without the key. All are in percent.
    PerformanceFields {
        fund: Number = "return of the fund, percent",
        benchmark: Number = "return of the benchmark, percent",
        peer_average: Number = "average return of the peer group, percent",
        volatility: Number = "volatility of the fund, percent a year",
    }
}

record! {
    /// The URL of a fund's factsheet PDF.
    FactsheetLink {
        factsheet_url: Text = "URL of the factsheet PDF",
    }
}
