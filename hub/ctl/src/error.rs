//! What can go wrong for a person at the command line, and the exit code that says so.

use model::{Reason, api::Problem};

/// Exit codes. `No` is never used for "could not find out".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Yes, or done.
    Fine = 0,
    /// The answer is no: lint found errors, the rollout failed, the hub refused.
    No = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Timed out; what was asked for is still running.
    TimedOut = 3,
    /// Not signed in or not allowed.
    NotAllowed = 4,
    /// Not found.
    NotFound = 5,
    /// The hub cannot be reached.
    Unreachable = 6,
    /// The hub, or this program, has an error of its own.
    Internal = 7,
}

/// A failed command: what, and how to get out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// How the process ends.
    pub exit: Exit,
    /// Stable code, when there is one.
    pub reason: Option<Reason>,
    /// What went wrong, a lower-case fragment.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Error {
    /// An error without a code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Error {
        Error { exit, reason: None, message: message.into(), hint: None }
    }

    /// An error with a code; the hint is the reason's next step.
    pub fn because(exit: Exit, reason: Reason, message: impl Into<String>) -> Error {
        let hint = Some(reason.next_step().to_owned());
        Error { exit, reason: Some(reason), message: message.into(), hint }
    }

    /// Replaces the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// From what the hub answered.
    pub fn from_problem(problem: Problem) -> Error {
        let exit = match problem.status {
            400 => Exit::Usage,
            401 | 403 => Exit::NotAllowed,
            404 => Exit::NotFound,
            409 | 412 | 422 => Exit::No,
            _ => Exit::Internal,
        };
        Error { exit, reason: problem.reason, message: problem.detail, hint: problem.hint }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reason {
            Some(reason) => write!(f, "error[{}]: {}", reason.code(), self.message)?,
            // Faults of files say it themselves.
            None if self.message.starts_with("error[") => f.write_str(&self.message)?,
            None => write!(f, "error: {}", self.message)?,
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
