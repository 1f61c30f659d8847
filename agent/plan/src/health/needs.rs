//! What one object must be before another may lean on it.

use serde_json::Value;

use super::view::{View, conditions};
use super::{HealthContext, health};

/// Something that must hold before a dependent object is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// It was applied in this sync, or needed no write.
    Applied,
    /// Phase `Active`, not being deleted.
    NamespaceActive,
    /// Names accepted, established, not terminating. (And visible in discovery: ask there.)
    DefinitionEstablished,
    /// The service has at least one ready endpoint: judged on the list of its `EndpointSlice`s.
    EndpointReady,
    /// Healthy.
    Healthy,
}

/// Whether a need is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// Yes.
    Yes,
    /// Not yet; what is missing, for people.
    NotYet(String),
}

/// Whether `until` holds. `object` is the live object; for [`Until::EndpointReady`] a list with
/// `items` of `EndpointSlice`s.
pub fn met(until: Until, object: &Value, context: &HealthContext) -> Met {
    let view = View { object, context };
    let holds = |kind: &str| {
        conditions(view.at("/status/conditions")).any(|c| c.kind() == kind && c.is_true())
    };
    let deleting = view.filled("/metadata/deletionTimestamp");
    let (holds, missing) = match until {
        Until::Applied => (true, String::new()),
        Until::NamespaceActive => {
            (!deleting && view.text("/status/phase") == "Active", "not active yet".to_owned())
        }
        Until::DefinitionEstablished => {
            let stands = holds("NamesAccepted") && holds("Established");
            (!deleting && stands && !holds("Terminating"), "not established yet".to_owned())
        }
        Until::EndpointReady => (endpoint_ready(object), "has no ready endpoint yet".to_owned()),
        Until::Healthy => {
            let verdict = health(object, context);
            (verdict.is_settled(), verdict.message)
        }
    };
    if holds { Met::Yes } else { Met::NotYet(missing) }
}

/// A condition that is absent counts as ready, so says the API.
fn endpoint_ready(slices: &Value) -> bool {
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned();
    let slices = list(slices, "items").unwrap_or_default();
    slices.iter().flat_map(|slice| list(slice, "endpoints").unwrap_or_default()).any(|endpoint| {
        endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true)
    })
}
