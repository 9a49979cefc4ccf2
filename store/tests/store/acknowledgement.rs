//! D1, D6, O2, O7: one transaction writes rows and acknowledgement; a value that the database refuses fails one task.

use std::time::Duration;

use schema::columns::MasterFields;
use schema::task::{KnownPrefix, PayloadHash};
use schema::{Outcome, SourceName, TaskAnswer};
use store::{Batch, ChangeRequest, CycleKind, StoreError, TaskFilter, Writer};

use crate::world::{TODAY, World, days, fees, list_of, master, open, task};

#[tokio::test]
async fn a_task_is_handed_out_until_its_rows_are_committed() {
    let mut world = World::new().await;
    let answers = vec![
        list_of(&["A", "B"]),
        days("A", SourceName::Finnomena, &[(1, ["10.5", "7", "", ""])]),
        TaskAnswer::empty(
            task(SourceName::Wealthmagik, "port", "A"),
            Outcome::Absent,
            2,
        ),
        TaskAnswer::empty(
            task(SourceName::Wealthmagik, "fee", "A"),
            Outcome::Failed("cut body".to_owned()),
            4,
        ),
    ];
    assert_eq!(world.plan(&answers).await, 4);
    assert_eq!(world.plan(&answers).await, 0, "planned once");
    assert_eq!(
        world
            .writer
            .checkpoint(&world.cycle, &TaskFilter::WHOLE)
            .await
            .unwrap()
            .len(),
        4
    );
    world.commit(answers[..2].to_vec()).await;
    let left = world
        .writer
        .checkpoint(&world.cycle, &TaskFilter::WHOLE)
        .await
        .unwrap();
    assert_eq!(left.len(), 2);
    world.commit(answers[2..].to_vec()).await;
    assert!(
        world
            .writer
            .checkpoint(&world.cycle, &TaskFilter::WHOLE)
            .await
            .unwrap()
            .is_empty()
    );
    let totals = world.writer.totals(&world.cycle).await.unwrap();
    totals.check_books().unwrap();
    let wealthmagik = totals.tasks[&SourceName::Wealthmagik];
    assert_eq!((wealthmagik.absent, wealthmagik.failed), (1, 1));
    assert_eq!(totals.failures[0].1, "cut body");
    assert!(!totals.is_complete());
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_again_and_counts_once() {
    let mut world = World::new().await;
    let answers = vec![
        list_of(&["A"]),
        days("A", SourceName::Finnomena, &[(1, ["10.5", "", "", ""])]),
    ];
    world.plan(&answers).await;
    let batch = Batch::new(answers);
    let report = world.writer.commit(&world.cycle, &batch).await.unwrap();
    let cycle = world.cycle.clone();
    drop(world.writer);
    let mut writer = open(&world.database).await;
    assert_eq!(writer.commit(&cycle, &batch).await.unwrap(), report);
    let totals = writer.totals(&cycle).await.unwrap();
    assert_eq!(totals.tables["funds_daily"].records.observed, 1);
}

#[tokio::test]
async fn one_value_the_database_refuses_costs_one_task() {
    let mut world = World::new().await;
    let broken = MasterFields {
        full_name_en: Some("a\0b".to_owned()),
        ..MasterFields::default()
    };
    let report = world
        .commit(vec![
            list_of(&["A", "B", "C"]),
            days("A", SourceName::Finnomena, &[(1, ["10.5", "", "", ""])]),
            master("B", SourceName::Finnomena, broken),
            days(
                "C",
                SourceName::Finnomena,
                &[(1, ["11", "", "", ""]), (2, ["12", "", "", ""])],
            ),
        ])
        .await;
    let failed: Vec<String> = report
        .tasks
        .iter()
        .filter(|task| !task.outcome().is_answer())
        .map(|task| task.id().to_string())
        .collect();
    assert_eq!(failed, ["finnomena/fund/B"]);
    assert_eq!(world.table("funds_daily").await.len(), 3);
    assert_eq!(world.table("funds_master_info").await.len(), 3);
    assert!(
        report
            .tables
            .values()
            .all(|counts| counts.records.balance()),
        "{:?}",
        report.tables
    );
    assert_eq!(world.text("SELECT key FROM runner.rejected").await, ["B"]);
}

#[tokio::test]
async fn a_second_runner_receives_the_name_of_the_holder() {
    let world = World::new().await;
    let error = Writer::open(&world.database, Duration::from_millis(300))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::AnotherRunner { who } if who.contains("master_runner")),
        "{error}"
    );
    assert!(!error.is_outage());
}

