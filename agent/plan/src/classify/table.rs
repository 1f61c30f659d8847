//! What follows from a class: one row each.

use std::time::Duration;

use model::Reason;

use super::read::Words;
use super::{Asked, Class};
use crate::conflict::ConflictCause;
use crate::ownership::Ownership;

/// After that, a permanent refusal is tried once more without a new cause.
const SAFETY: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);
const SECONDS_10: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_mins(1);
const MINUTES_10: Duration = Duration::from_mins(10);

/// What follows.
pub(super) struct Row {
    pub(super) reason: Reason,
    pub(super) terminal: bool,
    pub(super) retry: Option<Duration>,
}

/// The row of a class. Terminal is what the reason's registry entry says, but for what another App or
/// person may be about to bring.
pub(super) fn row(class: &Class, asked: &Asked<'_>, words: &Words<'_>) -> Row {
    let (reason, retry) = match class {
        Class::Invalid => (Reason::Invalid, SAFETY),
        Class::Immutable => (Reason::Immutable, SAFETY),
        Class::Conflict(causes) if another_app(causes) => (Reason::OwnedByAnotherApp, SAFETY),
        Class::Conflict(_) => (Reason::FieldConflict, SAFETY),
        Class::Race | Class::Ambiguous | Class::Gone => (Reason::Applying, Duration::ZERO),
        Class::WaitTerminating if words.says("definition is terminating") => {
            (Reason::ObjectTerminating, SECOND)
        }
        Class::WaitTerminating => (Reason::NamespaceTerminating, SECOND),
        Class::Quota => (Reason::QuotaExceededOnApply, MINUTE),
        Class::Policy => (Reason::PolicyDenied, MINUTES_10),
        Class::Forbidden => (Reason::Forbidden, MINUTE),
        Class::MissingNamespace if asked.namespace_planned => (Reason::DependencyFailed, SECOND),
        Class::MissingNamespace => (Reason::NamespaceMissing, SECONDS_10),
        Class::RetryAfterRoles => (Reason::DependencyFailed, SECOND),
        Class::UnknownKind if asked.definition_planned => (Reason::DependencyFailed, SECOND),
        Class::UnknownKind => (Reason::KindMissing, SECONDS_10),
        Class::TooLarge => (Reason::ObjectTooLarge, SAFETY),
        Class::Throttled(after) => (Reason::Throttled, after.unwrap_or(SECOND)),
        Class::Schema | Class::NoSsa => (Reason::SchemaRejected, SAFETY),
        Class::Webhook(_) => (Reason::WebhookFailed, SECOND),
        Class::ApiService => (Reason::ApiServerUnreachable, SECONDS_10),
        Class::Server => (Reason::ApiServerUnreachable, SECOND),
    };
    let may_come = matches!(class, Class::MissingNamespace | Class::UnknownKind);
    Row { reason, terminal: reason.is_terminal() && !may_come, retry: Some(retry) }
}

fn another_app(causes: &[ConflictCause]) -> bool {
    causes.iter().any(|cause| cause.manager.starts_with(Ownership::MANAGER_PREFIX))
}
