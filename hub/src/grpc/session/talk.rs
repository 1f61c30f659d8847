//! One conversation with one agent.

use std::time::Duration;

use model::{Epoch, Reason};
use proto::convert::{Directed, GrantOptions, Reported, cut, digest_from_wire, digest_to_wire};
use proto::limits::{
    FACTS_BYTES_MAX, HEARTBEAT_SECONDS, MESSAGE_BYTES_MAX, PROTOCOL_MAX, PROTOCOL_MIN,
};
use proto::v1::{self, agent_message, hub_message};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tonic::{Code, Status, Streaming};

use super::agenda::{Agenda, options, served_digest};
use super::ended;
use crate::engine::{HelloInfo, Served, SessionId, held};
use crate::grpc::admit::{Cut, judge};
use crate::grpc::count::Rate;
use crate::grpc::parts::Parts;
use crate::grpc::refuse::blocking;
use crate::grpc::roster::is_suspended;
use crate::pki::Peer;

/// An agent greets at once.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// How often a session looks for silence and for what to say again.
const TICK: Duration = Duration::from_secs(10);
/// Silence after which a session ends: four heartbeats and a margin, below the 90 s of `staleAfter`.
const QUIET_MAX: Duration = Duration::from_secs(4 * HEARTBEAT_SECONDS as u64 + 5);
/// An agent that does not finish its first round of reports is served after this time all the same.
const SYNC_WAIT: Duration = Duration::from_secs(30);
/// Messages at once: a first round of 2,000 Apps.
const MESSAGES_BURST: u32 = 2_500;
/// From then on one in this time, 500 a second: 1,000 Apps that all report every 2 s.
const MESSAGE_EVERY: Duration = Duration::from_millis(2);
/// How long the last message may wait for a slow receiver.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);
/// Difference between the clocks that is worth a line in the log.
const SKEW_MS: u64 = 5 * 60 * 1000;
/// Longest version text that is kept, in bytes.
const VERSION_BYTES_MAX: usize = 64;

/// Both ends of the stream, and what was said so far.
pub(super) struct Talk<'a> {
    parts: &'a Parts,
    peer: Peer,
    inbound: Streaming<v1::AgentMessage>,
    sender: mpsc::Sender<Result<v1::HubMessage, Status>>,
    /// 0 until it is allocated.
    epoch: u64,
    session: Option<SessionId>,
    agenda: Agenda,
    synced: bool,
    begun: Duration,
    heard: Duration,
    pace: Rate<()>,
}

