//! What an API server's refusal means, and what to do about it.
//!
//! `read` finds the class, `table` says what follows from it, `probe` tells a wrong manifest from a
//! wrong change.

mod probe;

mod table;

mod read;

use std::time::Duration;

use model::{ObjectKey, Reason};
use serde_json::Value;

use crate::conflict::ConflictCause;
use crate::redact::clip;

pub use probe::{probe_body, probe_verdict};

/// Causes that a message names.
const NAMED_MAX: usize = 5;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Server-side apply.
    Apply,
    /// Delete.
    Delete,
    /// Get or list.
    Read,
}

/// The request, as far as its refusal has to be understood.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What.
    pub verb: Verb,
    /// On which object.
    pub key: &'a ObjectKey,
    /// Whether its namespace is part of the App.
    pub namespace_planned: bool,
    /// Whether its definition is part of the App.
    pub definition_planned: bool,
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// HTTP status; 0 when the connection broke after the request was sent.
    pub code: u16,
    /// The body when it is a `Status` object.
    pub status: Option<&'a Value>,
    /// The body otherwise, as text.
    pub text: &'a str,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// Class of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// The object, or the change, is not valid: ask with [`probe_body`] which of the two.
    Invalid,
    /// The change touches what cannot change.
    Immutable,
    /// Others own fields.
    Conflict(Vec<ConflictCause>),
    /// Somebody was faster: read again and retry at once, at most 5 times.
    Race,
    /// Object, namespace or definition is on its way out.
    WaitTerminating,
    /// A quota.
    Quota,
    /// An admission policy or webhook said no.
    Policy,
    /// No right to do it.
    Forbidden,
    /// Its namespace is not there.
    MissingNamespace,
    /// The role that a binding names is not there yet.
    RetryAfterRoles,
    /// Its kind is not served: refresh discovery.
    UnknownKind,
    /// The server cannot apply this kind server-side.
    NoSsa,
    /// Too large.
    TooLarge,
    /// Slow down all requests, not just this one.
    Throttled(Option<Duration>),
    /// Does not fit its schema, or has duplicate list keys. Looks like a server error and is none.
    Schema,
    /// A webhook did not answer; its name.
    Webhook(String),
    /// An aggregated API server is down; only its group is concerned.
    ApiService,
    /// Sent, and no answer: read again, then decide.
    Ambiguous,
    /// Gone already (answer to a delete or read).
    Gone,
    /// The API server is ill, or does not know us.
    Server,
}

/// A refusal, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Class.
    pub class: Class,
    /// As reported.
    pub reason: Reason,
    /// For people; at most 256 bytes; for Secrets without the server's words.
    pub message: String,
    /// Whether waiting will not help.
    pub terminal: bool,
    /// When to try again without a new cause.
    pub retry: Option<Duration>,
}

/// Understands a refusal.
pub fn classify(asked: &Asked<'_>, answer: &Answer<'_>) -> Failure {
    let words = read::Words::of(answer);
    let class = read::class(asked, answer, &words);
    let row = table::row(&class, asked, &words);
    let message = if asked.key.group.is_empty() && asked.key.kind == "Secret" {
        words.without_values()
    } else if let Class::Conflict(causes) = &class {
        owners(causes)
    } else {
        words.message.to_owned()
    };
    Failure {
        class,
        reason: row.reason,
        message: clip(&message),
        terminal: row.terminal,
        retry: row.retry,
    }
}

/// Who owns what.
fn owners(causes: &[ConflictCause]) -> String {
    let one = |cause: &ConflictCause| format!("`{}` is owned by `{}`", cause.field, cause.manager);
    let mut text = causes.iter().take(NAMED_MAX).map(one).collect::<Vec<_>>().join(", ");
    if causes.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", causes.len() - NAMED_MAX));
    }
    text
}
