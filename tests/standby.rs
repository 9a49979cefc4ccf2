//! `--standby`: a second runner takes over within 10 s of the first one's death, from the last acknowledged checkpoint.
//! Two runners never send requests at the same time (D1, O2, A8, P1).

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use simulator::{LoggedRequest, MarketConfig};

use crate::shutdown::running::{Acknowledged, Running, wait_until};
use crate::world::World;

const FIRST: [&str; 3] = ["--once", "--cycle", "monthly"];
const STANDBY: [&str; 4] = ["--once", "--cycle", "monthly", "--standby"];
const TAKES_OVER: &str = "this runner holds the database now";
/// The time from the first runner's death to the second runner's first request.
const LIMIT: Duration = Duration::from_secs(10);

/// Two runners on one database: the first works and sends requests slowly, the second is the standby.
struct Pair {
    world: World,
    first: Running,
    second: Running,
}

impl Pair {
    async fn new() -> Self {
        Self::with_faults("").await
    }

    /// Like [`Pair::new`], with failpoints in the first runner.
    async fn with_faults(failpoints: &str) -> Self {
        let mut world = World::new(MarketConfig {
            funds: 6,
            days: 20,
            ..MarketConfig::default()
        })
        .await;
        named(&mut world, "first");
        world.settings.requests_per_sec = 2.0;
        failpoints.clone_into(&mut world.settings.failpoints);
        let first = Running::start(&world, &FIRST).await;
        world.settings.failpoints.clear();
        wait_until("the first one works", async || {
            acknowledged(&world).await > 2
        })
        .await;
        named(&mut world, "second");
        world.settings.requests_per_sec = 1000.0;
        let second = Running::start(&world, &STANDBY).await;
        second.says("standing by").await;
        Self {
            world,
            first,
            second,
        }
    }

    /// Asserts that the second runner takes over within the limit, keeps what was acknowledged in `before`, and
    /// requests none of it again.
    async fn taken_over(&mut self, since: Instant, before: &Acknowledged) {
        self.second.says(TAKES_OVER).await;
        wait_until("the second one asks", async || {
            !asked_by(&self.world, "second").is_empty()
        })
        .await;
        assert!(since.elapsed() < LIMIT, "it took {:?}", since.elapsed());
        self.second.end().await.exits(0);
        before.stands(&self.world).await;
        self.world.assert_truth().await;
        self.never_both();
    }

    /// Asserts that the first runner's last request ended before the second runner's first request began.
    fn never_both(&self) {
        let last = asked_by(&self.world, "first")
            .iter()
            .map(|request| request.ended.unwrap_or(request.started))
            .max();
        let first = asked_by(&self.world, "second")
            .iter()
            .map(|request| request.started)
            .min();
        assert!(last.is_some() && last < first, "{last:?}, then {first:?}");
    }
}

/// Gives the world's next runners a name in their User-Agent, so that the request log identifies them.
fn named(world: &mut World, name: &str) {
    world.settings.more =
        format!("user_agent_contact: Some(\"{name}@tests\"), supervision: (shutdown_secs: 3),");
}

fn asked_by(world: &World, name: &str) -> Vec<LoggedRequest> {
    let requests = world.simulator.log().requests;
    requests
        .into_iter()
        .filter(|request| request.user_agent.contains(name))
        .collect()
}

async fn acknowledged(world: &World) -> i64 {
    let begun: bool = world
        .one("SELECT to_regclass('runner.heartbeat') IS NOT NULL")
        .await;
    if !begun {
        return 0;
    }
    world
        .one("SELECT count(*) FROM runner.task WHERE acked_cycle = planned_cycle")
        .await
}

async fn killed() {
    let mut pair = Pair::new().await;
    let at = Instant::now();
    pair.first.signal(Signal::SIGKILL);
    pair.first.end().await;
    let before = Acknowledged::read(&pair.world).await;
    pair.taken_over(at, &before).await;
}

async fn stopped() {
    let mut pair = Pair::new().await;
    pair.first.signal(Signal::SIGTERM);
    pair.first.end().await.exits(4);
    let at = Instant::now();
    let before = Acknowledged::read(&pair.world).await;
    pair.taken_over(at, &before).await;
}

/// The first runner's connection is cut repeatedly until the second runner gets the lock first. Then the first one
/// sends no more requests, and ends.
async fn cut() {
    let mut pair = Pair::new().await;
    let mut before = Acknowledged::read(&pair.world).await;
    let mut at = Instant::now();
    while !pair.second.said().contains(TAKES_OVER) {
        before = Acknowledged::read(&pair.world).await;
        at = Instant::now();
        pair.world
            .ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'master_runner'")
            .await;
        let cut = Instant::now();
        wait_until("somebody holds it again", async || {
            cut.elapsed() > Duration::from_millis(900)
        })
        .await;
    }
    pair.taken_over(at, &before).await;
    ends_in_order(&mut pair).await;
}

/// A frozen runner (SIGSTOP) keeps its session and its lock. The standby ends that session. After SIGCONT, the first
/// runner sends no more requests and writes no more rows.
async fn frozen() {
    let mut pair = Pair::new().await;
    let at = Instant::now();
    pair.first.signal(Signal::SIGSTOP);
    let before = Acknowledged::read(&pair.world).await;
    pair.second.says("has shown no life").await;
    assert!(
        at.elapsed() >= Duration::from_secs(4),
        "too early: {:?}",
        at.elapsed()
    );
    // The first runner wakes up while the second one works.
    pair.second.says(TAKES_OVER).await;
    wait_until("the second one asks", async || {
        !asked_by(&pair.world, "second").is_empty()
    })
    .await;
    pair.first.signal(Signal::SIGCONT);
    pair.taken_over(at, &before).await;
    ends_in_order(&mut pair).await;
}

