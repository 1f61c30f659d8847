//! Who is who: the fleet's own authority, join tokens, certificates, and the TLS that the hub offers to agents.
//!
//! The root signs two issuing authorities, one for servers and one for agents, so that neither kind of
//! leaf can stand in for the other. A certificate names a cluster by its uid and nothing else; which
//! serial of it is accepted is a question for the registry, asked on every stream.
//!
//! Deliberately absent: public names (the HTTPS listener for people has its own certificate), revocation lists
//! (the serial check is the gate), rotation of the root.

mod tls;
mod token;
mod issue;
mod authority;
mod identity;
mod ca;

pub use authority::Authority;
pub use identity::{IdentityFault, Peer};
pub use issue::{CsrFault, Issued, Request};
pub use tls::Tls;
pub use token::{Minted, TOKEN_LIFE_DEFAULT, TOKEN_LIFE_MAX};

use crate::store;

/// Why the authority cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only a part of the authority is there: making the rest anew would lock out every agent.
    #[error("the authority's `{0}` is missing from the store; restore the newest backup")]
    Incomplete(&'static str),
    /// A stored key or certificate cannot be read.
    #[error("the authority's `{part}` is damaged ({what}); restore the newest backup")]
    Damaged {
        /// Which record.
        part: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The time of day is not one that a certificate can carry.
    #[error("the clock says {0}, which no certificate can carry; set the hub's clock")]
    Clock(jiff::Timestamp),
    /// Lifetime of a join token out of bounds.
    #[error("a join token lives between 1 minute and 24 hours, not {0:?}")]
    TokenLife(std::time::Duration),
    /// A certificate could not be made.
    #[error("make a certificate")]
    Certificate(#[source] rcgen::Error),
    /// TLS could not be set up.
    #[error("set up TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Random(getrandom::Error),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Random bytes from the operating system.
fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes)
}

/// Makes ring the one TLS provider of the process. To be called first, before anything speaks TLS.
pub fn install_provider() {
    // Fails only when a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
}
