//! Is the manifest wrong, or only the change? Creating the same body under another name, as a dry run,
//! tells: 201 means that the manifest is fine and a field cannot change. No list of error texts does.

use model::Reason;
use serde_json::Value;

use super::{Class, Failure};

/// Longest name that leaves room for a suffix: names of most kinds have at most 253 bytes, those of
/// Services 63.
const NAME_BYTES_MAX: usize = 50;

/// Body to create with `dryRun=All`. Values that are unique in a cluster are left out: they would be
/// refused for being taken.
pub fn probe_body(body: &Value, suffix: &str) -> Value {
    let mut probe = body.clone();
    let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("probe");
    let cut: String = name.chars().take(NAME_BYTES_MAX).collect();
    if let Some(Value::Object(meta)) = probe.get_mut("metadata") {
        meta.insert("name".to_owned(), Value::String(format!("{cut}-{suffix}")));
        meta.remove("uid");
    }
    let kind = body.get("kind").and_then(Value::as_str).unwrap_or("").to_owned();
    let Some(Value::Object(spec)) = probe.get_mut("spec") else { return probe };
    match kind.as_str() {
        "Service" => {
            for name in ["clusterIP", "clusterIPs", "healthCheckNodePort"] {
                // A headless service is one by its address.
                if spec.get(name).and_then(Value::as_str) != Some("None") {
                    spec.remove(name);
                }
            }
            let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
            for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
                port.remove("nodePort");
            }
        }
        "PersistentVolumeClaim" => {
            spec.remove("volumeName");
        }
        _ => {}
    }
    probe
}

/// What the probe's answer makes of a [`Class::Invalid`] failure. Anything but 201 changes nothing,
/// which is the safe side.
#[must_use]
pub fn probe_verdict(failure: Failure, probe_code: u16) -> Failure {
    if probe_code == 201 && failure.class == Class::Invalid {
        Failure { class: Class::Immutable, reason: Reason::Immutable, ..failure }
    } else {
        failure
    }
}
