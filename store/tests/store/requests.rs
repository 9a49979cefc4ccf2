//! Requests of commands: the session that holds the lock applies each of them once and answers it.

use std::time::Duration;

use schema::SourceName;
use schema::columns::MasterFields;
use store::{ChangeRequest, CycleKind, RequestDesk, StoreError, Writer};

use crate::server::connect;
use crate::world::{TODAY, World, list_of, master};

async fn a_world_with_a_damaged_row() -> World {
    let mut world = World::new().await;
    let amc = MasterFields {
        amc: Some("FN".to_owned()),
        ..MasterFields::default()
    };
    world
        .commit(vec![
            list_of(&["A"]),
            master("A", SourceName::Finnomena, amc),
        ])
        .await;
    damage(&world).await;
    world
}

async fn damage(world: &World) {
    world
        .sql
        .batch_execute("UPDATE funds_master_info SET amc = 'by hand'")
        .await
        .unwrap();
}

async fn amc(world: &World) -> Vec<String> {
    world.text("SELECT amc FROM funds_master_info").await
}

async fn requests(world: &World) -> Vec<String> {
    world
        .text("SELECT concat_ws(' ', command, state, answered_at IS NOT NULL) FROM runner.request ORDER BY id")
        .await
}

#[tokio::test]
async fn a_request_is_applied_by_the_holder_and_read_by_who_placed_it() {
    let mut world = a_world_with_a_damaged_row().await;
    let desk = RequestDesk::open(&world.database).await.unwrap();
    assert!(desk.holder().await.unwrap().is_some());
    let id = desk.place(&ChangeRequest::Remerge, "me").await.unwrap();
    let id = id.unwrap();
    // Placed once per process, even if a lost connection makes it retry.
    let again = desk.place(&ChangeRequest::Remerge, "me").await.unwrap();
    assert_eq!(again, Some(id));
    assert_eq!(desk.answer(id).await.unwrap(), None);
    assert_eq!(amc(&world).await, ["by hand"]);

    let answered = world.writer.answer_requests().await.unwrap();
    assert_eq!(answered.len(), 1);
    assert_eq!(
        (answered[0].id, answered[0].requested_by.as_str()),
        (id, "me")
    );
    let answer = desk.answer(id).await.unwrap().unwrap();
    assert_eq!(answer, answered[0].answer);
    assert!(
        answer.is_done && answer.answer.contains("1 row differed"),
        "{answer:?}"
    );
    assert_eq!(amc(&world).await, ["FN"]);
    assert_eq!(requests(&world).await, ["remerge done t"]);

    // An answered request is not applied again.
    damage(&world).await;
    assert_eq!(world.writer.answer_requests().await.unwrap(), []);
    assert_eq!(
        world
            .writer
            .apply_request(&ChangeRequest::Remerge, "me")
            .await
            .unwrap(),
        answer
    );
    assert_eq!(amc(&world).await, ["by hand"]);
}

#[tokio::test]
async fn requests_of_several_commands_are_answered_in_their_order() {
    let mut world = a_world_with_a_damaged_row().await;
    let desk = RequestDesk::open(&world.database).await.unwrap();
    for (change, by) in [
        (ChangeRequest::ResetSource(SourceName::Wealthmagik), "one"),
        (ChangeRequest::Remerge, "two"),
        (ChangeRequest::ResetSource(SourceName::Finnomena), "three"),
    ] {
        desk.place(&change, by).await.unwrap();
    }
    let answered = world.writer.answer_requests().await.unwrap();
    let by: Vec<&str> = answered
        .iter()
        .map(|one| one.requested_by.as_str())
        .collect();
    assert_eq!(by, ["one", "two", "three"]);
    assert!(answered.iter().all(|one| one.answer.is_done));
}

/// Any user may write a row. The holder refuses a request that it cannot parse, and continues.
#[tokio::test]
async fn a_request_that_is_not_known_is_refused_and_stops_no_other() {
    let mut world = a_world_with_a_damaged_row().await;
    world
        .sql
        .batch_execute(
            "INSERT INTO runner.request (requested_by, command, arguments) VALUES
                 ('hand', 'accept-everything', '{}'), ('hand', 'reset-source', '{\"source\": \"reuters\"}'),
                 ('hand', 'reset-source', '7'), ('hand', 'remerge', '{\"unused\": 1}')",
        )
        .await
        .unwrap();
    let answered = world.writer.answer_requests().await.unwrap();
    let done: Vec<bool> = answered.iter().map(|one| one.answer.is_done).collect();
    assert_eq!(done, [false, false, false, true]);
    assert!(
        answered[0]
            .answer
            .answer
            .contains("does not know the command `accept-everything`")
    );
    assert!(answered[1].answer.answer.contains("found \"reuters\""));
    assert_eq!(
        requests(&world).await,
        [
            "accept-everything refused t",
            "reset-source refused t",
            "reset-source refused t",
            "remerge done t"
        ]
    );
}

