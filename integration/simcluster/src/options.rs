//! What a pretend cluster is like.

use jiff::Timestamp;
use std::time::Duration;

/// The settings of one cluster; `Options { name: "eu-1".into(), ..Options::default() }`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names the cluster in its server's path and in its kubeconfig. A DNS label.
    pub name: String,
    /// Same seed and name, same uids, same names of pods.
    pub seed: u64,
    /// How long a controller takes to notice a change. The window in which a status is stale.
    pub tick: Duration,
    /// From a pod's creation until its containers are ready (or are found broken).
    pub ready_after: Duration,
    /// How many Nodes there are from the start.
    pub nodes: u32,
    /// Whether the controllers run. Without them it is a bare API server.
    pub controllers: bool,
    /// How often a watch that allows bookmarks gets one.
    pub bookmarks: Duration,
    /// The wall clock at the start; `None` takes the system's.
    pub start: Option<Timestamp>,
    /// What `/version` answers.
    pub version: String,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            name: "sim".to_owned(),
            seed: 1,
            tick: Duration::from_millis(50),
            ready_after: Duration::from_millis(200),
            nodes: 3,
            controllers: true,
            bookmarks: Duration::from_secs(10),
            start: None,
            version: "v1.37.2".to_owned(),
        }
    }
}
