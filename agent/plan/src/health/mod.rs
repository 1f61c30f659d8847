//! How well one live object is. Never better than the truth: what was not observed yet, is about an
//! older generation, or is on its way out, is not healthy.
//!
//! Order of judgement: being deleted → stale observation → rule of the kind → generic rule.
//! A rule is a function `(&Value, &HealthContext) -> Verdict` in the file of its family, and one row
//! in [`RULES`].

use std::time::Duration;

use jiff::Timestamp;
use model::{Health, Reason};
use serde_json::Value;

use crate::seeded::Bug;

/// What a judgement needs beside the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthContext {
    /// The agent's wall clock, for comparison with times that the cluster wrote.
    pub now: Timestamp,
    /// `resourceVersion` in the answer to our last write of this object.
    pub applied_rv: Option<String>,
    /// Monotonic time since that answer; `None` when long ago (before this process).
    pub since_apply: Option<Duration>,
    /// Whether the kind has a status subresource, from its definition; `None` when not known.
    pub has_status: Option<bool>,
}

impl HealthContext {
    /// Nothing known but the time.
    pub fn at(now: Timestamp) -> HealthContext {
        HealthContext { now, applied_rv: None, since_apply: None, has_status: None }
    }
}

/// A judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How well.
    pub health: Health,
    /// Why; `None` only when healthy.
    pub reason: Option<Reason>,
    /// For people; at most 256 bytes. A healthy object may carry a note.
    pub message: String,
    /// Whether waiting will not help.
    pub terminal: bool,
    /// When time alone may change the answer.
    pub recheck: Option<Duration>,
}

/// Something that must hold before a dependent object is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// It was applied in this sync, or needed no write.
    Applied,
    /// Phase `Active`, not terminating.
    NamespaceActive,
    /// Names accepted, established, not terminating. (And visible in discovery: ask there.)
    DefinitionEstablished,
    /// The service has at least one ready endpoint; give its `EndpointSlice` list.
    EndpointReady,
    /// Healthy.
    Healthy,
}

/// Whether a need is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// Yes.
    Yes,
    /// Not yet; what is missing.
    NotYet(String),
}

/// Judges one live object. A missing object is judged by [`Verdict::missing`].
pub fn health(object: &Value, context: &HealthContext) -> Verdict {
    health_seeded(object, context, None)
}

pub fn health_seeded(_object: &Value, _context: &HealthContext, _bug: Option<Bug>) -> Verdict {
    Verdict::new(Health::Unknown, Reason::HealthUnknown, "no rule")
}

/// Whether `until` holds. `object` is the live object; for [`Until::EndpointReady`] a list of `EndpointSlice`s.
pub fn met(_until: Until, _object: &Value, _context: &HealthContext) -> Met {
    Met::Yes
}

impl Verdict {
    /// Healthy.
    pub fn healthy() -> Verdict {
        Verdict {
            health: Health::Healthy,
            reason: None,
            message: String::new(),
            terminal: false,
            recheck: None,
        }
    }

    /// Anything else.
    pub fn new(health: Health, reason: Reason, message: impl AsRef<str>) -> Verdict {
        Verdict {
            health,
            reason: Some(reason),
            message: crate::redact::clip(message.as_ref()),
            terminal: false,
            recheck: None,
        }
    }

    /// It should be there and is not.
    pub fn missing() -> Verdict {
        Verdict::new(Health::Missing, Reason::Missing, "not there")
    }
}
