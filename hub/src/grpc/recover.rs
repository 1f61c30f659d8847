//! A certificate for an agent whose own ran out while it was away.
//!
//! It proves that it has the recovery key of its cluster, on this connection, and shows what its last join or
//! recovery gave it. A copy of an agent that recovered before has taken that value's place, so that a
//! value of the past means two agents: then the cluster is suspended, and a person decides.

use std::time::Duration;

use jiff::Timestamp;
use model::{ClusterUid, Digest, Reason};
use proto::proof::{JOIN_STATE_BYTES, Recovery};
use proto::v1;
use ring::signature::{ED25519, UnparsedPublicKey};
use tonic::{Code, Status};

use super::parts::{Caller, Parts};
use super::refuse::{self, refuse};
use crate::pki;
use crate::registry::{self, ClusterRecord, ClusterState, TokenId};

/// Longest time after the end of its certificate in which an agent gets a new one by itself.
const OFFLINE_MAX: Duration = Duration::from_hours(90 * 24);
/// Recoveries of one cluster in [`RECENT`]: an agent that is often away for three days needs a person.
const RECOVERIES_MAX: usize = 5;
/// The time in which they count.
const RECENT: Duration = Duration::from_hours(30 * 24);

/// A recovery whose form and proof are right.
pub(super) struct Asked {
    uid: ClusterUid,
    csr: pki::Request,
    join_state: [u8; JOIN_STATE_BYTES],
}

impl Asked {
    /// Checks the proof. An unknown cluster, one without a recovery key and a wrong signature look the same.
    pub(super) fn prove(
        parts: &Parts,
        caller: &Caller,
        request: &v1::RecoverRequest,
    ) -> Result<Asked, Status> {
        let unproven = || {
            let what = "the recovery key did not sign this connection, or its cluster is not known";
            refuse(Code::Unauthenticated, Reason::ProofInvalid, what)
        };
        let nonce = caller.answered(&request.nonce, parts.clock.since_start())?;
        let uid = ClusterUid::parse(&request.cluster_uid).map_err(|_| unproven())?;
        let join_state = request.join_state.as_slice().try_into().map_err(|_| unproven())?;
        let cluster = parts.registry.cluster(&uid).ok_or_else(unproven)?;
        let key = cluster.recovery_key.ok_or_else(unproven)?;
        let recovery = Recovery {
            nonce: &nonce,
            join_state: &join_state,
            csr_der: &request.csr_der,
            fleet_id: parts.authority.fleet_id(),
            cluster_uid: &uid.to_string(),
        };
        UnparsedPublicKey::new(&ED25519, key)
            .verify(&recovery.message(caller.exporter()), &request.recovery_signature)
            .map_err(|_| unproven())?;
        let csr = pki::Request::parse(&request.csr_der)
            .map_err(|fault| refuse(Code::InvalidArgument, Reason::CsrInvalid, fault))?;
        Ok(Asked { uid, csr, join_state })
    }

    /// Spreads clusters over the locks of the tokens.
    pub(super) fn turn(&self) -> TokenId {
        let mut turn = TokenId::default();
        turn.copy_from_slice(&Digest::of(self.uid.to_string().as_bytes()).as_bytes()[..16]);
        turn
    }

