//! What holds an object that is on its way out, in the words of the API server. Uses the client.

use model::ObjectKey;
use serde_json::Value;

use super::observe::resource;
use super::stage::Stage;
use crate::cluster::Found;

/// Conditions by which a namespace says what keeps it.
const HOLDING: [&str; 5] = [
    "NamespaceFinalizersRemaining",
    "NamespaceContentRemaining",
    "NamespaceDeletionContentFailure",
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
];

/// For people: what is waited for. A namespace is asked for its conditions, which name finalizers and counts.
pub(super) async fn terminating(
    stage: Stage<'_>,
    key: &ObjectKey,
    finalizers: &[String],
) -> String {
    let held = if finalizers.is_empty() {
        "it is being deleted".to_owned()
    } else {
        format!("it is being deleted and held by {}", finalizers.join(", "))
    };
    if key.group.is_empty() && key.kind == "Namespace" {
        let said = namespace(stage, key).await;
        if !said.is_empty() {
            return format!("{held}: {}", said.join("; "));
        }
    }
    held
}

async fn namespace(stage: Stage<'_>, key: &ObjectKey) -> Vec<String> {
    let Found::Served(place) = resource(&stage.observed.kinds, key, "v1") else {
        return Vec::new();
    };
    let Ok(reply) = stage.shared.cluster.object(&place, key).await else { return Vec::new() };
    let conditions = reply.body.pointer("/status/conditions").and_then(Value::as_array);
    let conditions: Vec<&Value> = conditions.into_iter().flatten().collect();
    let text = |c: &Value, name: &str| c.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let of = |kind: &str| {
        let found = conditions.iter().find(|c| text(c, "type") == kind)?;
        (text(found, "status") == "True").then(|| text(found, "message"))
    };
    HOLDING.iter().filter_map(|kind| of(kind)).collect()
}
