//! Random faults, several in one cycle, for `MASTER_RUNNER_SOAK_SECS` seconds.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use schema::failpoint;

use super::faults::{Action, Case, Draws, seed};
use super::{AT_ONCE, Ground, MODES, Undisturbed, arguments, go_on, is_whole, stop, verdict};

/// The most starts of one cycle that have a fault.
const MOST_FAULTS: usize = 6;

/// The record of one cycle.
struct Course {
    starts: usize,
    deaths: usize,
    /// The number of faults that were reached; the runs did not reach the moments of the others.
    faults: usize,
}

/// Starts runs with faults until the cycle is complete or had enough of them, and then completes it without faults.
async fn cycle(ground: &Ground, undisturbed: &Undisturbed, seed: u64) -> Result<Course, String> {
    let mut draws = Draws(seed);
    let mode = draws.pick(&MODES);
    let mut world = ground.world(String::new()).await;
    let mut course = Course {
        starts: 0,
        deaths: 0,
        faults: 0,
    };
    let mut told = String::new();
    while course.starts < MOST_FAULTS && !(course.starts > 0 && is_whole(&world).await) {
        let point = draws.pick(failpoint::ALL);
        let actions: Vec<Action> = Action::at(point).collect();
        let case = Case {
            point,
            action: draws.pick(&actions),
            mode,
            after: undisturbed.moment(mode, point, &mut draws) / (course.starts + 1),
        };
        world.settings.failpoints = case.failpoints();
        let child = world.spawn(&arguments(mode));
        if case.is_stopped() || draws.below(8) == 0 {
            tokio::time::sleep(Duration::from_millis(draws.below(900) as u64)).await;
            stop(&child);
        }
        let run = super::until_end(child).await;
        course.starts += 1;
        let reached = format!("failpoint {point}: {}", case.action.name());
        course.faults += run.output.matches(&reached).count();
        course.deaths += usize::from(run.code != Some(0));
        told.push_str(&format!("{case}: exit {:?}\n", run.code));
        if !matches!(run.code, None | Some(0 | 1 | 3 | 4)) {
            return Err(format!("{told}{}", run.output));
        }
    }
    course.starts += go_on(&mut world, mode)
        .await
        .map_err(|wrong| format!("{told}{wrong}"))?;
    let wrong = verdict(&world, undisturbed).await;
    world.database.remove().await;
    if wrong.is_empty() {
        Ok(course)
    } else {
        Err(format!("{told}{wrong}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_faults_for_as_long_as_one_likes_lose_and_double_nothing() {
    let Ok(seconds) = std::env::var("MASTER_RUNNER_SOAK_SECS") else {
        return;
    };
    let until = Instant::now() + Duration::from_secs(seconds.parse().expect("a number"));
    let first = seed();
    let ground = Ground::prepare().await;
    let undisturbed = Undisturbed::run(&ground).await;
    let courses: Vec<(u64, Result<Course, String>)> = futures_util::stream::iter(first..)
        .take_while(|_| std::future::ready(Instant::now() < until))
        .map(|seed| {
            let (ground, undisturbed) = (&ground, &undisturbed);
            async move { (seed, cycle(ground, undisturbed, seed).await) }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let count = |of: fn(&Course) -> usize| -> usize {
        courses
            .iter()
            .filter_map(|(_, course)| course.as_ref().ok())
            .map(of)
            .sum()
    };
    println!(
        "seeds {first} and on: {} cycles, {} starts, {} of them ended before their time, {} faults",
        courses.len(),
        count(|course| course.starts),
        count(|course| course.deaths),
        count(|course| course.faults)
    );
    let wrong: Vec<String> = courses
        .iter()
        .filter_map(|(seed, course)| {
            Some(format!(
                "MASTER_RUNNER_SEED={seed}:\n{}",
                course.as_ref().err()?
            ))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
