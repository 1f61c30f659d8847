//! Connections to the hub: TLS 1.3 only, no system roots, no resumption, our own time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use model::Reason;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::Identity;
use super::pin::PinVerifier;
use crate::clock::Clock;

/// Longest wait for TCP and TLS together.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A quiet connection is tried after so long …
const KEEPALIVE: Duration = Duration::from_secs(20);
/// … and given up after so long without an answer.
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);
/// What one stream may receive before it is read: bounds memory whatever the hub pushes.
const WINDOW_BYTES: u32 = 64 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// TCP.
    #[error("connect to `{endpoint}`: {why}")]
    Connect {
        /// `host:port`.
        endpoint: String,
        /// The cause.
        why: String,
    },
    /// The certificate that answered is not of our fleet.
    #[error("trust `{endpoint}` ({}): {why}. {}", Reason::PinMismatch.code(), Reason::PinMismatch.next_step())]
    Untrusted {
        /// `host:port`.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate is of another time.
    #[error(
        "trust `{endpoint}`: its certificate is not valid at {now}; check the clocks of this cluster and of the hub"
    )]
    Clock {
        /// `host:port`.
        endpoint: String,
        /// Our time.
        now: jiff::Timestamp,
    },
    /// Our own configuration.
    #[error("set up TLS: {0}")]
    Setup(String),
}

impl DialError {
    /// The registered reason.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            DialError::Untrusted { .. } => Some(Reason::PinMismatch),
            DialError::Clock { .. } => Some(Reason::ClockSkew),
            DialError::Connect { .. } | DialError::Setup(_) => None,
        }
    }
}

/// Makes ring the provider for everything in this process that does not say which.
pub fn install_provider() {
    // An error says that there is one already.
    drop(rustls::crypto::ring::default_provider().install_default());
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// rustls asks this for the time.
#[derive(Debug)]
struct Time(Clock);

impl rustls::time_provider::TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

fn setup(fault: impl std::fmt::Display) -> DialError {
    DialError::Setup(fault.to_string())
}

fn builder(
    clock: Clock,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, DialError> {
    ClientConfig::builder_with_details(provider(), Arc::new(Time(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)
}

fn finish(mut config: ClientConfig) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Trusts what chains to one of `pins`; says nothing about us.
pub(super) fn pinned(pins: &[[u8; 32]], clock: Clock) -> Result<ClientConfig, DialError> {
    let verifier = PinVerifier { pins: pins.to_vec(), provider: provider() };
    let config = builder(clock)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(finish(config))
}

/// Trusts the fleet's roots and shows our certificate.
pub fn mutual(identity: &Identity, clock: Clock) -> Result<ClientConfig, DialError> {
    let mut roots = RootCertStore::empty();
    for root in &identity.roots {
        roots.add(CertificateDer::from(root.clone())).map_err(setup)?;
    }
    let chain = identity.chain.iter().cloned().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.der().to_vec()));
    let config = builder(clock)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(setup)?;
    Ok(finish(config))
}

/// An open connection.
#[derive(Debug)]
pub struct Opened {
    /// For calls. It ends with the connection and does not make another one.
    pub channel: Channel,
    /// Bytes that only the two ends of this connection know.
    pub exporter: [u8; proto::proof::EXPORTER_BYTES],
}

/// Connects to `endpoint` and checks that it is the hub of `fleet_id`.
pub async fn open(
    endpoint: &str,
    config: ClientConfig,
    fleet_id: &str,
    clock: Clock,
) -> Result<Opened, DialError> {
    let name = format!("hub.{fleet_id}.internal");
    let connect = |why: String| DialError::Connect { endpoint: endpoint.to_owned(), why };
    let shake = handshake(endpoint, config, name.clone());
    let stream = tokio::time::timeout(CONNECT_MAX, shake)
        .await
        .map_err(|_| connect(format!("no connection within {} s", CONNECT_MAX.as_secs())))?
        .map_err(|fault| judge(endpoint, &fault, clock))?;
    let exporter = [0; proto::proof::EXPORTER_BYTES];
    let exporter = stream
        .get_ref()
        .1
        .export_keying_material(exporter, proto::proof::EXPORTER_LABEL, None)
        .map_err(setup)?;
    let once = Mutex::new(Some(TokioIo::new(stream)));
    let connector = tower::service_fn(move |_: http::Uri| {
        let taken = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = || std::io::Error::from(std::io::ErrorKind::NotConnected);
        async move { taken.ok_or_else(ended) }
    });
    let channel = Endpoint::from_shared(format!("http://{name}"))
        .map_err(setup)?
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_ANSWER)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .connect_with_connector(connector)
        .await
        .map_err(|fault| connect(crate::fault::causes(&fault)))?;
    Ok(Opened { channel, exporter })
}

async fn handshake(
    endpoint: &str,
    config: ClientConfig,
    name: String,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(endpoint).await?;
    tcp.set_nodelay(true)?;
    let keepalive =
        socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_ANSWER);
    socket2::SockRef::from(&tcp).set_tcp_keepalive(&keepalive)?;
    let name = ServerName::try_from(name).map_err(std::io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

/// Tells an untrusted hub from a wrong clock from a broken network.
fn judge(endpoint: &str, fault: &std::io::Error, clock: Clock) -> DialError {
    let endpoint = endpoint.to_owned();
    let tls = fault.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => DialError::Clock { endpoint, now: clock.now() },
        Some(rustls::Error::InvalidCertificate(why)) => {
            DialError::Untrusted { endpoint, why: why.to_string() }
        }
        _ => DialError::Connect { endpoint, why: fault.to_string() },
    }
}
