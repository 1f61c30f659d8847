//! Clusters: who is there, how they are, what they run; adding, labelling, deleting.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::JsonRejection},
};
use model::{
    ClusterName, ClusterUid, Labels, Reason, Status,
    api::{AddCluster, AddedCluster, ClusterApp, ClusterItem, List},
};
use rollout::Actor;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{body, change, marks};
use crate::{
    engine::{AgentView, AppNow, Published},
    http::{Parts, problem::Problem},
    pki::{self, Minted, TOKEN_LIFE_DEFAULT},
    registry::{ClusterRecord, ClusterState, NewToken, Registry},
};

/// Silence after which a cluster without a session is called offline; the default of `staleAfter`.
const OFFLINE_AFTER: Duration = Duration::from_secs(90);

pub(super) async fn list(State(parts): State<Parts>) -> Json<List<ClusterItem>> {
    Json(List::new(items(&parts)))
}

pub(super) async fn one(
    State(parts): State<Parts>,
    Path(name): Path<String>,
) -> Result<Json<ClusterItem>, Problem> {
    let record = named(&parts, &name)?;
    Ok(Json(item(&parts, &parts.engine.published(), &record)))
}

pub(super) fn items(parts: &Parts) -> Vec<ClusterItem> {
    let published = parts.engine.published();
    let records = parts.registry.clusters();
    let mut items: Vec<_> =
        records.values().map(|record| item(parts, &published, record)).collect();
    items.sort_by(|a, b| a.name.cmp(&b.name));
    items
}

pub(super) fn named(parts: &Parts, name: &str) -> Result<ClusterRecord, Problem> {
    let found = ClusterName::parse(name).ok().and_then(|n| parts.registry.cluster_named(&n));
    found.ok_or_else(|| Problem::not_found("cluster", name))
}

pub(super) fn item(parts: &Parts, published: &Published, record: &ClusterRecord) -> ClusterItem {
    let agent = parts.fleet.presence(&record.uid);
    let apps: Vec<_> = published
        .apps
        .values()
        .filter(|app| concerns(app, &record.uid))
        .map(|app| app_item(app, &record.uid))
        .collect();
    let status = membership(parts, record, &agent).unwrap_or_else(|| worst(&apps));
    let (cordon, pins) = marks::of_cluster(record, parts.clock.now());
    ClusterItem {
        name: record.name.to_string(),
        uid: record.uid.to_string(),
        labels: record.labels.clone(),
        state: status.state(),
        reason: status.reason(),
        message: status.message().to_owned(),
        connected: agent.connected,
        last_seen: agent.last_seen,
        agent_version: agent.agent_version,
        facts: agent.facts.unwrap_or_default(),
        apps,
        cordon,
        pins,
    }
}

/// Whether an App means anything to a cluster: it holds it, or is targeted by it.
fn concerns(app: &AppNow, uid: &ClusterUid) -> bool {
    let offered = app.offer.candidate.as_ref().is_some_and(|c| c.variants.contains_key(uid));
    offered || app.state.holding(uid).is_some_and(|h| h.newest().is_some() && !h.departed)
}

/// One App on one cluster.
pub(super) fn app_item(app: &AppNow, uid: &ClusterUid) -> ClusterApp {
    let grant = app.state.holding(uid).and_then(|h| h.current()).map(|given| given.grant);
    let status = app.on(uid);
    ClusterApp {
        app: app.name.to_string(),
        revision: grant.and_then(|g| app.revisions.get(&g.digest).cloned()),
        grant,
        state: status.state(),
        reason: status.reason(),
        message: status.message().to_owned(),
    }
}

/// What is to be said of the cluster itself before any App.
pub(super) fn membership(
    parts: &Parts,
    record: &ClusterRecord,
    agent: &AgentView,
) -> Option<Status> {
    match &record.state {
        ClusterState::Revoked => {
            return Some(Status::because(Reason::ClusterRevoked, "its registration was revoked"));
        }
        ClusterState::Suspended { why } => {
            let way = format!("tidegate cluster resume {} --reason TEXT", record.name);
            return Some(
                Status::because(Reason::ClusterSuspended, why.clone())
                    .fix("lift the suspension when it is safe", way),
            );
        }
        ClusterState::Pending if !agent.connected => {
            let text = "the cluster was added and its agent has never connected";
            return Some(Status::because(Reason::NeverConnected, text));
        }
        ClusterState::Pending | ClusterState::Active => {}
    }
    if agent.connected {
        return None;
    }
    let since_start = parts.clock.since_start();
    let silent = since_start.saturating_sub(agent.last_heard.unwrap_or_default());
    if silent >= OFFLINE_AFTER {
        let text = match agent.last_seen {
            Some(at) => format!("not heard from since {at:.0}"),
            None => "not heard from since the hub started".to_owned(),
        };
        return Some(Status::because(Reason::Offline, text));
    }
    if agent.last_heard.is_none() {
        let text = "the hub has just started and waits for the agent to connect";
        return Some(Status::because(Reason::NoReportYet, text));
    }
    let text = format!(
        "its agent's session ended; it is called offline {OFFLINE_AFTER:?} after the last word"
    );
    Some(Status::because(Reason::NoReportYet, text))
}

