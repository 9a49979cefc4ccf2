//! Browsers that another program starts: a Selenium server with its own geckodriver and Firefox, as the nodes of a grid
//! run it.
//!
//! `MASTER_RUNNER_SELENIUM_JAR` names its jar, which the npm package `selenium-server` contains. If it is not set, the
//! test reports that and ends.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use simulator::{JavascriptPages, MarketConfig, Site};

use super::machine::{nothing_is_left, opened, pages, run};
use crate::world::World;

/// The variable that names the jar of a Selenium 3 server.
const JAR: &str = "MASTER_RUNNER_SELENIUM_JAR";
/// The time limit for the start; Java starts slowly.
const START_LIMIT: Duration = Duration::from_secs(120);
/// The time within which the browsers of closed sessions end.
const GONE_LIMIT: Duration = Duration::from_secs(20);

/// A Selenium server in its own process group. Dropping it kills the group.
struct Selenium {
    server: Child,
    url: String,
}

impl Selenium {
    async fn start(jar: &OsStr) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("an address")
            .port();
        let server = Command::new("java")
            .arg("-jar")
            .arg(jar)
            .args(["-host", "127.0.0.1", "-port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("Java starts");
        let mut selenium = Self {
            server,
            url: format!("http://127.0.0.1:{port}/wd/hub"),
        };
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            let ended = selenium.server.try_wait().expect("it can be watched");
            assert!(ended.is_none(), "the server of {jar:?} ended: {ended:?}");
            assert!(begun.elapsed() < START_LIMIT, "{jar:?} did not come up");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        selenium
    }

    fn group(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.server.id()).expect("an id"))
    }

    /// The command lines of its drivers and browsers that are still running.
    fn browsers(&self) -> Vec<String> {
        let in_group = |stat: &str| {
            let fields = stat.rsplit_once(')').map(|(_, rest)| rest);
            let group = fields.and_then(|rest| rest.split_whitespace().nth(2));
            group == Some(self.group().to_string().as_str())
        };
        std::fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter(|entry| {
                std::fs::read_to_string(entry.path().join("stat")).is_ok_and(|stat| in_group(&stat))
            })
            .filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok())
            .map(|command_line| command_line.replace('\0', " "))
            .filter(|command_line| {
                command_line.contains("geckodriver") || command_line.contains("firefox")
            })
            .collect()
    }
}

impl Drop for Selenium {
    fn drop(&mut self) {
        // An error means that the group has ended already.
        let _ = killpg(self.group(), Signal::SIGKILL);
        let _ = self.server.wait();
    }
}

/// `webdriver: Url`: browsers of a grid open all pages of WealthMagik, several at once and recycled. Every cell equals
/// the truth, and no browser stays open on the grid.
#[tokio::test(flavor = "multi_thread")]
async fn with_browsers_of_a_grid_every_cell_is_the_truth() {
    let Some(jar) = std::env::var_os(JAR) else {
        eprintln!(
            "not tested: {JAR} names no jar of a Selenium server (the npm package selenium-server has one)"
        );
        return;
    };
    let selenium = Selenium::start(&jar).await;
    let mut world = World::new(MarketConfig {
        funds: 8,
        days: 10,
        javascript: JavascriptPages::WealthMagik,
        ..MarketConfig::default()
    })
    .await;
    world.settings.transport = "Browser";
    world.settings.sec_transport = Some("Http");
    world.settings.more = format!(
        "browser: (webdriver: Url({:?}), sessions: 2, pages_per_session: 5),",
        selenium.url
    );
    let run = run(
        &world,
        &["--once", "--mode", "parallel", "--cycle", "monthly"],
    )
    .await;
    run.exits(0);
    world.assert_truth().await;
    nothing_is_left(&world);
    let by_browser = opened(&world, Site::WealthMagik).len();
    assert!(by_browser >= 15, "{by_browser}");
    assert_eq!(pages(&run, "wealthmagik").1, by_browser);
    let sessions = world.simulator.log().webdriver_sessions();
    assert!(
        sessions >= by_browser.div_ceil(5),
        "{sessions} sessions for {by_browser} pages of at most 5 each"
    );
    let begun = Instant::now();
    while !selenium.browsers().is_empty() {
        assert!(
            begun.elapsed() < GONE_LIMIT,
            "the grid still runs {:#?}",
            selenium.browsers()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
