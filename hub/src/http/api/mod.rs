//! `/api/v1`: reading and acting. One file a kind of thing; all of them answer with the documents of
//! `model::api`.

mod why;
mod rollouts;
mod apps;
mod clusters;
mod sources;
mod document;

use axum::{
    Json, Router,
    extract::rejection::JsonRejection,
    routing::{delete, get, post, put},
};
use serde_json::{Value, json};

use super::{Parts, problem::Problem};
use crate::{
    metrics::Sample,
    registry::{self, Registry},
};

/// Who acts: whoever has the one token there is.
const ACTOR: &str = "admin";

/// Routes below `/api/v1`.
pub(super) fn routes() -> Router<Parts> {
    Router::new()
        .route("/openapi.json", get(document::openapi))
        .route("/sources", get(sources::list).post(sources::add))
        .route("/sources/{name}", delete(sources::remove))
        .route("/clusters", get(clusters::list).post(clusters::add))
        .route("/clusters/{name}", get(clusters::one).delete(clusters::remove))
        .route("/clusters/{name}/labels", put(clusters::label))
        .route("/clusters/{name}/token", post(clusters::token))
        .route("/clusters/{name}/resume", post(clusters::resume))
        .route("/apps", get(apps::list))
        .route("/rollouts", get(rollouts::list))
        .route("/rollouts/{app}/actions", post(rollouts::act))
        .route("/waves", get(rollouts::waves))
        .route("/audit", get(sources::audit))
        .route("/why/{kind}/{name}", get(why::why))
}

/// Says the version to everybody: whoever cannot sign in must at least learn whom they talk to.
pub(super) async fn version() -> Json<Value> {
    Json(json!({ "version": env!("CARGO_PKG_VERSION") }))
}

/// A body that is what was asked for, or a problem that says where it is not.
fn body<T>(parsed: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    parsed.map(|Json(document)| document).map_err(|e| Problem::bad(e.body_text()))
}

/// Changes the registry as `verb` of a person on `object`, and writes it into the audit.
async fn change<T: Send + 'static>(
    parts: &Parts,
    (verb, object, reason): (&str, String, &str),
    work: impl FnOnce(&Registry) -> Result<T, registry::Error> + Send + 'static,
) -> Result<T, Problem> {
    let (registry, now) = (parts.registry.clone(), parts.clock.now());
    let (verb, reason) = (verb.to_owned(), reason.to_owned());
    blocking(move || {
        let done = work(&registry)?;
        registry.audit(ACTOR, &verb, &object, &reason, now)?;
        Ok(done)
    })
    .await
}

/// Runs something that blocks on the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        Err(Problem::new(model::Reason::Internal, "a part of the hub failed; see its log"))
    })
}

/// What `/metrics` shows.
pub(super) fn sample(parts: &Parts) -> Sample {
    let mut sample = Sample { connections: parts.fleet.connected() as u64, ..Sample::default() };
    for cluster in clusters::items(parts) {
        *sample.clusters.entry(cluster.state).or_default() += 1;
        for app in cluster.apps {
            *sample.app_clusters.entry((app.app, app.state)).or_default() += 1;
        }
    }
    for rollout in rollouts::items(parts, None).into_iter().filter(|r| r.ended_at.is_none()) {
        for wave in &rollout.waves {
            for (state, n) in rollouts::counts(&wave.clusters) {
                let key = (rollout.app.clone(), wave.name.clone(), state);
                *sample.wave_clusters.entry(key).or_default() += n as u64;
            }
        }
        *sample.rollouts.entry((rollout.app, rollout.state)).or_default() += 1;
    }
    sample
}
