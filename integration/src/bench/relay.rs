//! A wire between agent and hub that counts the bytes on it.
//!
//! Each connection leaves from an address of its own within 127.0.0.0/8, so that a thousand agents of one
//! machine look to the hub like a thousand machines.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};

/// More than one TLS record.
const BUFFER_BYTES: usize = 32 * 1024;

/// Ends with its drop.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    bytes: Arc<Bytes>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Bytes {
    up: AtomicU64,
    down: AtomicU64,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// Forwards to the agents' port of a hub.
    pub(super) async fn start(hub: SocketAddr) -> io::Result<Relay> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let bytes = Arc::new(Bytes::default());
        let counted = Arc::clone(&bytes);
        let next = AtomicU32::new(1);
        let task = tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                let host = 0x7f01_0000 + next.fetch_add(1, Ordering::Relaxed) % 0xffff;
                tokio::spawn(forward(agent, hub, Ipv4Addr::from(host), Arc::clone(&counted)));
            }
        });
        Ok(Relay { address, bytes, task })
    }

    /// Where agents are to connect.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes so far from agents and to agents: TLS and all above it, without headers of TCP and IP.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.bytes.up.load(Ordering::Relaxed), self.bytes.down.load(Ordering::Relaxed))
    }
}

/// A broken connection is no fault of the relay: both ends see it.
async fn forward(agent: TcpStream, hub: SocketAddr, from: Ipv4Addr, bytes: Arc<Bytes>) {
    let open = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let hub = socket.connect(hub).await?;
        hub.set_nodelay(true)?;
        agent.set_nodelay(true)?;
        io::Result::Ok(hub)
    };
    let Ok(hub) = open.await else { return };
    let (agent_reads, agent_writes) = agent.into_split();
    let (hub_reads, hub_writes) = hub.into_split();
    tokio::join!(
        pour(agent_reads, hub_writes, &bytes.up),
        pour(hub_reads, agent_writes, &bytes.down)
    );
}

async fn pour(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: &AtomicU64,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        count.fetch_add(n as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
    // The other half may be gone already.
    drop(to.shutdown().await);
}
