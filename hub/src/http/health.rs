//! Live, ready (with the reason when not), and the numbers.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{Reason, Status};
use serde_json::json;

use super::{Parts, api};

/// The process answers.
pub(super) async fn live() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok" }))
}

/// The hub can decide.
pub(super) async fn ready(State(parts): State<Parts>) -> Response {
    let published = parts.engine.published();
    let fault = published.fault.clone().or_else(|| disk(&parts));
    match (&fault, published.ready) {
        // Rendering behind fewer layers is no reason to stop: it is said, and it stays said.
        (None, true) => match &parts.sandbox {
            None => Json(json!({ "status": "ok" })).into_response(),
            Some(weak) => {
                let note = json!({ "reason": weak.reason(), "message": weak.message() });
                Json(json!({ "status": "ok", "notes": [note] })).into_response()
            }
        },
        (None, false) => {
            let body = json!({ "status": "starting", "message": "logs are being read" });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
        (Some(fault), _) => {
            let body = json!({
                "status": "impaired",
                "reason": fault.reason(),
                "message": fault.message(),
                "fix": fault.fix,
            });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// The store takes no write with less than this much room, in bytes: its own headroom is 8 MiB.
const ROOM_MIN: u64 = 8 << 20;

/// Whether the disk has room for a decision, asked before one is needed.
fn disk(parts: &Parts) -> Option<Status> {
    let room = fs4::available_space(&parts.data_dir).ok()?;
    let text = || format!("{} has {} KiB left", parts.data_dir.display(), room >> 10);
    (room < ROOM_MIN).then(|| Status::because(Reason::DiskFull, text()))
}

/// OpenMetrics text.
pub(super) async fn metrics(State(parts): State<Parts>) -> Response {
    let text = crate::metrics::text(&api::sample(&parts));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
