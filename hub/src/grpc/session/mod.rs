//! The life of one session: greeting, reports up, directives down, and an end that says why.
//!
//! What it sends follows from the desk alone, so that losing a session loses nothing. Of two sessions of one
//! cluster the newest is served.

mod talk;
mod agenda;

use std::sync::Arc;
use std::time::Duration;

use model::Reason;
use proto::v1;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use talk::Talk;

use super::admit::{Admitted, Cut, judge};
use super::parts::Parts;
use super::roster::{Roster, is_suspended};

/// Messages that wait for the transport. One: what follows is worked out when there is room, from what is
/// then the newest state.
const MESSAGES_WAITING: usize = 1;

/// Opens sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    parts: Parts,
    roster: Arc<Roster>,
    life: Duration,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Sessions {
    pub(super) fn new(
        parts: Parts,
        roster: Arc<Roster>,
        life: Duration,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Sessions {
        Sessions { parts, roster, life, tasks, shutdown }
    }

    pub(super) async fn open(
        self: Arc<Self>,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<ReceiverStream<Result<v1::HubMessage, Status>>>, Status> {
        let admitted = self.parts.admit(&request).await?;
        let (sender, receiver) = mpsc::channel(MESSAGES_WAITING);
        let inbound = request.into_inner();
        let tasks = self.tasks.clone();
        tasks.spawn(async move { self.serve(admitted, inbound, sender).await });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn serve(
        &self,
        admitted: Admitted,
        inbound: Streaming<v1::AgentMessage>,
        sender: mpsc::Sender<Result<v1::HubMessage, Status>>,
    ) {
        let name = admitted.cluster.name.clone();
        let suspended = is_suspended(&admitted.cluster);
        let (_seat, cut) = self.roster.enter(admitted.peer.clone(), suspended);
        let life = self.life_of(&admitted);
        let mut talk = Talk::new(&self.parts, admitted.peer.clone(), inbound, sender);
        // The cluster may have been deleted between the gate and the roster.
        let cluster = self.parts.registry.cluster(&admitted.peer.cluster);
        let judged = judge(cluster.as_ref(), &admitted.peer, self.parts.clock.now());
        let talked = async {
            judged?;
            talk.run().await
        };
        let end = tokio::select! {
            biased;
            cut = cut => Some(cut.unwrap_or_else(|_| ended("the hub stops"))),
            () = self.shutdown.cancelled() => Some(ended("the hub stops")),
            () = sleep(life) => Some(ended("the connection is old enough")),
            talked = talked => talked.err(),
        };
        let end = talk.close(end).await;
        tracing::info!(cluster = %name, reason = end.reason.code(), why = %end.message, "session ended");
    }

    /// A tenth more or less than the set life, and never beyond the certificate, which TLS checks only
    /// at the beginning.
    fn life_of(&self, admitted: &Admitted) -> Duration {
        let mut chance = [0; 1];
        let chance = getrandom::fill(&mut chance).map_or(0, |()| chance[0]);
        let life = self.life.mul_f64(0.9 + 0.2 * f64::from(chance) / 255.0);
        let left = admitted.peer.not_after.duration_since(self.parts.clock.now());
        life.min(Duration::try_from(left).unwrap_or_default())
    }
}

/// An end that is nobody's fault.
fn ended(why: &str) -> Cut {
    Cut::new(Reason::SessionEnded, why)
}
