//! One state model for CLI, API, UI, metrics and notifications.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Reason, State};

/// What is, since when, waiting for what, and what to do. Only `Ready` exists without a reason: every
/// other state comes from a [`Reason`], so a `Failed`, `Waiting` or `Drifted` without one cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// The reason's title, or `Ready`.
    title: String,
    /// One sentence for people; may change between versions.
    message: String,
    /// Since when, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What happens next by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
    /// What a person can do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fix: Vec<Fix>,
}

/// The next automatic event.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// What happens.
    pub what: String,
    /// Earliest time, when it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub at: Option<Timestamp>,
    /// Under which condition.
    #[serde(rename = "if", default, skip_serializing_if = "Option::is_none")]
    pub provided: Option<String>,
}

/// One way out.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// What it does.
    pub label: String,
    /// The command that does it, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Status {
    /// All is well.
    pub fn ready(message: impl Into<String>) -> Status {
        Status {
            state: State::Ready,
            reason: None,
            title: "Ready".to_owned(),
            message: message.into(),
            since: None,
            next: None,
            fix: Vec::new(),
        }
    }

    /// Anything else: the state is the reason's own.
    pub fn because(reason: Reason, message: impl Into<String>) -> Status {
        Status {
            state: reason.state(),
            reason: Some(reason),
            title: reason.title().to_owned(),
            message: message.into(),
            since: None,
            next: None,
            fix: vec![Fix { label: reason.next_step().to_owned(), command: None }],
        }
    }

    /// Adds since when.
    #[must_use]
    pub fn since(mut self, since: Timestamp) -> Status {
        self.since = Some(since);
        self
    }

    /// Adds a command as the first way out.
    #[must_use]
    pub fn fix(mut self, label: impl Into<String>, command: impl Into<String>) -> Status {
        self.fix.push(Fix { label: label.into(), command: Some(command.into()) });
        self
    }

    /// Adds what happens next.
    #[must_use]
    pub fn next(mut self, next: Next) -> Status {
        self.next = Some(next);
        self
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The reason; `None` only for `Ready`.
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// The reason's title.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }
}
