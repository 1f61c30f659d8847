//! All that touches the API server, and nothing that decides. Speaks HTTP and JSON through kube's client;
//! every answer comes back as it is, for others to judge.
//!
//! Deliberately absent: typed objects, kube's retries, any notion of an App.

mod apply;
mod delete;
mod facts;
mod read;
mod secrets;
mod discover;

mod watch;

mod lease;

mod client;

mod door;

mod leash;

mod account;
mod kinds;

mod resource;

mod limit;

use std::time::Duration;

pub use account::Account;
pub use apply::{Force, Validation};
pub use client::{Cluster, Options};
pub use delete::Propagation;
pub use kinds::{Found, Kinds};
pub use lease::Leadership;
pub use resource::Resource;
pub use secrets::SecretStore;
pub use watch::{Change, Depth, poll, watch};

/// What came back. `code` 0: the connection broke after the request was sent, so nobody knows.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub code: u16,
    /// The body, when it is JSON; else null.
    pub body: serde_json::Value,
    /// The body, when it is not JSON.
    pub text: String,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl Reply {
    /// Whether it worked.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

/// Why there is no answer that could be judged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be used.
    #[error("use {what}")]
    Config {
        /// Which.
        what: String,
        /// The cause.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The API server cannot be reached, or broke off.
    #[error("reach the API server for `{what}`: {why}")]
    Unreachable {
        /// Verb and path.
        what: String,
        /// The innermost cause.
        why: String,
    },
    /// It answered something else than was asked for.
    #[error("understand the API server's answer to `{what}`: {why}")]
    Unexpected {
        /// Verb and path.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// It said no to something that is nobody's object: a list, a state Secret.
    #[error("`{what}` was refused with {code}: {message}")]
    Refused {
        /// Verb and path.
        what: String,
        /// HTTP status.
        code: u16,
        /// Its message.
        message: String,
    },
}

impl Error {
    /// An answer that is a refusal.
    fn refused(what: &str, reply: &Reply) -> Error {
        let message = reply.body.get("message").and_then(|m| m.as_str());
        Error::Refused {
            what: what.to_owned(),
            code: reply.code,
            message: message.unwrap_or(&reply.text).chars().take(256).collect(),
        }
    }
}
