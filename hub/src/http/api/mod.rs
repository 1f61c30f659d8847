//! `/api/v1`: reading and acting. One file a kind of thing; all of them answer with the documents of
//! `model::api`.

mod why;
mod act;
mod history;
mod rollouts;
mod apps;
mod holds;
mod clusters;
mod marks;
mod sources;
mod tokens;
mod document;

use axum::{
    Json, Router,
    extract::rejection::JsonRejection,
    middleware,
    routing::{delete, get, post, put},
};
use rollout::Actor;
use serde_json::{Value, json};

use super::{Parts, auth, problem::Problem};
use crate::{
    metrics::Sample,
    registry::{self, Registry},
};

/// Routes below `/api/v1`.
pub(super) fn routes() -> Router<Parts> {
    Router::new()
        .route("/openapi.json", get(document::openapi))
        .merge(admins())
        .route("/sources", get(sources::list))
        .route("/clusters", get(clusters::list))
        .route("/clusters/{name}", get(clusters::one))
        .route("/clusters/{name}/labels", put(clusters::label))
        .route("/clusters/{name}/hold", post(holds::hold))
        .route("/freezes", get(holds::freezes).post(holds::freeze))
        .route("/blockers", get(holds::blockers))
        .route("/blockers/{name}", post(holds::block).delete(holds::forget))
        .route("/me", get(tokens::me))
        .route("/apps", get(apps::list))
        .route("/rollouts", get(rollouts::list))
        .route("/rollouts/{app}/actions", post(act::act))
        .route("/rollouts/{app}/log", get(history::log))
        .route("/rollouts/{app}/path", get(history::path))
        .route("/waves", get(rollouts::waves))
        .route("/audit", get(sources::audit))
        .route("/why/{kind}/{name}", get(why::why))
}

/// What decides who belongs to the fleet and who may act in it: only for admins.
fn admins() -> Router<Parts> {
    Router::new()
        .route("/sources", post(sources::add))
        .route("/sources/{name}", delete(sources::remove))
        .route("/clusters", post(clusters::add))
        .route("/clusters/{name}", delete(clusters::remove))
        .route("/clusters/{name}/token", post(clusters::token))
        .route("/clusters/{name}/resume", post(clusters::resume))
        .route("/tokens", get(tokens::list).post(tokens::add))
        .route("/tokens/{name}", delete(tokens::remove))
        .route_layer(middleware::from_fn(auth::admins_only))
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
    actor: &Actor,
    (verb, object, reason): (&str, String, &str),
    work: impl FnOnce(&Registry) -> Result<T, registry::Error> + Send + 'static,
) -> Result<T, Problem> {
    let (registry, now) = (parts.registry.clone(), parts.clock.now());
    let (verb, reason, by) = (verb.to_owned(), reason.to_owned(), actor.name.clone());
    blocking(move || {
        let done = work(&registry)?;
        registry.audit(&by, &verb, &object, &reason, now)?;
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
    let renders = parts.engine.published().renders;
    let connections = parts.fleet.connected() as u64;
    let mut sample = Sample { connections, renders, ..Sample::default() };
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
