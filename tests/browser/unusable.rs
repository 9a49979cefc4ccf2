//! Programs that exist but are not a browser: each is reported in one sentence and tried a few times, not for every
//! page.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use simulator::MarketConfig;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::machine::{command, ended_in, nothing_is_left};
use crate::world::World;

async fn world() -> World {
    let mut world = World::new(MarketConfig {
        funds: 6,
        days: 5,
        ..MarketConfig::default()
    })
    .await;
    world.settings.transport = "Browser";
    world.settings.sec_transport = Some("Http");
    world
}

fn program(folder: &Path, name: &str, script: &str) {
    std::fs::create_dir_all(folder).expect("a folder");
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
}

/// Runs with these programs first on the PATH. Asserts that the run ends as `partial` and that its output contains
/// `words`.
async fn is_given_up(world: World, programs: &[(&str, &str)], words: &str) {
    let bin = world.dir().join("bin");
    for (name, script) in programs {
        program(&bin, name, script);
    }
    let path = std::env::var("PATH").expect("a PATH");
    let mut command = command(&world, &["--once", "--cycle", "monthly"]);
    command.env("PATH", format!("{}:{path}", bin.display()));
    let run = ended_in(
        command.spawn().expect("it starts"),
        Duration::from_secs(120),
    )
    .await;
    run.exits(3).says("the browser is out of order").says(words);
    let said = run
        .output
        .matches("pages that need it are deferred")
        .count();
    assert_eq!(said, 1, "{}", run.output);
    let rows: i64 = world.one("SELECT count(*) FROM funds_statistics").await;
    assert!(rows > 0, "the others are disturbed");
    nothing_is_left(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_are_no_browser_are_given_up_with_their_output() {
    tokio::join!(
        async {
            let firefox = [("firefox", "echo 'Netscape Navigator 4.7'")];
            is_given_up(world().await, &firefox, "geckodriver's last lines").await;
        },
        async {
            let driver = [("geckodriver", "echo 'error: no such option'; exit 64")];
            is_given_up(
                world().await,
                &driver,
                "geckodriver ended before it listened: error: no such option",
            )
            .await;
        },
        async {
            // Another program uses the driver's port, so no WebDriver server answers there.
            let driver = [(
                "geckodriver",
                "echo 'Listening on 127.0.0.1:9'; exec sleep 60",
            )];
            is_given_up(world().await, &driver, "no session at http://127.0.0.1:9/").await;
        },
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webdriver_server_that_is_down_or_answers_nonsense_is_given_up() {
    let nonsense = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nonsense_url = format!("http://{}", nonsense.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = nonsense.accept().await {
            // The client may have closed the connection.
            let _ = client
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nmoo!")
                .await;
        }
    });
    let at = |url: String| async move {
        let mut world = world().await;
        world.settings.more = format!("browser: (webdriver: Url({url:?})),");
        is_given_up(
            world,
            &[],
            "the WebDriver server is the one configured under browser.webdriver",
        )
        .await;
    };
    tokio::join!(at("http://127.0.0.1:9".to_owned()), at(nonsense_url));
}
