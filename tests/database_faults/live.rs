//! A runner whose output can be read while it runs.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::world::Run;

/// The time limit of every wait in these tests.
const LIMIT: Duration = Duration::from_secs(120);

pub struct Live {
    pub child: Child,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Live {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the runner starts");
        let output = Arc::<Mutex<String>>::default();
        let readers = vec![
            read(child.stdout.take().expect("piped"), &output),
            read(child.stderr.take().expect("piped"), &output),
        ];
        Self {
            child,
            output,
            readers,
        }
    }

    pub fn said(&self) -> String {
        self.output.lock().clone()
    }

    /// Waits until the runner's output contains these words.
    pub async fn says(&mut self, words: &str) {
        let waiting = async {
            while !self.said().contains(words) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(LIMIT, waiting).await.is_err() {
            panic!("`{words}` was not said; the run printed:\n{}", self.said());
        }
    }

    pub async fn ended(mut self) -> Run {
        let status: Result<Result<ExitStatus, _>, _> =
            tokio::time::timeout(LIMIT, self.child.wait()).await;
        let Ok(status) = status else {
            panic!("the run does not end; it printed:\n{}", self.said());
        };
        for reader in &mut self.readers {
            reader.await.expect("its words are read to the end");
        }
        Run {
            code: status.expect("the runner can be waited for").code(),
            output: self.said(),
        }
    }

    /// Stops the runner with SIGTERM.
    pub async fn stopped(self) -> Run {
        use nix::sys::signal::{Signal, kill};
        let pid = self.child.id().expect("it runs");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a process id"));
        kill(pid, Signal::SIGTERM).expect("it can be told to stop");
        self.ended().await
    }
}

fn read(
    from: impl AsyncRead + Unpin + Send + 'static,
    output: &Arc<Mutex<String>>,
) -> JoinHandle<()> {
    let said = Arc::clone(output);
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut said = said.lock();
            said.push_str(&line);
            said.push('\n');
        }
    })
}
