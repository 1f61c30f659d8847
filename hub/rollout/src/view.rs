//! What people are shown: a projection of the state for API, CLI and metrics.

use std::collections::BTreeMap;

use jiff::Timestamp;
use model::{AppName, ClusterUid, Grant, Revision, RolloutId, Status, WaveName};
use serde::{Deserialize, Serialize};

use crate::{
    obs::{Now, Obs},
    state::{App, Counts},
};

/// One App.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppView {
    /// Its name.
    pub name: AppName,
    /// The first blocker, or ready.
    pub status: Status,
    /// Newest commit.
    pub head: Option<Revision>,
    /// Commit of the proven release.
    pub stable: Option<Revision>,
    /// Contents that are not rolled out again.
    pub condemned: Vec<String>,
    /// Clusters of the last plan.
    pub targets: Vec<ClusterUid>,
    /// What the hub wants each cluster to hold.
    pub grants: BTreeMap<ClusterUid, Grant>,
    /// Rollouts, newest first.
    pub rollouts: Vec<RolloutView>,
}

/// Which way a rollout goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KindView {
    /// A new release.
    Forward,
    /// Back to proven ones.
    Rollback,
}

/// One rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutView {
    /// Its number.
    pub id: RolloutId,
    /// Forward or back.
    pub kind: KindView,
    /// What goes out.
    pub revision: Revision,
    /// First line of the commit message.
    pub subject: String,
    /// Where it is.
    pub state: Status,
    /// Whether it is over.
    pub terminal: bool,
    /// Its waves.
    pub waves: Vec<WaveView>,
    /// When it was planned.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// W3C `traceparent` of the commit.
    pub trace: Option<String>,
}

/// One wave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveView {
    /// Its name.
    pub name: WaveName,
    /// Where it is.
    pub status: Status,
    /// `locked`, `gated`, `open`, `proving`, `passed` or `skipped`.
    pub phase: String,
    /// Members by state.
    pub clusters: Counts,
    /// Frozen limits, once open.
    pub limits: Option<crate::state::Limits>,
}

/// The App as it is now.
pub fn app(app: &App, now: Now, obs: &Obs) -> AppView {
    let _ = (now, obs);
    AppView {
        name: app.name.clone(),
        status: Status::ready("nothing to do"),
        head: app.head.as_ref().map(|h| h.revision.clone()),
        stable: app.stable.as_ref().map(|s| s.revision.clone()),
        condemned: app.condemned.keys().map(ToString::to_string).collect(),
        targets: app.targets.iter().cloned().collect(),
        grants: BTreeMap::new(),
        rollouts: Vec::new(),
    }
}
