//! An agent without a cluster: it joins and speaks as the real one does, and calls every grant healthy at once.

use std::{collections::BTreeMap, time::Duration};

use agent::{
    clock::Clock,
    identity::{self, Identity},
};
use model::{AppName, Digest, Directive, Epoch, Phase, Report};
use proto::{
    convert::{Directed, Held, Reported, digest_to_wire, held_digest},
    limits::{HEARTBEAT_SECONDS, PROTOCOL_MAX, PROTOCOL_MIN},
    v1::{
        AgentMessage, Heartbeat, Hello, Synced, agent_client::AgentClient,
        agent_message::Message as Up, hub_message::Message as Down,
    },
};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;

/// Messages between an agent and its transport.
const OUT_MAX: usize = 8;

/// What an agent tells the measurement.
#[derive(Debug)]
pub(super) enum Event {
    /// The hub greeted.
    Open,
    /// A grant was taken, and a report of it handed to the transport.
    Acked { agent: usize, at: Instant },
    /// The session ended, though nobody wanted that.
    Lost(String),
}

/// Holds a session until it breaks or the task is aborted.
pub(super) async fn run(agent: usize, identity: Identity, events: mpsc::Sender<Event>) {
    if let Err(why) = session(agent, &identity, &events).await {
        drop(events.send(Event::Lost(format!("{}: {why}", identity.cluster_name))).await);
    }
}

async fn session(
    agent: usize,
    identity: &Identity,
    events: &mpsc::Sender<Event>,
) -> Result<(), String> {
    let clock = Clock::system();
    let config = identity::mutual(identity, clock).map_err(|e| e.to_string())?;
    let endpoint = identity.endpoints.first().ok_or("no address")?;
    let opened = identity::open(endpoint, config, &identity.fleet_id, clock).await;
    let opened = opened.map_err(|e| e.to_string())?;
    let (out, up) = mpsc::channel(OUT_MAX);
    let say = async |message| {
        let message = AgentMessage { message: Some(message) };
        out.send(message).await.map_err(|_| "nobody takes our messages".to_owned())
    };
    say(Up::Hello(hello(identity, clock))).await?;
    let call = AgentClient::new(opened.channel).session(ReceiverStream::new(up)).await;
    let mut down = call.map_err(|e| e.to_string())?.into_inner();
    let pause = Duration::from_secs(u64::from(HEARTBEAT_SECONDS));
    let mut beat = tokio::time::interval_at(Instant::now() + pause, pause);
    let mut view = View::default();
    loop {
        let got = tokio::select! {
            got = down.message() => got.map_err(|e| e.to_string())?.ok_or("the hub hung up")?,
            _ = beat.tick() => {
                say(Up::Heartbeat(Heartbeat {})).await?;
                continue;
            }
        };
        match got.message {
            Some(Down::Welcome(_)) => {
                say(Up::Synced(Synced { apps: 0 })).await?;
                drop(events.send(Event::Open).await);
            }
            Some(Down::Directive(directive)) => {
                let directed = Directed::try_from(directive).map_err(|e| e.to_string())?;
                let is_grant = matches!(directed.directive, Directive::Grant(_));
                if let Some(reported) = view.follow(directed) {
                    say(Up::Report(reported.into())).await?;
                }
                if is_grant {
                    drop(events.send(Event::Acked { agent, at: Instant::now() }).await);
                }
            }
            Some(Down::Goodbye(goodbye)) => return Err(goodbye.message),
            Some(Down::Resync(_)) | None => {}
        }
    }
}

fn hello(identity: &Identity, clock: Clock) -> Hello {
    Hello {
        instance_id: format!("light-{}", identity.cluster_name),
        protocol_min: PROTOCOL_MIN,
        protocol_max: PROTOCOL_MAX,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: Vec::new(),
        boot: 1,
        hub_term_seen: 0,
        held_digest: digest_to_wire(&held_digest(&Held::new())),
        held_apps: 0,
        agent_time_unix_ms: clock.now().as_millisecond(),
    }
}

/// What the agent holds of each App: epoch, digest, fence.
#[derive(Debug, Default)]
struct View {
    apps: BTreeMap<AppName, (Epoch, Option<Digest>, Epoch)>,
    seq: u64,
}

impl View {
    /// Does as told; the report that follows.
    fn follow(&mut self, directed: Directed) -> Option<Reported> {
        let held = self.apps.entry(directed.app.clone()).or_default();
        match directed.directive {
            Directive::Grant(grant) => (held.0, held.1) = (grant.epoch, Some(grant.digest)),
            Directive::Fence(epoch) => held.2 = held.2.max(epoch),
            Directive::Hold => return None,
        }
        self.seq += 1;
        let report = Report {
            boot: 1,
            seq: self.seq,
            epoch: held.0,
            digest: held.1,
            fence: held.2,
            phase: Phase::Healthy,
            healthy_for: Duration::from_millis(1),
            bad_for: Duration::ZERO,
            applying_for: Duration::from_millis(1),
            objects_total: 1,
            objects_healthy: 1,
            drifted: 0,
            unhealthy: Vec::new(),
        };
        Some(Reported { app: directed.app, report, trace: None, options: None })
    }
}
