//! Our own accept loop, for what a ready-made one lacks: a time limit and a bound on handshakes, TLS that
//! changes without a restart, and a value exported from the session to bind an enrolment to it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use model::ClusterUid;
use proto::proof::{EXPORTER_BYTES, EXPORTER_LABEL};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::count::{Crowd, Place, address};
use super::limits::Limits;
use super::parts::Caller;
use crate::pki::{Peer, Tls};

/// Connections that the kernel keeps for us: a fleet that comes back at once.
const BACKLOG: i32 = 4096;
/// Finished handshakes that wait for the HTTP/2 server, which takes them at once.
const READY: usize = 64;
/// Pause after a failed accept (out of file descriptors): long enough not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listening socket with a long backlog.
pub(super) fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(listen), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Who takes up room.
struct Door {
    tls: Arc<Tls>,
    fleet_id: String,
    limits: Limits,
    open: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    shaking: Crowd<IpAddr>,
    anonymous: Crowd<IpAddr>,
    clusters: Crowd<ClusterUid>,
}

/// Accepts until `shutdown`; connections that passed their handshake come out of the receiver.
pub(super) fn accept(
    listener: TcpListener,
    tls: Arc<Tls>,
    fleet_id: String,
    limits: Limits,
    shutdown: CancellationToken,
) -> mpsc::Receiver<io::Result<Connection>> {
    let (ready, receiver) = mpsc::channel(READY);
    let door = Arc::new(Door {
        tls,
        fleet_id,
        open: Arc::new(Semaphore::new(limits.connections)),
        handshakes: Arc::new(Semaphore::new(limits.handshakes)),
        shaking: Crowd::new(),
        anonymous: Crowd::new(),
        clusters: Crowd::new(),
        limits,
    });
    tokio::spawn(async move {
        let _ended = shutdown.run_until_cancelled(door.accept_all(listener, ready)).await;
    });
    receiver
}

impl Door {
    async fn accept_all(
        self: Arc<Self>,
        listener: TcpListener,
        ready: mpsc::Sender<io::Result<Connection>>,
    ) {
        loop {
            let Ok(open) = self.open.clone().acquire_owned().await else { return };
            let (tcp, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection of an agent");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (door, ready) = (self.clone(), ready.clone());
            tokio::spawn(async move {
                match door.shake(tcp, remote, open).await {
                    // The receiver is gone only when the server stops.
                    Ok(connection) => drop(ready.send(Ok(connection)).await),
                    Err(error) => tracing::debug!(%remote, %error, "no connection"),
                }
            });
        }
    }

    async fn shake(
        &self,
        tcp: TcpStream,
        remote: SocketAddr,
        open: OwnedSemaphorePermit,
    ) -> io::Result<Connection> {
        let ip = address(remote.ip());
        let crowded = |what: &str| io::Error::other(format!("too many {what}"));
        let shaking = self.shaking.enter(ip, self.limits.handshakes_per_address);
        let shaking = shaking.ok_or_else(|| crowded("handshakes from one address"))?;
        let turn = self.handshakes.acquire().await.map_err(io::Error::other)?;
        tcp.set_nodelay(true)?;
        let acceptor = TlsAcceptor::from(self.tls.current());
        let tls = timeout(self.limits.handshake, acceptor.accept(tcp)).await??;
        drop((turn, shaking));

        let (_, session) = tls.get_ref();
        let exporter = session
            .export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None)
            .map_err(io::Error::other)?;
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let peer = leaf.map(|leaf| Peer::from_leaf(leaf, &self.fleet_id)).transpose();
        let peer = peer.map_err(io::Error::other)?;
        let (room, deadline) = if let Some(peer) = &peer {
            let max = self.limits.connections_per_cluster;
            let place = self.clusters.enter(peer.cluster.clone(), max);
            let place = place.ok_or_else(|| crowded("connections of one cluster"))?;
            (Room::Cluster(place), None)
        } else {
            let place = self.anonymous.enter(ip, self.limits.anonymous_per_address);
            let place = place.ok_or_else(|| crowded("connections without a certificate"))?;
            (Room::Anonymous(place), Some(Box::pin(sleep(self.limits.anonymous_life))))
        };
        let caller = Caller::new(ip, peer, exporter);
        Ok(Connection { tls, caller, deadline, _room: room, _open: open })
    }
}

/// What a connection counts against.
#[expect(dead_code, reason = "held for its drop")]
enum Room {
    Anonymous(Place<IpAddr>),
    Cluster(Place<ClusterUid>),
}

/// A connection that passed its handshake.
pub(super) struct Connection {
    tls: TlsStream<TcpStream>,
    caller: Caller,
    deadline: Option<Pin<Box<Sleep>>>,
    _room: Room,
    _open: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.tls).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }
}
