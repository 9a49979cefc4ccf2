//! Reads of single funds for commands: values that differ from the table, the codes of all funds, and the keys and
//! factsheet URLs of a fund at its sources.

use schema::{FundCode, SourceName};

use super::decode::read_source;
use super::error::StoreError;
use super::reader::Reader;

/// A value of a source that differs from the table (`runner.conflict`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The table.
    pub table: String,
    /// The NAV date in the daily series, otherwise empty.
    pub key: String,
    /// The column.
    pub field: String,
    /// The source.
    pub source: SourceName,
    /// The value of the source.
    pub says: String,
    /// The value in the table.
    pub stands: Option<String>,
}

impl Reader {
    /// Returns the values of a fund that differ from the table, the newest days first, at most `limit`.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn disagreements(
        &self,
        fund_code: &FundCode,
        limit: usize,
    ) -> Result<Vec<Disagreement>, StoreError> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT table_name, key, field, source, says, stands FROM runner.conflict
                 WHERE fund_code = $1 ORDER BY table_name = 'funds_daily', 1, key DESC, 3, 4 LIMIT $2",
                &[
                    &fund_code.as_str(),
                    &i64::try_from(limit).unwrap_or(i64::MAX),
                ],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Disagreement {
                    table: row.try_get(0)?,
                    key: row.try_get(1)?,
                    field: row.try_get(2)?,
                    source: read_source(row.try_get(3)?)?,
                    says: row.try_get(4)?,
                    stands: row.try_get(5)?,
                })
            })
            .collect()
    }

    /// Returns every code that any source ever reported.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn fund_codes(&self) -> Result<Vec<String>, StoreError> {
        let client = self.client().await?;
        let rows = client
            .query("SELECT fund_code FROM runner.fund ORDER BY fund_code", &[])
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Returns the newest key under which a source's list contains a fund; `None` if its list never contained it.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn source_key(
        &self,
        source: SourceName,
        fund_code: &FundCode,
    ) -> Result<Option<String>, StoreError> {
        let client = self.client().await?;
        let row = client
            .query_opt(
                "SELECT a.source_key FROM runner.alias a JOIN runner.fund f USING (fund_id)
                 WHERE a.source = $1 AND f.fund_code = $2 ORDER BY a.last_cycle DESC, a.first_cycle DESC LIMIT 1",
                &[&source.as_str(), &fund_code.as_str()],
            )
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Returns the URL of a fund's factsheet according to a source; `None` if the source reports none.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn factsheet_url(
        &self,
        source: SourceName,
        fund_code: &FundCode,
    ) -> Result<Option<String>, StoreError> {
        let client = self.client().await?;
        let row = client
            .query_opt(
                "SELECT o.fields ->> 'factsheet_url' FROM runner.observation o JOIN runner.fund f USING (fund_id)
                 WHERE o.source = $1 AND o.dataset = 'factsheet_link' AND f.fund_code = $2",
                &[&source.as_str(), &fund_code.as_str()],
            )
            .await?;
        Ok(match row {
            Some(row) => row.try_get(0)?,
            None => None,
        })
    }

    /// Returns an active fund for testing a source that has no list.
    ///
    /// # Errors
    /// An outage, or an error that waiting cannot fix, such as a refused session: see [`StoreError::is_outage`].
    pub async fn some_active_fund(&self) -> Result<Option<String>, StoreError> {
        let client = self.client().await?;
        let row = client
            .query_opt(
                "SELECT fund_code FROM public.funds_master_info m JOIN public.funds_statistics s USING (fund_code)
                 WHERE m.fund_status = 'active' ORDER BY s.scraped_at DESC, fund_code LIMIT 1",
                &[],
            )
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }
}
