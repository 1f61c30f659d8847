//! Rollouts and their waves; pause, resume, abort, roll back.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::JsonRejection},
};
use model::{
    AppName, Reason, RolloutId,
    api::{List, RolloutAction, RolloutItem, WaveClusters, WaveItem},
};
use rollout::{
    Actor, Kind, Outcome, RolloutState, Verb,
    view::{RolloutView, WaveView},
};
use serde::Deserialize;

use super::{ACTOR, body, change, clusters};
use crate::{
    engine::AppNow,
    http::{Parts, problem::Problem},
    telemetry,
};

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
    app.view().rollouts.iter().map(|rollout| item(app, rollout)).collect()
}

fn item(app: &AppNow, view: &RolloutView) -> RolloutItem {
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
    }
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

pub(super) async fn act(
    State(parts): State<Parts>,
    Path(name): Path<String>,
    document: Result<Json<RolloutAction>, JsonRejection>,
) -> Result<Json<RolloutItem>, Problem> {
    let action = body(document)?;
    let app = AppName::parse(&name).map_err(|_| Problem::not_found("app", &name))?;
    let verb = verb(&parts, &action)?;
    if action.reason.trim().is_empty() && verb != Verb::Start {
        let text = format!("`{}` needs a reason; it stands in the log for ever", action.verb);
        return Err(Problem::bad(text).hint("add `--reason TEXT`"));
    }
    let actor = Actor { name: ACTOR.to_owned(), reason: action.reason.clone(), ..Actor::default() };
    let about = parts.engine.command(app.clone(), verb, actor).await?;
    let audit = (action.verb.as_str(), format!("rollout/{app}"), action.reason.as_str());
    change(&parts, audit, |_| Ok(())).await?;
    // What was acted on, though a release that waited may have begun at once.
    let mut items = items(&parts, Some(app.as_str())).into_iter();
    let item = match about {
        Some(id) => items.find(|item| item.id == id.0),
        None => items.next(),
    };
    item.map(Json).ok_or_else(|| Problem::not_found("rollout of app", app.as_str()))
}

fn verb(parts: &Parts, action: &RolloutAction) -> Result<Verb, Problem> {
    let cluster = match &action.cluster {
        Some(name) => Some(clusters::named(parts, name)?.uid),
        None => None,
    };
    Ok(match (action.verb.as_str(), cluster) {
        ("start", None) => Verb::Start,
        ("pause", None) => Verb::Pause,
        ("resume", None) => Verb::Resume { accept: action.accept },
        ("abort", None) => Verb::Abort,
        ("rollback", None) => Verb::Rollback,
        ("retry", cluster) => Verb::Retry { cluster },
        ("skip", Some(cluster)) => Verb::Skip { cluster },
        ("skip", None) => return Err(Problem::bad("`skip` needs a cluster")),
        (other, None) => {
            let text = format!("`{other}` is not something to do with a rollout");
            let hint = "one of start, pause, resume, abort, rollback, retry, skip";
            return Err(Problem::new(Reason::BadRequest, text).hint(hint));
        }
        (other, Some(_)) => {
            return Err(Problem::bad(format!(
                "`{other}` is about the whole rollout, not one cluster"
            )));
        }
    })
}
