//! A wire between agents and hubs that can be held, cut, and led to another hub.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// More than one TLS record.
const BUFFER_BYTES: usize = 32 * 1024;

/// What becomes of bytes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// They arrive.
    Whole,
    /// Those to the agent wait; those to the hub arrive.
    Held,
    /// There is no connection, and none comes about.
    Cut,
}

/// What a wire is like now.
#[derive(Debug, Clone, Copy)]
struct State {
    end: SocketAddr,
    mode: Mode,
    /// How often connections were lost: one that began before the newest loss is lost.
    losses: u64,
}

/// Ends with its drop.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    state: watch::Sender<State>,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    /// A whole wire to a hub, or to anything else that listens.
    pub(crate) async fn to(end: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = watch::Sender::new(State { end, mode: Mode::Whole, losses: 0 });
        let seen = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let begun = *seen.borrow();
                if begun.mode != Mode::Cut {
                    tokio::spawn(carry(near, begun, seen.subscribe()));
                }
            }
        });
        Wire { address, state, task }
    }

    /// The near end.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the hub says does not arrive; what the agent says does.
    pub(crate) fn hold(&self) {
        self.state.send_modify(|state| state.mode = Mode::Held);
    }

    /// Nothing arrives, and what was under way is lost.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| {
            state.mode = Mode::Cut;
            state.losses += 1;
        });
    }

    /// What is connected from now on is connected.
    pub(crate) fn mend(&self) {
        self.state.send_modify(|state| state.mode = Mode::Whole);
    }

    /// Leads to another hub; connections to the one before are lost.
    pub(crate) fn lead_to(&self, end: SocketAddr) {
        self.state.send_modify(|state| {
            state.end = end;
            state.losses += 1;
        });
    }
}

/// One connection, until either end closes it or the wire loses it.
async fn carry(near: TcpStream, begun: State, state: watch::Receiver<State>) {
    let Ok(far) = TcpStream::connect(begun.end).await else { return };
    let (near_reads, near_writes) = near.into_split();
    let (far_reads, far_writes) = far.into_split();
    let mut lost = state.clone();
    let up = Direction { state: state.clone(), losses: begun.losses, held: false };
    let down = Direction { state, losses: begun.losses, held: true };
    tokio::select! {
        () = up.pour(near_reads, far_writes) => {}
        () = down.pour(far_reads, near_writes) => {}
        // The sender lives as long as the task that made this one.
        _ = lost.wait_for(|now| now.losses != begun.losses) => {}
    }
}

/// One way of a connection.
struct Direction {
    state: watch::Receiver<State>,
    losses: u64,
    /// Whether a wire that is held holds this way.
    held: bool,
}

impl Direction {
    async fn pour(mut self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            let waits = |now: &State| self.held && now.mode == Mode::Held;
            let Ok(now) = self.state.wait_for(|now| !waits(now)).await.map(|now| *now) else {
                return;
            };
            if now.losses != self.losses || to.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    }
}
