//! Puts the agents' port together and keeps its certificates fresh.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::limits::{CHUNK_BYTES_MAX, ENROL_MESSAGE_BYTES_MAX, SESSION_MESSAGE_BYTES_MAX};
use proto::v1::agent_server::AgentServer;
use proto::v1::enrolment_server::EnrolmentServer;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;

use super::agent::Agents;
use super::enrol::Enrolments;
use super::limits::AgentsConfig;
use super::listen;
use super::parts::Parts;
use super::pull::Pulls;
use super::refuse::blocking;
use super::renew::Renewals;
use super::roster::{self, Roster};
use super::session::Sessions;
use crate::pki::{self, Tls};

/// A quiet connection is asked for a sign of life.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
/// And is closed when none comes within this time.
const KEEPALIVE_WAIT: Duration = Duration::from_secs(10);
/// Streams at one time on one connection: a session and a few pulls need far fewer.
const STREAMS_MAX: u32 = 32;
/// Bytes of headers of one request: ours have a few hundred.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Bytes that a peer may send before we take them, per stream and per connection.
const WINDOW_BYTES: u32 = 64 * 1024;
/// From the first byte of a call to its answer; a session answers at once and goes on.
const CALL_MAX: Duration = Duration::from_secs(30);
/// Around the data of a chunk: digest, total, tags.
const CHUNK_FRAME_BYTES: usize = 256;
/// How often certificates are looked at; they are renewed at half their life, weeks before they end.
const REFRESH_EVERY: Duration = Duration::from_hours(1);
/// How long calls may take to end when the hub stops.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// Why the agents' port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its address cannot be used.
    #[error("cannot listen for agents on {0}; choose another address with `--agents`")]
    Listen(SocketAddr, #[source] io::Error),
    /// No TLS.
    #[error("cannot set up TLS for agents")]
    Tls(#[source] pki::Error),
}

/// The open port.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Ends when all connections are closed after the shutdown.
    pub join: JoinHandle<()>,
}

/// Opens the agents' port. It works until `shutdown`; then sessions get a Goodbye and calls a few seconds.
pub async fn serve(
    config: AgentsConfig,
    parts: Parts,
    shutdown: CancellationToken,
) -> Result<Running, Error> {
    let failed = |error| Error::Listen(config.listen, error);
    let listener = listen::bind(config.listen).map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let tls = Arc::new(Tls::new(&parts.authority).map_err(Error::Tls)?);
    let fleet_id = parts.authority.fleet_id().to_owned();
    let limits = config.limits;
    let incoming =
        listen::accept(listener, tls.clone(), fleet_id, limits.clone(), shutdown.clone());

    let (roster, tasks) = (Arc::new(Roster::default()), TaskTracker::new());
    tokio::spawn(roster::watch(parts.clone(), roster.clone(), shutdown.clone()));
    tokio::spawn(refresh(parts.clone(), tls, shutdown.clone()));
    let life = limits.session_life;
    let sessions = Sessions::new(parts.clone(), roster, life, tasks.clone(), shutdown.clone());
    let agents = Agents {
        sessions: Arc::new(sessions),
        pulls: Pulls::new(parts.clone()),
        renewals: Renewals::new(parts.clone()),
    };
    let agents = AgentServer::new(agents)
        .max_decoding_message_size(SESSION_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(CHUNK_BYTES_MAX + CHUNK_FRAME_BYTES);
    let enrolments = EnrolmentServer::new(Enrolments::new(parts, limits.enrol))
        .max_decoding_message_size(ENROL_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ENROL_MESSAGE_BYTES_MAX);
    let serving = Server::builder()
        .timeout(CALL_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_WAIT))
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .add_service(agents)
        .add_service(enrolments)
        .serve_with_incoming_shutdown(
            ReceiverStream::new(incoming),
            shutdown.clone().cancelled_owned(),
        );
    let join = tokio::spawn(async move {
        let stopped = async {
            shutdown.cancelled().await;
            tasks.close();
            tasks.wait().await;
            sleep(STOP_WAIT).await;
        };
        tokio::select! {
            served = serving => if let Err(error) = served {
                tracing::error!(%error, "the agents' port failed");
            },
            () = stopped => tracing::warn!("some calls of agents did not end in time"),
        }
    });
    Ok(Running { addr, join })
}

/// Renews certificates in time and loads them without a restart.
async fn refresh(parts: Parts, tls: Arc<Tls>, shutdown: CancellationToken) {
    let rounds = async {
        loop {
            sleep(REFRESH_EVERY).await;
            let (authority, tls) = (parts.authority.clone(), tls.clone());
            let round = move || match authority.refresh() {
                Ok(true) => tls.reload(&authority),
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            match blocking(round).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "cannot renew the hub's certificates"),
                Err(status) => tracing::error!(%status, "cannot renew the hub's certificates"),
            }
        }
    };
    let _ended = shutdown.run_until_cancelled(rounds).await;
}
