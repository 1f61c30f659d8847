//! People: who they are, what they may do, what they agreed to.

use std::collections::BTreeSet;

use jiff::Timestamp;
use model::Digest;
use serde::{Deserialize, Serialize};

use crate::gate::Gate;

/// What a person may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Brake, start, retry, go on, approve.
    Operator,
    /// Release brakes: tolerate, override, expedite, promote, absolve.
    #[default]
    Admin,
}

impl Role {
    /// As people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

/// The person or program behind a verb.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Actor {
    /// Who.
    pub name: String,
    /// Why, in their words; may be empty for a brake.
    #[serde(default)]
    pub reason: String,
    /// What they may do. In a log of an older version everybody was an admin.
    #[serde(default)]
    pub role: Role,
    /// The groups that they belong to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
}

impl Actor {
    /// Whether the author line of a commit, `Name <mail>` or either, means this person.
    pub fn wrote(&self, author: &str) -> bool {
        let (name, mail) = match author.split_once('<') {
            Some((name, mail)) => (name.trim(), mail.trim_end_matches('>').trim()),
            None => (author.trim(), author.trim()),
        };
        let me = self.name.trim();
        [author.trim(), name, mail].iter().any(|known| known.eq_ignore_ascii_case(me))
    }
}

/// Before a wave opens, or before it passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Before it opens.
    Before,
    /// Before it passes.
    After,
}

/// One person agreed to one wave of one release with one strategy and these members, for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// To which step.
    pub stage: Stage,
    /// Who.
    pub by: Actor,
    /// Digest of the release's variants.
    pub release: Digest,
    /// Digest of the strategy.
    pub strategy: Digest,
    /// Digest of the wave's members.
    pub members: Digest,
    /// When.
    pub at: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
    /// It was taken back.
    #[serde(default)]
    pub revoked: bool,
}

/// A gate that a person opened by force. It stands in every account of the rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// Which.
    pub gate: Gate,
    /// Who.
    pub by: Actor,
    /// A second person must say the same first.
    #[serde(default)]
    pub needs_second: bool,
    /// Who that was.
    #[serde(default)]
    pub second: Option<Actor>,
    /// When.
    pub at: Timestamp,
}

impl Override {
    /// Whether it is in force.
    pub fn holds(&self) -> bool {
        !self.needs_second || self.second.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_known_by_name_and_by_mail() {
        let alice = Actor { name: "alice".to_owned(), ..Actor::default() };
        assert!(alice.wrote("Alice <a@example.org>") && alice.wrote("alice"));
        let mail = Actor { name: "a@example.org".to_owned(), ..Actor::default() };
        assert!(mail.wrote("Alice <a@example.org>") && !mail.wrote("Bob <b@example.org>"));
    }
}
