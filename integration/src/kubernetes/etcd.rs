//! The one etcd of this process, and the folder of everything that the clusters write. Lives as long as a pool does.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::certificates::Authority;
use super::process::{Plan, Process, on_a_free_port};
use super::{Binaries, Error};

/// etcd is ready within a second; the rest is a machine under load.
const READY_DEADLINE: Duration = Duration::from_mins(1);

/// Set to keep the folder of a run (logs, keys, data) when the process ends.
const KEEP: &str = "TIDEGATE_KEEP_CLUSTERS";

static SHARED: Mutex<Weak<Etcd>> = Mutex::const_new(Weak::new());

#[derive(Debug)]
pub(super) struct Etcd {
    pub(super) folder: PathBuf,
    pub(super) authority: Authority,
    port: u16,
    _process: Process,
}

impl Etcd {
    /// The running one, or a new one when no pool is alive.
    pub(super) async fn shared(binaries: &Binaries) -> Result<Arc<Self>, Error> {
        let mut shared = SHARED.lock().await;
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let started = Arc::new(Self::start(binaries).await?);
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn start(binaries: &Binaries) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("tidegate-clusters-")
            .tempdir()
            .map_err(|source| Error::File { path: std::env::temp_dir(), source })?
            .keep();
        let authority = Authority::write(&folder)?;
        let program = binaries.etcd()?;
        let remove = std::env::var_os(KEEP).is_none().then_some(folder.as_path());
        let (port, process) =
            on_a_free_port("etcd", |port| start_on(port, &folder, program.clone(), remove)).await?;
        Ok(Self { folder, authority, port, _process: process })
    }
}

async fn start_on(
    port: u16,
    folder: &Path,
    program: PathBuf,
    remove: Option<&Path>,
) -> Result<Process, Error> {
    let url = format!("http://127.0.0.1:{port}");
    let mut process = Process::start(Plan {
        name: "etcd".to_owned(),
        program,
        arguments: vec![
            format!("--data-dir={}", folder.join("etcd").display()),
            format!("--listen-client-urls={url}"),
            format!("--advertise-client-urls={url}"),
            "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ],
        log: folder.join("etcd.log"),
        remove,
    })?;
    process.wait_until("become ready", READY_DEADLINE, || is_ready(port)).await?;
    Ok(process)
}

async fn is_ready(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    ask.await
        .is_ok_and(|answer| answer.lines().next().is_some_and(|status| status.contains(" 200 ")))
}
