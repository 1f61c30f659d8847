//! Apps: what Git offers, what is decided, how far it is.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use model::{
    Status,
    api::{AppItem, List},
};

use super::clusters;
use crate::{engine::AppNow, http::Parts};

pub(super) async fn list(State(parts): State<Parts>) -> Json<List<AppItem>> {
    let published = parts.engine.published();
    Json(List::new(published.apps.values().map(|app| item(app)).collect()))
}

/// How an App is: what is wrong in Git comes first, because nothing new happens until it is mended.
pub(super) fn status(app: &AppNow) -> Status {
    match &app.offer.fault {
        Some(fault) => fault.clone(),
        None => app.view().status.clone(),
    }
}

pub(super) fn item(app: &AppNow) -> AppItem {
    let view = app.view();
    let status = status(app);
    let mut revisions: BTreeMap<String, usize> = BTreeMap::new();
    let mut ready = 0;
    for uid in &view.targets {
        let on = clusters::app_item(app, uid);
        ready += usize::from(on.state == model::State::Ready);
        if let Some(revision) = on.revision {
            *revisions.entry(revision).or_default() += 1;
        }
    }
    AppItem {
        name: app.name.to_string(),
        source: app.source.as_ref().map(ToString::to_string).unwrap_or_default(),
        state: status.state(),
        reason: status.reason(),
        message: status.message().to_owned(),
        // The newest commit, also when it cannot be used; why not stands beside it.
        head: app.offer.fault_at.clone().or(view.head.as_ref().map(ToString::to_string)),
        stable: view.stable.as_ref().map(ToString::to_string),
        clusters: view.targets.len(),
        ready,
        revisions,
        stamp: Some(rollout::stamp(&app.state)),
    }
}
