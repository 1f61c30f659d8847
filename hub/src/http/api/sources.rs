//! Sources, and the audit of what people did.

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::JsonRejection},
};
use model::{
    Reason, SourceName,
    api::{AddSource, List, SourceItem},
};
use rollout::Actor;
use serde_json::{Value, json};

use super::{blocking, body, change};
use crate::{
    http::{Parts, problem::Problem},
    registry::SourceRecord,
    source::{SourceConfig, Sources},
};

/// Rows of the audit that one answer carries.
const AUDIT_ROWS_MAX: usize = 1_000;

pub(super) async fn list(State(parts): State<Parts>) -> Json<List<SourceItem>> {
    let records = parts.registry.sources();
    Json(List::new(records.values().map(|record| item(&parts, record)).collect()))
}

pub(super) fn item(parts: &Parts, record: &SourceRecord) -> SourceItem {
    let status = parts.sources.status(&record.name);
    let state = match &status {
        Some(status) => status.state.clone(),
        None => model::Status::because(Reason::GitNotFetchedYet, "the first fetch has not begun"),
    };
    SourceItem {
        name: record.name.to_string(),
        url: record.url.clone(),
        reference: record.reference.clone(),
        state: state.state(),
        reason: state.reason(),
        message: state.message().to_owned(),
        revision: status.as_ref().and_then(|s| s.revision.as_ref()).map(ToString::to_string),
        fetched_at: status.as_ref().and_then(|s| s.fetched_at),
        signed_by: status.as_ref().and_then(|s| s.signed_by.clone()),
        rewritten: status.and_then(|s| s.rewritten).map(|(at, text)| format!("{at}: {text}")),
        webhook: record.webhook.as_ref().map(|_| format!("/hooks/v1/{}", record.name)),
    }
}

pub(super) async fn add(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    document: Result<Json<AddSource>, JsonRejection>,
) -> Result<Json<SourceItem>, Problem> {
    let asked = body(document)?;
    let name = SourceName::parse(&asked.name).map_err(|e| Problem::bad(e.to_string()))?;
    let record = SourceRecord {
        name,
        url: asked.url,
        reference: asked.reference,
        credentials_file: asked.credentials_file,
        ca_file: asked.ca_file,
        chart: asked.chart,
        paths: asked.paths,
        auth: asked.auth,
        verify: asked.verify,
        webhook: asked.webhook,
        commit_status: asked.commit_status,
        charts: asked.charts,
        created_at: parts.clock.now(),
    };
    let config = SourceConfig::from(&record);
    Sources::check(&config).map_err(|e| Problem::bad(e.to_string()))?;
    let (audit, stored) = (("add", object(&record.name), ""), record.clone());
    change(&parts, &actor, audit, move |registry| registry.add_source(stored)).await?;
    parts.sources.add(config).map_err(|e| Problem::bad(e.to_string()))?;
    Ok(Json(item(&parts, &record)))
}

pub(super) async fn remove(
    State(parts): State<Parts>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let unknown = || Problem::not_found("source", &name);
    let source = SourceName::parse(&name).map_err(|_| unknown())?;
    let (deleted, gone) = (object(&source), source.clone());
    let audit = ("delete", deleted.clone(), "");
    change(&parts, &actor, audit, move |registry| registry.delete_source(&gone)).await?;
    parts.sources.remove(&source);
    Ok(Json(json!({ "deleted": deleted })))
}

/// How the audit names a source.
fn object(name: &SourceName) -> String {
    format!("source/{name}")
}

pub(super) async fn audit(State(parts): State<Parts>) -> Result<Json<Value>, Problem> {
    let registry = parts.registry.clone();
    let rows = blocking(move || Ok(registry.audit_list(AUDIT_ROWS_MAX)?)).await?;
    let items: Vec<_> = rows
        .into_iter()
        .map(|row| {
            json!({
                "n": row.n, "at": row.at, "actor": row.actor, "verb": row.verb,
                "object": row.object, "reason": row.reason,
            })
        })
        .collect();
    Ok(Json(json!({ "apiVersion": model::api::API_VERSION, "items": items })))
}
