//! What the agent remembers over its own death: grants, content, inventories, its identity.
//!
//! Order of writing, everywhere: content verified and stored, then the grant that needs it, then the
//! inventory, then the first write to the cluster. Everything is kept in one place (a folder or Secrets), so
//! that one set of rights, one backup and one "disk full" covers it.

mod store;

mod choices;
mod content;
mod held;

mod vault;

mod directory;

pub(crate) use choices::{by_key, of_release, read};
pub use content::Pack;
pub use held::{Held, Options};
pub use store::State;
pub use vault::Vault;

/// Why something cannot be remembered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder.
    #[error("{what} `{path}`")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// Another agent uses the folder.
    #[error("state folder `{0}` is in use by another agent; give each agent its own `--state-dir`")]
    Locked(String),
    /// The Secrets.
    #[error("keep state in the cluster")]
    Cluster(#[from] crate::cluster::Error),
    /// What was read back is not what was written.
    #[error("`{name}` in the agent's state is damaged: {why}")]
    Damaged {
        /// Which value.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// No source of randomness.
    #[error("make a key")]
    Random(#[from] getrandom::Error),
}

impl Error {
    /// Whether there is no room left.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Error::Io { cause, .. } => matches!(cause.kind(), StorageFull | QuotaExceeded),
            Error::Cluster(_) | Error::Locked(_) | Error::Damaged { .. } | Error::Random(_) => {
                false
            }
        }
    }
}
