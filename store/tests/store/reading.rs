//! `status` and `explain`, read concurrently with the writer.

use schema::Dataset;
use schema::SourceName::{Finnomena, Wealthmagik};
use schema::columns::MasterFields;
use schema::precedence::Precedence;
use schema::task::{Reject, Severity};
use store::Reader;

use crate::server::fresh_database;
use crate::world::{World, code, days, list_of, master};

#[tokio::test]
async fn explain_shows_each_sources_value_and_why_one_won() {
    let mut world = World::new().await;
    let amc = |name: &str| MasterFields {
        amc: Some(name.to_owned()),
        ..MasterFields::default()
    };
    let mut with_reject = master("A", Wealthmagik, amc("WM"));
    with_reject.rejects.push(Reject {
        fund_code: Some("A".to_owned()),
        dataset: Dataset::Master,
        field: "risk_level".to_owned(),
        reason: "expected 1 to 8".to_owned(),
        sample: "99".to_owned(),
        severity: Severity::Rejected,
    });
    let report = world
        .commit(vec![
            list_of(&["A"]),
            master("A", Finnomena, amc("FN")),
            with_reject,
            days("A", Finnomena, &[(1, ["1", "", "", ""])]),
            days("A", Wealthmagik, &[(1, ["2", "", "", ""])]),
        ])
        .await;
    assert_eq!(report.tables["funds_master_info"].unreadable, 1);
    let reader = Reader::new(&world.database, 2).unwrap();
    let explained = reader
        .explain(&code("A"), &Precedence::default())
        .await
        .unwrap()
        .unwrap();
    let amc = explained
        .fields
        .iter()
        .find(|field| field.column == "amc")
        .unwrap();
    assert_eq!(amc.stands.as_deref(), Some("FN"));
    let said: Vec<(&str, bool, &str)> = amc
        .said
        .iter()
        .map(|said| (said.value.as_str(), said.wins, said.why.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            ("FN", true, "first in rank"),
            ("WM", false, "finnomena in master ranks higher")
        ]
    );
    assert_eq!(explained.rejected[0].sample, "99");
    assert_eq!(explained.newest_day.unwrap().dissents[0].2, "2");
    assert!(
        reader
            .explain(&code("NOBODY"), &Precedence::default())
            .await
            .unwrap()
            .is_none()
    );
    let fresh = reader.fund_freshness(&code("A")).await.unwrap();
    assert!(fresh.iter().all(|page| page.last_answer_at.is_some()));
    assert_eq!(fresh.len(), 4);
}

#[tokio::test]
async fn status_reads_an_empty_database_and_a_running_one() {
    let empty = Reader::new(&fresh_database().await, 1).unwrap();
    assert_eq!(empty.status(None).await.unwrap().schema_version, 0);
    let mut world = World::new().await;
    world.commit(vec![list_of(&["A"])]).await;
    world.writer.heartbeat("asking lists").await.unwrap();
    let status = Reader::new(&world.database, 2)
        .unwrap()
        .status(None)
        .await
        .unwrap();
    let runner = status.runner.unwrap();
    assert!(runner.holds_lock);
    assert_eq!(runner.doing, "asking lists");
    assert_eq!(status.tables[0], ("funds_master_info", 1));
    assert_eq!(status.cycles[0].state, "open");
    assert_eq!(status.tasks[0].1.done, 1);
}
