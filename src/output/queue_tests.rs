//! The queue with streams that fail, stall and recover.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::super::destination::Plain;
use super::*;

/// Returns the scripted results, then accepts everything.
struct Scripted {
    answers: VecDeque<io::Result<usize>>,
    written: Sender<Vec<u8>>,
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.answers.pop_front().unwrap_or(Ok(bytes.len()))?;
        let taken = taken.min(bytes.len());
        let _ = self.written.send(bytes[..taken].to_vec());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes a write only when the test permits it.
struct Gated {
    permits: Receiver<()>,
    written: Sender<Vec<u8>>,
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An error means that the test has ended.
        let _ = self.permits.recv();
        let _ = self.written.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Told;

impl Losses for Told {
    fn begin(&mut self, _: &str, _: bool) {}

    fn report(&mut self, lost: u64, cause: &str) -> Vec<u8> {
        format!("[{lost} lost: {cause}]\n").into_bytes()
    }
}

const LONG: Duration = Duration::from_secs(20);

fn all(written: &Receiver<Vec<u8>>) -> String {
    let bytes: Vec<u8> = written.try_iter().flatten().collect();
    String::from_utf8(bytes).expect("text")
}

fn full() -> io::Result<usize> {
    Err(io::ErrorKind::StorageFull.into())
}

/// O8: lost lines are counted and reported once, when the stream accepts data again.
#[test]
fn lost_lines_are_reported_once_when_the_stream_is_back() {
    let full_text = io::Error::from(io::ErrorKind::StorageFull).to_string();
    for (what, answers, expected) in [
        ("a good stream", vec![], "a\nb\nc\n".to_owned()),
        (
            "full for one line",
            vec![full()],
            format!("[1 lost: {full_text}]\nb\nc\n"),
        ),
        (
            "full for two lines",
            // The second line is not written: its report is tried first.
            vec![full(), full()],
            format!("[2 lost: {full_text}]\nc\n"),
        ),
        (
            "full to the end, back for the last report",
            vec![full(), full(), full()],
            format!("[3 lost: {full_text}]\n"),
        ),
        (
            "full in the middle of a line",
            vec![Ok(1), full()],
            format!("a\n[1 lost: {full_text}]\nb\nc\n"),
        ),
        (
            "interrupted and non-blocking",
            vec![
                Err(io::ErrorKind::Interrupted.into()),
                Err(io::ErrorKind::WouldBlock.into()),
            ],
            "a\nb\nc\n".to_owned(),
        ),
    ] {
        let (written, seen) = channel();
        let stream = Scripted {
            answers: answers.into(),
            written,
        };
        let queue = Queue::start("test", 1000, Plain(stream), Told);
        for line in ["a\n", "b\n", "c\n"] {
            queue.push(line.as_bytes().to_vec());
        }
        queue.finish(LONG, LONG);
        assert_eq!(all(&seen), expected, "{what}");
    }
}

/// O8: a stream that is not read loses lines, but delays nothing. One stall causes one gap and one report.
#[test]
fn a_stalled_stream_never_blocks_a_writer() {
    let (permit, permits) = channel();
    let (written, seen) = channel();
    let queue = Queue::start("test", 40, Plain(Gated { permits, written }), Told);
    let began = Instant::now();
    for number in 0..1000 {
        queue.push(format!("line {number:03}\n").into_bytes());
    }
    assert!(!queue.wait_written(Duration::from_millis(50), LONG));
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    for _ in 0..20 {
        permit.send(()).expect("the thread lives");
    }
    assert!(queue.wait_written(LONG, LONG));
    queue.push(b"after\n".to_vec());
    assert!(queue.wait_written(LONG, LONG));
    let all = all(&seen);
    let kept = all.matches("line ").count();
    assert!((4..10).contains(&kept), "{all}");
    let report = format!("[{} lost: {NOT_READ}]\nafter\n", 1000 - kept);
    assert!(all.ends_with(&report), "{all}");
    assert_eq!(all.matches("lost").count(), 1, "{all}");
}

/// A line longer than the whole queue is written if the queue is empty.
#[test]
fn a_line_longer_than_the_queue_is_written() {
    let (written, seen) = channel();
    let stream = Scripted {
        answers: VecDeque::new(),
        written,
    };
    let queue = Queue::start("test", 4, Plain(stream), Told);
    queue.push(b"longer than four\n".to_vec());
    assert!(queue.wait_written(LONG, LONG));
    assert_eq!(all(&seen), "longer than four\n");
}
