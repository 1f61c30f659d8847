//! What went wrong with a remote or a mirror, as one of the reasons that people know.

use std::{fmt, io, path::Path};

use model::Reason;

/// Why a look failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct Fault {
    /// Entry of the registry.
    pub(in crate::source) reason: Reason,
    /// What and where.
    pub(in crate::source) message: String,
    /// The mirror itself is broken, and can be built anew.
    pub(super) damaged: bool,
}

impl Fault {
    pub(in crate::source) fn new(reason: Reason, message: impl Into<String>) -> Fault {
        Fault { reason, message: message.into(), damaged: false }
    }

    /// The mirror in `dir` cannot be used.
    pub(super) fn damaged(dir: &Path, why: impl fmt::Display) -> Fault {
        let message = format!("mirror `{}` is damaged: {why}", dir.display());
        Fault { reason: Reason::Internal, message, damaged: true }
    }

    /// The disk under the mirror failed.
    pub(super) fn disk(dir: &Path, error: &io::Error) -> Fault {
        let reason = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::DiskFull,
            _ => Reason::Internal,
        };
        Fault::new(reason, format!("mirror `{}`: {error}", dir.display()))
    }

    /// What gix said about the remote at `url`.
    pub(super) fn of(url: &str, error: &gix::Error) -> Fault {
        let causes: Vec<String> = error.iter_errors().map(ToString::to_string).collect();
        let message = format!("`{url}`: {}", causes.join(": "));
        Fault::new(Reason::GitUnreachable, message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