/// The App that needs attention most stands for the cluster.
fn worst(apps: &[ClusterApp]) -> Status {
    use model::State;
    let rank = |state: State| match state {
        State::Ready => 0,
        State::Waiting => 1,
        State::Paused => 2,
        State::Progressing => 3,
        State::Unknown => 4,
        State::Offline => 5,
        State::Drifted => 6,
        State::Failed => 7,
    };
    match apps.iter().max_by_key(|app| rank(app.state)) {
        None => Status::ready("connected; no App targets it"),
        Some(app) => match app.reason {
            None => Status::ready(format!("{} Apps are ready", apps.len())),
            Some(reason) => Status::because(reason, format!("{}: {}", app.app, app.message)),
        },
    }
}

pub(super) async fn add(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    document: Result<Json<AddCluster>, JsonRejection>,
) -> Result<Json<AddedCluster>, Problem> {
    let asked = body(document)?;
    let name = ClusterName::parse(&asked.name).map_err(|e| Problem::bad(e.to_string()))?;
    let made = mint(&parts, asked.ttl_seconds)?;
    let (token, labels, now) = (record_of(&made), asked.labels, parts.clock.now());
    let audit = ("add", object(&name), "");
    let add = move |registry: &Registry| registry.add_cluster(name, labels, token, now);
    let record = change(&parts, &actor, audit, add).await?;
    Ok(Json(added(&record, &made)))
}

/// Asks for a new join token.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AskToken {
    #[serde(default)]
    ttl_seconds: Option<u64>,
}

pub(super) async fn token(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    document: Result<Json<AskToken>, JsonRejection>,
) -> Result<Json<AddedCluster>, Problem> {
    let asked = body(document)?;
    let record = named(&parts, &name)?;
    let made = mint(&parts, asked.ttl_seconds)?;
    let (token, uid, now) = (record_of(&made), record.uid.clone(), parts.clock.now());
    let audit = ("token", object(&record.name), "");
    change(&parts, &actor, audit, move |registry| registry.add_token(&uid, token, now)).await?;
    Ok(Json(added(&record, &made)))
}

/// How the audit names a cluster.
fn object(name: &ClusterName) -> String {
    format!("cluster/{name}")
}

/// The token, shown once.
fn added(record: &ClusterRecord, made: &Minted) -> AddedCluster {
    AddedCluster {
        name: record.name.to_string(),
        uid: record.uid.to_string(),
        token: made.token.encode(),
        expires_at: made.expires_at,
    }
}

/// What the registry keeps of a token.
fn record_of(made: &Minted) -> NewToken {
    NewToken { id: made.id, secret_hash: made.secret_hash, expires_at: made.expires_at }
}

fn mint(parts: &Parts, ttl_seconds: Option<u64>) -> Result<Minted, Problem> {
    let life = ttl_seconds.map_or(TOKEN_LIFE_DEFAULT, Duration::from_secs);
    parts.authority.mint(vec![parts.agents_url.clone()], life).map_err(|error| {
        if matches!(error, pki::Error::TokenLife(_)) {
            Problem::bad(error.to_string())
        } else {
            Problem::new(Reason::Internal, error.to_string())
        }
    })
}

/// Lifts a suspension.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resume {
    #[serde(default)]
    reason: String,
}

pub(super) async fn resume(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    document: Result<Json<Resume>, JsonRejection>,
) -> Result<Json<ClusterItem>, Problem> {
    let asked = body(document)?;
    let record = named(&parts, &name)?;
    if asked.reason.trim().is_empty() {
        return Err(Problem::bad("`resume` needs a reason; it stands in the audit for ever")
            .hint("add `--reason TEXT`"));
    }
    if !matches!(record.state, ClusterState::Suspended { .. }) {
        return Err(Problem::new(Reason::Refused, format!("cluster `{name}` is not suspended"))
            .hint("nothing has to be done"));
    }
    let audit = ("resume", object(&record.name), asked.reason.as_str());
    let resume = move |registry: &Registry| {
        registry.update_cluster(&record.uid, |cluster| {
            let joined = cluster.active_serial.is_some();
            cluster.state = if joined { ClusterState::Active } else { ClusterState::Pending };
        })
    };
    let record = change(&parts, &actor, audit, resume).await?;
    Ok(Json(item(&parts, &parts.engine.published(), &record)))
}

pub(super) async fn label(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    document: Result<Json<Labels>, JsonRejection>,
) -> Result<Json<ClusterItem>, Problem> {
    let labels = body(document)?;
    let record = named(&parts, &name)?;
    let (audit, uid) = (("label", object(&record.name), ""), record.uid);
    let label = move |registry: &Registry| registry.set_labels(&uid, &labels);
    let record = change(&parts, &actor, audit, label).await?;
    Ok(Json(item(&parts, &parts.engine.published(), &record)))
}

pub(super) async fn remove(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let record = named(&parts, &name)?;
    let (deleted, uid) = (object(&record.name), record.uid.clone());
    let audit = ("delete", deleted.clone(), "");
    change(&parts, &actor, audit, move |registry| registry.delete_cluster(&uid)).await?;
    parts.fleet.forget(&record.uid);
    parts.desk.forget(&record.uid);
    Ok(Json(json!({ "deleted": deleted })))
}
