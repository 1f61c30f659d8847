//! What was decided and what lies ahead: the log of an App, and the way to the end of its rollout.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use jiff::Timestamp;
use model::{
    AppName, Reason,
    api::{API_VERSION, List, LogItem, LoggedEvent, PathStep},
};
use rollout::Event;
use serde::Deserialize;

use super::blocking;
use crate::{
    engine::AppNow,
    http::{Parts, problem::Problem},
};

/// Events that one answer carries: some years of an App, or 50 MB.
const EVENTS_MAX: usize = 100_000;

/// Until when.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Until {
    until: Option<Timestamp>,
}

/// The events of an App, in order, up to an instant. Whoever folds them has the state of that instant.
pub(super) async fn log(
    State(parts): State<Parts>,
    Path(name): Path<String>,
    Query(Until { until }): Query<Until>,
) -> Result<Json<LogItem>, Problem> {
    let app = known(&parts, &name)?;
    let log = parts.log.clone();
    let rows = blocking(move || {
        log.events(&app, 0).map_err(|e| Problem::from(crate::registry::Error::from(e)))
    })
    .await?;
    if rows.first().is_some_and(|(seq, _)| *seq != 1) {
        let text = format!("the log of app `{name}` was trimmed; its beginning is gone");
        return Err(Problem::new(Reason::Refused, text).hint("look at `tidegate get rollouts`"));
    }
    if rows.len() > EVENTS_MAX {
        let text =
            format!("the log of app `{name}` has {} events, too many for one answer", rows.len());
        return Err(Problem::new(Reason::Refused, text).hint("look at `tidegate get rollouts`"));
    }
    let mut events = Vec::with_capacity(rows.len());
    for (seq, bytes) in rows {
        let unreadable = |e: serde_json::Error| {
            Problem::new(Reason::StoreCorrupt, format!("event {seq} of app `{name}`: {e}"))
        };
        let event: Event = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if until.is_some_and(|until| event.at() > until) {
            break;
        }
        let event = serde_json::to_value(&event).map_err(unreadable)?;
        events.push(LoggedEvent { seq, event });
    }
    Ok(Json(LogItem { api_version: API_VERSION.to_owned(), app: name, events }))
}

/// The steps to the end of the active rollout.
pub(super) async fn path(
    State(parts): State<Parts>,
    Path(name): Path<String>,
) -> Result<Json<List<PathStep>>, Problem> {
    let app = known(&parts, &name)?;
    let published = parts.engine.published();
    let now = published.apps.get(&app).ok_or_else(|| Problem::not_found("app", &name))?;
    Ok(Json(List::new(steps(now))))
}

/// The steps to the end of an App's active rollout; empty when none is.
pub(super) fn steps(app: &AppNow) -> Vec<PathStep> {
    let steps = rollout::path(&app.state, app.now, &app.obs).into_iter();
    steps
        .map(|step| PathStep { what: step.what, earliest: step.earliest, assumes: step.assumes })
        .collect()
}

fn known(parts: &Parts, name: &str) -> Result<AppName, Problem> {
    let app = AppName::parse(name).ok();
    app.filter(|app| parts.engine.published().apps.contains_key(app))
        .ok_or_else(|| Problem::not_found("app", name))
}
