//! Join tokens: single use, bound to one cluster, safe to retry.
//!
//! `New → Bound(two keys) → Used`, or `Revoked`. A reply that got lost does not burn the token: the same
//! two keys may ask again for a quarter of an hour. Anybody else who knows the secret is an alarm.

use jiff::{SignedDuration, Timestamp};
use model::{ClusterUid, Digest};
use subtle::ConstantTimeEq;

use crate::store::{self, Table};

use super::{
    ClusterRecord, ClusterState, Error, OPEN_TOKENS_MAX, Registry, TokenId, TokenRecord,
    TokenState, record,
};

/// How long the bearer of a bound token may ask again: a few retries of an agent, and a person who
/// repairs its network.
const ASK_AGAIN: SignedDuration = SignedDuration::from_mins(15);

/// How long a dead token is kept so that its reuse is told apart from a typing error.
const KEEP_DEAD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A join token to be recorded.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Names it.
    pub id: TokenId,
    /// SHA-256 of the secret.
    pub secret_hash: Digest,
    /// Not accepted from then on, by the hub's clock.
    pub expires_at: Timestamp,
}

/// A token that was accepted.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The cluster it is for.
    pub cluster: ClusterRecord,
    /// The same bearer asked before: the reply probably got lost.
    pub again: bool,
}

/// Why a token was refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenFault {
    /// No such token; perhaps its cluster was deleted.
    #[error("the join token is unknown; make a new one")]
    Unknown,
    /// Id and secret do not belong together.
    #[error("the secret of the join token is wrong; make a new one")]
    WrongSecret,
    /// Its time is over.
    #[error("the join token expired at {0}; make a new one")]
    Expired(Timestamp),
    /// It was used before.
    #[error("the join token was used before; make a new one")]
    Used {
        /// By somebody with another key: one of the two stole it, and the cluster is suspended.
        other_key: bool,
    },
    /// It was taken back, or its cluster was revoked.
    #[error("the join token was revoked; make a new one")]
    Revoked,
    /// Not known: the store could not tell or could not write.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl NewToken {
    pub(super) fn record(self, cluster: ClusterUid, now: Timestamp) -> TokenRecord {
        let NewToken { id, secret_hash, expires_at } = self;
        let state = TokenState::New;
        TokenRecord { id, cluster, secret_hash, expires_at, created_at: now, state }
    }
}

impl Registry {
    /// A token by its id.
    pub fn token(&self, id: &TokenId) -> Option<TokenRecord> {
        self.read().tokens.get(id).cloned()
    }

    /// A new token for a cluster that exists (to enrol again). Tokens of it that are still open are
    /// revoked; those that died long ago are forgotten.
    pub fn add_token(
        &self,
        uid: &ClusterUid,
        token: NewToken,
        now: Timestamp,
    ) -> Result<TokenRecord, Error> {
        let _shard = self.shard(uid);
        let not_found = || Error::NotFound { kind: "cluster", name: uid.to_string() };
        let cluster = self.cluster(uid).ok_or_else(not_found)?;
        if cluster.state == ClusterState::Revoked {
            return Err(Error::Revoked(cluster.name));
        }
        self.room_for_a_token(now)?;
        let token = token.record(uid.clone(), now);
        let guard = store::Guard::Absent(Table::Token, token.id.to_vec());
        let mut batch =
            self.batch().guard(guard).put(Table::Token, token.id, record::encode(&token));
        let mut changed = vec![token.clone()];
        let mut dead = Vec::new();
        for mut old in self.tokens_of(uid) {
            if old.expires_at.saturating_add(KEEP_DEAD).is_ok_and(|end| end < now) {
                batch = batch.delete(Table::Token, old.id);
                dead.push(old.id);
            } else if matches!(old.state, TokenState::New | TokenState::Bound { .. }) {
                old.state = TokenState::Revoked;
                batch = batch.put(Table::Token, old.id, record::encode(&old));
                changed.push(old);
            }
        }
        self.0.store.commit(batch)?;
        let mut cache = self.write();
        cache.tokens.retain(|id, _| !dead.contains(id));
        cache.tokens.extend(changed.into_iter().map(|token| (token.id, token)));
        drop(cache);
        self.tell();
        Ok(token)
    }

