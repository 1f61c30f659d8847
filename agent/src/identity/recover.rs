//! A new certificate when the old one ran out while the hub, or this cluster, was away.

use std::time::Duration;

use model::{Digest, Reason};
use proto::limits::ENROL_MESSAGE_BYTES_MAX;
use proto::proof::Recovery;
use proto::v1::enrolment_client::EnrolmentClient;
use proto::v1::{ChallengeRequest, RecoverRequest};

use super::enrol::{RECOVERY, timely};
use super::keys::{RecoveryKey, TlsKey};
use super::{Error, Identity, tls};
use crate::clock::Clock;
use crate::pauses::Pauses;
use crate::state::Vault;

/// The key of a recovery that has not ended yet: a reply that was lost is asked for again with it.
const PENDING: &str = "recovering";

/// First pause after a network fault; doubled, with full jitter.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// Tries until there is a new certificate, or the hub says no. Refused as an expired certificate when there is
/// nothing to recover with.
pub async fn recover(identity: &Identity, vault: &Vault, clock: Clock) -> Result<Identity, Error> {
    let mut pauses = Pauses::new(PAUSE_MIN, PAUSE_MAX);
    loop {
        match round(identity, vault, clock).await {
            Err(fault @ (Error::Unreachable(_) | Error::Hub(_))) if !fault.is_permanent() => {
                let pause = pauses.next();
                tracing::warn!(
                    fault = crate::fault::causes(&fault),
                    retry_in_ms = pause.as_millis(),
                    "not recovered yet"
                );
                tokio::time::sleep(pause).await;
            }
            ended => return ended,
        }
    }
}

/// One round over all addresses.
async fn round(identity: &Identity, vault: &Vault, clock: Clock) -> Result<Identity, Error> {
    let refused = |message: &str| Error::Refused {
        reason: Reason::CertificateExpired,
        message: message.to_owned(),
    };
    let Some(recovery) = vault.get(RECOVERY).await? else {
        return Err(refused("and there is no recovery key"));
    };
    let recovery = RecoveryKey::from_der(recovery)?;
    let Ok(join_state) = identity.join_state.as_slice().try_into() else {
        return Err(refused("and the hub that issued it does not know recovery"));
    };
    let key = if let Some(der) = vault.get(PENDING).await? {
        TlsKey::from_der(der)
    } else {
        let key = TlsKey::generate()?;
        vault.put(PENDING, key.der().to_vec()).await?;
        key
    };
    let mut last = refused("and it names no address of the hub");
    for endpoint in &identity.endpoints {
        match one(identity, endpoint, (&recovery, &key, join_state), clock).await {
            Ok(recovered) => {
                recovered.save(vault).await?;
                vault.remove(PENDING).await?;
                tracing::info!(cluster = recovered.cluster_name, "recovered");
                return Ok(recovered);
            }
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

async fn one(
    identity: &Identity,
    endpoint: &str,
    (recovery, key, join_state): (&RecoveryKey, &TlsKey, &[u8; 32]),
    clock: Clock,
) -> Result<Identity, Error> {
    let config = tls::pinned(&pins(identity), clock)?;
    let opened = tls::open(endpoint, config, &identity.fleet_id, clock).await?;
    let mut client = EnrolmentClient::new(opened.channel)
        .max_decoding_message_size(ENROL_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ENROL_MESSAGE_BYTES_MAX);
    // The uid without its hyphens is the 16 bytes that a challenge is asked for with.
    let name = hex::decode(identity.cluster_uid.replace('-', "")).unwrap_or_default();
    let challenge = timely(client.challenge(ChallengeRequest { token_id: name })).await?;
    let nonce = challenge.nonce.as_slice().try_into();
    let nonce = nonce.map_err(|_| Error::Hub("the hub's nonce has not 32 bytes".to_owned()))?;
    let csr_der = key.request()?;
    let shown = Recovery {
        nonce,
        join_state,
        csr_der: &csr_der,
        fleet_id: &identity.fleet_id,
        cluster_uid: &identity.cluster_uid,
    };
    let recovery_signature = recovery.sign(&shown.message(&opened.exporter));
    let request = RecoverRequest {
        cluster_uid: identity.cluster_uid.clone(),
        nonce: challenge.nonce.clone(),
        csr_der,
        join_state: join_state.to_vec(),
        recovery_signature,
    };
    let reply = timely(client.recover(request)).await?;
    if reply.chain_der.is_empty() || reply.roots_der.is_empty() {
        return Err(Error::Hub("the hub's answer holds no certificate".to_owned()));
    }
    Ok(Identity {
        chain: reply.chain_der,
        roots: reply.roots_der,
        key: key.clone(),
        join_state: reply.join_state,
        ..identity.clone()
    })
}

/// What is trusted: the roots of the last answer, as a join token would pin them.
fn pins(identity: &Identity) -> Vec<[u8; 32]> {
    let pin = |root: &Vec<u8>| {
        let (_, root) = x509_parser::parse_x509_certificate(root).ok()?;
        Some(*Digest::of(root.public_key().raw).as_bytes())
    };
    identity.roots.iter().filter_map(pin).collect()
}
