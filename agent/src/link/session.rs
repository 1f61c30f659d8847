//! One session: greeting, then reports up and directives down, until either side ends it.

use std::sync::Arc;
use std::time::Duration;

use model::{LeaseEpoch, Reason};
use proto::convert::{Directed, digest_to_wire, held_digest};
use proto::limits::{HEARTBEAT_SECONDS, PROTOCOL_MAX, PROTOCOL_MIN, SESSION_MESSAGE_BYTES_MAX};
use proto::v1::agent_client::AgentClient;
use proto::v1::agent_message::Message as Up;
use proto::v1::hub_message::Message as Down;
use proto::v1::{AgentMessage, Goodbye, Heartbeat, Hello, HubMessage, Synced, Welcome};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::{Board, Heard};
use crate::clock::Clock;
use crate::identity;
use crate::metrics::Metrics;

/// Messages between us and the transport; more wait on the board, where they coalesce.
const OUT_MAX: usize = 8;
/// Longest wait for the hub's greeting.
const GREETING_MAX: Duration = Duration::from_secs(15);
/// How often the board is looked at though nothing moved: durations grow by themselves.
const LOOK: Duration = Duration::from_millis(500);
/// Clocks further apart are worth a warning.
const SKEW_MAX: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// The connection broke, or the hub misbehaved.
    Broken(String),
    /// The hub said no, with a reason.
    Refused(Reason, String),
    /// The hub said goodbye.
    Goodbye(Goodbye),
}

/// What a session works with.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: AgentClient<Channel>,
    pub(super) board: Arc<Board>,
    pub(super) heard: mpsc::Sender<Heard>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    pub(super) instance_id: String,
    pub(super) boot: u64,
}

/// Where a session is.
#[derive(Debug)]
enum State {
    /// We greeted; nothing else may be said.
    Greeting { until: Instant },
    /// Both greeted.
    Open { session_epoch: u64, hub_term: LeaseEpoch },
}

