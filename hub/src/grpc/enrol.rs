//! Joining: a challenge on this connection, then a token, a request and a proof for a certificate.
//!
//! Safe to repeat: the same two keys get the same answer for a quarter of an hour, so that a lost reply
//! costs nothing. Of any number of bearers of one token with different keys exactly one gets in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Digest, Reason};
use proto::limits::{FACTS_BYTES_MAX, PROTOCOL_MAX, PROTOCOL_MIN};
use proto::{proof, v1};
use ring::signature::{ED25519, UnparsedPublicKey};
use tonic::{Code, Request, Response, Status};

use super::count::Rate;
use super::limits::EnrolRate;
use super::parts::{Caller, Nonce, Parts};
use super::recover::Asked;
use super::refuse::{self, blocking, refuse};
use crate::pki::{self, Issued};
use crate::registry::{self, Bound, ClusterRecord, OPEN_TOKENS_MAX, TokenFault, TokenId};

/// Locks that tokens share: a fleet that joins at once shares the writes of the disk.
const SHARDS: usize = 64;
/// Answers kept in each: four times as many as tokens can be open, spread by chance.
const ANSWERS_MAX: usize = 4 * OPEN_TOKENS_MAX / SHARDS;

/// The enrolment service.
#[derive(Debug)]
pub(super) struct Enrolments(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    rate: Rate<IpAddr>,
    answers: [Mutex<Answers>; SHARDS],
}

/// What was answered for each token, to answer the same again. Locked while one answer is made: two
/// callers with the same keys must not get two certificates.
type Answers = BTreeMap<TokenId, Issued>;

/// A request whose form and proofs are right; the token has not been looked at.
struct Proven {
    token: TokenId,
    secret_hash: Digest,
    csr: pki::Request,
    recovery: Vec<u8>,
}

impl Enrolments {
    pub(super) fn new(parts: Parts, rate: EnrolRate) -> Enrolments {
        let every = Duration::from_mins(1) / rate.per_minute.max(1);
        let rate = Rate::new(rate.burst, every);
        Enrolments(Arc::new(Inner {
            parts,
            rate,
            answers: std::array::from_fn(|_| Mutex::default()),
        }))
    }
}

#[tonic::async_trait]
impl v1::enrolment_server::Enrolment for Enrolments {
    async fn challenge(
        &self,
        request: Request<v1::ChallengeRequest>,
    ) -> Result<Response<v1::ChallengeReply>, Status> {
        let caller = Caller::of(&request)?;
        let clock = &self.0.parts.clock;
        if !self.0.rate.take(caller.address(), clock.since_start()) {
            let what = format!("{} tried to join too often", caller.address());
            return Err(refuse(Code::ResourceExhausted, Reason::TooManyAttempts, what));
        }
        // Whether the token exists is not told here: only its secret opens an answer.
        token_id(&request.get_ref().token_id)?;
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(refuse::internal)?;
        caller.challenge(Nonce { bytes, at: clock.since_start() });
        Ok(Response::new(v1::ChallengeReply {
            nonce: bytes.to_vec(),
            hub_time_unix_ms: clock.now().as_millisecond(),
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
        }))
    }

    async fn enrol(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::EnrolReply>, Status> {
        let caller = Caller::of(&request)?;
        let inner = self.0.clone();
        let request = request.into_inner();
        let reply = blocking(move || {
            let proven = inner.prove(&caller, &request)?;
            inner.join(&proven)
        });
        Ok(Response::new(reply.await??))
    }

    async fn recover(
        &self,
        request: Request<v1::RecoverRequest>,
    ) -> Result<Response<v1::RecoverReply>, Status> {
        let caller = Caller::of(&request)?;
        let inner = self.0.clone();
        let request = request.into_inner();
        let reply = blocking(move || {
            let asked = Asked::prove(&inner.parts, &caller, &request)?;
            // One at a time of a cluster: two would both be the next.
            let _turn = inner.answers(&asked.turn());
            asked.recover(&inner.parts)
        });
        Ok(Response::new(reply.await??))
    }
}

impl Inner {
    /// Cheap checks first, then the two proofs of possession.
    fn prove(&self, caller: &Caller, request: &v1::EnrolRequest) -> Result<Proven, Status> {
        let unproven = |what: &str| refuse(Code::Unauthenticated, Reason::ProofInvalid, what);
        let now = self.parts.clock.since_start();
        let nonce = caller.answered(&request.nonce, now)?;
        let token = token_id(&request.token_id)?;
        if request.secret.len() != 32 {
            return Err(malformed("the secret is not 32 bytes"));
        }
        let facts: Result<serde_json::Map<_, _>, _> = serde_json::from_slice(&request.facts_json);
        if request.facts_json.len() > FACTS_BYTES_MAX || facts.is_err() {
            let what = format!("facts are not a JSON object of at most {FACTS_BYTES_MAX} bytes");
            return Err(refuse(Code::InvalidArgument, Reason::ProtocolBroken, what));
        }
        if self.parts.registry.token(&token).is_none() {
            return Err(unknown());
        }
        let fleet_id = self.parts.authority.fleet_id();
        let signed = proof::message(caller.exporter(), &nonce, &request.csr_der, fleet_id);
        UnparsedPublicKey::new(&ED25519, &request.recovery_public_key)
            .verify(&signed, &request.recovery_signature)
            .map_err(|_| unproven("the recovery key did not sign this connection"))?;
        let csr = pki::Request::parse(&request.csr_der)
            .map_err(|fault| refuse(Code::InvalidArgument, Reason::CsrInvalid, fault))?;
        let recovery = request.recovery_public_key.clone();
        Ok(Proven { token, secret_hash: Digest::of(&request.secret), csr, recovery })
    }

