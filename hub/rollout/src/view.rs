//! What people are shown: a projection of the state for API, CLI and metrics.

use std::collections::BTreeMap;

use jiff::Timestamp;
use model::{AppName, ClusterUid, Grant, Revision, RolloutId, Status, WaveName};
use serde::{Deserialize, Serialize};

use crate::{
    evidence::Look,
    explain,
    obs::{Now, Obs},
    state::{App, Counts, Kind, Limits, Rollout, WaveState},
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
    /// Clusters give the App up.
    Removal,
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
    pub limits: Option<Limits>,
}

/// The App as it is now.
pub fn app(app: &App, now: Now, obs: &Obs) -> AppView {
    let look = Look { app, now, obs };
    let first = explain::explain(app, now, obs).into_iter().next().map(|b| b.status);
    let grants = app.clusters.iter().filter(|(_, h)| !h.departed);
    AppView {
        name: app.name.clone(),
        status: first.unwrap_or_else(|| ready(app)),
        head: app.head.as_ref().map(|h| h.revision.clone()),
        stable: app.stable.as_ref().map(|s| s.revision.clone()),
        condemned: app.condemned.keys().map(ToString::to_string).collect(),
        targets: app.targets.iter().cloned().collect(),
        grants: grants.filter_map(|(uid, h)| Some((uid.clone(), h.current()?.grant))).collect(),
        rollouts: app.active.iter().chain(&app.past).map(|r| rollout(look, r)).collect(),
    }
}

fn ready(app: &App) -> Status {
    match &app.stable {
        Some(stable) => Status::ready(format!("{} is everywhere", stable.commit().short())),
        None => Status::ready("nothing to do"),
    }
}

fn rollout(look: Look<'_>, rollout: &Rollout) -> RolloutView {
    RolloutView {
        id: rollout.id,
        kind: match rollout.kind {
            Kind::Forward => KindView::Forward,
            Kind::Rollback { .. } => KindView::Rollback,
            Kind::Removal { .. } => KindView::Removal,
        },
        revision: rollout.release.revision.clone(),
        subject: rollout.release.subject.clone(),
        state: explain::rollout_status(look, rollout),
        terminal: rollout.outcome().is_some(),
        waves: (0..rollout.waves.len()).map(|index| wave(look, rollout, index)).collect(),
        started: rollout.started,
        ended: rollout.ended,
        trace: rollout.trace.clone(),
    }
}

fn wave(look: Look<'_>, rollout: &Rollout, index: usize) -> WaveView {
    let wave = &rollout.waves[index];
    let gated = rollout.current_wave() == Some(index);
    let phase = match wave.state {
        WaveState::Locked if gated => "gated",
        WaveState::Locked => "locked",
        WaveState::Gated => "gated",
        WaveState::Open => "open",
        WaveState::Proving => "proving",
        WaveState::Passed { .. } => "passed",
        WaveState::Skipped => "skipped",
    };
    WaveView {
        name: wave.spec.name.clone(),
        status: explain::wave_status(look, rollout, index),
        phase: phase.to_owned(),
        clusters: rollout.counts(index),
        limits: wave.limits,
    }
}
