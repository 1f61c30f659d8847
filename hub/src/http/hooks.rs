//! `/hooks/v1/SOURCE`: hints from forges that something was pushed. Open to the network, because forges have no
//! bearer token: each carries a signature instead, and leads to one look at the remote and nothing else.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::post,
};
use model::SourceName;

use super::Parts;
use crate::source::HookError;

/// Largest hint in bytes; forges cut theirs off far below.
const HOOK_BYTES_MAX: usize = 1 << 20;

pub(super) fn routes() -> Router<Parts> {
    let limit = DefaultBodyLimit::max(HOOK_BYTES_MAX);
    Router::new().route("/hooks/v1/{source}", post(take)).layer(limit)
}

async fn take(
    State(parts): State<Parts>,
    Path(source): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let sources = parts.sources.clone();
    let hint = tokio::task::spawn_blocking(move || {
        let name = SourceName::parse(&source).map_err(|_| HookError::Refused)?;
        sources.hint(&name, &headers, &body)
    });
    let taken = hint.await.unwrap_or(Err(HookError::Unreadable));
    let text = taken.err().map_or_else(|| "accepted".to_owned(), |error| error.to_string());
    match taken {
        Ok(()) | Err(HookError::Replayed) => (StatusCode::ACCEPTED, text).into_response(),
        Err(HookError::Refused) => (StatusCode::UNAUTHORIZED, text).into_response(),
        Err(HookError::TooMany) => {
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "60")], text).into_response()
        }
        Err(HookError::Unreadable) => (StatusCode::SERVICE_UNAVAILABLE, text).into_response(),
    }
}
