//! An unavailable server at the start and during a run, and a slow server. The runner reports what it waits for, the
//! sources stop by themselves, and the run resumes.

use std::time::Duration;

use simulator::MarketConfig;

use super::live::Live;
use super::{ONCE, market};
use crate::world::{Act, DatabaseProxy, Door, World};

/// The credits of a source in these tests: a bound for its unacknowledged requests, without those for robots.txt.
const CREDITS: usize = 16;

/// A2: a scheduled runner waits for its database without limit and reports it. It sends no request meanwhile, and then
/// runs the cycle.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_runner_waits_for_a_server_that_is_not_there_yet() {
    let mut world = World::new(market()).await;
    // The cycle is due at every start, on every day.
    world.settings.more = "schedule: (skip_weekdays: []),".to_owned();
    let proxy = DatabaseProxy::before(&world.database.url()).await;
    proxy.door(Door::Down);
    let mut command = world.command(&["--mode", "parallel"]);
    command.env("DATABASE_URL", proxy.url());
    let mut live = Live::start(command);
    live.says("the database is not available yet; waiting")
        .await;
    for (code, words) in [
        ("57P03", "the database system is starting up"),
        ("53300", "sorry, too many clients already"),
    ] {
        proxy.door(Door::Refuses(code, words));
        live.says(&format!("{words} (SQLSTATE {code})")).await;
    }
    assert_eq!(world.simulator.log().requests.len(), 0, "{}", live.said());
    proxy.door(Door::Open);
    live.says("nothing is due before").await;
    let run = live.stopped().await;
    run.exits(0);
    world.assert_truth().await;
}

/// A2, A4, A5: in an outage of the database, each source stops when it has used its credits.
#[tokio::test(flavor = "multi_thread")]
async fn in_an_outage_the_sources_stop_when_their_credits_are_out() {
    let mut world = World::new(MarketConfig {
        funds: 60,
        ..market()
    })
    .await;
    world.settings.more = format!("modes: (parallel: (credits: {CREDITS})),");
    let proxy = DatabaseProxy::before(&world.database.url()).await;
    let mut command = world.command(&["--once", "--mode", "parallel", "--cycle", "monthly"]);
    command.env("DATABASE_URL", proxy.url());
    let mut live = Live::start(command);
    while world.simulator.log().requests.len() < 100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    proxy.door(Door::Down);
    let before = world.simulator.log().requests.len();
    live.says("waiting for the database (committing a batch); nothing is lost")
        .await;
    // Each source uses its remaining credits. After that, no request is logged during several attempts to connect.
    let standing = |attempts: usize| {
        let wanted = live.said().matches("retry_after_secs=").count() + attempts;
        let live = &live;
        let world = &world;
        async move {
            while live.said().matches("retry_after_secs=").count() < wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            world.simulator.log().requests.len()
        }
    };
    let early = standing(2).await;
    let late = standing(1).await;
    assert_eq!(early, late, "the sources went on asking\n{}", live.said());
    assert!(
        late - before <= 3 * CREDITS,
        "{} requests after the database was gone",
        late - before
    );
    proxy.door(Door::Open);
    let run = live.ended().await;
    run.exits(0).says("the database works again");
    assert!(!run.output.contains("actors restarted"), "{}", run.output);
    world.assert_truth().await;
}

/// A slow disk makes a run slow and has no other effect.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_makes_a_run_slow_and_nothing_else() {
    let world = World::new(MarketConfig {
        funds: 3,
        ..market()
    })
    .await;
    let proxy = DatabaseProxy::before(&world.database.url()).await;
    proxy.rule(|asked| {
        let writes = asked.text == "COMMIT" || asked.text.starts_with("run INSERT");
        writes.then_some(Act::Delay(Duration::from_millis(20)))
    });
    let mut command = world.command(&ONCE);
    command.env("DATABASE_URL", proxy.url());
    let run = Live::start(command).ended().await;
    run.exits(0);
    assert!(
        !run.output.contains("waiting for the database"),
        "{}",
        run.output
    );
    assert!(proxy.acts().len() > 100, "{} delays", proxy.acts().len());
    world.assert_truth().await;
}
