//! The stream that the log's thread writes to: lines, and on a terminal bars below them.

use std::io::{self, Write};
use std::time::Duration;

/// Pause before another write to a non-blocking stream that accepts nothing now.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// The content of one bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// The source whose progress the bar shows.
    pub name: String,
    /// Position and length, if known.
    pub position: Option<(u64, u64)>,
    /// The text next to the bar.
    pub message: String,
}

/// A stream that the log's thread can write to.
pub trait Destination: Send + 'static {
    /// Writes a whole line. The error states whether a part of it was written.
    fn write_line(&mut self, line: &[u8]) -> Result<(), Unwritten>;

    /// Draws bars below the lines.
    fn draw(&mut self, _: &[Bar]) {}
}

/// A line that was not written completely.
#[derive(Debug)]
pub struct Unwritten {
    /// Whether a part of the line was written.
    pub in_part: bool,
    /// The cause.
    pub error: io::Error,
}

/// A stream without bars.
pub struct Plain<Stream>(pub Stream);

impl<Stream: Write + Send + 'static> Destination for Plain<Stream> {
    fn write_line(&mut self, line: &[u8]) -> Result<(), Unwritten> {
        write_whole(&mut self.0, line)
    }
}

/// Writes all bytes; waits if the stream is in non-blocking mode and full.
pub fn write_whole(stream: &mut impl Write, line: &[u8]) -> Result<(), Unwritten> {
    let mut written = 0;
    while written < line.len() {
        let error = match stream.write(&line[written..]) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(bytes) => {
                written += bytes;
                continue;
            }
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => std::thread::sleep(TRY_AGAIN),
            _ => {
                return Err(Unwritten {
                    in_part: written > 0,
                    error,
                });
            }
        }
    }
    Ok(())
}
