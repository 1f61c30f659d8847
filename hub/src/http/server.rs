//! The listener for people.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Parts, routes};

/// Why people cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Plain HTTP outside the machine would show the token to everybody on the way.
    #[error(
        "`{0}` is not a loopback address, and plain HTTP is served on loopback only; \
         listen on 127.0.0.1 and put a TLS proxy in front"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("listen on `{at}`")]
    Listen {
        /// The address.
        at: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Ends when it has shut down.
    pub task: tokio::task::JoinHandle<io::Result<()>>,
}

/// Serves until `shutdown`, then lets open requests finish.
pub async fn serve(
    at: SocketAddr,
    parts: Parts,
    shutdown: CancellationToken,
) -> Result<Running, ServeError> {
    if !at.ip().is_loopback() {
        return Err(ServeError::NotLoopback(at));
    }
    let fault = |cause| ServeError::Listen { at, cause };
    let listener = TcpListener::bind(at).await.map_err(fault)?;
    let addr = listener.local_addr().map_err(fault)?;
    let app = routes(parts);
    let task = tokio::spawn(async move {
        axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await
    });
    Ok(Running { addr, task })
}
