//! Minting join tokens. Their form is `proto::token`; their state is in the registry.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use model::Digest;
use proto::token::{JoinToken, Secret};

use super::authority::Authority;
use super::{Error, random};

/// Life of a join token when nobody asks otherwise.
pub const TOKEN_LIFE_DEFAULT: Duration = Duration::from_hours(1);
/// Longest life of a join token: none lives for ever.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_hours(24);
/// Shortest: time for a person to carry it.
const TOKEN_LIFE_MIN: Duration = Duration::from_mins(1);

/// A new token: the text for its bearer, and what the hub keeps of it.
#[derive(Debug)]
pub struct Minted {
    /// To be shown once.
    pub token: JoinToken,
    /// Names it.
    pub id: [u8; 16],
    /// SHA-256 of its secret.
    pub secret_hash: Digest,
    /// Not accepted from then on.
    pub expires_at: Timestamp,
}

impl Authority {
    /// A token for an agent that will find the hub at `endpoints` (`host:port`). It works only after the
    /// registry has recorded it.
    pub fn mint(&self, endpoints: Vec<String>, life: Duration) -> Result<Minted, Error> {
        if !(TOKEN_LIFE_MIN..=TOKEN_LIFE_MAX).contains(&life) {
            return Err(Error::TokenLife(life));
        }
        let now = self.clock().now();
        let by = SignedDuration::try_from(life).map_err(|_| Error::TokenLife(life))?;
        let expires_at = now.saturating_add(by).map_err(|_| Error::Clock(now))?;
        let (id, secret) = (random::<16>()?, random::<32>()?);
        let token = JoinToken {
            token_id: id,
            secret: Secret::new(secret),
            fleet_id: self.fleet_id().to_owned(),
            endpoints,
            pins: vec![self.pin()],
            expires: expires_at.as_second(),
        };
        Ok(Minted { token, id, secret_hash: Digest::of(&secret), expires_at })
    }
}