impl Session {
    /// Runs until it ends. `opened` is called once both sides have greeted.
    pub(super) async fn run(mut self, opened: impl FnOnce()) -> End {
        let (out, up) = mpsc::channel(OUT_MAX);
        // The channel is empty, so the greeting has room.
        drop(out.try_send(message(Up::Hello(self.hello()))));
        let client = self.client.clone().max_decoding_message_size(SESSION_MESSAGE_BYTES_MAX);
        let mut client = client.max_encoding_message_size(SESSION_MESSAGE_BYTES_MAX);
        let call = client.session(ReceiverStream::new(up));
        let mut down = match tokio::time::timeout(GREETING_MAX, call).await {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => return refusal(&status),
            Err(_) => return End::Broken("the hub does not greet".to_owned()),
        };
        let mut state = State::Greeting { until: Instant::now() + GREETING_MAX };
        let mut opened = Some(opened);
        let mut synced = false;
        let mut sent = Instant::now();
        let board = Arc::clone(&self.board);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = down.message() => {
                    let got = match received {
                        Ok(Some(got)) => got,
                        Ok(None) => return End::Broken("the hub hung up".to_owned()),
                        Err(status) => return refusal(&status),
                    };
                    self.metrics.message("in", self.clock.now().as_second());
                    if let Err(end) = self.receive(got, &mut state).await {
                        return end;
                    }
                }
                () = board.moved() => {}
                _ = look.tick() => {}
            }
            match &state {
                State::Greeting { until } if Instant::now() > *until => {
                    return End::Broken("the hub does not greet".to_owned());
                }
                State::Greeting { .. } => continue,
                State::Open { .. } => {}
            }
            if let Some(opened) = opened.take() {
                opened();
                board.all_is_news();
            }
            if self.tell(&out, &mut synced, &mut sent).is_err() {
                return End::Broken("the connection closed".to_owned());
            }
        }
    }

    /// Sends what is due and fits.
    fn tell(
        &self,
        out: &mpsc::Sender<AgentMessage>,
        synced: &mut bool,
        sent: &mut Instant,
    ) -> Result<(), Closed> {
        loop {
            let permit = match out.try_reserve() {
                Ok(permit) => permit,
                Err(mpsc::error::TrySendError::Full(())) => return Ok(()),
                Err(mpsc::error::TrySendError::Closed(())) => return Err(Closed),
            };
            let heartbeat = Duration::from_secs(u64::from(HEARTBEAT_SECONDS));
            let next = if let Some(report) = self.board.due() {
                Up::Report(report.into())
            } else if let Some(refused) = self.board.refusal() {
                Up::Refused(refused)
            } else if !*synced {
                *synced = true;
                let apps = u32::try_from(self.board.held().len()).unwrap_or(u32::MAX);
                Up::Synced(Synced { apps })
            } else if let Some(facts) = self.board.facts() {
                Up::Facts(facts)
            } else if sent.elapsed() >= heartbeat {
                Up::Heartbeat(Heartbeat {})
            } else {
                return Ok(());
            };
            permit.send(message(next));
            *sent = Instant::now();
            self.metrics.message("out", self.clock.now().as_second());
        }
    }

    fn hello(&self) -> Hello {
        let held = self.board.held();
        Hello {
            instance_id: self.instance_id.clone(),
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: Vec::new(),
            boot: self.boot,
            hub_term_seen: self.board.hub_term().0,
            held_digest: digest_to_wire(&held_digest(&held)),
            held_apps: u32::try_from(held.len()).unwrap_or(u32::MAX),
            agent_time_unix_ms: self.clock.now().as_millisecond(),
        }
    }

    async fn receive(&mut self, got: HubMessage, state: &mut State) -> Result<(), End> {
        let HubMessage { hub_term, session_epoch: epoch, message } = got;
        let term = LeaseEpoch(hub_term);
        let Some(message) = message else { return Ok(()) };
        match (&*state, message) {
            (_, Down::Goodbye(goodbye)) => Err(End::Goodbye(goodbye)),
            (State::Greeting { .. }, Down::Welcome(welcome)) => {
                self.welcome(&welcome, term)?;
                *state = State::Open { session_epoch: epoch, hub_term: term };
                Ok(())
            }
            (State::Greeting { .. }, Down::Directive(_) | Down::Resync(_)) => {
                Err(End::Broken("the hub spoke before it greeted".to_owned()))
            }
            (State::Open { session_epoch, hub_term }, _)
                if *session_epoch != epoch || term < *hub_term =>
            {
                tracing::debug!(epoch, %term, "dropped a message of an older session or hub");
                Ok(())
            }
            (State::Open { .. }, Down::Directive(directive)) => {
                let directed = match Directed::try_from(directive) {
                    Ok(directed) => directed,
                    Err(fault) => {
                        // It would be said again after every greeting; the others still count.
                        tracing::error!(%fault, "a directive cannot be understood");
                        return Ok(());
                    }
                };
                self.board.hear(term);
                let heard = Heard { hub_term: term, directed };
                let passed = self.heard.send(heard).await;
                passed.map_err(|_| End::Broken("the agent is stopping".to_owned()))
            }
            (State::Open { .. }, Down::Resync(_)) => {
                self.board.all_is_news();
                Ok(())
            }
            (State::Open { .. }, Down::Welcome(_)) => {
                Err(End::Broken("the hub greeted twice".to_owned()))
            }
        }
    }

    fn welcome(&self, welcome: &Welcome, term: LeaseEpoch) -> Result<(), End> {
        if !(PROTOCOL_MIN..=PROTOCOL_MAX).contains(&welcome.protocol) {
            let message = format!("the hub wants protocol {}", welcome.protocol);
            return Err(End::Refused(Reason::ProtocolUnsupported, message));
        }
        if !self.board.hear(term) {
            let message = format!("its term is {term}, {} was seen", self.board.hub_term());
            return Err(End::Refused(Reason::StaleHub, message));
        }
        let hub = jiff::Timestamp::from_millisecond(welcome.hub_time_unix_ms).ok();
        let skew = hub.map(|hub| self.clock.now().duration_since(hub)).unwrap_or_default();
        if skew.abs() > SKEW_MAX {
            let reason = Reason::ClockSkew;
            tracing::warn!(%reason, skew_seconds = skew.as_secs(), "{}", reason.next_step());
        }
        tracing::info!(cluster = welcome.cluster_name, %term, "session open");
        Ok(())
    }
}

/// Nobody takes our messages any more.
struct Closed;

fn message(up: Up) -> AgentMessage {
    AgentMessage { message: Some(up) }
}

fn refusal(status: &tonic::Status) -> End {
    match identity::reason_of(status) {
        Some(reason) => End::Refused(reason, status.message().to_owned()),
        None => End::Broken(format!("{}: {}", status.code(), crate::fault::causes(status))),
    }
}
