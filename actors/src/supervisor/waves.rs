//! A wave from its tasks to its end: every source has finished, is quarantined, or was stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::prelude::*;
use schema::failpoint;
use tokio::sync::oneshot;

use super::{RunWave, RunningSource, RunningWave, SourceEnd, SpineFailed, Supervisor, WaveEnd};

impl Supervisor {
    pub(super) fn end_wave_if_done(&mut self) {
        let done = self
            .wave
            .as_ref()
            .is_some_and(|wave| wave.sources.values().all(|running| running.end.is_some()));
        if !done {
            return;
        }
        if let Some(wave) = self.wave.take() {
            let sources = wave
                .sources
                .into_iter()
                .filter_map(|(source, running)| Some((source, running.end?)))
                .collect();
            // A receiver that is gone has stopped waiting.
            let _ = wave.reply.send(Ok(WaveEnd { sources }));
        }
    }
}

impl Handler<RunWave> for Supervisor {
    type Result = ResponseFuture<Result<WaveEnd, SpineFailed>>;

    fn handle(&mut self, run: RunWave, context: &mut Self::Context) -> Self::Result {
        self.passes(failpoint::SUPERVISOR_WAVE);
        if let Some(failed) = self.failed.clone() {
            return Box::pin(async move { Err(failed) });
        }
        self.snapshot.begin(run.cycle.id);
        let (reply, ended) = oneshot::channel();
        let stopping = self.is_stopping();
        self.wave = Some(RunningWave {
            cycle: run.cycle,
            final_round: run.final_round,
            sources: run
                .wave
                .tasks
                .iter()
                .map(|(source, tasks)| {
                    let running = RunningSource {
                        child: None,
                        incarnation: 0,
                        tasks: tasks.iter().map(|task| task.id.clone()).collect(),
                        pulse: Arc::default(),
                        deaths: BTreeMap::new(),
                        end: stopping.then_some(SourceEnd::Stopped),
                    };
                    (*source, running)
                })
                .collect(),
            reply,
        });
        if !stopping {
            for (source, tasks) in run.wave.tasks {
                self.snapshot.planned(source, tasks.len());
                if self.merge.is_some() {
                    self.start_source(source, tasks, context);
                }
            }
        }
        self.end_wave_if_done();
        Box::pin(async move {
            ended.await.unwrap_or_else(|_| {
                Err(SpineFailed(
                    "the supervisor ended before the wave did".to_owned(),
                ))
            })
        })
    }
}