/// A change that the database refuses is answered and undone. Otherwise the holder would retry it forever.
#[tokio::test]
async fn a_change_that_the_database_refuses_is_answered_and_undone() {
    let mut world = a_world_with_a_damaged_row().await;
    world
        .sql
        .batch_execute("ALTER TABLE funds_master_info ADD CONSTRAINT mine CHECK (amc = 'by hand')")
        .await
        .unwrap();
    let desk = RequestDesk::open(&world.database).await.unwrap();
    desk.place(&ChangeRequest::Remerge, "me").await.unwrap();
    let answered = world.writer.answer_requests().await.unwrap();
    let answer = &answered[0].answer;
    assert!(
        !answer.is_done && answer.answer.contains("mine"),
        "{answer:?}"
    );
    assert_eq!(requests(&world).await, ["remerge failed t"]);
    assert_eq!(amc(&world).await, ["by hand"]);
}

/// The holder's session ends in the middle of a request: nothing of it is stored, and the next holder applies it once.
#[tokio::test]
async fn a_holder_that_dies_in_a_request_leaves_it_to_the_next_one() {
    let mut world = a_world_with_a_damaged_row().await;
    let desk = RequestDesk::open(&world.database).await.unwrap();
    let id = desk.place(&ChangeRequest::Remerge, "me").await.unwrap();
    let mut other = connect(&world.database).await;
    let lock = other.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE funds_master_info IN SHARE MODE")
        .await
        .unwrap();
    // Applied up to the locked table.
    let applying = tokio::time::timeout(Duration::from_secs(1), world.writer.answer_requests());
    assert!(applying.await.is_err(), "it was not in the middle");
    drop(world.writer);
    lock.rollback().await.unwrap();
    assert_eq!(desk.answer(id.unwrap()).await.unwrap(), None);

    let mut next = Writer::open(&world.database, Duration::from_secs(10))
        .await
        .unwrap();
    let answered = next.answer_requests().await.unwrap();
    assert_eq!(answered.len(), 1);
    assert!(answered[0].answer.answer.contains("1 row differed"));
    assert_eq!(next.answer_requests().await.unwrap(), []);
}

/// An open cycle keeps the data it was planned with: which lists were answered in it, and how large they were.
#[tokio::test]
async fn a_reset_in_an_open_cycle_takes_effect_when_it_has_closed() {
    let mut world = World::new().await;
    world.commit(vec![list_of(&["A"])]).await;
    let known = "SELECT (count(payload_hash) + count(answered_cycle))::text FROM runner.task WHERE source = 'finnomena'";
    let sizes = "SELECT count(*)::text FROM runner.list_size WHERE source = 'finnomena'";
    let before = (world.text(known).await, world.text(sizes).await);
    let answer = world
        .request(ChangeRequest::ResetSource(SourceName::Finnomena))
        .await;
    assert!(
        answer.contains("once the open cycle has closed"),
        "{answer}"
    );
    assert_eq!((world.text(known).await, world.text(sizes).await), before);
    world.next_cycle(TODAY, CycleKind::Daily).await;
    assert_eq!(
        (world.text(known).await, world.text(sizes).await),
        (vec!["0".to_owned()], vec!["0".to_owned()])
    );
    assert_eq!(
        world
            .text("SELECT count(*)::text FROM runner.source_reset")
            .await,
        ["0"]
    );
}

/// O6: old answered requests are deleted; waiting ones are kept.
#[tokio::test]
async fn old_answered_requests_are_deleted_when_a_cycle_closes() {
    let mut world = World::new().await;
    world
        .sql
        .batch_execute(
            "INSERT INTO runner.request (requested_by, command, state, answered_at, answer)
             SELECT 'me', 'remerge', 'done', now(), 'x' FROM generate_series(1, 1200);
             INSERT INTO runner.request (requested_by, command) VALUES ('me', 'remerge')",
        )
        .await
        .unwrap();
    world.next_cycle(TODAY, CycleKind::Daily).await;
    assert_eq!(
        world
            .text("SELECT state || ' ' || count(*) FROM runner.request GROUP BY state ORDER BY 1")
            .await,
        ["done 1000", "waiting 1"]
    );
}

/// A holder whose version is older than the requests has no table for them.
#[tokio::test]
async fn a_holder_without_requests_is_recognised() {
    let world = World::new().await;
    world
        .sql
        .batch_execute("DROP TABLE runner.request")
        .await
        .unwrap();
    let desk = RequestDesk::open(&world.database).await.unwrap();
    assert_eq!(
        desk.place(&ChangeRequest::Remerge, "me").await.unwrap(),
        None
    );
    let nowhere = RequestDesk::open("host=/nowhere user=me dbname=x").await;
    assert!(matches!(nowhere, Err(StoreError::Outage(_))));
}
