//! O8: output never stops, slows or panics the work. Covers pipes that are closed or not read, and a full disk.

use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use simulator::MarketConfig;
use tokio::process::{Child, Command};

use crate::shutdown::running::{PROMPTLY, cycle_is_closed, wait_until};
use crate::world::World;

const MONTHLY: [&str; 3] = ["--once", "--cycle", "monthly"];
/// The time limit for each step. A step that hangs fails its test.
const LIMIT: Duration = Duration::from_secs(120);
/// A pipe of this size is full after a few lines.
const PIPE_BYTES: i32 = 4096;

async fn world() -> World {
    World::new(MarketConfig {
        funds: 6,
        days: 20,
        ..MarketConfig::default()
    })
    .await
}

/// A pipe of 4 KB with `room` bytes left.
fn nearly_full_pipe(room: usize) -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).expect("a size");
    let bytes = usize::try_from(PIPE_BYTES).expect("a size") - room;
    (&writer).write_all(&vec![b'.'; bytes]).expect("room");
    (reader, writer)
}

fn full_disk() -> File {
    File::options()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full")
}

fn second_handle(writer: &PipeWriter) -> Stdio {
    Stdio::from(writer.try_clone().expect("a second handle"))
}

async fn exit_code(child: &mut Child) -> Option<i32> {
    tokio::time::timeout(LIMIT, child.wait())
        .await
        .expect("the runner ends")
        .expect("it can be waited for")
        .code()
}

fn terminate(child: &Child) {
    let pid = i32::try_from(child.id().expect("it runs")).expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it can be told to stop");
}

/// Sends SIGTERM and asserts that the process exits soon with this code.
async fn stops_with(child: &mut Child, code: i32) {
    let told = Instant::now();
    terminate(child);
    assert_eq!(exit_code(child).await, Some(code));
    assert!(told.elapsed() < PROMPTLY, "{:?}", told.elapsed());
}

fn started(mut command: Command) -> Child {
    command.spawn().expect("the runner starts")
}

/// O8: covers `2>&1 | head -1`, a reader that leaves before the first line, and one that leaves in the middle of the
/// cycle.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_does_not_change_a_run() {
    for lines in [0, 1, 6] {
        let world = world().await;
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = world.command(&MONTHLY);
        command.stdout(second_handle(&writer)).stderr(writer);
        let mut child = started(command);
        let reading = tokio::task::spawn_blocking(move || {
            let read = BufReader::new(reader).lines().take(lines).count();
            assert_eq!(read, lines);
        });
        reading.await.expect("read");
        assert_eq!(exit_code(&mut child).await, Some(0), "after {lines} lines");
        world.assert_truth().await;
    }
}

/// O8: covers standard error, standard output, or both on a full disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_output_does_not_change_a_run() {
    for (out_full, err_full) in [(false, true), (true, true), (true, false)] {
        let world = world().await;
        let mut command = world.command(&MONTHLY);
        if out_full {
            command.stdout(full_disk());
        }
        if err_full {
            command.stderr(full_disk());
        }
        let child = started(command);
        let output = tokio::time::timeout(LIMIT, child.wait_with_output())
            .await
            .expect("the runner ends")
            .expect("it can be waited for");
        assert_eq!(output.status.code(), Some(0), "{out_full} {err_full}");
        if !err_full {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                said.contains("standard output does not take the result"),
                "{said}"
            );
        }
        world.assert_truth().await;
    }
}

/// O8: if the log is not read (a paused terminal, a stalled log driver), lines are lost but the run continues.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_not_read_does_not_stop_a_run() {
    for (room, format) in [(0, "text"), (100, "json"), (2000, "text")] {
        let world = world().await;
        let (reader, writer) = nearly_full_pipe(room);
        let mut command = world.command(&MONTHLY);
        command.args(["--log", format]).stderr(writer);
        let mut child = started(command);
        assert_eq!(
            exit_code(&mut child).await,
            Some(0),
            "room for {room} bytes"
        );
        world.assert_truth().await;
        drop(reader);
    }
}

/// O8: a cycle is closed even if its log and its result are not read. A stop ends the wait for the reader, with the
/// run's exit code.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_wait_for_a_reader() {
    for args in [&MONTHLY[..], &[]] {
        let world = world().await;
        let (reader, writer) = nearly_full_pipe(50);
        let mut command = world.command(args);
        command.stdout(second_handle(&writer)).stderr(writer);
        let mut child = started(command);
        wait_until("the cycle is closed", async || {
            cycle_is_closed(&world).await
        })
        .await;
        // Time for the summary to be printed.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(
            child.try_wait().expect("it can be looked at").is_none(),
            "the result waits for its reader"
        );
        stops_with(&mut child, 0).await;
        world.assert_truth().await;
        drop(reader);
    }
}

