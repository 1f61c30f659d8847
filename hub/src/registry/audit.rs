//! What people did: rows that are only ever added, each with the hash of the one before, so that a row
//! that was changed or taken out shows.

use jiff::Timestamp;
use model::Digest;
use serde::{Deserialize, Serialize};

use crate::store::{self, Batch, Guard, Store, Table};

use super::{Error, Registry, lock, record};

/// Key of the newest row's number and hash, in [`Table::Meta`].
const HEAD: &[u8] = b"audit-head";

/// One deed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Its number, from 1 without gaps.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What, such as `rollout.pause`.
    pub verb: String,
    /// To what, such as `app/web`.
    pub object: String,
    /// Why, in the actor's words; may be empty.
    pub reason: String,
    /// Hash of the row before; of nothing for the first.
    pub previous: Digest,
}

/// Actor, verb, object, reason.
pub(super) type Deed<'a> = (&'a str, &'a str, &'a str, &'a str);

/// The newest row's number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    n: u64,
    hash: Digest,
}

impl Head {
    pub(super) fn read(store: &dyn Store) -> Result<Head, Error> {
        match store.get(Table::Meta, HEAD)? {
            Some(bytes) => Ok(record::decode(Table::Meta, HEAD, &bytes)?),
            None => Ok(Head { n: 0, hash: Digest::of(b"") }),
        }
    }
}

impl Registry {
    /// Adds a row.
    pub fn audit(
        &self,
        actor: &str,
        verb: &str,
        object: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<AuditRow, Error> {
        self.audited(self.batch(), (actor, verb, object, reason), now)
    }

    /// Writes `batch` together with the row that says who did it; both or neither.
    pub(super) fn audited(
        &self,
        batch: Batch,
        (actor, verb, object, reason): Deed<'_>,
        now: Timestamp,
    ) -> Result<AuditRow, Error> {
        let mut head = lock(&self.0.audit);
        let row = AuditRow {
            n: head.n + 1,
            at: now,
            actor: actor.to_owned(),
            verb: verb.to_owned(),
            object: object.to_owned(),
            reason: reason.to_owned(),
            previous: head.hash,
        };
        let bytes = record::encode(&row);
        let next = Head { n: row.n, hash: Digest::of(&bytes) };
        let batch = batch
            .guard(Guard::Absent(Table::Audit, key(row.n)))
            .put(Table::Audit, key(row.n), bytes)
            .put(Table::Meta, HEAD, record::encode(&next));
        self.0.store.commit(batch)?;
        *head = next;
        Ok(row)
    }

    /// The newest `limit` rows, oldest of them first.
    pub fn audit_list(&self, limit: usize) -> Result<Vec<AuditRow>, Error> {
        let newest = lock(&self.0.audit).n;
        let oldest = newest.saturating_sub(limit as u64) + 1;
        (oldest..=newest).map(|n| Ok(self.audit_row(n)?.0)).collect()
    }

    /// Follows the chain from the first row to the newest; an error names the row where it breaks.
    pub fn audit_check(&self) -> Result<u64, Error> {
        let head = *lock(&self.0.audit);
        let mut hash = Digest::of(b"");
        for n in 1..=head.n {
            let (row, own) = self.audit_row(n)?;
            if row.previous != hash || row.n != n {
                return Err(broken(n, "does not follow the row before it").into());
            }
            hash = own;
        }
        if hash == head.hash { Ok(head.n) } else { Err(broken(head.n, "was changed").into()) }
    }

    fn audit_row(&self, n: u64) -> Result<(AuditRow, Digest), Error> {
        let bytes = self.0.store.get(Table::Audit, &key(n))?;
        let bytes = bytes.ok_or_else(|| broken(n, "is missing"))?;
        Ok((record::decode(Table::Audit, &key(n), &bytes)?, Digest::of(&bytes)))
    }
}

fn key(n: u64) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

fn broken(n: u64, what: &str) -> store::Error {
    store::Error::Corrupt { place: format!("audit row {n}"), what: what.to_owned() }
}
