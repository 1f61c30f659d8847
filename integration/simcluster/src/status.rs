//! The `Status` object: how the API says no.

use crate::kinds::Kind;
use serde_json::{Value, json};

/// An answer that is not a success, as the API server words it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message} ({reason}: {code})")]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason; empty for plain internal errors, as on a real server.
    pub reason: String,
    /// The text for people.
    pub message: String,
    /// `details` of the Status object.
    pub details: Option<Box<Value>>,
    /// `metadata` of the Status object, when it stands for a list.
    pub list: Option<Box<Value>>,
    /// Seconds for the `Retry-After` header.
    pub retry_after: Option<u64>,
}

/// One thing wrong with an object; several make one 422.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    reason: &'static str,
    message: String,
    field: String,
}

impl Cause {
    pub(crate) fn invalid(field: &str, value: &Value, text: &str) -> Cause {
        let message = format!("Invalid value: {value}: {text}");
        Cause { reason: "FieldValueInvalid", message, field: field.to_owned() }
    }

    pub(crate) fn type_invalid(field: &str, value: &Value, text: &str) -> Cause {
        Cause { reason: "FieldValueTypeInvalid", ..Cause::invalid(field, value, text) }
    }

    pub(crate) fn required(field: &str, text: &str) -> Cause {
        let message = match text {
            "" => "Required value".to_owned(),
            text => format!("Required value: {text}"),
        };
        Cause { reason: "FieldValueRequired", message, field: field.to_owned() }
    }

    pub(crate) fn unsupported(field: &str, value: &Value, allowed: &[&str]) -> Cause {
        let list: Vec<String> = allowed.iter().map(|item| format!("\"{item}\"")).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", list.join(", "));
        Cause { reason: "FieldValueNotSupported", message, field: field.to_owned() }
    }

    pub(crate) fn forbidden(field: &str, text: &str) -> Cause {
        let message = format!("Forbidden: {text}");
        Cause { reason: "FieldValueForbidden", message, field: field.to_owned() }
    }

    pub(crate) fn duplicate(field: &str, value: &Value) -> Cause {
        let message = format!("Duplicate value: {value}");
        Cause { reason: "FieldValueDuplicate", message, field: field.to_owned() }
    }

    pub(crate) fn not_found(field: &str, value: &Value) -> Cause {
        let message = format!("Not found: {value}");
        Cause { reason: "FieldValueNotFound", message, field: field.to_owned() }
    }

    pub(crate) fn too_long(field: &str, limit: usize) -> Cause {
        let message = format!("Too long: may not be more than {limit} bytes");
        Cause { reason: "FieldValueTooLong", message, field: field.to_owned() }
    }

    fn to_value(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

impl Status {
    /// An answer with a code, a reason and a text, and nothing else.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Status {
        Status {
            code,
            reason: reason.to_owned(),
            message: message.into(),
            details: None,
            list: None,
            retry_after: None,
        }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Status {
        let mut details = json!({"name": name});
        if !kind.group.is_empty() {
            details["group"] = json!(kind.group);
        }
        details["kind"] = json!(kind.plural);
        self.details = Some(Box::new(details));
        self
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Status {
        let text = format!("{} \"{name}\" not found", kind.resource());
        Status::new(404, "NotFound", text).about(kind, name)
    }

    pub(crate) fn no_namespace(name: &str) -> Status {
        let mut status = Status::new(404, "NotFound", format!("namespaces \"{name}\" not found"));
        status.details = Some(Box::new(json!({"name": name, "kind": "namespaces"})));
        status
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Status {
        let text = format!("{} \"{name}\" already exists", kind.resource());
        Status::new(409, "AlreadyExists", text).about(kind, name)
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, text: &str) -> Status {
        let resource = kind.resource();
        let text = format!("Operation cannot be fulfilled on {resource} \"{name}\": {text}");
        Status::new(409, "Conflict", text).about(kind, name)
    }

    pub(crate) fn stale(kind: &Kind, name: &str) -> Status {
        let text = "the object has been modified; please apply your changes to the latest version \
                    and try again";
        Status::conflict(kind, name, text)
    }

    pub(crate) fn apply_conflict(message: String, causes: &[(String, String)]) -> Status {
        let mut status = Status::new(409, "Conflict", message);
        let causes: Vec<Value> = causes
            .iter()
            .map(|(message, field)| {
                json!({"reason": "FieldManagerConflict", "message": message, "field": field})
            })
            .collect();
        status.details = Some(Box::new(json!({"causes": causes})));
        status
    }

    pub(crate) fn forbidden(kind: &Kind, name: &str, text: &str) -> Status {
        let text = format!("{} \"{name}\" is forbidden: {text}", kind.resource());
        Status::new(403, "Forbidden", text).about(kind, name)
    }

    pub(crate) fn namespace_terminating(kind: &Kind, name: &str, namespace: &str) -> Status {
        let text = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut status = Status::forbidden(kind, name, &text);
        if let Some(details) = &mut status.details {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        status
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Status {
        let lines: Vec<String> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let list = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let kind_text = match kind.group.as_str() {
            "" => kind.kind.clone(),
            group => format!("{}.{group}", kind.kind),
        };
        let mut status =
            Status::new(422, "Invalid", format!("{kind_text} \"{name}\" is invalid: {list}"));
        let mut details = json!({"name": name});
        if !kind.group.is_empty() {
            details["group"] = json!(kind.group);
        }
        details["kind"] = json!(kind.kind);
        details["causes"] = causes.iter().map(Cause::to_value).collect();
        status.details = Some(Box::new(details));
        status
    }

    /// A parameter of the request that the server refuses: 422 about `PatchOptions` and the like.
    pub(crate) fn options(options: &str, cause: &Cause) -> Status {
        let Cause { message, field, .. } = cause;
        let text = format!("{options}.meta.k8s.io \"\" is invalid: {field}: {message}");
        let mut status = Status::new(422, "Invalid", text);
        status.details = Some(Box::new(json!({
            "group": "meta.k8s.io", "kind": options, "causes": [cause.to_value()],
        })));
        status
    }

    /// The group and version are known, this resource is not.
    pub(crate) fn no_resource() -> Status {
        let text = "the server could not find the requested resource";
        Status { details: Some(Box::new(json!({}))), ..Status::new(404, "NotFound", text) }
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Status {
        Status::new(400, "BadRequest", text)
    }

    pub(crate) fn method_not_allowed() -> Status {
        let text = "the server does not allow this method on the requested resource";
        let mut status = Status::new(405, "MethodNotAllowed", text);
        status.details = Some(Box::new(json!({})));
        status
    }

    pub(crate) fn expired(text: impl Into<String>) -> Status {
        Status::new(410, "Expired", text)
    }

    /// A plain error from inside: 500 with no reason, as for a patch that has no type.
    pub(crate) fn plain(text: impl Into<String>) -> Status {
        Status::new(500, "", text)
    }

    /// The object that goes on the wire.
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.list.as_deref().cloned().unwrap_or_else(|| json!({})),
            "status": "Failure",
            "message": self.message,
        });
        if !self.reason.is_empty() {
            value["reason"] = json!(self.reason);
        }
        let mut details = self.details.as_deref().cloned();
        if let Some(seconds) = self.retry_after {
            details.get_or_insert_with(|| json!({}))["retryAfterSeconds"] = json!(seconds);
        }
        if let Some(details) = details {
            value["details"] = details;
        }
        value["code"] = json!(self.code);
        value
    }
}
