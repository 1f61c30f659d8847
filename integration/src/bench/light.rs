//! An agent without a cluster: it joins and speaks as the real one does, and calls every grant healthy after a
//! while, or at once.

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
/// `apply` is how long it works on a release.
pub(super) async fn run(
    (agent, apply): (usize, Duration),
    identity: Identity,
    events: mpsc::Sender<Event>,
) {
    if let Err(why) = session((agent, apply), &identity, &events).await {
        drop(events.send(Event::Lost(format!("{}: {why}", identity.cluster_name))).await);
    }
}

async fn session(
    (agent, apply): (usize, Duration),
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
    let mut working: Option<(Instant, AppName)> = None;
    loop {
        let done = working.as_ref().map(|(at, _)| *at);
        let got = tokio::select! {
            got = down.message() => got.map_err(|e| e.to_string())?.ok_or("the hub hung up")?,
            _ = beat.tick() => {
                say(Up::Heartbeat(Heartbeat {})).await?;
                continue;
            }
            () = tokio::time::sleep_until(done.unwrap_or_else(Instant::now)), if done.is_some() => {
                let healthy = working.take().and_then(|(_, app)| view.report(app, Phase::Healthy));
                if let Some(reported) = healthy {
                    say(Up::Report(reported.into())).await?;
                }
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
                let app = directed.app.clone();
                let works = is_grant && !apply.is_zero();
                if view.follow(directed) {
                    let phase = if works { Phase::Applying } else { Phase::Healthy };
                    if let Some(reported) = view.report(app.clone(), phase) {
                        say(Up::Report(reported.into())).await?;
                    }
                }
                if works {
                    working = Some((Instant::now() + apply, app));
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
    /// Does as told; whether there is something to report.
    fn follow(&mut self, directed: Directed) -> bool {
        let held = self.apps.entry(directed.app).or_default();
        match directed.directive {
            Directive::Grant(grant) => (held.0, held.1) = (grant.epoch, Some(grant.digest)),
            Directive::Fence(epoch) => held.2 = held.2.max(epoch),
            Directive::Hold => return false,
        }
        true
    }

    /// What it says of an App that it was told about.
    fn report(&mut self, app: AppName, phase: Phase) -> Option<Reported> {
        let held = *self.apps.get(&app)?;
        self.seq += 1;
        let healthy = phase == Phase::Healthy;
        let report = Report {
            boot: 1,
            seq: self.seq,
            epoch: held.0,
            digest: held.1,
            fence: held.2,
            phase,
            healthy_for: Duration::from_millis(u64::from(healthy)),
            bad_for: Duration::ZERO,
            applying_for: Duration::from_millis(1),
            objects_total: 1,
            objects_healthy: u32::from(healthy),
            drifted: 0,
            unhealthy: Vec::new(),
        };
        Some(Reported { app, report, trace: None, options: None })
    }
}
