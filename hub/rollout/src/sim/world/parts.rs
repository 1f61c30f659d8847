//! What a world is made of.

use std::{collections::BTreeMap, time::Duration};

use model::{ClusterName, ClusterUid, Commit, Facts, Labels};

use crate::{
    Strategy, Targets,
    sim::agent::{Agent, Behaviour},
};

/// One cluster of the world.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four things that are true or not, independently"
)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// Labels that the hub keeps of it.
    pub labels: Labels,
    /// What its agent says of it.
    pub facts: Facts,
    /// A person deleted it.
    pub deleted: bool,
    /// Its agent.
    pub agent: Agent,
    /// The hub can be reached.
    pub link: bool,
    /// The agent process runs.
    pub up: bool,
    /// How long everything takes, in percent of what is usual.
    pub slow: u32,
    /// Unhealthy, whatever it runs.
    pub broken: bool,
}

/// What a content does, where.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Where nothing else is said.
    pub everywhere: Option<Behaviour>,
    /// On these clusters.
    pub on: BTreeMap<ClusterUid, Behaviour>,
}

/// How unreliable the world is, in percent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Messages that never arrive.
    pub loss: u64,
    /// Messages that arrive twice.
    pub duplicate: u64,
    /// Longest delay; messages overtake each other.
    pub delay_secs: u64,
    /// Appends after which the hub dies.
    pub crash: u64,
}

/// How often agents speak, for stories that go from instant to instant.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// An agent reports at least so often.
    pub heartbeat: Duration,
    /// From a directive to the report about it.
    pub answer: Duration,
}

/// What is at HEAD.
#[derive(Debug, Clone)]
pub struct Commitment {
    /// The commit.
    pub commit: Commit,
    /// First line of its message.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// Which clusters it is for.
    pub targets: Targets,
    /// How it goes out.
    pub strategy: Strategy,
    /// Content of every cluster without one of its own.
    pub content: String,
    /// Clusters that get other content than the rest.
    pub own: BTreeMap<ClusterUid, String>,
    /// Changes that cannot simply be undone.
    pub hard_to_undo: Vec<String>,
}
