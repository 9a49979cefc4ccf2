//! stub
use crate::site::ReadContext;
use schema::{PlannedTask, SourceName, TaskAnswer};
/// stub
#[derive(Debug)]
pub struct Asker;
/// stub
#[derive(Debug)]
pub struct AskOutcome {
    /// stub
    pub answers: Vec<TaskAnswer>,
    /// stub
    pub breach: Option<String>,
}
impl Asker {
    /// stub
    pub fn source(&self) -> SourceName {
        SourceName::Finnomena
    }
    /// stub
    pub fn tasks_per_request(&self, _page: &str) -> usize {
        1
    }
    /// stub
    pub async fn ask(&self, _group: Vec<PlannedTask>, _context: ReadContext) -> AskOutcome {
        unreachable!()
    }
    /// stub
    pub fn waited_until(&self, _now: tokio::time::Instant) -> Option<tokio::time::Instant> {
        None
    }
}