    /// Signs and records the certificate as pending, unless something speaks against it. Not to be called
    /// twice at once for one cluster.
    pub(super) fn recover(&self, parts: &Parts) -> Result<v1::RecoverReply, Status> {
        let now = parts.clock.now();
        let cluster = parts.registry.cluster(&self.uid);
        let cluster = cluster.ok_or_else(|| no(Reason::ClusterRevoked, "the cluster is gone"))?;
        match &cluster.state {
            ClusterState::Revoked => {
                return Err(no(Reason::ClusterRevoked, "the cluster was revoked"));
            }
            ClusterState::Suspended { why } => {
                return Err(no(
                    Reason::ClusterSuspended,
                    &format!("the cluster is suspended: {why}"),
                ));
            }
            ClusterState::Pending | ClusterState::Active => {}
        }
        let again = self.is_again(parts, &cluster);
        if !again && !parts.authority.is_join_state(&self.uid, cluster.join_seq, &self.join_state) {
            return Err(self.suspend(parts, &cluster));
        }
        let recent = recent(&cluster, now);
        check_time(&cluster, now)?;
        if !again && recent.len() >= RECOVERIES_MAX {
            let what = format!("{RECOVERIES_MAX} recoveries in 30 days; a new join token helps");
            return Err(refuse(Code::ResourceExhausted, Reason::TooManyAttempts, what));
        }
        let issued = parts.authority.issue(&self.csr, &self.uid).map_err(refuse::internal)?;
        let recorded = parts.registry.update_cluster(&self.uid, |record| {
            record.pending_serial = Some(issued.serial.clone());
            record.not_after = Some(issued.not_after);
            if !again {
                record.join_seq += 1;
                record.recovered_key = Some(self.csr.spki());
                record.recoveries = recent.iter().copied().chain([now]).collect();
            }
        });
        let cluster = recorded.map_err(|error| failed(&error))?;
        tracing::info!(cluster = %cluster.name, again, "cluster recovered");
        audit(parts, &cluster, "cluster.recover", "");
        let join_state = parts.authority.join_state(&self.uid, cluster.join_seq).to_vec();
        let roots_der = parts.authority.roots();
        Ok(v1::RecoverReply { chain_der: issued.chain, roots_der, join_state })
    }

    /// Whether the reply to this very agent was lost: only it has the key of the last recovery.
    fn is_again(&self, parts: &Parts, cluster: &ClusterRecord) -> bool {
        let before = cluster.join_seq.checked_sub(1);
        cluster.recovered_key == Some(self.csr.spki())
            && before
                .is_some_and(|seq| parts.authority.is_join_state(&self.uid, seq, &self.join_state))
    }

    /// Two agents have this identity.
    fn suspend(&self, parts: &Parts, cluster: &ClusterRecord) -> Status {
        let why = "an agent tried to recover with the state of an earlier join: two agents may have its identity";
        let suspended = parts.registry.update_cluster(&self.uid, |record| {
            record.state = ClusterState::Suspended { why: why.to_owned() };
        });
        if let Err(error) = suspended {
            return failed(&error);
        }
        tracing::error!(cluster = %cluster.name, "a cluster is suspended: {why}");
        audit(parts, cluster, "cluster.suspend", why);
        no(Reason::ClusterSuspended, why)
    }
}

fn recent(cluster: &ClusterRecord, now: Timestamp) -> Vec<Timestamp> {
    let is_recent = |at: &&Timestamp| {
        Duration::try_from(now.duration_since(**at)).is_ok_and(|age| age < RECENT)
    };
    cluster.recoveries.iter().filter(is_recent).copied().collect()
}

/// Not too long after the end of the newest certificate.
fn check_time(cluster: &ClusterRecord, now: Timestamp) -> Result<(), Status> {
    let ended = cluster.not_after.map(|end| now.duration_since(end));
    let ended = ended.and_then(|since| Duration::try_from(since).ok()).unwrap_or_default();
    if ended <= OFFLINE_MAX {
        return Ok(());
    }
    let days = ended.as_secs() / (24 * 60 * 60);
    Err(no(Reason::CertificateExpired, &format!("its certificate ended {days} days ago")))
}

fn no(reason: Reason, what: &str) -> Status {
    refuse(Code::PermissionDenied, reason, what)
}

fn failed(error: &registry::Error) -> Status {
    match error {
        registry::Error::Store(error) => refuse::store(error),
        registry::Error::NotFound { .. }
        | registry::Error::Revoked(_)
        | registry::Error::NotCurrent { .. }
        | registry::Error::AlreadyExists { .. }
        | registry::Error::TooManyTokens
        | registry::Error::TooMany { .. } => no(Reason::ClusterRevoked, "the cluster is gone"),
    }
}

fn audit(parts: &Parts, cluster: &ClusterRecord, verb: &str, why: &str) {
    let object = format!("cluster/{}", cluster.name);
    let row = parts.registry.audit("agent", verb, &object, why, parts.clock.now());
    if let Err(error) = row {
        tracing::warn!(%error, "cannot write the audit row of a recovery");
    }
}
