//! The OpenAPI document of the routes.

use axum::Json;
use serde_json::{Value, json};

/// One route: method, path, summary, what the body is, what the answer is.
const ROUTES: &[(&str, &str, &str, Option<&str>, &str)] = &[
    ("get", "/version", "Version of the hub", None, "Version"),
    ("get", "/sources", "List sources", None, "SourceList"),
    ("post", "/sources", "Follow a Git repository", Some("AddSource"), "Source"),
    ("delete", "/sources/{name}", "Stop following; clusters keep what they run", None, "Deleted"),
    ("get", "/clusters", "List clusters", None, "ClusterList"),
    (
        "post",
        "/clusters",
        "Add a cluster and make its join token",
        Some("AddCluster"),
        "AddedCluster",
    ),
    ("get", "/clusters/{name}", "One cluster", None, "Cluster"),
    ("delete", "/clusters/{name}", "Remove a cluster from the fleet", None, "Deleted"),
    ("put", "/clusters/{name}/labels", "Replace the labels", Some("Labels"), "Cluster"),
    ("post", "/clusters/{name}/token", "Make a new join token", Some("AskToken"), "AddedCluster"),
    ("post", "/clusters/{name}/resume", "Lift a suspension", Some("Resume"), "Cluster"),
    ("get", "/apps", "List Apps", None, "AppList"),
    ("get", "/rollouts", "List rollouts, newest first", None, "RolloutList"),
    (
        "post",
        "/rollouts/{app}/actions",
        "Pause, resume, abort, roll back",
        Some("RolloutAction"),
        "Rollout",
    ),
    ("get", "/waves", "List waves", None, "WaveList"),
    ("get", "/audit", "What people did", None, "AuditList"),
    ("get", "/why/{kind}/{name}", "Why something is as it is", None, "Why"),
];

/// OpenAPI 3.1 of everything below `/api/v1`.
pub(super) async fn openapi() -> Json<Value> {
    let mut paths = serde_json::Map::new();
    for (method, path, summary, body, answer) in ROUTES {
        let schema = |name: &str| json!({ "type": "object", "title": name });
        let mut operation = json!({
            "summary": summary,
            "responses": {
                "200": { "description": answer, "content": { "application/json": { "schema": schema(answer) } } },
                "default": { "description": "Problem (RFC 9457)", "content": { "application/problem+json": { "schema": schema("Problem") } } },
            },
        });
        let parameters: Vec<_> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        operation["parameters"] = json!(parameters);
        if let Some(body) = body {
            operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema(body) } } });
        }
        let entry = paths.entry(format!("/api/v1{path}")).or_insert_with(|| json!({}));
        entry[*method] = operation;
    }
    Json(json!({
        "openapi": "3.1.0",
        "info": { "title": "Tidegate", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": { "securitySchemes": { "admin": { "type": "http", "scheme": "bearer" } } },
        "security": [{ "admin": [] }],
    }))
}