/// The runner is alive, but its only thread is blocked between the last statement of a batch and its COMMIT. The
/// standby cannot distinguish it from a frozen runner and ends its session. The batch is not committed, and the second
/// runner requests its pages again. The first runner wakes up after the second one has ended.
async fn blocked() {
    let mut pair = Pair::with_faults("batch::named=6*off->1*sleep(12000)->off").await;
    let hangs = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'master_runner' AND state = 'idle in transaction'
        AND clock_timestamp() - state_change > interval '1 s')";
    wait_until("a batch is left open", async || {
        pair.world.one::<bool>(hangs).await
    })
    .await;
    let at = Instant::now();
    let before = Acknowledged::read(&pair.world).await;
    pair.second.says("has shown no life").await;
    pair.taken_over(at, &before).await;
    ends_in_order(&mut pair).await;
}

/// A runner that lost the lock to another runner ends and reports the reason. It must not request its planned tasks any
/// more, even if the other runner has ended meanwhile.
async fn ends_in_order(pair: &mut Pair) {
    pair.first.end().await.exits(1).says("another runner");
    pair.never_both();
}

/// A batch that waits in the server for longer than the silence limit does not count as silence: the server is at work.
async fn busy() {
    let mut pair = Pair::new().await;
    let mut somebody = pair.world.database.connect().await;
    let held = somebody.transaction().await.expect("a transaction");
    held.batch_execute("LOCK TABLE runner.observation IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("locked");
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'master_runner' AND wait_event_type = 'Lock')";
    wait_until("a batch hangs", async || {
        pair.world.one::<bool>(waits).await
    })
    .await;
    let began = Instant::now();
    wait_until("time passes", async || {
        began.elapsed() > Duration::from_secs(8)
    })
    .await;
    assert!(pair.world.one::<bool>(waits).await, "the batch still hangs");
    held.rollback().await.expect("let go");
    // The standby can be stopped at any time.
    let told = Instant::now();
    pair.second.signal(Signal::SIGTERM);
    let second = pair.second.end().await;
    second.exits(4);
    assert!(
        told.elapsed() < Duration::from_secs(2),
        "{:?}",
        told.elapsed()
    );
    assert!(
        !second.output.contains("has shown no life"),
        "{}",
        second.output
    );
    assert!(asked_by(&pair.world, "second").is_empty());
    pair.first.end().await.exits(0);
    pair.world.assert_truth().await;
}

/// Of two standbys, exactly one takes over.
async fn two_stand_by() {
    let mut pair = Pair::new().await;
    named(&mut pair.world, "third");
    let mut third = Running::start(&pair.world, &STANDBY).await;
    third.says("standing by").await;
    let at = Instant::now();
    pair.first.signal(Signal::SIGKILL);
    pair.first.end().await;
    wait_until("one of them takes over", async || {
        pair.second.said().contains(TAKES_OVER) || third.said().contains(TAKES_OVER)
    })
    .await;
    assert!(at.elapsed() < LIMIT, "{:?}", at.elapsed());
    let (winner, name, loser, other) = if third.said().contains(TAKES_OVER) {
        (&mut third, "third", &mut pair.second, "second")
    } else {
        (&mut pair.second, "second", &mut third, "third")
    };
    wait_until("it works", async || asked_by(&pair.world, name).len() > 3).await;
    assert!(asked_by(&pair.world, other).is_empty(), "both work");
    loser.signal(Signal::SIGTERM);
    loser.end().await.exits(4);
    assert!(asked_by(&pair.world, other).is_empty(), "both worked");
    winner.end().await.exits(0);
    pair.world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_stands_by_takes_over_from_the_checkpoint_within_ten_seconds() {
    tokio::join!(
        killed(),
        stopped(),
        cut(),
        frozen(),
        blocked(),
        busy(),
        two_stand_by()
    );
}

/// Without the right to end the holder's session, the standby reports that once, in one sentence, and continues to
/// wait.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_a_standby_reports_that_and_keeps_waiting() {
    let mut pair = Pair::new().await;
    let role = format!("watcher_{}", std::process::id());
    pair.world
        .ask(&format!(
            "CREATE ROLE {role} LOGIN; GRANT pg_read_all_data, pg_read_all_stats TO {role}"
        ))
        .await;
    pair.second.signal(Signal::SIGTERM);
    pair.second.end().await.exits(4);
    let mut command = pair.world.command(&STANDBY);
    let url = pair
        .world
        .database
        .url()
        .replace("user=tests", &format!("user={role}"));
    command.env("DATABASE_URL", url);
    let mut watcher = Running::spawn(command, &pair.world);
    watcher.says("standing by").await;
    pair.first.signal(Signal::SIGSTOP);
    watcher.says("grant it pg_signal_backend").await;
    let began = Instant::now();
    wait_until("it has looked again", async || {
        began.elapsed() > Duration::from_secs(2)
    })
    .await;
    watcher.signal(Signal::SIGTERM);
    let run = watcher.end().await;
    run.exits(4);
    let said = run.output.matches("it keeps waiting").count();
    assert_eq!(said, 1, "{}", run.output);
    // The holder was not disturbed: it wakes up and completes its work.
    pair.first.signal(Signal::SIGCONT);
    pair.first.end().await.exits(0);
    pair.world.assert_truth().await;
    pair.world.ask(&format!("DROP ROLE {role}")).await;
}
