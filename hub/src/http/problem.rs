//! Errors as RFC 9457 documents with our reason codes.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use model::{Reason, api};

use crate::{engine::CommandError, registry};

/// An error on its way to a person.
#[derive(Debug)]
pub(super) struct Problem {
    reason: Reason,
    detail: String,
    hint: Option<String>,
}

impl Problem {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Problem {
        Problem { reason, detail: detail.into(), hint: None }
    }

    pub(super) fn not_found(kind: &str, name: &str) -> Problem {
        Problem::new(Reason::NotFound, format!("no {kind} named `{name}`"))
    }

    pub(super) fn bad(detail: impl Into<String>) -> Problem {
        Problem::new(Reason::BadRequest, detail)
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// The HTTP status that goes with a reason.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all other reasons are about the state")]
    fn status(&self) -> StatusCode {
        match self.reason {
            Reason::BadRequest => StatusCode::BAD_REQUEST,
            Reason::Unauthorized => StatusCode::UNAUTHORIZED,
            Reason::NotAllowed => StatusCode::FORBIDDEN,
            Reason::NotFound => StatusCode::NOT_FOUND,
            Reason::AlreadyExists => StatusCode::CONFLICT,
            Reason::StateChanged => StatusCode::PRECONDITION_FAILED,
            Reason::DiskFull | Reason::LeaseLost | Reason::Unavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Reason::Internal | Reason::StoreCorrupt => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = api::Problem {
            kind: format!("https://tidegate.dev/reasons/{}", self.reason.code()),
            title: self.reason.title().to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            reason: Some(self.reason),
            hint: Some(self.hint.unwrap_or_else(|| self.reason.next_step().to_owned())),
        };
        let mut response = (status, Json(body)).into_response();
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        response
    }
}

impl From<registry::Error> for Problem {
    fn from(error: registry::Error) -> Problem {
        let reason = match &error {
            registry::Error::AlreadyExists { .. } => Reason::AlreadyExists,
            registry::Error::NotFound { .. } => Reason::NotFound,
            registry::Error::TooManyTokens
            | registry::Error::TooMany { .. }
            | registry::Error::NotCurrent { .. }
            | registry::Error::Revoked(_) => Reason::Refused,
            registry::Error::Store(crate::store::Error::Io(_)) => Reason::DiskFull,
            registry::Error::Store(crate::store::Error::LeaseLost { .. }) => Reason::LeaseLost,
            registry::Error::Store(_) => Reason::Internal,
        };
        let detail = if let registry::Error::Store(crate::store::Error::Io(cause)) = &error {
            tracing::error!(%cause, "the store refuses a write");
            format!("the hub's disk refuses writes: {cause}")
        } else {
            error.to_string()
        };
        Problem::new(reason, detail)
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Problem {
        match error {
            CommandError::NoSuchApp(app) => Problem::not_found("app", app.as_str()),
            CommandError::Refused(refusal) => {
                let detail = format!("{}: {}", refusal.what, refusal.why);
                Problem::new(refusal.reason, detail).hint(refusal.fix)
            }
            CommandError::Disk(_) => Problem::new(Reason::DiskFull, error.to_string()),
            CommandError::Gone => Problem::new(Reason::Unavailable, error.to_string()),
        }
    }
}

/// Any path that we do not serve.
pub(super) async fn no_such_route(uri: Uri) -> Problem {
    Problem::new(Reason::NotFound, format!("nothing is served at `{}`", uri.path()))
        .hint("the API stands below `/api/v1`")
}