#[tokio::test]
async fn a_database_newer_than_the_program_is_refused() {
    let world = World::new().await;
    world
        .sql
        .batch_execute("INSERT INTO runner.schema_version (version, name, checksum) VALUES (999, 'later', '0')")
        .await
        .unwrap();
    drop(world.writer);
    let error = Writer::open(&world.database, Duration::from_secs(10))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::NewerSchema { found: 999, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_outage_and_a_wrong_database_is_not() {
    let world = World::new().await;
    let away = Writer::open(
        "host=/tmp/no-such-socket-dir user=x dbname=y",
        Duration::ZERO,
    )
    .await
    .unwrap_err();
    assert!(away.is_outage(), "{away}");
    let wrong = world.database.replace("dbname=", "dbname=no_");
    let refused = Writer::open(&wrong, Duration::ZERO).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
    let unreadable = Writer::open("this is no url", Duration::ZERO)
        .await
        .unwrap_err();
    assert!(
        matches!(unreadable, StoreError::BadConnectionString(_)),
        "{unreadable}"
    );
}

#[tokio::test]
async fn a_connection_lost_in_a_batch_is_an_outage_and_loses_nothing() {
    let mut world = World::new().await;
    let answers = vec![
        list_of(&["A"]),
        fees(
            "A",
            SourceName::Finnomena,
            schema::columns::FeeFields::default(),
        ),
    ];
    world.plan(&answers).await;
    world
        .sql
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = 'master_runner' AND datname = current_database()",
            &[],
        )
        .await
        .unwrap();
    let batch = Batch::new(answers);
    let error = world.writer.commit(&world.cycle, &batch).await.unwrap_err();
    assert!(error.is_outage(), "{error}");
    world.writer = open(&world.database).await;
    world.writer.commit(&world.cycle, &batch).await.unwrap();
    assert!(
        world
            .writer
            .checkpoint(&world.cycle, &TaskFilter::WHOLE)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_payload_is_recognised_only_after_a_whole_reading() {
    let mut world = World::new().await;
    let mut answer = days("A", SourceName::Finnomena, &[(1, ["10.5", "", "", ""])]);
    let known = (PayloadHash([7; 32]), 3);
    answer.payload = Some(known);
    world.commit(vec![list_of(&["A"]), answer.clone()]).await;
    for (outcome, payload, expected) in [
        (Outcome::Unchanged, None, Some(known)),
        (Outcome::Failed("x".to_owned()), None, Some(known)),
        (Outcome::Done, None, None),
    ] {
        world
            .next_cycle(crate::world::TODAY, store::CycleKind::Daily)
            .await;
        let answer = TaskAnswer {
            outcome,
            payload,
            observations: Vec::new(),
            ..answer.clone()
        };
        world.commit(vec![answer.clone()]).await;
        world
            .next_cycle(crate::world::TODAY, store::CycleKind::Daily)
            .await;
        world.plan(&[answer]).await;
        let left = world
            .writer
            .checkpoint(&world.cycle, &TaskFilter::WHOLE)
            .await
            .unwrap();
        assert_eq!(left[0].known_payload, expected);
    }
}

/// A known prefix is stored and deleted together with the payload hash.
#[tokio::test]
async fn a_beginning_is_remembered_and_forgotten_with_the_payload() {
    let mut world = World::new().await;
    let mut answer = days("A", SourceName::Finnomena, &[(1, ["10.5", "", "", ""])]);
    let begins = KnownPrefix {
        bytes: 16 * 1024 * 1024,
        hash: PayloadHash([9; 32]),
        until: jiff::civil::date(2026, 9, 1),
    };
    answer.payload = Some((PayloadHash([7; 32]), 3));
    answer.known_prefix = Some(begins);
    let later = KnownPrefix {
        bytes: 17,
        until: jiff::civil::date(2026, 10, 1),
        ..begins
    };
    world.commit(vec![list_of(&["A"]), answer.clone()]).await;
    for (outcome, said, expected) in [
        (Outcome::Unchanged, None, Some(begins)),
        (Outcome::Absent, None, Some(begins)),
        (Outcome::Failed("x".to_owned()), None, Some(begins)),
        (Outcome::Deferred("x".to_owned()), None, Some(begins)),
        (Outcome::Done, Some(later), Some(later)),
        (Outcome::Done, None, None),
        (Outcome::Done, Some(begins), Some(begins)),
    ] {
        world.next_cycle(TODAY, CycleKind::Daily).await;
        let answer = TaskAnswer {
            outcome,
            known_prefix: said,
            observations: Vec::new(),
            ..answer.clone()
        };
        world.commit(vec![answer.clone()]).await;
        assert_eq!(known_prefix(&mut world, &answer).await, expected);
    }
    // A prefix that is too long for the column is not stored.
    world.next_cycle(TODAY, CycleKind::Daily).await;
    let too_long = KnownPrefix {
        bytes: u32::MAX,
        ..begins
    };
    answer.known_prefix = Some(too_long);
    world.commit(vec![answer.clone()]).await;
    assert_eq!(known_prefix(&mut world, &answer).await, None);

    answer.known_prefix = Some(begins);
    world.next_cycle(TODAY, CycleKind::Daily).await;
    world.commit(vec![answer.clone()]).await;
    let wealthmagik = ChangeRequest::ResetSource(SourceName::Wealthmagik);
    world.request(wealthmagik).await;
    assert_eq!(known_prefix(&mut world, &answer).await, Some(begins));
    let finnomena = ChangeRequest::ResetSource(SourceName::Finnomena);
    world.request(finnomena).await;
    assert_eq!(known_prefix(&mut world, &answer).await, None);
}

/// Plans the answer's page in one more cycle and returns its known prefix.
async fn known_prefix(world: &mut World, answer: &TaskAnswer) -> Option<KnownPrefix> {
    world.next_cycle(TODAY, CycleKind::Daily).await;
    world.plan(std::slice::from_ref(answer)).await;
    let left = world
        .writer
        .checkpoint(&world.cycle, &TaskFilter::WHOLE)
        .await
        .unwrap();
    left[0].known_prefix
}

#[tokio::test]
async fn the_writer_can_be_driven_from_any_thread() {
    let mut world = World::new().await;
    let answers = vec![list_of(&["A"])];
    world.plan(&answers).await;
    let World {
        mut writer, cycle, ..
    } = world;
    let report = tokio::spawn(async move {
        let report = writer.commit(&cycle, &Batch::new(answers)).await.unwrap();
        writer
            .apply_request(&ChangeRequest::Remerge, "a test")
            .await
            .unwrap();
        writer.close_cycle(&cycle, "").await.unwrap();
        report
    });
    assert_eq!(report.await.unwrap().tasks.len(), 1);
}