impl<'a> Talk<'a> {
    pub(super) fn new(
        parts: &'a Parts,
        peer: Peer,
        inbound: Streaming<v1::AgentMessage>,
        sender: mpsc::Sender<Result<v1::HubMessage, Status>>,
    ) -> Talk<'a> {
        let now = parts.clock.since_start();
        Talk {
            parts,
            peer,
            inbound,
            sender,
            epoch: 0,
            session: None,
            agenda: Agenda::default(),
            synced: false,
            begun: now,
            heard: now,
            pace: Rate::new(MESSAGES_BURST, MESSAGE_EVERY),
        }
    }

    /// Talks until the agent leaves (`Ok`) or is to be sent away.
    pub(super) async fn run(&mut self) -> Result<(), Cut> {
        let Some(mut wake) = self.greet().await? else { return Ok(()) };
        let sender = self.sender.clone();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                room = sender.reserve(), if self.agenda.has_more() => {
                    let Ok(room) = room else { return Ok(()) };
                    if let Some(served) = self.agenda.next() {
                        let directive = hub_message::Message::Directive(directive(served));
                        room.send(Ok(wrap(self.parts, self.epoch, directive)));
                    }
                }
                changed = wake.changed() => {
                    self.still_current(changed.is_ok())?;
                    self.sync();
                }
                message = self.inbound.message() => match message {
                    Ok(Some(message)) => self.hear(message.message).await?,
                    Ok(None) => return Ok(()),
                    Err(status) => return lost(&status),
                },
                _ = tick.tick() => self.look_around()?,
                () = sender.closed() => return Ok(()),
            }
        }
    }

    /// Says why, when the agent is sent away, and leaves the fleet. Returns the end for the log.
    pub(super) async fn close(mut self, end: Option<Cut>) -> Cut {
        if let Some(session) = self.session.take() {
            self.parts.fleet.disconnect(&self.peer.cluster, session);
        }
        let Some(end) = end else { return ended("the agent left") };
        let goodbye = hub_message::Message::Goodbye(v1::Goodbye {
            reason: end.reason.code().to_owned(),
            message: cut(&end.message, MESSAGE_BYTES_MAX).to_owned(),
            retry_after_seconds: 0,
        });
        let goodbye = wrap(self.parts, self.epoch, goodbye);
        // An agent that does not take it finds the stream closed.
        drop(timeout(GOODBYE_WAIT, self.sender.send(Ok(goodbye))).await);
        end
    }

    /// Hello and Welcome. `None`: the agent left.
    async fn greet(&mut self) -> Result<Option<watch::Receiver<u64>>, Cut> {
        let first = match timeout(HELLO_WAIT, self.inbound.message()).await {
            Ok(Ok(Some(first))) => first.message,
            Ok(Ok(None)) => return Ok(None),
            Ok(Err(status)) => return lost(&status).map(|()| None),
            Err(_) => return Err(broken("no Hello came within 10 seconds")),
        };
        let Some(agent_message::Message::Hello(hello)) = first else {
            return Err(broken("the first message is not Hello"));
        };
        let protocol = self.agree_on_protocol(&hello)?;
        self.note_clock(&hello);

        let (registry, uid) = (self.parts.registry.clone(), self.peer.cluster.clone());
        let epoch = blocking(move || registry.next_session(&uid)).await;
        let Ok(Ok(epoch)) = epoch else {
            return Err(Cut::new(Reason::Unavailable, "the hub cannot store the session"));
        };
        self.epoch = epoch;
        let info = HelloInfo {
            agent_version: cut(&hello.agent_version, VERSION_BYTES_MAX).to_owned(),
            boot: hello.boot,
            facts: None,
        };
        let attached = self.parts.fleet.connect(&self.peer.cluster, info);
        self.session = Some(attached.session);
        self.welcome(&hello, protocol).await;
        Ok(Some(attached.wake))
    }

    fn agree_on_protocol(&self, hello: &v1::Hello) -> Result<u32, Cut> {
        let protocol = hello.protocol_max.min(PROTOCOL_MAX);
        if protocol < hello.protocol_min.max(PROTOCOL_MIN) {
            let what = format!(
                "the agent speaks protocols {} to {}, the hub {PROTOCOL_MIN} to {PROTOCOL_MAX}",
                hello.protocol_min, hello.protocol_max
            );
            return Err(Cut::new(Reason::ProtocolUnsupported, what));
        }
        let (seen, ours) = (hello.hub_term_seen, self.parts.lease.0);
        if seen > ours {
            let what = format!("the agent has followed a hub of term {seen}; this one has {ours}");
            return Err(Cut::new(Reason::StaleHub, what));
        }
        Ok(protocol)
    }

    fn note_clock(&self, hello: &v1::Hello) {
        let skew = self.parts.clock.now().as_millisecond().abs_diff(hello.agent_time_unix_ms);
        if skew > SKEW_MS {
            let reason = Reason::ClockSkew.code();
            tracing::warn!(uid = %self.peer.cluster, reason, seconds = skew / 1000, "clocks differ");
        }
    }

    async fn welcome(&mut self, hello: &v1::Hello, protocol: u32) {
        let cluster = self.parts.registry.cluster(&self.peer.cluster);
        let served = self.served();
        let digest = served_digest(&served);
        let welcome = v1::Welcome {
            protocol,
            capabilities: Vec::new(),
            hub_time_unix_ms: self.parts.clock.now().as_millisecond(),
            cluster_name: cluster.map(|c| c.name.to_string()).unwrap_or_default(),
            heartbeat_seconds: HEARTBEAT_SECONDS,
            served_digest: digest_to_wire(&digest),
        };
        if digest_from_wire("hello.held_digest", &hello.held_digest) == Ok(digest) {
            self.agenda.agree(served);
            self.synced = true;
        }
        let welcome = wrap(self.parts, self.epoch, hub_message::Message::Welcome(welcome));
        // Room is there: it is the first message. A closed channel shows in the loop.
        drop(self.sender.send(Ok(welcome)).await);
    }

    async fn hear(&mut self, message: Option<agent_message::Message>) -> Result<(), Cut> {
        let Some(session) = self.session else { return Ok(()) };
        let now = self.parts.clock.since_start();
        self.heard = now;
        if !self.pace.take((), now) {
            // Not read meanwhile: the agent's own transport slows it down.
            sleep(MESSAGE_EVERY).await;
        }
        let (fleet, uid) = (&self.parts.fleet, &self.peer.cluster);
        match message {
            Some(agent_message::Message::Hello(_)) => return Err(broken("a second Hello")),
            Some(agent_message::Message::Report(report)) => self.hear_report(session, report)?,
            Some(agent_message::Message::Synced(_)) => {
                fleet.synced(uid, session);
                self.synced = true;
                self.sync();
            }
            Some(agent_message::Message::Refused(refused)) => self.hear_refused(session, &refused),
            Some(agent_message::Message::Facts(facts)) => self.hear_facts(session, &facts.json),
            // A kind of message that a newer agent knows is a sign of life.
            Some(agent_message::Message::Heartbeat(_)) | None => fleet.heard(uid, session),
        }
        Ok(())
    }

    fn hear_report(&mut self, session: SessionId, report: v1::AppReport) -> Result<(), Cut> {
        let uid = &self.peer.cluster;
        match Reported::try_from(report) {
            Ok(Reported { app, report, trace, options }) => {
                let otherwise = self
                    .agenda
                    .shows(&app, held(&report), options)
                    .map_err(|_| broken("the agent reports on more Apps than the hub takes"))?;
                let trace = trace.map(|trace| trace.traceparent);
                self.parts.fleet.report(uid, session, app, report, trace);
                if otherwise {
                    self.sync();
                }
            }
            Err(error) => {
                tracing::warn!(%uid, %error, "a report cannot be read");
                self.parts.fleet.heard(uid, session);
            }
        }
        Ok(())
    }

    fn hear_refused(&mut self, session: SessionId, refused: &v1::Refused) {
        let uid = &self.peer.cluster;
        let Ok(app) = model::AppName::parse(&refused.app) else {
            return self.parts.fleet.heard(uid, session);
        };
        self.agenda.refused(&app, self.heard);
        let reason = Reason::from_code(&refused.reason).unwrap_or(Reason::ProtocolBroken);
        let message = cut(&refused.message, MESSAGE_BYTES_MAX).to_owned();
        self.parts.fleet.refused(uid, session, app, Epoch(refused.epoch), reason, message);
    }

    fn hear_facts(&self, session: SessionId, json: &[u8]) {
        let uid = &self.peer.cluster;
        match serde_json::from_slice::<model::Facts>(json) {
            Ok(facts) if facts.is_object() && json.len() <= FACTS_BYTES_MAX => {
                self.parts.fleet.facts(uid, session, facts);
            }
            Ok(_) | Err(_) => {
                tracing::warn!(%uid, bytes = json.len(), "facts cannot be read");
                self.parts.fleet.heard(uid, session);
            }
        }
    }

    /// Silence, slow starters, and what is to be said again.
    fn look_around(&mut self) -> Result<(), Cut> {
        let now = self.parts.clock.since_start();
        let quiet = now.saturating_sub(self.heard);
        if quiet > QUIET_MAX {
            return Err(ended("the agent has been silent for too long"));
        }
        if !self.synced && now.saturating_sub(self.begun) > SYNC_WAIT {
            self.synced = true;
            if let Some(session) = self.session {
                self.parts.fleet.synced(&self.peer.cluster, session);
            }
            self.sync();
        }
        if self.agenda.again(now) {
            self.sync();
        }
        Ok(())
    }

    /// Works out anew what is to be said.
    fn sync(&mut self) {
        if self.synced {
            let served = self.served();
            self.agenda.set(served);
        }
    }

    /// What the desk serves; to a suspended cluster nothing.
    fn served(&self) -> Vec<Served> {
        let uid = &self.peer.cluster;
        match self.parts.registry.cluster(uid) {
            Some(cluster) if !is_suspended(&cluster) => self.parts.desk.served(uid),
            Some(_) | None => Vec::new(),
        }
    }

    /// `known`: the fleet still knows the cluster.
    fn still_current(&self, known: bool) -> Result<(), Cut> {
        let uid = &self.peer.cluster;
        let current = self.session.is_some_and(|s| self.parts.fleet.is_current(uid, s));
        if known && current {
            return Ok(());
        }
        let cluster = self.parts.registry.cluster(uid);
        judge(cluster.as_ref(), &self.peer, self.parts.clock.now())?;
        Err(Cut::new(Reason::SessionReplaced, "a newer connection of this cluster is served"))
    }
}

fn directive(served: Served) -> v1::Directive {
    let options = match served.directive {
        model::Directive::Grant(_) => options(&served),
        model::Directive::Hold | model::Directive::Fence(_) => GrantOptions::default(),
    };
    let trace =
        served.trace.map(|traceparent| v1::TraceContext { traceparent, ..Default::default() });
    Directed { app: served.app, directive: served.directive, options, trace }.into()
}

fn wrap(parts: &Parts, session_epoch: u64, message: hub_message::Message) -> v1::HubMessage {
    v1::HubMessage { hub_term: parts.lease.0, session_epoch, message: Some(message) }
}

/// The stream failed: a message over the limit or not protobuf is the agent's fault, the rest is the network.
fn lost(status: &Status) -> Result<(), Cut> {
    let code = status.code();
    if matches!(code, Code::OutOfRange | Code::ResourceExhausted) {
        return Err(broken("a message is larger than 8 KiB"));
    }
    if code == Code::Internal {
        return Err(broken("a message is not protobuf"));
    }
    Ok(())
}

fn broken(what: &str) -> Cut {
    Cut::new(Reason::ProtocolBroken, what)
}
