//! Many light agents, each with an identity of its own, got as real ones get it.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use agent::{
    clock::Clock,
    identity::{Enrolment, Identity, obtain},
    state::{State, Vault},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::token::JoinToken;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    desk::Desk,
    light::{self, Event},
    relay::Relay,
};
use crate::stage::{Error, Stage};

/// Agents that join at the same time: more only wait for a core.
const JOINING_MAX: usize = 8;
/// Sessions that are opened at the same time: half of the handshakes that the hub takes from one address.
const OPENING_MAX: usize = 64;
/// Events that wait: a few for each of a thousand agents.
const EVENTS_MAX: usize = 8192;
/// Longest silence while something is expected.
const SILENCE_MAX: Duration = Duration::from_mins(2);

/// Ends with its drop.
#[derive(Debug)]
pub(super) struct Fleet {
    folder: PathBuf,
    hub: SocketAddr,
    relay: Relay,
    apply: Duration,
    agents: JoinSet<()>,
    events: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
}

fn fault(error: impl std::fmt::Display) -> Error {
    Error::Unexpected(format!("light agents: {error}"))
}

impl Fleet {
    /// No agent yet; each will work on a release for `apply`.
    pub(super) async fn new(stage: &Stage, apply: Duration) -> Result<Fleet, Error> {
        let hub = stage.agents_at().parse().map_err(fault)?;
        Ok(Fleet {
            folder: stage.folder().join("light"),
            hub,
            relay: Relay::start(hub).await.map_err(fault)?,
            apply,
            agents: JoinSet::new(),
            events: mpsc::channel(EVENTS_MAX),
        })
    }

    /// Adds agents until there are `count`, and waits until all of them have a session.
    pub(super) async fn grow(&mut self, desk: &Desk, count: usize) -> Result<(), Error> {
        let first = self.agents.len();
        let joins = stream::iter(first..count).map(|n| self.join(desk, n));
        let identities: Vec<_> = joins.buffer_unordered(JOINING_MAX).try_collect().await?;
        for some in identities.chunks(OPENING_MAX) {
            for (n, identity) in some {
                let agent = light::run((*n, self.apply), identity.clone(), self.events.0.clone());
                self.agents.spawn(agent);
            }
            for _ in some {
                self.next(|event| matches!(event, Event::Open).then_some(())).await?;
            }
        }
        Ok(())
    }

    /// Joins through the relay, because the hub bounds attempts from one address; connects without it.
    async fn join(&self, desk: &Desk, n: usize) -> Result<(usize, Identity), Error> {
        let name = format!("light-{n}");
        let text = desk.add_cluster(&name).await?;
        let folder = self.folder.join(&name);
        std::fs::create_dir_all(&folder).map_err(fault)?;
        let join_file = folder.join("join");
        through(&text, self.relay.address(), &join_file)?;
        let clock = Clock::system();
        let facts = b"{}".to_vec();
        let enrolment = Enrolment { join_file, instance_id: name, facts, clock };
        let vault = Vault::directory(&folder.join("state")).await.map_err(fault)?;
        let state = State::open(vault).await.map_err(fault)?;
        // It tries for ever when the hub refuses for a reason that may pass.
        let joined = timeout(SILENCE_MAX, obtain(&enrolment, &state)).await;
        let joined = joined.map_err(|_| fault("joining does not end; see the log of the hub"))?;
        let mut identity = joined.map_err(fault)?;
        identity.endpoints = vec![self.hub.to_string()];
        Ok((n, identity))
    }

    /// Waits until each agent has taken a grant since the call before; when the last one did.
    pub(super) async fn all_acked(&mut self) -> Result<Instant, Error> {
        let mut missing: BTreeSet<usize> = (0..self.agents.len()).collect();
        loop {
            let (agent, at) = self
                .next(|event| match event {
                    Event::Acked { agent, at } => Some((*agent, *at)),
                    Event::Open | Event::Lost(_) => None,
                })
                .await?;
            missing.remove(&agent);
            if missing.is_empty() {
                return Ok(at);
            }
        }
    }

    /// The next event of a kind; a lost session is an error.
    async fn next<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> Result<T, Error> {
        loop {
            let event = timeout(SILENCE_MAX, self.events.1.recv()).await;
            let event = event.map_err(|_| fault("nothing happens"))?;
            match event {
                Some(Event::Lost(why)) => return Err(fault(format!("session lost: {why}"))),
                Some(event) => {
                    if let Some(found) = wanted(&event) {
                        return Ok(found);
                    }
                }
                None => return Err(fault("no agent is left")),
            }
        }
    }
}

/// Writes a join token that leads through another address.
pub(super) fn through(text: &str, address: SocketAddr, file: &Path) -> Result<(), Error> {
    let mut token = JoinToken::parse(text).map_err(fault)?;
    token.endpoints = vec![address.to_string()];
    std::fs::write(file, token.encode())
        .map_err(|cause| Error::File { path: file.to_owned(), cause })
}
