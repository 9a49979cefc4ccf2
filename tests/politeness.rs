//! Politeness (P1-P4) from the sites' point of view: all assertions use the simulator's request log.

use std::collections::BTreeSet;
use std::time::Duration;

use simulator::{EdgeCase, FaultKind, LoggedRequest, MarketConfig, RetryAfter, Robots, Site};

use crate::world::World;

/// Back-offs that are short enough for a test.
const IMPATIENT: &str =
    "patience: (request_timeout_secs: 5, host_back_off_secs: (1, 2), host_wait_secs: 3),";

#[tokio::test(flavor = "multi_thread")]
async fn p1_no_sliding_second_holds_more_than_the_rate_and_one() {
    for (rate, limit) in [(20, "24"), (5, "4")] {
        let mut world = World::plain(40).await;
        world.settings.requests_per_sec = f64::from(rate);
        let args = [
            "--once",
            "--mode",
            "parallel",
            "--only",
            "finnomena",
            "--cycle",
            "daily",
        ];
        world
            .run(&[&args[..], &["--limit", limit]].concat())
            .await
            .exits(0);
        let log = world.simulator.log();
        let (first, last) = log.span(Site::Finnomena).expect("Finnomena was asked");
        let most = log.most_in_a_second(Site::Finnomena);
        let asked = log.of(Site::Finnomena).count();
        let rate = usize::try_from(rate).expect("a small number");
        assert!(asked > 3 * rate, "{asked} requests show no rate");
        assert!(most <= rate + 1, "{most} requests in a second at {rate}/s");
        // The mean rate is also reached. The jitter delays each request by up to a tenth of the gap.
        let seconds = (last - first).as_secs_f64();
        let fair = f64::from(u32::try_from(asked).expect("a small number"))
            / f64::from(u32::try_from(rate).expect("a small number"));
        assert!(
            seconds < 1.5 * fair + 1.0,
            "{asked} requests at {rate}/s took {seconds:.1} s"
        );
        // There is no burst at the start.
        let starts: Vec<Duration> = log
            .of(Site::Finnomena)
            .map(|request| request.started)
            .collect();
        let half_second = starts
            .iter()
            .filter(|start| **start - first < Duration::from_millis(500))
            .count();
        assert!(
            half_second <= rate / 2 + 1,
            "{half_second} requests in the first half second at {rate}/s"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_no_more_requests_are_in_flight_than_a_host_allows() {
    let mut world = World::new(MarketConfig {
        funds: 16,
        latency_ms: 40,
        edge_cases: false,
        ..MarketConfig::default()
    })
    .await;
    world.settings.concurrent_requests = 2;
    world
        .run(&["--once", "--mode", "parallel", "--cycle", "monthly"])
        .await
        .exits(0);
    let log = world.simulator.log();
    for site in Site::ALL {
        let most = log.most_at_once(site);
        assert!(most <= 2, "{site:?}: {most} at once");
    }
    assert_eq!(log.most_at_once(Site::Finnomena), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_robots_txt_is_requested_first_and_once() {
    let world = World::plain(10).await;
    world
        .run(&["--once", "--mode", "parallel", "--cycle", "monthly"])
        .await
        .exits(0);
    let log = world.simulator.log();
    for site in [
        Site::Finnomena,
        Site::WealthMagik,
        Site::SecApi,
        Site::Documents,
    ] {
        let mut asked = log.of(site);
        let first = asked.next().expect("every host is asked");
        assert_eq!(first.path, "/robots.txt", "{site:?}");
        let next = asked.next().expect("more than robots.txt is asked");
        assert!(
            first.ended.is_some_and(|ended| ended <= next.started),
            "{site:?}: {next:?} did not wait"
        );
        assert_eq!(log.count(site, "/robots.txt"), 1, "{site:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_what_robots_txt_disallows_is_not_requested() {
    let world = World::plain(6).await;
    let rules = "User-agent: somebody-else\nDisallow: /\n\nUser-agent: *\nAllow: /funds/\nDisallow: /funds/*/port$\n";
    world
        .simulator
        .set_robots(Site::WealthMagik, Robots::Text(rules.to_owned()));
    let run = world.run(&["--once", "--cycle", "monthly"]).await;
    run.exits(3).says("robots.txt");
    let log = world.simulator.log();
    assert_eq!(log.count(Site::WealthMagik, "/port"), 0);
    assert!(
        log.count(Site::WealthMagik, "/profile") > 0,
        "what is allowed is asked"
    );
    let outcomes = world
        .ask("SELECT DISTINCT page, outcome FROM runner.task WHERE outcome = 'failed'")
        .await;
    assert_eq!(
        outcomes,
        [vec![Some("port".to_owned()), Some("failed".to_owned())]]
    );

    // On the next day, robots.txt is requested again.
    world
        .simulator
        .set_robots(Site::WealthMagik, Robots::Missing);
    world.run(&["--once", "--cycle", "monthly"]).await.exits(0);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_host_whose_robots_txt_fails_is_down_and_not_requested() {
    let mut world = World::plain(4).await;
    world.settings.more = IMPATIENT.to_owned();
    world
        .simulator
        .set_robots(Site::SecApi, Robots::Status(500));
    world
        .run(&["--once", "--cycle", "monthly"])
        .await
        .exits(3)
        .says("down");
    let log = world.simulator.log();
    assert!(
        log.count(Site::SecApi, "/robots.txt") >= 4,
        "it is retried like any request"
    );
    assert_eq!(world.asked_since(0, Site::SecApi), [""; 0]);
}

async fn waits_for(status: u16, retry_after: RetryAfter) {
    let world = World::plain(8).await;
    world.fault_times(
        Site::Finnomena,
        "/nav/q",
        2,
        FaultKind::Throttle {
            status,
            retry_after,
        },
    );
    world
        .run(&["--once", "--mode", "parallel", "--cycle", "monthly"])
        .await
        .exits(0);
    let log = world.simulator.log();
    let throttled: Vec<&LoggedRequest> = log
        .of(Site::Finnomena)
        .filter(|request| request.status == status)
        .collect();
    assert!(!throttled.is_empty(), "nothing was throttled");
    assert_eq!(
        log.inside_retry_after(Site::Finnomena),
        0,
        "{status} {retry_after:?}: asked inside the window"
    );
    let after = log
        .of(Site::Finnomena)
        .filter(|request| request.started > throttled[0].started + Duration::from_millis(900))
        .count();
    assert!(after > 0, "nothing was asked after the window");
    // A throttled request counts neither as a failure nor as an attempt.
    let attempts: i32 = world.one("SELECT max(attempts) FROM runner.task").await;
    assert_eq!(attempts, 1, "{status} {retry_after:?}");
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_retry_after_in_seconds_is_obeyed() {
    for status in [429, 421, 503] {
        waits_for(status, RetryAfter::Seconds(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_retry_after_as_a_date_is_obeyed() {
    for status in [429, 421, 503] {
        waits_for(status, RetryAfter::DateInSeconds(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_throttled_host_is_requested_at_half_the_rate() {
    let mut world = World::plain(40).await;
    world.settings.requests_per_sec = 24.0;
    let retry_after = RetryAfter::Seconds(0);
    world.fault_times(
        Site::Finnomena,
        "/nav/q",
        1,
        FaultKind::Throttle {
            status: 429,
            retry_after,
        },
    );
    world
        .run(&[
            "--once",
            "--mode",
            "parallel",
            "--only",
            "finnomena",
            "--cycle",
            "daily",
            "--limit",
            "10",
        ])
        .await
        .exits(0);
    let log = world.simulator.log();
    let throttled = log
        .of(Site::Finnomena)
        .find(|request| request.status == 429)
        .expect("one was throttled")
        .started;
    let starts: Vec<Duration> = log
        .of(Site::Finnomena)
        .map(|request| request.started)
        .filter(|started| *started > throttled + Duration::from_millis(60))
        .collect();
    let most = (0..starts.len())
        .map(|at| {
            starts[at..]
                .iter()
                .take_while(|start| **start - starts[at] < Duration::from_secs(1))
                .count()
        })
        .max();
    assert!(
        most.is_some_and(|most| (6..=13).contains(&most)),
        "{most:?} requests in a second after a 429 at 24/s"
    );
}

/// P1: every request names the project and its version, and the contact only if one is configured.
#[tokio::test(flavor = "multi_thread")]
async fn the_user_agent_names_the_program_and_no_invented_contact() {
    let program = concat!("master_runner/", env!("CARGO_PKG_VERSION"));
    for (setting, expected) in [
        ("", program.to_owned()),
        ("user_agent_contact: None,", program.to_owned()),
        (
            "user_agent_contact: \"operator@example.org\",",
            format!("{program} (+operator@example.org)"),
        ),
    ] {
        let mut world = World::plain(6).await;
        setting.clone_into(&mut world.settings.more);
        world.run(&["--once", "--cycle", "monthly"]).await.exits(0);
        let log = world.simulator.log();
        // P4: all requests, including robots.txt, have the same User-Agent.
        assert_eq!(log.user_agents(), BTreeSet::from([expected.as_str()]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_refusal_is_first_a_reason_to_slow_down() {
    let mut world = World::plain(30).await;
    world.settings.requests_per_sec = 40.0;
    world.fault_on(Site::WealthMagik, "/funds/", FaultKind::Status(403));
    let run = world
        .run(&[
            "--once", "--mode", "parallel", "--cycle", "monthly", "--limit", "2",
        ])
        .await;
    run.exits(3).says("403");
    let log = world.simulator.log();
    let starts: Vec<Duration> = log
        .of(Site::WealthMagik)
        .filter(|request| request.status == 403)
        .map(|request| request.started)
        .collect();
    assert!(starts.len() >= 12, "{} refusals", starts.len());
    // Three refusals halve the rate three times; the minimum is an eighth of 40 a second.
    let late = &starts[6..];
    let most = (0..late.len())
        .map(|at| {
            late[at..]
                .iter()
                .take_while(|start| **start - late[at] < Duration::from_secs(1))
                .count()
        })
        .max();
    assert!(
        most.is_some_and(|most| most <= 6),
        "{most:?} refused requests in a second"
    );
    assert_eq!(
        log.user_agents().len(),
        1,
        "no other name is tried: {:?}",
        log.user_agents()
    );
    // Other sources are not affected.
    let others: i64 = world.one("SELECT count(*) FROM runner.task WHERE source <> 'wealthmagik' AND outcome NOT IN ('done', 'absent')").await;
    assert_eq!(others, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_redirect_to_another_host_is_not_followed() {
    let world = World::plain(4).await;
    let elsewhere = format!("{}/elsewhere", world.simulator.urls().documents);
    world.fault_on(
        Site::WealthMagik,
        "/profile",
        FaultKind::Redirect(elsewhere),
    );
    let run = world.run(&["--once", "--cycle", "daily"]).await;
    run.exits(3).says("redirect");
    assert_eq!(
        world.simulator.log().count(Site::Documents, "/elsewhere"),
        0
    );

    // A redirect within the host is followed.
    world.simulator.faults().clear();
    let list = "/fn3/api/fund/v2/public/funds";
    world.fault_times(
        Site::Finnomena,
        list,
        1,
        FaultKind::Redirect(list.to_owned()),
    );
    world.run(&["--once", "--cycle", "monthly"]).await.exits(0);
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_listed_link_to_another_host_is_not_followed() {
    let world = World::new(MarketConfig {
        funds: 40,
        days: 20,
        ..MarketConfig::default()
    })
    .await;
    let codes = world.active_with(EdgeCase::WealthMagikLinkForeign);
    world.run(&["--once", "--cycle", "monthly"]).await.exits(0);
    // The page is requested from the source's own host instead.
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    for code in &codes {
        let asked =
            world.simulator.log().of(Site::WealthMagik).any(|request| {
                request.path.ends_with("/profile") && request.path.contains(&code[..3])
            });
        assert!(asked, "{code}");
    }
    world.assert_truth_of("funds_daily", &codes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_an_unchanged_payload_is_recognised_and_not_read_again() {
    let world = World::plain(8).await;
    let monthly = ["--once", "--cycle", "monthly", "--fresh"];
    world.run(&monthly).await.exits(0);
    world.run(&monthly).await.exits(0);
    let outcomes = world
        .ask("SELECT outcome, source || '/' || page FROM runner.task WHERE outcome NOT IN ('unchanged', 'absent') AND planned_cycle = (SELECT max(cycle_id) FROM runner.cycle) GROUP BY 1, 2 ORDER BY 1, 2")
        .await;
    assert_eq!(outcomes, Vec::<simulator::Row>::new());
    let unchanged: i64 = world
        .one("SELECT count(*) FROM runner.task WHERE outcome = 'unchanged'")
        .await;
    assert!(unchanged > 40, "{unchanged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_daily_pass_asks_for_lists_news_navs_of_those_who_have_some_and_profiles_alone() {
    let world = World::plain(20).await;
    world
        .run(&["--once", "--cycle", "daily", "--date", "2026-10-15"])
        .await
        .exits(0);
    let first = world.simulator.log().requests.len();
    world.simulator.advance_days(1);
    world
        .run(&["--once", "--cycle", "daily", "--date", "2026-10-16"])
        .await
        .exits(0);
    world.assert_truth().await;
    let strange = |site, is_usual: fn(&str) -> bool| {
        let mut asked = world.asked_since(first, site);
        asked.retain(|path| !is_usual(path));
        assert_eq!(asked, [""; 0], "{site:?}");
    };
    strange(Site::Finnomena, |path| {
        path.ends_with("/public/funds")
            || path.ends_with("/public/filter?page=1&limit=100")
            || path.contains("/nav/q?range=1M")
    });
    strange(Site::WealthMagik, |path| {
        path.contains("fundSearch.json") || path.ends_with("/profile")
    });
    strange(Site::SecApi, |_| false);
    strange(Site::SecPage, |_| false);
    strange(Site::Documents, |_| false);
    // Each page was requested once.
    let log = world.simulator.log();
    let mut seen = BTreeSet::new();
    for request in &log.requests[first..] {
        assert!(
            seen.insert((request.site, request.path.clone())),
            "{} was asked twice",
            request.path
        );
    }
    // A second cycle on the same day: no fund has news, so no NAV history is requested.
    let second = log.requests.len();
    world
        .run(&[
            "--once",
            "--cycle",
            "daily",
            "--date",
            "2026-10-16",
            "--fresh",
        ])
        .await
        .exits(0);
    let api = "/fn3/api/fund/v2/public";
    assert_eq!(
        world.asked_since(second, Site::Finnomena),
        [
            format!("{api}/funds"),
            format!("{api}/filter?page=1&limit=100")
        ]
    );
    world.assert_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_host_that_is_down_is_probed_one_request_at_a_time() {
    let mut world = World::plain(12).await;
    world.settings.more = IMPATIENT.to_owned();
    world.fault_on(Site::Finnomena, "/public/funds/", FaultKind::Status(500));
    world
        .run(&["--once", "--mode", "parallel", "--cycle", "monthly"])
        .await
        .exits(3)
        .says("down");
    let log = world.simulator.log();
    let failed: Vec<&LoggedRequest> = log
        .of(Site::Finnomena)
        .filter(|request| request.status == 500)
        .collect();
    // Five requests in a row and those in flight, then a probe after 1 s and after 2 s, and again in round 2.
    assert!(
        failed.len() < 24,
        "{} requests to a host that is down",
        failed.len()
    );
    let gaps = failed
        .windows(2)
        .filter(|pair| pair[1].started - pair[0].started > Duration::from_millis(900))
        .count();
    assert!(gaps >= 2, "no pause between probes");
}
