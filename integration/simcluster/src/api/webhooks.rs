//! Admission webhooks, all of which are dead here: whoever is asked does not answer, and `failurePolicy` decides.

use super::{Ask, route::Objects};
use crate::{kinds::Kind, state::State, status::Status};
use serde_json::{Value, json};

const KINDS: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Refuses a write that a webhook with `failurePolicy: Fail` would have to see.
pub(super) fn check(
    state: &State,
    ask: &Ask,
    verb: &str,
    kind: &Kind,
    objects: &Objects,
) -> Result<(), Status> {
    if kind.group == "admissionregistration.k8s.io" || !objects.subresource.is_empty() {
        return Ok(());
    }
    let place =
        (objects.namespace.clone().unwrap_or_default(), objects.name.clone().unwrap_or_default());
    let live = state.get(kind, &place);
    let operation = match verb {
        "create" => "CREATE",
        "apply" | "update" if live.is_none() => "CREATE",
        "apply" | "update" | "patch" if live.is_some() => "UPDATE",
        "delete" if live.is_some() => "DELETE",
        _ => return Ok(()),
    };
    let body: Value = serde_json::from_slice(&ask.body).unwrap_or_default();
    let object = if operation == "DELETE" || verb == "patch" {
        live.as_deref().cloned().unwrap_or_default()
    } else {
        body
    };
    for configuration in KINDS.iter().flat_map(|k| state.all("admissionregistration.k8s.io", k)) {
        for webhook in configuration["webhooks"].as_array().into_iter().flatten() {
            let asked = matches(state, webhook, (operation, kind, &place.0), &object);
            if asked && webhook["failurePolicy"] != "Ignore" {
                return Err(dead(webhook));
            }
        }
    }
    Ok(())
}

fn matches(
    state: &State,
    webhook: &Value,
    (operation, kind, namespace): (&str, &Kind, &str),
    object: &Value,
) -> bool {
    let fits = |list: &Value, wanted: &str| {
        let mut list = list.as_array().into_iter().flatten();
        list.any(|got| got == "*" || got == wanted)
    };
    let rules = webhook["rules"].as_array().into_iter().flatten();
    let meant = rules.into_iter().any(|rule| {
        fits(&rule["apiGroups"], &kind.group)
            && fits(&rule["apiVersions"], &kind.version)
            && fits(&rule["resources"], &kind.plural)
            && fits(&rule["operations"], operation)
    });
    let space = state.kind_named("", "Namespace");
    let space = space.and_then(|spaces| state.get(&spaces, &(String::new(), namespace.to_owned())));
    let space = space.as_deref().cloned().unwrap_or_default();
    meant
        && (namespace.is_empty() || selects(&webhook["namespaceSelector"], &space))
        && selects(&webhook["objectSelector"], object)
}

/// `matchLabels` only.
fn selects(selector: &Value, object: &Value) -> bool {
    let labels = selector["matchLabels"].as_object();
    labels.is_none_or(|labels| {
        labels.iter().all(|(name, value)| object["metadata"]["labels"][name] == *value)
    })
}

fn dead(webhook: &Value) -> Status {
    let name = webhook["name"].as_str().unwrap_or_default();
    let service = &webhook["clientConfig"]["service"];
    let text = |field: &str| service[field].as_str().unwrap_or_default();
    let (host, space) = (text("name"), text("namespace"));
    let port = service["port"].as_u64().unwrap_or(443);
    let seconds = webhook["timeoutSeconds"].as_u64().unwrap_or(10);
    let why = format!(
        "failed calling webhook {name:?}: failed to call webhook: Post \
         \"https://{host}.{space}.svc:{port}{}?timeout={seconds}s\": service {host:?} not found",
        service["path"].as_str().unwrap_or("/")
    );
    let status = Status::new(500, "InternalError", format!("Internal error occurred: {why}"));
    Status { details: Some(Box::new(json!({"causes": [{"message": why}]}))), ..status }
}
