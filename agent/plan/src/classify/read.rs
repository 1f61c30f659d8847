//! From the words of the server to a class. The server's status codes mislead in places: a schema
//! error comes as 500 without a reason, a missing role as 404 on the binding, a missing kind as 404
//! in plain text.

use model::ObjectKey;
use serde_json::Value;

use super::{Answer, Asked, Class, Verb};
use crate::conflict::conflict_causes;

/// Field paths that a message names.
const PATHS_MAX: usize = 5;
/// Longest field path that is believed to be one.
const PATH_BYTES_MAX: usize = 120;

/// What the server said.
pub(super) struct Words<'a> {
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
    status: Option<&'a Value>,
}

impl<'a> Words<'a> {
    pub(super) fn of(answer: &Answer<'a>) -> Words<'a> {
        let text = |name: &str| {
            answer.status.and_then(|s| s.get(name)).and_then(Value::as_str).unwrap_or("")
        };
        let message = if answer.status.is_some() { text("message") } else { answer.text };
        Words { reason: text("reason"), message, status: answer.status }
    }

    pub(super) fn says(&self, part: &str) -> bool {
        self.message.contains(part)
    }

    fn causes(&self) -> impl Iterator<Item = &'a Value> {
        let causes = self.status.and_then(|s| s.pointer("/details/causes"));
        causes.and_then(Value::as_array).into_iter().flatten()
    }

    fn has_cause(&self, reason: &str) -> bool {
        self.causes().any(|c| c.get("reason").and_then(Value::as_str) == Some(reason))
    }

    /// Reason and field paths: API servers quote values in their messages.
    pub(super) fn without_values(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-[]/".contains(c);
        let paths = self.causes().filter_map(|c| c.get("field")?.as_str());
        let paths: Vec<&str> = paths
            .filter(|path| path.len() <= PATH_BYTES_MAX && path.chars().all(plain))
            .take(PATHS_MAX)
            .collect();
        let reason = if self.reason.is_empty() { "refused" } else { self.reason };
        if paths.is_empty() {
            format!("{reason} (the server's words may quote the Secret and are left out)")
        } else {
            format!("{reason} at {} (values left out)", paths.join(", "))
        }
    }
}

/// The class of a refusal.
pub(super) fn class(asked: &Asked<'_>, answer: &Answer<'_>, words: &Words<'_>) -> Class {
    if words.says("failed calling webhook")
        || (words.says("conversion webhook") && words.says("failed"))
    {
        return Class::Webhook(quoted(words.message));
    }
    if words.says("denied the request") {
        return Class::Policy;
    }
    if words.says("request is too large") {
        return Class::TooLarge;
    }
    match answer.code {
        0 | 504 => Class::Ambiguous,
        400 | 422 => Class::Invalid,
        403 => forbidden(words),
        404 => not_found(asked, answer, words),
        405 | 415 => Class::NoSsa,
        409 => match answer.status.map(conflict_causes) {
            Some(causes) if !causes.is_empty() => Class::Conflict(causes),
            _ => Class::Race,
        },
        410 => Class::Race,
        413 => Class::TooLarge,
        429 => Class::Throttled(answer.retry_after),
        500 if schema(words) => Class::Schema,
        503 if is_aggregated(asked.key) => Class::ApiService,
        _ => Class::Server,
    }
}

/// A 500 that no retry cures: no reason, or the words of the merge.
fn schema(words: &Words<'_>) -> bool {
    let merge = [
        "failed to create typed patch object",
        "field not declared in schema",
        "duplicate entries for key",
        "failed to create manager for existing fields",
    ];
    words.status.is_some() && (words.reason.is_empty() || merge.iter().any(|part| words.says(part)))
}

fn forbidden(words: &Words<'_>) -> Class {
    if words.has_cause("NamespaceTerminating")
        || words.says("because it is being terminated")
        || words.says("custom resource definition is terminating")
    {
        Class::WaitTerminating
    } else if words.says("exceeded quota") || words.says("failed quota") {
        Class::Quota
    } else if words.says(" cannot ") || words.says("attempting to grant RBAC permissions") {
        Class::Forbidden
    } else {
        Class::Policy
    }
}

fn not_found(asked: &Asked<'_>, answer: &Answer<'_>, words: &Words<'_>) -> Class {
    let key = asked.key;
    if answer.status.is_none() || words.says("could not find the requested resource") {
        Class::UnknownKind
    } else if asked.verb != Verb::Apply {
        Class::Gone
    } else if words.says("namespaces \"") {
        Class::MissingNamespace
    } else if key.group == "rbac.authorization.k8s.io" && key.kind.ends_with("RoleBinding") {
        Class::RetryAfterRoles
    } else {
        Class::Race
    }
}

/// Whether another process than the API server itself may serve the group.
fn is_aggregated(key: &ObjectKey) -> bool {
    key.group.contains('.')
        && (!key.group.ends_with(".k8s.io") || key.group.ends_with("metrics.k8s.io"))
}

/// The first name in quotes.
fn quoted(message: &str) -> String {
    message.split('"').nth(1).unwrap_or("unnamed").to_owned()
}