    /// Binds the token to the keys, signs, and records the certificate as pending.
    fn join(&self, proven: &Proven) -> Result<v1::EnrolReply, Status> {
        let parts = &self.parts;
        let mut answers = self.answers(&proven.token);
        let bound = parts.registry.bind_token(
            &proven.token,
            proven.secret_hash,
            proven.csr.spki(),
            Digest::of(&proven.recovery),
            parts.clock.now(),
        );
        let Bound { cluster, again } = bound.map_err(|fault| refused(&fault))?;
        if again
            && let Some(issued) = answers.get(&proven.token)
            && is_current(&cluster, issued)
        {
            return Ok(self.reply(&cluster, issued.clone()));
        }
        let issued = parts.authority.issue(&proven.csr, &cluster.uid).map_err(refuse::internal)?;
        let recorded = parts.registry.update_cluster(&cluster.uid, |record| {
            record.pending_serial = Some(issued.serial.clone());
            record.recovery_key = Some(proven.recovery.clone());
            record.not_after = Some(issued.not_after);
            // Another agent may join by a new token: what was given out before is void.
            record.join_seq += u64::from(!again);
            record.recovered_key = None;
        });
        let cluster = match recorded {
            Ok(cluster) => cluster,
            Err(registry::Error::Store(error)) => return Err(refuse::store(&error)),
            Err(_) => return Err(unknown()),
        };
        if answers.len() >= ANSWERS_MAX {
            // Their bearers would get another certificate for the same key instead of the same one.
            answers.clear();
        }
        answers.insert(proven.token, issued.clone());
        drop(answers);
        tracing::info!(cluster = %cluster.name, again, "cluster joined");
        self.audit(&cluster);
        Ok(self.reply(&cluster, issued))
    }

    fn reply(&self, cluster: &ClusterRecord, issued: Issued) -> v1::EnrolReply {
        v1::EnrolReply {
            chain_der: issued.chain,
            roots_der: self.parts.authority.roots(),
            cluster_uid: cluster.uid.to_string(),
            cluster_name: cluster.name.to_string(),
            fleet_id: self.parts.authority.fleet_id().to_owned(),
            join_state: self.parts.authority.join_state(&cluster.uid, cluster.join_seq).to_vec(),
        }
    }

    fn audit(&self, cluster: &ClusterRecord) {
        let object = format!("cluster/{}", cluster.name);
        let now = self.parts.clock.now();
        if let Err(error) = self.parts.registry.audit("agent", "cluster.join", &object, "", now) {
            tracing::warn!(%error, "cannot write the audit row of a join");
        }
    }

    fn answers(&self, token: &TokenId) -> MutexGuard<'_, Answers> {
        let shard = usize::from(token[0]) % SHARDS;
        self.answers[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what was answered before can still be used.
fn is_current(cluster: &ClusterRecord, issued: &Issued) -> bool {
    let serial = Some(&issued.serial);
    cluster.pending_serial.as_ref() == serial || cluster.active_serial.as_ref() == serial
}

fn token_id(bytes: &[u8]) -> Result<TokenId, Status> {
    bytes.try_into().map_err(|_| malformed("the token id is not 16 bytes"))
}

fn malformed(what: &str) -> Status {
    refuse(Code::InvalidArgument, Reason::TokenMalformed, what)
}

/// One answer for an id that does not exist and a secret that is wrong.
fn unknown() -> Status {
    let what = "the join token is not known, or its secret is wrong";
    refuse(Code::Unauthenticated, Reason::TokenUnknown, what)
}

fn refused(fault: &TokenFault) -> Status {
    let no = |reason| refuse(Code::PermissionDenied, reason, fault);
    match fault {
        TokenFault::Unknown | TokenFault::WrongSecret => unknown(),
        TokenFault::Expired(_) => no(Reason::TokenExpired),
        TokenFault::Used { other_key } => {
            if *other_key {
                tracing::error!("a join token was shown by two agents: its cluster is suspended");
            }
            no(Reason::TokenUsed)
        }
        TokenFault::Revoked => no(Reason::ClusterRevoked),
        TokenFault::Store(error) => refuse::store(error),
    }
}