    /// Shows a token with the two keys of its bearer (SHA-256 of the request's public key and of the
    /// recovery key). Of any number of callers at once with different keys exactly one is accepted, and
    /// the others suspend the cluster.
    pub fn bind_token(
        &self,
        id: &TokenId,
        secret_hash: Digest,
        csr_spki: Digest,
        recovery: Digest,
        now: Timestamp,
    ) -> Result<Bound, TokenFault> {
        let uid = self.token(id).ok_or(TokenFault::Unknown)?.cluster;
        let _shard = self.shard(&uid);
        // read again: it may have changed while we waited for the cluster
        let mut token = self.token(id).ok_or(TokenFault::Unknown)?;
        let cluster = self.cluster(&uid).ok_or(TokenFault::Unknown)?;
        if !same(&token.secret_hash, &secret_hash) {
            return Err(TokenFault::WrongSecret);
        }
        if cluster.state == ClusterState::Revoked {
            return Err(TokenFault::Revoked);
        }
        let same_keys =
            |spki: &Digest, other: &Digest| same(spki, &csr_spki) & same(other, &recovery);
        match &token.state {
            TokenState::New if now >= token.expires_at => {
                Err(TokenFault::Expired(token.expires_at))
            }
            TokenState::New => {
                token.state = TokenState::Bound { spki: csr_spki, recovery, at: now };
                let batch = self.batch().put(Table::Token, *id, record::encode(&token));
                self.0.store.commit(batch)?;
                self.write().tokens.insert(*id, token);
                self.tell();
                Ok(Bound { cluster, again: false })
            }
            TokenState::Bound { spki, recovery: other, at } if same_keys(spki, other) => {
                let end = at.saturating_add(ASK_AGAIN).unwrap_or(Timestamp::MAX);
                if now < end {
                    Ok(Bound { cluster, again: true })
                } else {
                    Err(TokenFault::Expired(end))
                }
            }
            TokenState::Used { spki, recovery: other } if same_keys(spki, other) => {
                Err(TokenFault::Used { other_key: false })
            }
            TokenState::Bound { .. } | TokenState::Used { .. } => {
                self.suspend_for_replay(&uid)?;
                Err(TokenFault::Used { other_key: true })
            }
            TokenState::Revoked => Err(TokenFault::Revoked),
        }
    }

    /// Two bearers of one secret: nobody can tell which is the thief. The caller holds the cluster's lock.
    fn suspend_for_replay(&self, uid: &ClusterUid) -> Result<(), TokenFault> {
        let suspended = self.change_cluster(uid, |cluster, batch| {
            if cluster.state != ClusterState::Revoked {
                let why = "its join token was shown by two different agents".to_owned();
                cluster.state = ClusterState::Suspended { why };
            }
            Ok(batch)
        });
        match suspended {
            Ok(_) => Ok(()),
            Err(Error::Store(error)) => Err(TokenFault::Store(error)),
            Err(_) => Err(TokenFault::Unknown),
        }
    }

    pub(super) fn room_for_a_token(&self, now: Timestamp) -> Result<(), Error> {
        let open = |t: &&TokenRecord| t.state == TokenState::New && t.expires_at > now;
        if self.read().tokens.values().filter(open).count() >= OPEN_TOKENS_MAX {
            return Err(Error::TooManyTokens);
        }
        Ok(())
    }

    pub(super) fn tokens_of(&self, uid: &ClusterUid) -> Vec<TokenRecord> {
        self.read().tokens.values().filter(|token| token.cluster == *uid).cloned().collect()
    }
}

/// Equal, in a time that does not depend on where they differ.
fn same(a: &Digest, b: &Digest) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}
