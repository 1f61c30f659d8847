//! Names: which form each kind demands, and the texts of a refusal.

use crate::{kinds::Kind, status::Cause};
use serde_json::{Value, json};

pub(super) const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
pub(super) const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
pub(super) const DATA_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

pub(super) fn check(kind: &Kind, object: &Value) -> Vec<Cause> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let refuse = |text: &str| vec![Cause::invalid("metadata.name", &json!(name), text)];
    if name.is_empty() {
        return vec![Cause::required("metadata.name", "name or generateName is required")];
    }
    match kind.kind.as_str() {
        _ if kind.group == "rbac.authorization.k8s.io" => {
            if name == "." || name == ".." || name.contains(['/', '%']) {
                refuse("may not contain '/' or '%'")
            } else {
                Vec::new()
            }
        }
        "Namespace" if kind.group.is_empty() && !is_label(name) => refuse(LABEL),
        "Service" if kind.group.is_empty() => {
            let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
            if is_label(name) && starts { Vec::new() } else { refuse(DNS_1035) }
        }
        _ if !is_subdomain(name) => refuse(SUBDOMAIN),
        _ => Vec::new(),
    }
}

fn is_label(name: &str) -> bool {
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 63
        && name.starts_with(ends)
        && name.ends_with(ends)
        && name.chars().all(|c| ends(c) || c == '-')
}

fn is_subdomain(name: &str) -> bool {
    let part = |part: &str| {
        let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(ends) && part.ends_with(ends) && part.chars().all(|c| ends(c) || c == '-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

pub(super) fn is_label_value(value: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    value.is_empty()
        || (value.starts_with(ends)
            && value.ends_with(ends)
            && value.chars().all(|c| ends(c) || "-_.".contains(c)))
}

pub(super) fn is_qualified(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    !last.is_empty() && last.len() <= 63 && is_label_value(last) && name.matches('/').count() < 2
}

pub(super) fn is_data_key(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name != "."
        && !name.starts_with("..")
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// `example.com/name`, or one of the server's own.
pub(super) fn is_finalizer(name: &str) -> bool {
    ["orphan", "foregroundDeletion", "kubernetes"].contains(&name) || name.contains('/')
}
