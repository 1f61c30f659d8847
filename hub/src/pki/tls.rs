//! The TLS that the hub offers to agents, changed without a restart: 1.3 only, a client certificate is
//! optional but then must come from our agent issuer, no session tickets (a resumed session would take its
//! client certificate from the ticket without checking it again).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig, version};
use rustls_pki_types::UnixTime;

use super::Error;
use super::authority::Authority;
use crate::clock::Clock;

/// The configuration of the moment; each handshake takes the newest.
pub struct Tls(ArcSwap<ServerConfig>);

impl Tls {
    /// From the authority's present certificates.
    pub fn new(authority: &Authority) -> Result<Tls, Error> {
        Ok(Tls(ArcSwap::from_pointee(config(authority)?)))
    }

    /// After [`Authority::refresh`] changed something. Handshakes under way finish with the old one.
    pub fn reload(&self, authority: &Authority) -> Result<(), Error> {
        self.0.store(Arc::new(config(authority)?));
        Ok(())
    }

    /// For the next handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

fn config(authority: &Authority) -> Result<ServerConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let mut anchors = RootCertStore::empty();
    for anchor in authority.agent_anchors() {
        anchors.add(anchor).map_err(fault)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(anchors.into(), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(fault)?;
    let (chain, key) = authority.server_chain();
    let time = Arc::new(HubTime(authority.clock().clone()));
    let mut config = ServerConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(fault)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(fault)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn fault(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Tls(error.into())
}

/// Certificates are judged by the hub's own clock, the same that dates them.
#[derive(Debug)]
struct HubTime(Clock);

impl TimeProvider for HubTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
