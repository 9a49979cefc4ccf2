//! Draws progress bars below the log lines of a terminal. Only the log's thread draws.

use std::collections::BTreeMap;
use std::io::{self, Write};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::destination::{Bar, Destination, Unwritten, write_whole};

/// Maximum number of draws per second.
const DRAWS_PER_SEC: u8 = 20;

/// A terminal with bars.
pub struct Screen<Stream> {
    stream: Stream,
    bars: MultiProgress,
    drawn: BTreeMap<String, ProgressBar>,
}

impl<Stream: Write> Screen<Stream> {
    /// Draws bars on standard error, and writes lines to `stream`, which also goes there.
    pub fn new(stream: Stream) -> Self {
        let terminal = Box::new(Terminal(Term::stderr()));
        let target = ProgressDrawTarget::term_like_with_hz(terminal, DRAWS_PER_SEC);
        Self {
            stream,
            bars: MultiProgress::with_draw_target(target),
            drawn: BTreeMap::new(),
        }
    }
}

impl<Stream: Write + Send + 'static> Destination for Screen<Stream> {
    fn write_line(&mut self, line: &[u8]) -> Result<(), Unwritten> {
        let stream = &mut self.stream;
        self.bars.suspend(|| write_whole(stream, line))
    }

    fn draw(&mut self, bars: &[Bar]) {
        if bars.is_empty() {
            self.drawn.clear();
            // The `Terminal` below never fails.
            let _ = self.bars.clear();
        }
        for bar in bars {
            let drawn = self
                .drawn
                .entry(bar.name.clone())
                .or_insert_with(|| self.bars.add(new_bar(&bar.name)));
            if let Some((position, length)) = bar.position {
                drawn.set_length(length);
                drawn.set_position(position);
            }
            drawn.set_message(bar.message.clone());
        }
    }
}

fn new_bar(name: &str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) =
        ProgressStyle::with_template("{prefix:<14} [{bar:32}] {pos:>6}/{len:<6} {msg}")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(name.to_owned());
    bar
}

/// A terminal that ignores failures: indicatif panics on them while it makes room for a line.
#[derive(Debug)]
struct Terminal(Term);

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        TermLike::width(&self.0)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.0)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        tolerated(self.0.move_cursor_up(n))
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        tolerated(self.0.move_cursor_down(n))
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        tolerated(self.0.move_cursor_right(n))
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        tolerated(self.0.move_cursor_left(n))
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        tolerated(self.0.write_line(text))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        tolerated(self.0.write_str(text))
    }

    fn clear_line(&self) -> io::Result<()> {
        tolerated(self.0.clear_line())
    }

    fn flush(&self) -> io::Result<()> {
        tolerated(self.0.flush())
    }
}

/// Ignores a failed draw: the bars are drawn again with the next change.
fn tolerated(drawn: io::Result<()>) -> io::Result<()> {
    drawn.or(Ok(()))
}