/// O8: a reader that comes late gets the complete result.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_reader_gets_the_whole_result() {
    let world = world().await;
    world.run(&MONTHLY).await.exits(0);
    for command in [&["status"][..], &["--help"], &MONTHLY] {
        let (mut reader, writer) = nearly_full_pipe(0);
        let expected = world.run(command).await;
        let mut late = world.command(command);
        late.stdout(writer).stderr(Stdio::null());
        let mut child = started(late);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = String::new();
            reader.read_to_string(&mut all).expect("text");
            all
        });
        assert_eq!(exit_code(&mut child).await, Some(0));
        let all = reading.await.expect("read");
        let last = expected
            .output
            .lines()
            .rfind(|line| all.contains(line) && !line.is_empty());
        assert!(
            last.is_some() && all.trim_start_matches('.').lines().count() > 5,
            "{command:?}: {all}"
        );
    }
}

/// O8: SIGTERM stops a cycle whose log is not read.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_works_while_the_log_is_not_read() {
    for args in [&MONTHLY[..], &[], &["--once", "--mode", "parallel"]] {
        let world = World::new(MarketConfig {
            funds: 20,
            latency_ms: 150,
            ..MarketConfig::default()
        })
        .await;
        let (reader, writer) = nearly_full_pipe(10);
        let mut command = world.command(args);
        command.stdout(second_handle(&writer)).stderr(writer);
        let mut child = started(command);
        wait_until("the sites are asked", async || {
            world.simulator.log().requests.len() > 20
        })
        .await;
        stops_with(&mut child, 4).await;
        drop(reader);
    }
}

/// O8: lost lines are counted and reported once, when the reader is back.
#[tokio::test(flavor = "multi_thread")]
async fn lost_lines_are_reported_once_when_the_reader_is_back() {
    for format in ["text", "json"] {
        let world = world().await;
        let (reader, writer) = nearly_full_pipe(10);
        let mut command = world.command(&[]);
        command
            .args(["--log", format])
            // More lines than the queue's capacity.
            .env("RUST_LOG", "trace")
            .stdout(Stdio::null())
            .stderr(writer);
        let mut child = started(command);
        wait_until("the cycle is closed", async || {
            cycle_is_closed(&world).await
        })
        .await;
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            let mut reader = BufReader::new(reader);
            while reader
                .read_until(b'\n', &mut all)
                .is_ok_and(|bytes| bytes > 0)
            {}
            String::from_utf8_lossy(&all).into_owned()
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        stops_with(&mut child, 0).await;
        let all = reading.await.expect("read");
        assert_eq!(all.matches("log lines were lost").count(), 1, "{format}");
        let report = all
            .lines()
            .find(|line| line.contains("log lines were lost"))
            .expect("a report");
        assert_eq!(report.starts_with('{'), format == "json", "{report}");
        assert!(report.contains("the stream was not read"), "{report}");
        assert!(
            all.lines()
                .last()
                .is_some_and(|line| !line.contains("lost"))
        );
    }
}

/// O8: progress bars on a paused terminal (Ctrl-S) do not stop the run. `script` emulates the terminal.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_terminal_does_not_stop_a_run() {
    let world = world().await;
    // `script` itself cannot write, so it no longer reads the terminal either.
    let (mut reader, writer) = nearly_full_pipe(0);
    let runner = world.command(&[]).as_std().get_program().to_owned();
    let inner = format!("{} --once --cycle monthly", runner.display());
    let mut command = Command::new("script");
    command
        .args(["-q", "-e", "-c", &inner, "/dev/null"])
        .current_dir(world.dir())
        .env("DATABASE_URL", world.database.url())
        .env("RUST_LOG", "debug")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = started(command);
    wait_until("the cycle is closed", async || {
        cycle_is_closed(&world).await
    })
    .await;
    world.assert_truth().await;
    let reading = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        let _ = reader.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    });
    assert_eq!(exit_code(&mut child).await, Some(0));
    let all = reading.await.expect("read");
    assert!(all.contains("cycle begins"), "{all}");
}

/// O8: a command whose reader left or does not read ends with its usual exit code, at the latest after SIGTERM.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_heeds_a_stop_while_nothing_reads_its_result() {
    let world = world().await;
    world.run(&MONTHLY).await.exits(0);
    for args in [&["status"][..], &["--help"], &["explain", "NOT-A-FUND"]] {
        let (reader, writer) = nearly_full_pipe(0);
        let mut command = world.command(args);
        command.stdout(second_handle(&writer)).stderr(writer);
        let mut child = started(command);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let fails = args[0] == "explain";
        if fails {
            // The error message is a log line, so the command does not wait for its reader.
            assert_eq!(exit_code(&mut child).await, Some(1));
        } else {
            stops_with(&mut child, 0).await;
        }
        drop(reader);

        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = world.command(args);
        command.stdout(second_handle(&writer)).stderr(writer);
        let mut child = started(command);
        assert_eq!(exit_code(&mut child).await, Some(i32::from(fails)));
    }
}
