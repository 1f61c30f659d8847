//! Keeps a session open: dials, greets, renews the certificate, dials again.

use std::sync::Arc;
use std::time::Duration;

use model::Reason;
use proto::v1::agent_client::AgentClient;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::transport::Channel;

use super::session::{End, Session};
use super::{Board, Heard, Puller};
use crate::clock::{self, Clock};
use crate::identity::{self, Identity};
use crate::metrics::Metrics;
use crate::pauses::Pauses;
use crate::state::State;

/// Bound of the first pause; full jitter, so anything from zero on.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Bound of the longest pause: 10,000 agents are back within two minutes of a hub's return.
const PAUSE_MAX: Duration = Duration::from_mins(2);
/// A session that lived so long starts the pauses anew.
const STABLE: Duration = Duration::from_secs(10);
/// Longest pause that a hub may ask for.
const ASKED_PAUSE_MAX: Duration = Duration::from_mins(10);
/// Pauses after a renewal that failed, with full jitter.
const RENEWAL_PAUSE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(30));

/// What the line cannot give itself.
#[derive(Debug)]
pub enum Need {
    /// The identity is refused for good: only a new token helps.
    Identity(Reason),
}

/// Everything a line works with.
#[derive(Debug)]
pub struct Line {
    board: Arc<Board>,
    heard: mpsc::Sender<Heard>,
    open: watch::Sender<Option<AgentClient<Channel>>>,
    metrics: Arc<Metrics>,
    clock: Clock,
    state: State,
    instance_id: String,
}

impl Line {
    /// A line that is not open yet. Directives go to `heard`.
    pub fn new(
        board: Arc<Board>,
        heard: mpsc::Sender<Heard>,
        metrics: Arc<Metrics>,
        clock: Clock,
        state: State,
        instance_id: String,
    ) -> Line {
        let open = watch::channel(None).0;
        Line { board, heard, open, metrics, clock, state, instance_id }
    }

    /// Pulls over it, whenever it is open.
    pub fn puller(&self) -> Puller {
        Puller::new(self.open.subscribe())
    }

    /// Keeps a session open with `identity`; ends only when that identity is of no use any more.
    pub async fn keep(&self, mut identity: Identity) -> Need {
        let mut pauses = Pauses::new(PAUSE_MIN, PAUSE_MAX);
        let mut turn = 0;
        let mut offline = Instant::now();
        loop {
            let began = Instant::now();
            let outcome = self.once(&mut identity, turn, &mut offline).await;
            self.open.send_replace(None);
            if self.metrics.is_connected() {
                offline = Instant::now();
            }
            self.metrics.connected(false);
            turn += 1;
            if began.elapsed() >= STABLE {
                pauses.reset();
            }
            let mut pause = pauses.next();
            let over = |(_, end): (_, jiff::Timestamp)| self.clock.now() > end;
            if !matches!(outcome, Outcome::Renewed) && identity.validity().is_some_and(over) {
                return Need::Identity(Reason::CertificateExpired);
            }
            match outcome {
                Outcome::Renewed => pause = Duration::ZERO,
                Outcome::Failed(why) => {
                    tracing::warn!(why, retry_in_ms = pause.as_millis(), "no session with the hub");
                }
                Outcome::Ended(End::Broken(why)) => {
                    tracing::info!(why, retry_in_ms = pause.as_millis(), "session ended");
                }
                Outcome::Ended(End::Refused(reason, message)) => {
                    tracing::error!(%reason, message, "{}", reason.next_step());
                    if is_final(reason) {
                        return Need::Identity(reason);
                    }
                }
                Outcome::Ended(End::Goodbye(goodbye)) => {
                    let asked = Duration::from_secs(u64::from(goodbye.retry_after_seconds));
                    pause = pause.max(clock::between(asked, asked * 2)).min(ASKED_PAUSE_MAX);
                    let (reason, message) = (&goodbye.reason, &goodbye.message);
                    tracing::info!(reason, message, retry_in_ms = pause.as_millis(), "goodbye");
                    if let Some(reason) = Reason::from_code(reason).filter(|r| is_final(*r)) {
                        return Need::Identity(reason);
                    }
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// One connection, from dialling to its end.
    async fn once(&self, identity: &mut Identity, turn: usize, offline: &mut Instant) -> Outcome {
        let endpoint = &identity.endpoints[turn % identity.endpoints.len().max(1)];
        let dialled = match identity::mutual(identity, self.clock) {
            Ok(config) => identity::open(endpoint, config, &identity.fleet_id, self.clock).await,
            Err(fault) => Err(fault),
        };
        let client = match dialled {
            Ok(opened) => AgentClient::new(opened.channel),
            Err(fault) => return Outcome::Failed(fault.to_string()),
        };
        if let Some((_, end)) = identity.validity() {
            self.metrics.certificate_expires(end.as_second());
        }
        let session = Session {
            client: client.clone(),
            board: Arc::clone(&self.board),
            heard: self.heard.clone(),
            metrics: Arc::clone(&self.metrics),
            clock: self.clock,
            instance_id: self.instance_id.clone(),
            boot: self.state.boot(),
        };
        let opened = || {
            self.metrics.connected(true);
            self.metrics.offline(offline.elapsed());
            self.open.send_replace(Some(client.clone()));
        };
        tokio::select! {
            end = session.run(opened) => Outcome::Ended(end),
            renewed = self.renew(client.clone(), identity.clone()) => {
                *identity = renewed;
                Outcome::Renewed
            }
        }
    }

    /// Waits until the certificate is due, and gets a new one over the open connection.
    async fn renew(&self, mut client: AgentClient<Channel>, identity: Identity) -> Identity {
        tokio::time::sleep(identity::renew_after(&identity, self.clock.now())).await;
        let mut longest = RENEWAL_PAUSE.0;
        loop {
            match identity::renew(&mut client, &identity, self.state.vault()).await {
                Ok(renewed) => {
                    tracing::info!("certificate renewed");
                    return renewed;
                }
                Err(fault) => {
                    let pause = clock::between(Duration::from_secs(1), longest);
                    tracing::warn!(
                        fault = crate::fault::causes(&fault),
                        retry_in_ms = pause.as_millis(),
                        "certificate not renewed"
                    );
                    tokio::time::sleep(pause).await;
                    longest = (longest * 2).min(RENEWAL_PAUSE.1);
                }
            }
        }
    }
}

/// How one connection ended.
#[derive(Debug)]
enum Outcome {
    /// There was none.
    Failed(String),
    /// There was one.
    Ended(End),
    /// The next one has a new certificate.
    Renewed,
}

/// Whether the identity will never be accepted again.
fn is_final(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ClusterRevoked | Reason::CertificateNotActive | Reason::CertificateExpired
    )
}
