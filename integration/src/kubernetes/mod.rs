//! Real Kubernetes control planes for tests, with no container engine: one etcd per process, and for each cluster an API
//! server with a key prefix of its own. With [`Options::with_controllers`] also the controller manager, the scheduler and
//! kwok, which plays the kubelet of one pretend node; then workloads, quotas, garbage collection and namespaces progress as
//! they do anywhere, only containers do not run.
//!
//! Deliberately absent: retries inside a test, fixed ports, and any state that outlives the process. A pool owns child
//! processes and no tasks, so tests with different async runtimes may share one.

mod pool;

mod cluster;

mod etcd;

mod access;

mod certificates;

pub(crate) mod process;

mod binaries;

use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

pub use binaries::{Binaries, binaries};
pub use cluster::RealCluster;
pub use pool::Pool;

/// What runs beside the API server of each cluster of a [`Pool`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether controller manager, scheduler and kwok run: about 225 MiB more memory for each cluster.
    pub controllers: bool,
    /// How many pretend nodes exist; needs `controllers` to become Ready.
    pub nodes: u32,
    /// Whether the pool has an etcd to itself, so that [`RealCluster::forget_history`] may be called.
    pub own_etcd: bool,
}

impl Options {
    /// A whole cluster with one pretend node, on which pods become Ready at once, except those with an image that ends in
    /// `:broken`: they stay in `ImagePullBackOff`.
    pub const fn with_controllers() -> Self {
        Self { controllers: true, nodes: 1, own_etcd: false }
    }
}

/// Why there is no real cluster.
#[derive(thiserror::Error)]
pub enum Error {
    #[error("no program `{program}` in {}: {next}", folder.display())]
    Missing { program: &'static str, folder: PathBuf, next: &'static str },
    #[error("cannot start `{name}` ({})", program.display())]
    Start { name: String, program: PathBuf, source: std::io::Error },
    #[error("cannot use the file {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("cannot ask the system for a free port of 127.0.0.1")]
    Port { source: std::io::Error },
    #[error("`{name}` ended by itself with {status}; {} ends with:\n{tail}", log.display())]
    Ended { name: String, status: ExitStatus, log: PathBuf, tail: String },
    #[error("`{name}` took longer than {waited:?} to {what}; {} ends with:\n{tail}", log.display())]
    Slow { name: String, what: &'static str, waited: Duration, log: PathBuf, tail: String },
    #[error("`{name}` found its port taken {attempts} times")]
    PortTaken {
        name: String,
        attempts: u32,
        #[source]
        last: Box<Error>,
    },
    #[error("cannot stop `{name}`, process {pid}")]
    Stop { name: String, pid: u32, source: std::io::Error },
    #[error("cannot make certificates for the test clusters")]
    Certificate(#[from] rcgen::Error),
    #[error("no random bytes for tokens: {0}")]
    Random(getrandom::Error),
    #[error("cannot read the access file of `{cluster}`")]
    Access { cluster: String, source: Box<kube::config::KubeconfigError> },
    #[error("etcd did not {what}: {answer}")]
    Etcd { what: &'static str, answer: String },
    #[error("`{cluster}` shares its etcd; a pool with `own_etcd` may forget")]
    SharedHistory { cluster: String },
    #[error("`{cluster}` refused a request of its own test pool")]
    Request { cluster: String, source: Box<kube::Error> },
}

/// For people: a failed test prints its error this way, and the tail of a log is of no use with its line ends escaped.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
