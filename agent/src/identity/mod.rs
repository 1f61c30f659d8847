//! Who this agent is: a key and a certificate, got once with a join token and renewed early.
//!
//! Keys are made here and never leave. The join token is read only while there is no identity, or when the
//! hub refuses the identity for good and the file holds another token.

mod recover;
mod enrol;
mod renew;

mod tls;

mod pin;

mod stored;

mod keys;

use std::path::{Path, PathBuf};

use model::Reason;

pub use enrol::{Enrolment, obtain};
pub use keys::TlsKey;
pub use recover::recover;
pub use renew::{renew, renew_after};
pub use stored::Identity;
pub use tls::{DialError, Opened, install_provider, mutual, open};

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hub, or the token itself, says no.
    #[error("{reason}: {message}. {}", reason.next_step())]
    Refused {
        /// As reported everywhere.
        reason: Reason,
        /// What was seen.
        message: String,
    },
    /// The join file cannot be read.
    #[error("read the join file `{}`", path.display())]
    JoinFile {
        /// Which.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// Neither identity nor token.
    #[error(
        "there is no identity and no join file. Make a token with `tidegate cluster add NAME --print token`, \
         put it into a file, and give it with `--join-file`"
    )]
    NoToken,
    /// Network.
    #[error("reach the hub")]
    Unreachable(#[from] DialError),
    /// The hub broke off, or is not ready.
    #[error("talk to the hub: {0}")]
    Hub(String),
    /// Keys.
    #[error("make a key: {0}")]
    Key(String),
    /// State.
    #[error("keep the identity")]
    State(#[from] crate::state::Error),
}

impl Error {
    /// Whether trying again with the same token is of no use.
    pub fn is_permanent(&self) -> bool {
        match self {
            Error::Refused { reason, .. } => is_permanent(*reason),
            Error::Unreachable(fault) => fault.reason().is_some_and(is_permanent),
            Error::NoToken | Error::JoinFile { .. } => true,
            Error::Hub(_) | Error::Key(_) | Error::State(_) => false,
        }
    }

    /// The reason, when there is a registered one.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Error::Refused { reason, .. } => Some(*reason),
            Error::Unreachable(fault) => fault.reason(),
            Error::State(fault) if fault.is_full() => Some(Reason::AgentStateUnwritable),
            Error::NoToken
            | Error::JoinFile { .. }
            | Error::Hub(_)
            | Error::Key(_)
            | Error::State(_) => None,
        }
    }

    /// From an answer of the hub: its reason travels in metadata.
    pub fn of_status(status: &tonic::Status) -> Error {
        match reason_of(status) {
            Some(reason) => Error::Refused { reason, message: status.message().to_owned() },
            None => Error::Hub(format!("{}: {}", status.code(), status.message())),
        }
    }
}

/// Reason code of a gRPC error.
pub fn reason_of(status: &tonic::Status) -> Option<Reason> {
    Reason::from_code(status.metadata().get("tidegate-reason")?.to_str().ok()?)
}

/// Whether only a person can lift it.
fn is_permanent(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::TokenUnknown
            | Reason::TokenUsed
            | Reason::TokenExpired
            | Reason::TokenMalformed
            | Reason::PinMismatch
            | Reason::CsrInvalid
            | Reason::ProofInvalid
            | Reason::ClusterRevoked
            | Reason::CertificateNotActive
            | Reason::CertificateExpired
    )
}

/// Reads the join token.
pub async fn read_token(path: &Path) -> Result<proto::token::JoinToken, Error> {
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|cause| Error::JoinFile { path: path.to_owned(), cause })?;
    proto::token::JoinToken::parse(&text)
        .map_err(|fault| Error::Refused { reason: fault.reason(), message: fault.to_string() })
}
