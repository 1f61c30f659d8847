//! Rollouts and their waves, as people see them.

use axum::{
    Json,
    extract::{Query, State},
};
use model::{
    Digest, RolloutId,
    api::{List, RolloutItem, WaveClusters, WaveItem},
};
use rollout::{
    Kind, MemberState, Outcome, Rollout, RolloutState,
    view::{RolloutView, WaveView},
};
use serde::Deserialize;

use crate::{engine::AppNow, http::Parts, telemetry};

/// Which rollouts.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    app: Option<String>,
}

pub(super) async fn list(
    State(parts): State<Parts>,
    Query(filter): Query<Filter>,
) -> Json<List<RolloutItem>> {
    Json(List::new(items(&parts, filter.app.as_deref())))
}

pub(super) async fn waves(
    State(parts): State<Parts>,
    Query(filter): Query<Filter>,
) -> Json<List<WaveItem>> {
    let mut waves = Vec::new();
    for rollout in items(&parts, filter.app.as_deref()) {
        for mut wave in rollout.waves {
            wave.app = Some(rollout.app.clone());
            wave.rollout = Some(rollout.id);
            waves.push(wave);
        }
    }
    Json(List::new(waves))
}

/// Rollouts of one App or of all: by App, newest first.
pub(super) fn items(parts: &Parts, app: Option<&str>) -> Vec<RolloutItem> {
    let published = parts.engine.published();
    let wanted = published.apps.values().filter(|a| app.is_none_or(|name| a.name.as_str() == name));
    wanted.flat_map(|app| of_app(app)).collect()
}

fn of_app(app: &AppNow) -> Vec<RolloutItem> {
    // One for the App: digesting the members of a large one takes a while.
    let stamp = rollout::stamp(&app.state);
    app.view().rollouts.iter().map(|rollout| item(app, rollout, stamp)).collect()
}

fn item(app: &AppNow, view: &RolloutView, stamp: Digest) -> RolloutItem {
    let kind = match app.state.rollout(view.id).map(|r| &r.kind) {
        Some(Kind::Rollback { .. }) => "rollback",
        Some(Kind::Removal { .. }) => "removal",
        Some(Kind::Forward) | None => "forward",
    };
    RolloutItem {
        app: app.name.to_string(),
        id: view.id.0,
        revision: view.revision.to_string(),
        kind: kind.to_owned(),
        state: word(app, view.id),
        reason: view.state.reason(),
        message: view.state.message().to_owned(),
        subject: view.subject.clone(),
        started_at: Some(view.started),
        ended_at: view.ended,
        trace_id: view.trace.as_deref().and_then(telemetry::trace_id),
        waves: view.waves.iter().map(wave).collect(),
        stamp: Some(stamp),
        unstarted: app.state.rollout(view.id).map_or(0, unstarted),
    }
}

/// Grants that no agent confirmed to hold.
fn unstarted(rollout: &Rollout) -> usize {
    let waits = |state: &MemberState| *state == MemberState::Updating { acked: false };
    rollout.members.values().filter(|member| waits(&member.state)).count()
}

/// The state as one word.
fn word(app: &AppNow, id: RolloutId) -> String {
    let Some(rollout) = app.state.rollout(id) else { return "Unknown".to_owned() };
    let word = match &rollout.state {
        RolloutState::Planned => "Planned",
        RolloutState::Progressing if rollout.is_rollback() => "RollingBack",
        RolloutState::Progressing => "Progressing",
        RolloutState::Paused { .. } => "Paused",
        RolloutState::Halted { .. } => "Halted",
        RolloutState::Ended { outcome, .. } => match outcome {
            Outcome::Completed { .. } => "Completed",
            Outcome::RolledBack { .. } => "RolledBack",
            Outcome::Superseded { .. } => "Superseded",
            Outcome::Aborted => "Aborted",
        },
    };
    word.to_owned()
}

fn wave(view: &WaveView) -> WaveItem {
    let c = &view.clusters;
    let n = |count: u32| count as usize;
    let mut state = view.phase.clone();
    if let Some(first) = state.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    WaveItem {
        app: None,
        rollout: None,
        name: view.name.to_string(),
        state,
        reason: view.status.reason(),
        message: view.status.message().to_owned(),
        clusters: WaveClusters {
            total: n(c.total),
            ready: n(c.ready),
            failed: n(c.failed),
            queued: n(c.queued),
            updating: n(c.updating),
            verifying: n(c.verifying),
            recalling: n(c.recalling),
            updated: n(c.updated),
            deferred: n(c.deferred),
            unchanged: n(c.unchanged),
            skipped: n(c.skipped),
            departed: n(c.departed),
        },
    }
}

/// Members by state, as metrics name them.
pub(super) fn counts(c: &WaveClusters) -> [(&'static str, usize); 10] {
    [
        ("queued", c.queued),
        ("updating", c.updating),
        ("verifying", c.verifying),
        ("recalling", c.recalling),
        ("updated", c.updated),
        ("failed", c.failed),
        ("deferred", c.deferred),
        ("unchanged", c.unchanged),
        ("skipped", c.skipped),
        ("departed", c.departed),
    ]
}
