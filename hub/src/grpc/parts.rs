//! What the services are made of, and what they know of a caller.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{LeaseEpoch, Reason};
use proto::proof::EXPORTER_BYTES;
use tonic::{Code, Status};

use super::refuse::refuse;
use crate::clock::Clock;
use crate::content::Content;
use crate::engine::{Desk, Fleet};
use crate::pki::{Authority, Peer};
use crate::registry::Registry;

/// How long a challenge holds: the next message on the same connection.
const NONCE_LIFE: Duration = Duration::from_mins(1);

/// Everything behind the agents' port.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Clusters and tokens.
    pub registry: Registry,
    /// Filled by sessions.
    pub fleet: Arc<Fleet>,
    /// Read by sessions.
    pub desk: Arc<Desk>,
    /// What is pulled.
    pub content: Arc<Content>,
    /// Signs.
    pub authority: Arc<Authority>,
    /// The term under which this hub speaks.
    pub lease: LeaseEpoch,
    /// Time.
    pub clock: Clock,
}

/// One connection, as every handler on it sees it. Made from the handshake alone.
#[derive(Debug, Clone)]
pub(super) struct Caller(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: IpAddr,
    peer: Option<Peer>,
    exporter: [u8; EXPORTER_BYTES],
    nonce: Mutex<Option<Nonce>>,
}

/// A challenge on this connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nonce {
    pub(super) bytes: [u8; 32],
    /// When it was given, on the monotonic clock.
    pub(super) at: Duration,
}

impl Caller {
    pub(super) fn new(
        address: IpAddr,
        peer: Option<Peer>,
        exporter: [u8; EXPORTER_BYTES],
    ) -> Caller {
        Caller(Arc::new(Inner { address, peer, exporter, nonce: Mutex::new(None) }))
    }

    /// The caller of a request.
    pub(super) fn of<T>(request: &tonic::Request<T>) -> Result<Caller, Status> {
        let caller = request.extensions().get::<Caller>().cloned();
        caller.ok_or_else(|| {
            refuse(Code::Internal, Reason::Internal, "a request without a connection")
        })
    }

    /// Its address, as it counts for limits.
    pub(super) fn address(&self) -> IpAddr {
        self.0.address
    }

    /// The cluster in its certificate, if it showed one.
    pub(super) fn peer(&self) -> Option<&Peer> {
        self.0.peer.as_ref()
    }

    /// A value that only the two ends of this TLS session know.
    pub(super) fn exporter(&self) -> &[u8; EXPORTER_BYTES] {
        &self.0.exporter
    }

    /// Remembers a challenge; an older one is void.
    pub(super) fn challenge(&self, nonce: Nonce) {
        *self.0.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce);
    }

    /// The challenge that `nonce` answers, once.
    pub(super) fn answered(&self, nonce: &[u8], now: Duration) -> Result<[u8; 32], Status> {
        let unproven = |what: &str| refuse(Code::Unauthenticated, Reason::ProofInvalid, what);
        let open = self.0.nonce.lock().unwrap_or_else(PoisonError::into_inner).take();
        let open = open.ok_or_else(|| unproven("there is no open challenge"))?;
        if open.bytes.as_slice() != nonce {
            return Err(unproven("the proof is for another challenge"));
        }
        if now.saturating_sub(open.at) > NONCE_LIFE {
            return Err(unproven("the challenge is older than a minute"));
        }
        Ok(open.bytes)
    }
}
