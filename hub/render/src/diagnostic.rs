//! What is wrong, where, why, and what to do: one shape for every fault that a file can have.

use std::fmt;

use model::Reason;
use serde::{Deserialize, Serialize};

/// Whether a diagnostic stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is rendered.
    Error,
    /// Rendered, but probably not what was meant.
    Warning,
}

/// A place in a file, both numbers from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// One fault. Ordered by severity, then by place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Whether it stands in the way.
    pub severity: Severity,
    /// Path from the root of the repository; a folder when the fault is that something is not there.
    pub file: String,
    /// Where in the file, when it is one place.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// The code.
    pub reason: Reason,
    /// What and why, one sentence without a full stop.
    pub message: String,
    /// What to do, when it can be said more exactly than the reason says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A fault of a whole file or folder.
    pub fn error(reason: Reason, file: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            file: file.to_owned(),
            position: None,
            reason,
            message: message.into(),
            hint: None,
        }
    }

    /// Something that is allowed and probably not meant.
    pub fn warning(reason: Reason, file: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(reason, file, message) }
    }

    /// Adds the place.
    #[must_use]
    pub fn at(mut self, position: Position) -> Diagnostic {
        self.position = Some(position);
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    /// Whether it stands in the way.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// What to do: the hint, or else the reason's own next step.
    pub fn next_step(&self) -> &str {
        self.hint.as_deref().unwrap_or_else(|| self.reason.next_step())
    }
}

impl Diagnostic {
    /// What, and then what to do, as one sentence: `unknown field …; did you mean …`.
    pub fn sentence(&self) -> String {
        let step = self.next_step().trim_end_matches('.');
        let mut letters = step.chars();
        let first: String = letters.next().into_iter().flat_map(char::to_lowercase).collect();
        format!("{}; {first}{}", self.message, letters.as_str())
    }
}

/// `error[RND-202]: apps/web/app.yaml:14:7: unknown field …; what to do`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}[{}]: {}", self.reason.code(), self.file)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.sentence())
    }
}
