//! Responses: JSON, plain text, a stream, a broken connection.

use crate::status::Status;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use serde_json::{Value, json};
use std::io;

/// The body of every response.
pub type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

/// Marks a response whose connection is to be cut instead of answered.
#[derive(Clone, Copy, Debug)]
struct Broken;

pub(super) struct Answer {
    code: u16,
    content: &'static str,
    body: ResponseBody,
    warnings: Vec<String>,
    retry_after: Option<u64>,
    tag: Option<String>,
}

fn whole(bytes: impl Into<Bytes>) -> ResponseBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

impl Answer {
    fn new(code: u16, content: &'static str, body: ResponseBody) -> Answer {
        Answer { code, content, body, warnings: Vec::new(), retry_after: None, tag: None }
    }

    pub(super) fn json(code: u16, value: &Value) -> Answer {
        Answer::new(code, "application/json", whole(value.to_string()))
    }

    pub(super) fn discovery(value: &Value) -> Answer {
        const AGGREGATED: &str =
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        Answer::new(200, AGGREGATED, whole(value.to_string()))
    }

    pub(super) fn not_modified() -> Answer {
        Answer::new(304, "application/json", whole(""))
    }

    pub(super) fn text(code: u16, text: &'static str) -> Answer {
        Answer::new(code, "text/plain; charset=utf-8", whole(text))
    }

    /// What a path that no kind serves gets: plain text, not a Status.
    pub(super) fn page_not_found() -> Answer {
        Answer::text(404, "404 page not found\n")
    }

    pub(super) fn stream(body: ResponseBody) -> Answer {
        Answer::new(200, "application/json", body)
    }

    /// A deletion that is complete.
    pub(super) fn success(details: &Value) -> Answer {
        let value = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": details,
        });
        Answer::json(200, &value)
    }

    pub(super) fn warned(mut self, warnings: Vec<String>) -> Answer {
        self.warnings = warnings;
        self
    }

    pub(super) fn tagged(mut self, tag: String) -> Answer {
        self.tag = Some(tag);
        self
    }

    pub(super) fn respond(self) -> Response<ResponseBody> {
        let mut response = Response::new(self.body);
        *response.status_mut() =
            http::StatusCode::from_u16(self.code).unwrap_or(http::StatusCode::IM_A_TEAPOT);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        for warning in self.warnings {
            let quoted =
                format!("299 - \"{}\"", warning.replace('\\', "\\\\").replace('"', "\\\""));
            if let Ok(value) = HeaderValue::from_str(&quoted) {
                headers.append(header::WARNING, value);
            }
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(Ok(tag)) = self.tag.map(|tag| HeaderValue::from_str(&tag)) {
            headers.insert(header::ETAG, tag);
            headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        }
        response
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Answer {
        let retry_after = status.retry_after;
        Answer { retry_after, ..Answer::json(status.code, &status.to_value()) }
    }
}

/// A response that the server must not send, but cut the connection.
pub(super) fn broken() -> Response<ResponseBody> {
    let mut response = Response::new(whole(""));
    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    response.extensions_mut().insert(Broken);
    response
}

pub(crate) fn is_broken(response: &Response<ResponseBody>) -> bool {
    response.extensions().get::<Broken>().is_some()
}
