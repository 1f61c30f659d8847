//! The clusters that an App is rendered for.

use model::{ClusterName, ClusterUid, Facts, Labels};
use serde::{Deserialize, Serialize};

/// Clusters named in one fault; the others are counted.
const NAMED_MAX: usize = 5;

/// A cluster as the hub knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FleetCluster {
    /// Its identity.
    pub uid: ClusterUid,
    /// Its name.
    pub name: ClusterName,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
    /// What its agent says of it.
    #[serde(default)]
    pub facts: Facts,
}

/// A cluster, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target<'a> {
    /// Its identity.
    pub uid: &'a ClusterUid,
    /// Its name.
    pub name: &'a ClusterName,
    /// Its labels.
    pub labels: &'a Labels,
    /// What its agent says of it.
    pub facts: &'a Facts,
}

impl<'a> From<&'a FleetCluster> for Target<'a> {
    fn from(cluster: &'a FleetCluster) -> Target<'a> {
        let FleetCluster { uid, name, labels, facts } = cluster;
        Target { uid, name, labels, facts }
    }
}

/// Some names, and how many more there are.
pub(crate) fn named(names: &[&ClusterName]) -> String {
    let list: Vec<_> = names.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = names.len().saturating_sub(NAMED_MAX);
    let s = if names.len() == 1 { "" } else { "s" };
    match more {
        0 => format!("cluster{s} {}", list.join(", ")),
        more => format!("cluster{s} {} and {more} more", list.join(", ")),
    }
}
