//! Tests of the commands beside `run`: their output is correct, they write only what they should, and they print no
//! password.

use std::time::{Duration, Instant};

use simulator::{Fault, FaultKind, MarketConfig, Site};
use store::Writer;

use crate::world::{Run, World, ended};

const PASSWORD: &str = "hunter2-never-shown";

fn market() -> MarketConfig {
    MarketConfig {
        funds: 40,
        days: 60,
        ..MarketConfig::default()
    }
}

/// A world whose database one complete cycle has filled.
async fn loaded() -> World {
    let world = World::new(market()).await;
    world.run(&["--once", "--cycle", "monthly"]).await.exits(0);
    world
}

/// Runs a command with a password in `DATABASE_URL` and asserts that its output does not contain the password (O5).
async fn said_by(world: &World, args: &[&str]) -> Run {
    said_at(world, args, &world.database.url()).await
}

async fn said_at(world: &World, args: &[&str], database: &str) -> Run {
    let mut command = world.command(args);
    command.env("DATABASE_URL", format!("{database} password={PASSWORD}"));
    let run = ended(command.spawn().expect("the runner starts")).await;
    assert!(
        !run.output.contains(PASSWORD),
        "the password was printed: {}",
        run.output
    );
    run
}

/// A fingerprint of every row of every table, from its transaction and its position. It is equal only if no row was
/// written.
async fn everything(world: &World) -> Vec<(String, Option<String>)> {
    let client = world.database.connect().await;
    let tables = client
        .query(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
             WHERE schemaname IN ('public', 'runner', 'history') ORDER BY 1",
            &[],
        )
        .await
        .expect("the catalogue answers");
    let mut all = Vec::with_capacity(tables.len());
    for table in tables {
        let table: String = table.get(0);
        let row = client
            .query_one(
                &format!("SELECT md5(string_agg(xmin::text || ctid::text, ',' ORDER BY ctid)) FROM {table}"),
                &[],
            )
            .await
            .expect("the table answers");
        all.push((table, row.get(0)));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn status_explain_psql_probe_and_check_report_and_change_nothing() {
    let mut world = loaded().await;
    let before = everything(&world).await;

    said_by(&world, &["status"])
        .await
        .exits(0)
        .says("monthly")
        .says("complete")
        .says("funds_daily")
        .says("finnomena")
        .says("none running")
        .says("could not be read");

    explain_shows_both_sides(&world).await;
    said_by(&world, &["explain", "NO-SUCH-FUND-AT-ALL"])
        .await
        .exits(1)
        .says("no source ever named a fund `NO-SUCH-FUND-AT-ALL`");

    let run = said_by(
        &world,
        &[
            "psql",
            "--",
            "-At",
            "-c",
            "SELECT 'funds: ' || count(*) FROM funds_master_info",
        ],
    )
    .await;
    let funds: i64 = world.one("SELECT count(*) FROM funds_master_info").await;
    run.exits(0).says(&format!("funds: {funds}"));
    // psql's own exit status: 1 for an error of psql itself, 3 for a failed script.
    said_by(
        &world,
        &[
            "psql",
            "--",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            "SELECT nonsense",
        ],
    )
    .await
    .exits(1);

    probe_saves_what_it_reads(&world).await;

    // `check` alone starts the real browser and closes it again.
    world.settings.transport = "Auto";
    said_by(&world, &["check"])
        .await
        .exits(0)
        .says("configuration")
        .says(&format!("schema version {}", newest_migration()))
        .says("no runner holds it")
        .says("a session was opened and closed")
        .says("pdftotext")
        .says("finnomena      ok")
        .says("wealthmagik    ok")
        .says("sec_fundcheck  ok")
        .says("Everything works");

    assert_eq!(
        everything(&world).await,
        before,
        "a command that only tells wrote to the database"
    );
}

/// For a fund whose sites disagree, `explain` shows the stored value and the other site's value.
async fn explain_shows_both_sides(world: &World) {
    let client = world.database.connect().await;
    let conflict = client
        .query_opt(
            "SELECT fund_code, source, says, stands FROM runner.conflict
             WHERE stands IS NOT NULL AND length(says) < 60 AND length(stands) < 60
             ORDER BY table_name = 'funds_daily', fund_code LIMIT 1",
            &[],
        )
        .await
        .expect("the view answers")
        .expect("the simulator's sites disagree somewhere");
    let code: String = conflict.get(0);
    let run = said_by(world, &["explain", &code]).await;
    run.exits(0).says(&format!("{code}: active"));
    run.says(conflict.get(1))
        .says(conflict.get(2))
        .says(conflict.get(3))
        .says("first in rank")
        .says("ranks higher")
        .says("last answers");
}

async fn probe_saves_what_it_reads(world: &World) {
    let code: String = world
        .one("SELECT fund_code FROM funds_master_info JOIN funds_codes USING (fund_code) JOIN funds_statistics USING (fund_code) WHERE fund_status = 'active' ORDER BY fund_code ~ '[^A-Za-z0-9-]', fund_code LIMIT 1")
        .await;
    let payloads = world.dir().join("payloads");
    let directory = payloads.to_str().expect("a path in UTF-8");
    let saved = |source: &str, page: &str, extension: &str| {
        payloads.join(format!("{source}-{page}-{code}.{extension}"))
    };
    said_by(world, &["probe", "finnomena", &code, "--save", directory])
        .await
        .exits(0)
        .says("nav: http")
        .says("master")
        .says("saved: ");
    for (page, extension) in [("nav", "json"), ("fee", "json"), ("factsheet", "pdf")] {
        let path = saved("finnomena", page, extension);
        assert!(path.is_file(), "{} was not saved", path.display());
    }
    said_by(
        world,
        &[
            "probe",
            "sec_fundcheck",
            &code,
            "--page",
            "statistics",
            "--save",
            directory,
        ],
    )
    .await
    .exits(0)
    .says("sharpe_ratio");
    assert!(saved("sec_fundcheck", "statistics", "json").is_file());
    said_by(world, &["probe", "finnomena", &code, "--page", "horoscope"])
        .await
        .exits(1)
        .says("the pages are: list, filter, nav");

    // `probe` sends two requests: robots.txt and the page.
    let asked = world.simulator.log().requests.len();
    let listed: String = world
        .one("SELECT f.fund_code FROM runner.alias a JOIN runner.fund f USING (fund_id) JOIN funds_master_info m USING (fund_code) WHERE a.source = 'wealthmagik' AND m.fund_status = 'active' ORDER BY f.fund_code ~ '[^A-Za-z0-9-]', 1 LIMIT 1")
        .await;
    let args = [
        "probe",
        "wealthmagik",
        &listed,
        "--page",
        "profile",
        "--save",
        directory,
    ];
    said_by(world, &args).await.says("profile: http");
    let requests = world.simulator.log().requests.split_off(asked);
    let paths: Vec<&str> = requests
        .iter()
        .map(|request| request.path.as_str())
        .collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert_eq!(paths[0], "/robots.txt");
    assert!(
        payloads
            .join(format!("wealthmagik-profile-{listed}.html"))
            .is_file()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_source_reads_everything_anew_and_remerge_finds_every_row_right() {
    let world = loaded().await;
    let before = world.written().await;
    said_by(&world, &["reset-source", "finnomena"])
        .await
        .exits(0)
        .says("pages of finnomena are forgotten and the next cycle reads these pages in full");
    assert_eq!(world.written().await, before);

    world
        .run(&["--once", "--cycle", "monthly", "--fresh"])
        .await
        .exits(0);
    let recognised: i64 = world
        .one(
            "SELECT count(*) FROM runner.task WHERE source = 'finnomena' AND outcome = 'unchanged'",
        )
        .await;
    assert_eq!(
        recognised, 0,
        "a page of a source that was reset was recognised"
    );
    let others: i64 = world
        .one("SELECT count(*) FROM runner.task WHERE source = 'wealthmagik' AND outcome = 'unchanged'")
        .await;
    assert!(
        others > 0,
        "the pages of other sources are still recognised"
    );
    assert_eq!(
        world.written().await,
        before,
        "reading the same again wrote rows (D2)"
    );

    said_by(&world, &["remerge"])
        .await
        .exits(0)
        .says("no row was written");
    assert_eq!(world.written().await, before, "remerge wrote rows (D2)");

    // `remerge` corrects a row that differs from the observations.
    world
        .database
        .connect()
        .await
        .batch_execute("UPDATE funds_master_info SET amc = 'Somebody else' WHERE amc IS NOT NULL AND fund_code = (SELECT min(fund_code) FROM funds_master_info WHERE amc IS NOT NULL)")
        .await
        .expect("a row is spoilt");
    said_by(&world, &["remerge"]).await.exits(0).says("1 row");
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_at_work_is_named() {
    let world = loaded().await;
    let holder = Writer::open(&world.database.url(), Duration::from_secs(1))
        .await
        .expect("the lock is free");
    said_by(&world, &["check"])
        .await
        .exits(0)
        .says("a runner holds it (master_runner");
    said_by(&world, &["status"])
        .await
        .exits(0)
        .says("running since");
    drop(holder);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_each_command_reports_that_in_one_sentence() {
    let world = World::new(market()).await;
    let port = {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        closed.local_addr().expect("its number").port()
    };
    let nowhere = format!("host=127.0.0.1 port={port} user=me dbname=funds_db");
    let began = Instant::now();
    let check = said_at(&world, &["check"], &nowhere);
    let quick = async {
        for args in [&["status"][..], &["explain", "A"]] {
            let run = said_at(&world, args, &nowhere).await;
            run.exits(1)
                .says(&format!(
                    "postgres://me@127.0.0.1:{port}/funds_db is not available"
                ))
                .says("master_runner check");
            assert_eq!(run.output.trim().lines().count(), 1, "{}", run.output);
        }
        // psql prints its own error message.
        said_at(&world, &["psql", "--", "-c", "SELECT 1"], &nowhere)
            .await
            .exits(2);
        // A probe needs no database: it requests the list to find the fund's key.
        let code = world.simulator.truth().tables[0].rows[0][0]
            .clone()
            .expect("a code");
        said_at(
            &world,
            &["probe", "finnomena", &code, "--page", "nav"],
            &nowhere,
        )
        .await
        .exits(0)
        .says("its list is read first")
        .says("the newest:");
        said_at(&world, &["probe", "finnomena", "NO-SUCH-FUND"], &nowhere)
            .await
            .exits(1)
            .says("does not name `NO-SUCH-FUND`");
    };
    let (check, ()) = tokio::join!(check, quick);
    check
        .exits(1)
        .says("is not available")
        .says("it was waited for 30 s")
        .says("finnomena      ok")
        .says("1 of 6 things do not work");
    assert!(began.elapsed() < Duration::from_secs(60));

    // These commands do not create a warehouse in an empty database.
    for args in [&["status"][..], &["explain", "A"]] {
        said_by(&world, args)
            .await
            .exits(1)
            .says("`master_runner --once` makes and fills it");
    }
    said_by(&world, &["check"])
        .await
        .exits(0)
        .says("no warehouse yet");
    assert_eq!(everything(&world).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_the_source_that_does_not_work_and_the_next_step() {
    let world = World::new(market()).await;
    let fault = Fault::of(Site::WealthMagik, FaultKind::HtmlInsteadOfJson);
    world.simulator.faults().set(fault.on_path("fundSearch"));
    said_by(&world, &["check"])
        .await
        .exits(1)
        .says("finnomena      ok")
        .says("wealthmagik    FAILED")
        .says("1 of 6 things do not work");
}

/// The number of the newest migration; migrations are numbered without gaps.
fn newest_migration() -> u32 {
    std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/migrations"))
        .expect("the migrations")
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_prefix('V')?.split_once("__")?.0.parse().ok())
        .max()
        .expect("a migration")
}
