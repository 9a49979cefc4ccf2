//! The age of the NAVs, for `status` and `explain`: the newest NAV date of each fund with the usual gap between its
//! NAVs, and the funds that are behind the market.

use jiff::civil::Date;

use schema::FundCode;

use super::error::StoreError;
use super::reader::Reader;

/// The newest NAV date of a fund, and how often the fund usually has a NAV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundRhythm {
    /// The newest NAV date; `None` if the fund has no NAV.
    pub newest_nav: Option<Date>,
    /// The median gap between the newest NAV dates, in days.
    pub gap_days: Option<i32>,
    /// `daily`, `weekly`, `monthly` or `rarer`; `None` if the fund has too few NAVs.
    pub rhythm: Option<String>,
}

/// Active daily funds without a NAV on days on which the market has NAVs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FundsBehind {
    /// The number of such funds.
    pub count: u64,
    /// Examples: the funds that are behind the longest, in this order.
    pub examples: Vec<FundBehind>,
}

/// A daily fund without new NAVs while other funds have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundBehind {
    /// The code of the fund.
    pub fund_code: String,
    /// The newest NAV date of the fund.
    pub newest_nav: Date,
    /// Number of later days on which the market has a NAV.
    pub market_days: u64,
}

impl Reader {
    /// Returns a fund's newest NAV date and rhythm; `None` for a code without rows.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn fund_rhythm(
        &self,
        fund_code: &FundCode,
    ) -> Result<Option<FundRhythm>, StoreError> {
        let client = self.client().await?;
        let row = client
            .query_opt(
                "SELECT newest_nav, gap_days, rhythm FROM runner.fund_rhythm WHERE fund_code = $1",
                &[&fund_code.as_str()],
            )
            .await?;
        row.map(|row| {
            Ok(FundRhythm {
                newest_nav: row.try_get(0)?,
                gap_days: row.try_get(1)?,
                rhythm: row.try_get(2)?,
            })
        })
        .transpose()
    }

    /// Returns the number of active daily funds that are at least five days behind the market, and at most `limit` of
    /// these funds, those that are behind the longest first.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn funds_behind(&self, limit: usize) -> Result<FundsBehind, StoreError> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT fund_code, newest_nav, market_days, count(*) OVER () FROM runner.fund_behind
                 ORDER BY newest_nav, fund_code LIMIT $1",
                &[&i64::try_from(limit).unwrap_or(i64::MAX)],
            )
            .await?;
        let mut behind = FundsBehind::default();
        for row in rows {
            behind.count = row.try_get::<_, i64>(3)?.unsigned_abs();
            behind.examples.push(FundBehind {
                fund_code: row.try_get(0)?,
                newest_nav: row.try_get(1)?,
                market_days: row.try_get::<_, i64>(2)?.unsigned_abs(),
            });
        }
        Ok(behind)
    }
}
