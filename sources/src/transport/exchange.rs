//! Makes one exchange through the gate of its host: waits for the gate, the browser and the lease, opens the page that
//! the exchange is made from, and reports failures to the gate (P1, P3).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::site::Via;

use super::Transport;
use super::backend::{Blame, Incoming, Opened, Outgoing, WireFailure};
use super::host_gate::{HostGate, HostGivenUp, Started};
use super::waiting::{Waiting, WaitingOn};

/// If a browser tab is ready only after a longer wait than this, the request waits for the pace again.
const PROMPT: Duration = Duration::from_millis(20);

/// Why an attempt brought no answer.
pub(super) enum Nothing {
    /// Worth another attempt.
    Failed(String),
    /// Another attempt would end the same.
    Final(String),
    /// robots.txt disallows it.
    Forbidden(String),
    /// The host has been down for too long, or the browser is out of order.
    GivenUp(String),
}

impl Transport {
    /// Makes one exchange through a gate. It reports a failure to the gate; the caller reports an answer, because that
    /// depends on its status.
    pub(super) async fn exchange(
        &self,
        gate: &Arc<HostGate>,
        outgoing: &Outgoing,
        waiting: &WaitingOn,
    ) -> Result<(Incoming, Started), Nothing> {
        let wire = match outgoing.via() {
            Via::Http => &self.0.http,
            Via::Browser | Via::InPage => &self.0.browser,
        };
        // Check the browser before waiting for the host: its state does not depend on the host.
        if let Some(text) = wire.out_of_order() {
            return Err(Nothing::GivenUp(text));
        }
        let mut started = gate
            .start(outgoing.question(), waiting)
            .await
            .map_err(|HostGivenUp(text)| Nothing::GivenUp(text))?;
        let asked_at = Instant::now();
        let mut prepared = wire
            .prepare(outgoing, waiting)
            .await
            .map_err(blamed_on_us)?;
        if asked_at.elapsed() > PROMPT {
            gate.pace_again(&mut started, waiting).await;
        }
        self.leased(gate, &mut started, waiting).await;
        let opening_at = Instant::now();
        let opened = match prepared.open(outgoing).await {
            Ok(opened) => opened,
            Err(failure) => {
                waiting.clear();
                return Err(failed(failure, started));
            }
        };
        match opened {
            Opened::Nothing if opening_at.elapsed() <= PROMPT => {}
            Opened::Answered(incoming) => {
                waiting.clear();
                return Ok((incoming, started));
            }
            Opened::Nothing | Opened::Page => {
                if matches!(opened, Opened::Page) {
                    gate.count_request();
                }
                gate.pace_again(&mut started, waiting).await;
                self.leased(gate, &mut started, waiting).await;
            }
        }
        let exchanged = prepared.exchange(outgoing).await;
        waiting.clear();
        match exchanged {
            Ok(incoming) => Ok((incoming, started)),
            Err(failure) => Err(failed(failure, started)),
        }
    }

    /// Waits until the lease is fresh. This is the last check before a request is sent: the steps before may have taken
    /// long, and the process may have been suspended meanwhile.
    async fn leased(&self, gate: &HostGate, started: &mut Started, waiting: &WaitingOn) {
        while !self.0.lease.is_fresh() {
            self.0.lease.granted(waiting).await;
            gate.pace_again(started, waiting).await;
        }
        waiting.set(Waiting::Answer {
            since: Instant::now(),
        });
    }
}

/// Reports a failed exchange to its gate, if the host is the cause.
fn failed(WireFailure { text, blame }: WireFailure, started: Started) -> Nothing {
    match blame {
        Blame::Host => {
            started.failed(&text);
            Nothing::Failed(text)
        }
        Blame::Browser | Blame::Machine => Nothing::Failed(text),
        Blame::OutOfOrder => Nothing::GivenUp(text),
        Blame::Final => {
            started.succeeded();
            Nothing::Final(text)
        }
    }
}

fn blamed_on_us(WireFailure { text, blame }: WireFailure) -> Nothing {
    match blame {
        Blame::Final => Nothing::Final(text),
        Blame::Host | Blame::Browser | Blame::Machine => Nothing::Failed(text),
        Blame::OutOfOrder => Nothing::GivenUp(text),
    }
}
