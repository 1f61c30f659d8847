//! People and programs that may talk to the hub: a name, a role, groups, and the hash of a token.

use std::collections::BTreeSet;

use jiff::Timestamp;
use model::Digest;
use rollout::{Actor, Role};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::store::{Guard, Table};

use super::{Error, Registry, hold::key, lock, record};

/// Named tokens at one time: the people and pipelines of a large company.
pub const TOKENS_OF_PEOPLE_MAX: usize = 1_000;

/// What keys begin with, in [`Table::Meta`].
pub(super) const ACCESS: &[u8] = b"access\0";

/// A named token. The token itself is known to its bearer alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRecord {
    /// Who it is; stands in the log of what they do.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The groups that they belong to; approvals ask for them.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// SHA-256 of the token.
    pub hash: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// Not accepted from then on.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

impl Registry {
    /// All named tokens, by name.
    pub fn people(&self) -> Vec<AccessRecord> {
        self.read().access.values().cloned().collect()
    }

    /// Who the bearer of a token is; `None` for a token that is unknown or over.
    pub fn bearer(&self, token: &str, now: Timestamp) -> Option<Actor> {
        let hash = Digest::of(token.as_bytes());
        let cache = self.read();
        let same =
            |record: &&AccessRecord| bool::from(record.hash.as_bytes().ct_eq(hash.as_bytes()));
        let record = cache.access.values().find(same)?;
        let valid = record.expires_at.is_none_or(|end| now < end);
        valid.then(|| Actor {
            name: record.name.clone(),
            reason: String::new(),
            role: record.role,
            groups: record.groups.clone(),
        })
    }

    /// Adds a named token; refused when the name is taken.
    pub fn add_person(&self, person: AccessRecord, by: &str) -> Result<(), Error> {
        let _names = lock(&self.0.names);
        {
            let cache = self.read();
            if cache.access.contains_key(&person.name) {
                return Err(Error::AlreadyExists { kind: "token", name: person.name });
            }
            if cache.access.len() >= TOKENS_OF_PEOPLE_MAX {
                return Err(Error::TooMany { kind: "token", max: TOKENS_OF_PEOPLE_MAX });
            }
        }
        let place = key(ACCESS, &person.name);
        let batch = self.batch().guard(Guard::Absent(Table::Meta, place.clone()));
        let batch = batch.put(Table::Meta, place, record::encode(&person));
        let object = format!("token/{}", person.name);
        let text = format!("role {}", person.role.as_str());
        self.audited(batch, (by, "create", &object, &text), person.created_at)?;
        self.write().access.insert(person.name.clone(), person);
        Ok(())
    }

    /// Takes a named token back; it is refused from then on.
    pub fn delete_person(
        &self,
        name: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<AccessRecord, Error> {
        let _names = lock(&self.0.names);
        let unknown = || Error::NotFound { kind: "token", name: name.to_owned() };
        let person = self.read().access.get(name).cloned().ok_or_else(unknown)?;
        let batch = self.batch().delete(Table::Meta, key(ACCESS, name));
        self.audited(batch, (by, "delete", &format!("token/{name}"), ""), now)?;
        self.write().access.remove(name);
        Ok(person)
    }
}
