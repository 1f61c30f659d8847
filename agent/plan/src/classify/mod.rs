//! What an API server's refusal means, and what to do about it.

use std::time::Duration;

use model::{ObjectKey, Reason};
use serde_json::Value;

use crate::conflict::ConflictCause;

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
    /// An admission policy.
    Policy,
    /// No right to do it.
    Forbidden,
    /// Its namespace is not there.
    MissingNamespace,
    /// The role that a binding names is not there yet.
    RetryAfterRoles,
    /// Its kind is not served.
    UnknownKind,
    /// The server cannot apply this kind server-side.
    NoSsa,
    /// Too large.
    TooLarge,
    /// Slow down.
    Throttled(Option<Duration>),
    /// Does not fit its schema, or has duplicate list keys.
    Schema,
    /// A webhook did not answer; its name.
    Webhook(String),
    /// An aggregated API server is down.
    ApiService,
    /// Sent, and no answer: read again, then decide.
    Ambiguous,
    /// Gone already (answer to a delete or read).
    Gone,
    /// The API server is ill.
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
pub fn classify(_asked: &Asked<'_>, _answer: &Answer<'_>) -> Failure {
    Failure {
        class: Class::Server,
        reason: Reason::ApiServerUnreachable,
        message: String::new(),
        terminal: false,
        retry: Some(Duration::from_secs(1)),
    }
}

/// Body to create with `dryRun=All` under another name: tells a wrong manifest from a wrong change.
pub fn probe_body(body: &Value, suffix: &str) -> Value {
    let mut probe = body.clone();
    let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("probe");
    probe["metadata"]["name"] = Value::String(format!("{name}-{suffix}"));
    probe
}

/// What the probe's answer makes of an [`Class::Invalid`] failure.
pub fn probe_verdict(failure: Failure, probe_code: u16) -> Failure {
    if probe_code == 201 {
        Failure { class: Class::Immutable, reason: Reason::Immutable, ..failure }
    } else {
        failure
    }
}
