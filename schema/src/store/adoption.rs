//! placeholder
use super::error::StoreError;
use tokio_postgres::Transaction;
pub(super) struct Adoption;
pub(super) async fn prepare(_tx: &Transaction<'_>) -> Result<Option<Adoption>, StoreError> {
    Ok(None)
}
impl Adoption {
    pub(super) async fn finish(self, _tx: &Transaction<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}
