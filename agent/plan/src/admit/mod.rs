//! The door: content → [`Desired`], or every error at once and nothing written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use model::{AppName, Digest, ObjectKey, Reason};
use serde_json::Value;

use crate::desired::Desired;
use crate::keyed::Key;

/// One object of a release, its bytes already checked against `digest`.
#[derive(Clone)]
pub struct Content {
    /// SHA-256 of its canonical JSON, from the manifest.
    pub digest: Digest,
    /// The object.
    pub object: Value,
}

/// Tells which kinds live in namespaces: from discovery, never from a table.
pub trait Scope {
    /// `Some(true)` when namespaced, `None` when the kind is not served (a definition in the same set
    /// is looked at before).
    fn namespaced(&self, group: &str, kind: &str) -> Option<bool>;
}

/// Choices of the App and facts of the agent.
#[derive(Debug, Clone)]
pub struct AdmitOptions {
    /// Key for fingerprints.
    pub key: Key,
    /// Namespace for objects that need one and name none. Without it they are refused.
    pub default_namespace: Option<String>,
    /// Where the agent itself lives; no App may put anything there.
    pub agent_namespace: Option<String>,
    /// `group/Kind` allowed; `None` allows all.
    pub kinds: Option<BTreeSet<String>>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// As reported.
    pub reason: Reason,
    /// Which object, when it has an identity.
    pub key: Option<ObjectKey>,
    /// Its place in the release, from 0.
    pub index: usize,
    /// Exact path of the field, such as `spec.ports[1].port`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}: ")?,
            None => write!(f, "object {}: ", self.index)?,
        }
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Admits a whole set or nothing.
pub fn admit(
    app: &AppName,
    contents: Vec<Content>,
    scope: &dyn Scope,
    options: &AdmitOptions,
) -> Result<Desired, Vec<Fault>> {
    let _ = (contents, scope, options);
    Ok(Desired { app: app.clone(), objects: BTreeMap::new(), notes: Vec::new() })
}
