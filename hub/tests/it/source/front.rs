//! What stands before a real server and carries bytes to it: as they are, slowly, in part, or something else instead.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What becomes of connections. Those that are open end when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// All bytes, both ways.
    Open,
    /// All bytes, few at a time.
    Slow,
    /// The server is killed: connections are refused by ending at once.
    Gone,
    /// Nothing is said.
    Silent,
    /// Something is said that no server of its kind says.
    Garbage,
    /// So many bytes of the server, then nothing more, and the connection stays open.
    Half(usize),
    /// So many bytes of the server, then the end.
    Cut(usize),
}

/// Bytes at one time when it is slow, and the pause between: 200 KB in a second and a half.
const DROP: usize = 4_096;
const PAUSE: Duration = Duration::from_millis(30);

pub(super) struct Front {
    pub(super) port: u16,
    state: watch::Sender<(Way, u16)>,
    task: JoinHandle<()>,
}

impl Front {
    /// Before the server at this port.
    pub(super) async fn before(server: u16) -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, seen) = watch::channel((Way::Open, server));
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(connection(near, seen.clone()));
            }
        });
        Front { port, state, task }
    }

    pub(super) fn set(&self, way: Way) {
        self.state.send_modify(|state| state.0 = way);
    }

    /// Leads to another server from now on.
    pub(super) fn lead_to(&self, server: u16) {
        self.state.send_modify(|state| state.1 = server);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(mut near: TcpStream, mut seen: watch::Receiver<(Way, u16)>) {
    let (way, server) = *seen.borrow_and_update();
    let work = async {
        match way {
            Way::Gone => {}
            Way::Silent => std::future::pending().await,
            Way::Garbage => {
                near.write_all(b"\x00\xffWhat do you want?\r\n\r\n").await.ok();
                // It may say what it likes.
                let mut heard = [0; 1_024];
                while near.read(&mut heard).await.is_ok_and(|count| count > 0) {}
            }
            Way::Open | Way::Slow | Way::Half(_) | Way::Cut(_) => carry(near, way, server).await,
        }
    };
    tokio::select! {
        () = work => {}
        _ = seen.changed() => {}
    }
}

async fn carry(near: TcpStream, way: Way, server: u16) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let (mut from_client, mut to_client) = near.into_split();
    let (mut from_server, mut to_server) = far.into_split();
    let up = async {
        tokio::io::copy(&mut from_client, &mut to_server).await.ok();
        to_server.shutdown().await.ok();
        std::future::pending::<()>().await;
    };
    let down = async {
        let (mut buffer, mut passed) = ([0; DROP], 0);
        loop {
            let most = match way {
                Way::Half(most) | Way::Cut(most) => DROP.min(most - passed),
                Way::Open | Way::Slow | Way::Gone | Way::Silent | Way::Garbage => DROP,
            };
            if most == 0 {
                break;
            }
            let Ok(count @ 1..) = from_server.read(&mut buffer[..most]).await else { return };
            if to_client.write_all(&buffer[..count]).await.is_err() {
                return;
            }
            passed += count;
            if way == Way::Slow {
                tokio::time::sleep(PAUSE).await;
            }
        }
        if matches!(way, Way::Half(_)) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
