//! `/healthz`, `/readyz`, `/metrics`, for the kubelet and for Prometheus. Reads only.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::cluster::Cluster;
use crate::metrics::Metrics;

/// What the answers are made of.
#[derive(Debug, Clone)]
pub struct Facts {
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
    /// For `/readyz`.
    pub cluster: Cluster,
    /// Whether there is an identity.
    pub enrolled: Arc<AtomicBool>,
    /// Whether this agent works; otherwise it stands by.
    pub leads: Arc<AtomicBool>,
}

impl Facts {
    /// What is missing to be ready. A hub that is away is not among it: then the agent keeps what it has.
    fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if !self.leads.load(Ordering::Relaxed) {
            // Standing by is what it is for.
            return missing;
        }
        if !self.enrolled.load(Ordering::Relaxed) {
            missing.push("not enrolled yet");
        }
        if !self.cluster.kinds().known() {
            missing.push("the API server was not reached yet");
        }
        missing
    }
}

async fn alive(State(facts): State<Facts>) -> String {
    let say = |yes: bool, then: &str, otherwise: &str| {
        if yes { then.to_owned() } else { otherwise.to_owned() }
    };
    let lines = [
        "ok".to_owned(),
        say(facts.leads.load(Ordering::Relaxed), "role: works", "role: stands by for the Lease"),
        say(facts.enrolled.load(Ordering::Relaxed), "identity: held", "identity: none yet"),
        say(
            facts.metrics.is_connected(),
            "hub: connected",
            "hub: not connected; what is held is kept and repaired",
        ),
        say(facts.cluster.kinds().known(), "cluster: known", "cluster: not reached yet"),
    ];
    format!("{}\n", lines.join("\n"))
}

async fn ready(State(facts): State<Facts>) -> impl IntoResponse {
    let missing = facts.missing();
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", missing.join("\n")))
    }
}

async fn metrics(State(facts): State<Facts>) -> impl IntoResponse {
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, form)], facts.metrics.text())
}

/// Binds `address`; the second is the address that it got, the first serves until dropped.
pub async fn serve(
    address: SocketAddr,
    facts: Facts,
) -> std::io::Result<(impl Future<Output = ()> + Send, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let local = listener.local_addr()?;
    let routes = Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(facts);
    let serving = async move {
        if let Err(fault) = axum::serve(listener, routes).await {
            tracing::error!(%fault, "health and metrics are not served any more");
        }
    };
    Ok((serving, local))
}
