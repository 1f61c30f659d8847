//! What people and scripts talk to: HTTPS + JSON below `/api/v1`, health, metrics, a status page.
//!
//! Routes are closed by default: everything below `/api` wants the bearer token. Plain HTTP is served on
//! loopback only. Deliberately absent: decisions, and anything that agents use.

mod server;
mod health;
mod api;
mod hooks;
mod page;
mod auth;
mod problem;

use std::sync::Arc;

use axum::{Router, middleware, routing::get};

use crate::{
    clock::Clock,
    engine::{Desk, Fleet, Handle},
    forge::Told,
    pki::Authority,
    registry::Registry,
    source::Sources,
    store::Log,
};

pub use auth::{AdminToken, TokenError};
pub use server::{Running, ServeError, serve};

/// Largest request body in bytes; the largest document that people send is a list of labels.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Everything that a handler may look at.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The driver.
    pub engine: Handle,
    /// What agents said.
    pub fleet: Arc<Fleet>,
    /// What is served to them.
    pub desk: Arc<Desk>,
    /// Clusters, tokens, sources, freezes, blockers, audit.
    pub registry: Registry,
    /// What was decided.
    pub log: Log,
    /// Git.
    pub sources: Sources,
    /// Who signs; its root is pinned in join tokens.
    pub authority: Arc<Authority>,
    /// Address that stands in join tokens.
    pub agents_url: String,
    /// Who may sign in.
    pub admin: AdminToken,
    /// Time.
    pub clock: Clock,
    /// Where the store is; `/readyz` looks at its disk.
    pub data_dir: std::path::PathBuf,
    /// What forges were told.
    pub forges: Told,
    /// What is to be said about the sandbox of rendering, when it is not whole.
    pub sandbox: Option<model::Status>,
}

/// All routes.
pub fn routes(parts: Parts) -> Router {
    let guarded =
        api::routes().route_layer(middleware::from_fn_with_state(parts.clone(), auth::require));
    Router::new()
        .nest("/api/v1", guarded)
        .route("/api/v1/version", get(api::version))
        .merge(page::routes())
        .merge(hooks::routes())
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(problem::no_such_route)
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::map_response(page::harden))
        .with_state(parts)
}
