//! A release and the plan of its way: immutable once a rollout has started.

use std::{collections::BTreeMap, sync::Arc};

use model::{ClusterUid, Commit, Digest, Revision};
use serde::{Deserialize, Serialize};

use crate::spec::WaveSpec;

/// What each target cluster shall run; knows its own digest, so that two can be compared at no cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "BTreeMap<ClusterUid, Digest>", into = "BTreeMap<ClusterUid, Digest>")]
pub struct Variants {
    map: Arc<BTreeMap<ClusterUid, Digest>>,
    digest: Digest,
}

impl Variants {
    /// Digest of the whole: the identity of a release.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether both say the same for every cluster that both name.
    pub fn agrees_with(&self, other: &Variants) -> bool {
        self.digest == other.digest
            || self.map.iter().all(|(uid, digest)| other.map.get(uid).is_none_or(|d| d == digest))
    }
}

impl PartialEq for Variants {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Variants {}

impl Default for Variants {
    fn default() -> Self {
        BTreeMap::new().into()
    }
}

impl std::ops::Deref for Variants {
    type Target = BTreeMap<ClusterUid, Digest>;
    fn deref(&self) -> &Self::Target {
        &self.map
    }
}

impl From<BTreeMap<ClusterUid, Digest>> for Variants {
    fn from(map: BTreeMap<ClusterUid, Digest>) -> Self {
        let line = |(uid, digest): (&ClusterUid, &Digest)| format!("{uid} {digest}\n");
        let digest = Digest::of(map.iter().map(line).collect::<String>().as_bytes());
        Variants { map: Arc::new(map), digest }
    }
}

impl FromIterator<(ClusterUid, Digest)> for Variants {
    fn from_iter<I: IntoIterator<Item = (ClusterUid, Digest)>>(iter: I) -> Self {
        iter.into_iter().collect::<BTreeMap<_, _>>().into()
    }
}

impl From<Variants> for BTreeMap<ClusterUid, Digest> {
    fn from(variants: Variants) -> Self {
        Arc::unwrap_or_clone(variants.map)
    }
}

/// One commit of an App, rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Commit and the ref it was seen under.
    pub revision: Revision,
    /// Who wrote the commit, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// First line of the commit message.
    #[serde(default)]
    pub subject: String,
    /// What each target shall run.
    pub variants: Variants,
    /// Changes that cannot simply be undone, in words: a stored version of a kind, a volume that grew. An
    /// automatic rollback halts instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hard_to_undo: Vec<String>,
}

impl Release {
    /// The commit.
    pub fn commit(&self) -> &Commit {
        &self.revision.commit
    }
}

/// The way of a release through the fleet: fixed when the rollout starts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The waves, in order, each with its members in the order in which they get their turn.
    pub waves: Vec<PlannedWave>,
    /// What each member shall run.
    pub targets: BTreeMap<ClusterUid, Digest>,
    /// Clusters of a rollback that have nothing proven to return to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub irreversible: Vec<ClusterUid>,
    /// Where members stand, for waves that ask for it; as their labels were when the plan was made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<ClusterUid, Place>,
}

/// Where a cluster stands: what `spread`, `separate` and windows go by, fixed when it became a member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Its failure domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The value it shares with the cluster it must not be in flight with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<String>,
    /// The zones that its labels name, by label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub zones: BTreeMap<String, String>,
}

/// One wave of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedWave {
    /// Snapshot of what was asked for.
    pub spec: WaveSpec,
    /// Members in order.
    pub members: Vec<ClusterUid>,
}
