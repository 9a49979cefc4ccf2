//! Simultaneous events: a source is quarantined while its answers are being committed; a stop arrives while the loader
//! restarts. Also a task that kills its actor.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::{
    Ground, MODES, Undisturbed, arguments, go_on, is_whole, run, stop, until_end, verdict,
};
use crate::world::World;
use crate::world::extent::some_of;

/// The time limit for the words after which a run is stopped.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Starts a run and sends SIGTERM as soon as its log contains `words`. Returns its exit code and the time that the stop
/// took.
async fn stopped_when_it_says(world: &World, mode: &str, words: &str) -> (Option<i32>, Duration) {
    let mut command = world.command(&arguments(mode));
    command.stdout(Stdio::null());
    let mut child = command.spawn().expect("the runner starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let said = async {
        while let Some(line) = lines.next_line().await.expect("the run says lines") {
            if line.contains(words) {
                return true;
            }
        }
        false
    };
    let said = tokio::time::timeout(LONGEST_WAIT, said).await;
    assert_eq!(said, Ok(true), "{mode}: the run does not say `{words}`");
    let told = Instant::now();
    stop(&child);
    let mut rest = Vec::new();
    lines
        .into_inner()
        .read_to_end(&mut rest)
        .await
        .expect("the run says more");
    let end = child.wait().await.expect("the run ends");
    (end.code(), told.elapsed())
}

/// A1, A3, D1: a source is quarantined while batches with its answers wait in the merge, in the loader's mailbox and in
/// the transaction. Committed answers count, the others are requested once more in round 2, and nothing is stored
/// twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_given_up_while_its_answers_are_committed_loses_and_doubles_nothing() {
    let ground = Ground::prepare().await;
    let undisturbed = Undisturbed::run(&ground).await;
    for mode in some_of(MODES, MODES.len()) {
        for after in [4, 11, 17] {
            let faults =
                format!("batch::named=return(delay);send::after={after}*off->1*return(panic)->off");
            let mut world = ground.world(faults).await;
            world.settings.more = "supervision: (max_restarts: 0),".to_owned();
            let first = run(&world, mode).await;
            first.exits(0).says("quarantined");
            assert!(is_whole(&world).await, "{mode}, {after}:\n{}", first.output);
            assert_eq!(
                verdict(&world, &undisturbed).await,
                "",
                "{mode}, {after}:\n{}",
                first.output
            );
            world.database.remove().await;
        }
    }
}

/// A6, O3: a stop while the loader waits for its restart, or while the new one connects, ends the run at once with exit
/// code 4. The next start resumes the cycle.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_loader_is_restarted_ends_at_once_and_loses_nothing() {
    let ground = Ground::prepare().await;
    let undisturbed = Undisturbed::run(&ground).await;
    let dies = "batch::named=5*off->1*return(panic)->off";
    for mode in some_of(MODES, MODES.len()) {
        for (faults, words, longest_delay) in [
            (dies.to_owned(), "are restarted from the checkpoint", 60),
            (
                format!("{dies};supervisor::restarting=return(delay)"),
                "failpoint supervisor::restarting: delay",
                1,
            ),
            (
                format!("{dies};open::connected=1*off->return(delay)"),
                "failpoint open::connected: delay",
                1,
            ),
            (
                format!("{dies};open::locked=1*off->return(outage)"),
                "waiting for the database",
                1,
            ),
        ] {
            let mut world = ground.world(faults).await;
            world.settings.more =
                format!("supervision: (restart_delay_secs: ({longest_delay}, {longest_delay})),");
            let (code, took) = stopped_when_it_says(&world, mode, words).await;
            assert_eq!(code, Some(4), "{mode}, at `{words}`");
            assert!(
                took < Duration::from_secs(10),
                "{mode}, at `{words}`: {took:?}"
            );
            go_on(&mut world, mode).await.expect(words);
            assert_eq!(
                verdict(&world, &undisturbed).await,
                "",
                "{mode}, at `{words}`"
            );
            world.database.remove().await;
        }
    }
}

/// D6, P3: a page that kills its actor is requested twice in round 1 and, like every failed task, again in round 2.
/// Then the task has failed for this cycle, the run reports it, and the next start requests the page again.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_kills_its_actor_is_requested_twice_a_round() {
    let ground = Ground::prepare().await;
    let world = ground
        .world("fetch::answered=return(panic)".to_owned())
        .await;
    let first = until_end(world.spawn(&[
        "--once",
        "--only",
        "finnomena",
        "--cycle",
        "monthly",
        "--mode",
        "parallel",
    ]))
    .await;
    first.exits(3).says("it is not requested a third time");
    let lists = world
        .simulator
        .log()
        .requests
        .iter()
        .filter(|request| request.path.ends_with("/public/funds"))
        .count();
    assert_eq!(lists, 4, "{}", first.output);
}
