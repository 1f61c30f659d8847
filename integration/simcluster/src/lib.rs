//! A pretend Kubernetes API server that an agent cannot tell from the real one in what it uses.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use simcluster::{Cluster, Options, Server};
//! let cluster = Cluster::new(Options { name: "eu-1".into(), ..Options::default() });
//! let server = Server::start(vec![cluster.clone()]).await?;
//! let kubeconfig = server.kubeconfig("eu-1");
//! # drop(kubeconfig); server.stop().await; Ok(()) }
//! ```
//!
//! Modules, the most important first; each uses only those below it.

mod server;

mod cluster;

mod api;

mod controllers;

mod ops;

mod validate;

mod defaults;

mod patch;

mod managed;

mod fields;

mod shared;

mod state;

mod options;

mod faults;

mod requests;

mod selector;

mod status;

mod kinds;

mod schema;

mod clock;

pub use api::ResponseBody;
pub use cluster::{Cluster, Service};
pub use faults::{Faults, Moment, Partition, Reject};
pub use options::Options;
pub use requests::RequestLog;
pub use server::Server;
pub use status::Status;
