//! The one etcd of this process, and the folder of everything that the clusters write. Lives as long as a pool does.
//! A pool that wants to throw away history has one of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::Value;
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
    pub(super) is_shared: bool,
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
        let started = Arc::new(Self::start(binaries, true).await?);
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    pub(super) async fn own(binaries: &Binaries) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self::start(binaries, false).await?))
    }

    /// Throws away every version of every object but the current one.
    pub(super) async fn compact(&self) -> Result<(), Error> {
        let failed = |what| move |answer: String| Error::Etcd { what, answer };
        // `AA==` is a key that no object has; the answer tells the revision all the same.
        let read = self.post("/v3/kv/range", r#"{"key":"AA=="}"#).await;
        let read = read.map_err(failed("tell its revision"))?;
        let answer: Value = serde_json::from_str(&read).unwrap_or_default();
        let Some(revision) = answer["header"]["revision"].as_str() else {
            return Err(failed("tell its revision")(read));
        };
        let order = format!(r#"{{"revision":"{revision}","physical":true}}"#);
        self.post("/v3/kv/compaction", &order).await.map_err(failed("compact"))?;
        Ok(())
    }

    /// The body of a good answer; of a bad one everything, as the error.
    async fn post(&self, path: &str, body: &str) -> Result<String, String> {
        let length = body.len();
        let request = format!("POST {path} HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{body}");
        let answer = ask(self.port, &request).await.map_err(|error| error.to_string())?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if is_ok(head) => Ok(body.to_owned()),
            _ => Err(answer),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn start(binaries: &Binaries, is_shared: bool) -> Result<Self, Error> {
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
        Ok(Self { folder, authority, is_shared, port, _process: process })
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
    ask(port, "GET /readyz HTTP/1.0\r\n\r\n").await.is_ok_and(|answer| is_ok(&answer))
}

async fn ask(port: u16, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn is_ok(answer: &str) -> bool {
    answer.lines().next().is_some_and(|status| status.contains(" 200 "))
}
