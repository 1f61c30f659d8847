//! A new certificate for a new key, long before the old one ends.

use std::time::Duration;

use jiff::Timestamp;
use proto::v1::RenewRequest;
use proto::v1::agent_client::AgentClient;
use tonic::transport::Channel;

use super::{Error, Identity, TlsKey};
use crate::clock;
use crate::state::Vault;

/// Longest wait for the hub's answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// How long until renewal is due at `now`: at a random point between one third and one half of the
/// certificate's life, so that a fleet that joined together does not renew together. Zero when that has passed.
pub fn renew_after(identity: &Identity, now: Timestamp) -> Duration {
    let Some((begin, end)) = identity.validity() else { return Duration::ZERO };
    let life = Duration::try_from(end.duration_since(begin)).unwrap_or_default();
    let age = Duration::try_from(now.duration_since(begin)).unwrap_or_default();
    clock::between(life / 3, life / 2).saturating_sub(age)
}

/// Asks for a new certificate over the present connection, and keeps it.
pub async fn renew(
    client: &mut AgentClient<Channel>,
    identity: &Identity,
    vault: &Vault,
) -> Result<Identity, Error> {
    let key = TlsKey::generate()?;
    let request = RenewRequest { csr_der: key.request()? };
    let reply = tokio::time::timeout(ANSWER_MAX, client.renew(request))
        .await
        .map_err(|_| Error::Hub("no answer to the renewal".to_owned()))?
        .map_err(|status| Error::of_status(&status))?
        .into_inner();
    if reply.chain_der.is_empty() || reply.roots_der.is_empty() {
        return Err(Error::Hub("the hub's answer holds no certificate".to_owned()));
    }
    let renewed =
        Identity { chain: reply.chain_der, roots: reply.roots_der, key, ..identity.clone() };
    renewed.save(vault).await?;
    Ok(renewed)
}
