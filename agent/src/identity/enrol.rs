//! Join token → certificate. Safe to repeat: the keys are kept before they are used, so that a lost reply
//! or a crash ends with the same certificate request.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::limits::ENROL_MESSAGE_BYTES_MAX;
use proto::token::JoinToken;
use proto::v1::enrolment_client::EnrolmentClient;
use proto::v1::{ChallengeRequest, EnrolReply, EnrolRequest};
use serde::{Deserialize, Serialize};

use super::keys::{RecoveryKey, TlsKey};
use super::{Error, Identity, tls};
use crate::clock::Clock;
use crate::pauses::Pauses;
use crate::state::{State, Vault};

/// Keys of an enrolment that has not ended yet.
const PENDING: &str = "enrolment";
/// The recovery key, for ever.
pub(super) const RECOVERY: &str = "recovery";
/// First pause after a network fault; doubled, with full jitter.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// Longest wait for one answer of the hub.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Clocks further apart are worth a warning.
const SKEW_MAX: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// What an enrolment needs.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// Where the token is.
    pub join_file: PathBuf,
    /// This process.
    pub instance_id: String,
    /// About the cluster, at most 4 KiB of JSON.
    pub facts: Vec<u8>,
    /// The time.
    pub clock: Clock,
}

#[derive(Serialize, Deserialize)]
struct Pending {
    token_id: String,
    key: String,
}

/// Tries until there is an identity, or a reason why there will not be one.
pub async fn obtain(enrolment: &Enrolment, state: &State) -> Result<Identity, Error> {
    let mut pauses = Pauses::new(PAUSE_MIN, PAUSE_MAX);
    loop {
        // Read anew each time: a person may put a new token there.
        let token = super::read_token(&enrolment.join_file).await?;
        match attempt(enrolment, &token, state.vault()).await {
            Ok(identity) => return Ok(identity),
            Err(fault) if fault.is_permanent() => return Err(fault),
            Err(fault) => {
                let pause = pauses.next();
                tracing::warn!(
                    fault = crate::fault::causes(&fault),
                    retry_in_ms = pause.as_millis(),
                    "not enrolled yet"
                );
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// One round over all addresses. A permanent refusal by one counts only when no other address might do.
async fn attempt(
    enrolment: &Enrolment,
    token: &JoinToken,
    vault: &Vault,
) -> Result<Identity, Error> {
    let mut worst: Option<Error> = None;
    for endpoint in &token.endpoints {
        match one(enrolment, token, endpoint, vault).await {
            Ok(identity) => return Ok(identity),
            Err(fault) => {
                if worst.as_ref().is_none_or(|w| w.is_permanent() && !fault.is_permanent()) {
                    worst = Some(fault);
                }
            }
        }
    }
    Err(worst.unwrap_or(Error::Hub("the join token names no address".to_owned())))
}

async fn one(
    enrolment: &Enrolment,
    token: &JoinToken,
    endpoint: &str,
    vault: &Vault,
) -> Result<Identity, Error> {
    let clock = enrolment.clock;
    let config = tls::pinned(&token.pins, clock)?;
    let opened = tls::open(endpoint, config, &token.fleet_id, clock).await?;
    let mut client = EnrolmentClient::new(opened.channel)
        .max_decoding_message_size(ENROL_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ENROL_MESSAGE_BYTES_MAX);
    let challenge = ChallengeRequest { token_id: token.token_id.to_vec() };
    let challenge = timely(client.challenge(challenge)).await?;
    let hub_time = jiff::Timestamp::from_millisecond(challenge.hub_time_unix_ms).ok();
    let skew = hub_time.map(|hub| clock.now().duration_since(hub)).unwrap_or_default();
    if skew.abs() > SKEW_MAX {
        tracing::warn!(skew_seconds = skew.as_secs(), "clocks of hub and agent differ");
    }
    let (key, recovery) = keys(token, vault).await?;
    let csr = key.request()?;
    let nonce: [u8; 32] = challenge
        .nonce
        .as_slice()
        .try_into()
        .map_err(|_| Error::Hub("the hub's nonce has not 32 bytes".to_owned()))?;
    let message = proto::proof::message(&opened.exporter, &nonce, &csr, &token.fleet_id);
    let request = EnrolRequest {
        token_id: token.token_id.to_vec(),
        secret: token.secret.reveal().to_vec(),
        nonce: challenge.nonce,
        csr_der: csr,
        recovery_public_key: recovery.public().to_vec(),
        recovery_signature: recovery.sign(&message),
        instance_id: enrolment.instance_id.clone(),
        facts_json: enrolment.facts.clone(),
    };
    let reply = timely(client.enrol(request)).await?;
    let identity = identity(token, key, reply)?;
    identity.save(vault).await?;
    vault.remove(PENDING).await?;
    tracing::info!(cluster = identity.cluster_name, uid = identity.cluster_uid, "enrolled");
    Ok(identity)
}

pub(super) async fn timely<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER_MAX, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(Error::of_status(&status)),
        Err(_) => Err(Error::Hub(format!("no answer within {} s", ANSWER_MAX.as_secs()))),
    }
}

/// The keys of this token, made at the first try and kept before they are shown to anybody.
async fn keys(token: &JoinToken, vault: &Vault) -> Result<(TlsKey, RecoveryKey), Error> {
    let recovery = if let Some(der) = vault.get(RECOVERY).await? {
        RecoveryKey::from_der(der)?
    } else {
        let recovery = RecoveryKey::generate()?;
        vault.put(RECOVERY, recovery.der().to_vec()).await?;
        recovery
    };
    let token_id = hex::encode(token.token_id);
    let pending = vault.get(PENDING).await?;
    let pending: Option<Pending> = pending.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let kept = pending.filter(|p| p.token_id == token_id);
    if let Some(der) = kept.and_then(|p| STANDARD.decode(p.key).ok()) {
        return Ok((TlsKey::from_der(der), recovery));
    }
    let key = TlsKey::generate()?;
    let pending = Pending { token_id, key: STANDARD.encode(key.der()) };
    let bytes = serde_json::to_vec(&pending).map_err(|e| Error::Key(e.to_string()))?;
    vault.put(PENDING, bytes).await?;
    Ok((key, recovery))
}

fn identity(token: &JoinToken, key: TlsKey, reply: EnrolReply) -> Result<Identity, Error> {
    if reply.fleet_id != token.fleet_id {
        return Err(Error::Hub("the hub answered for another fleet".to_owned()));
    }
    if reply.chain_der.is_empty() || reply.roots_der.is_empty() {
        return Err(Error::Hub("the hub's answer holds no certificate".to_owned()));
    }
    Ok(Identity {
        fleet_id: reply.fleet_id,
        cluster_uid: reply.cluster_uid,
        cluster_name: reply.cluster_name,
        endpoints: token.endpoints.clone(),
        chain: reply.chain_der,
        roots: reply.roots_der,
        key,
        token_id: token.token_id,
        join_state: reply.join_state,
    })
}
