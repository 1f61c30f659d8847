//! What the cluster itself is made of: namespaces, definitions, aggregated APIs, admission, nodes.

use std::time::Duration;

use model::{Health, Reason};
use serde_json::Value;

use super::Verdict;
use super::view::{View, conditions};

/// How long a new service behind an API or webhook may take to come up.
const GRACE: Duration = Duration::from_mins(1);

pub(super) fn namespace(view: View<'_>) -> Verdict {
    match view.text("/status/phase") {
        "Active" => Verdict::healthy(),
        "Terminating" => Verdict::new(Health::Progressing, Reason::Terminating, "being deleted"),
        _ => Verdict::progressing("not active yet"),
    }
}

/// A definition stays established while it is being deleted: both are looked at.
pub(super) fn definition(view: View<'_>) -> Verdict {
    let holds = |kind: &str| view.condition(kind).is_some_and(super::view::Condition::is_true);
    if let Some(refused) = view.condition("NamesAccepted").filter(|c| c.is_false()) {
        Verdict::degraded(refused.say())
    } else if let Some(going) = view.condition("Terminating").filter(|c| c.is_true()) {
        Verdict::new(Health::Progressing, Reason::Terminating, going.say())
    } else if !holds("NamesAccepted") || !holds("Established") {
        Verdict::progressing("not established yet")
    } else if let Some(loose) = view.condition("NonStructuralSchema").filter(|c| c.is_true()) {
        Verdict::healthy().note(loose.say())
    } else {
        Verdict::healthy()
    }
}

pub(super) fn api_service(view: View<'_>) -> Verdict {
    match view.condition("Available") {
        None => Verdict::progressing("not looked at yet"),
        Some(available) if available.is_true() => Verdict::healthy(),
        Some(available) => {
            Verdict::after_grace(view.since(available.since()), GRACE, available.say())
        }
    }
}

/// A webhook that nobody can call in trust blocks what it watches over.
pub(super) fn webhooks(view: View<'_>) -> Verdict {
    let hooks = view.at("/webhooks").and_then(Value::as_array).into_iter().flatten();
    let bare = |hook: &&Value| {
        let client = hook.get("clientConfig");
        let text = |name: &str| client.and_then(|c| c.get(name)).and_then(Value::as_str);
        text("url").is_none() && text("caBundle").unwrap_or("").is_empty()
    };
    let strict = |hook: &&Value| {
        hook.get("failurePolicy").and_then(Value::as_str).unwrap_or("Fail") == "Fail"
    };
    let mut without = hooks.filter(bare);
    let Some(hook) = without.clone().find(strict).or_else(|| without.next()) else {
        return Verdict::healthy();
    };
    let name = hook.get("name").and_then(Value::as_str).unwrap_or("?");
    let message = format!("webhook `{name}` has no CA bundle yet");
    if strict(&hook) {
        Verdict::after_grace(view.age(), GRACE, message)
    } else {
        Verdict::healthy().note(message)
    }
}

pub(super) fn admission_policy(view: View<'_>) -> Verdict {
    let warnings = view.at("/status/typeChecking/expressionWarnings").and_then(Value::as_array);
    match warnings.into_iter().flatten().next() {
        Some(warning) => {
            let text = |name: &str| warning.get(name).and_then(Value::as_str).unwrap_or("");
            Verdict::healthy().note(format!("{}: {}", text("fieldRef"), text("warning")))
        }
        None => Verdict::healthy(),
    }
}

pub(super) fn node(view: View<'_>) -> Verdict {
    match view.condition("Ready") {
        Some(ready) if ready.is_true() => Verdict::healthy(),
        Some(ready) => Verdict::degraded(ready.say()),
        None => Verdict::progressing("not reported yet"),
    }
}

/// The parts of a control plane; the conditions are not in a status.
pub(super) fn component(view: View<'_>) -> Verdict {
    match conditions(view.at("/conditions")).find(|c| c.kind() == "Healthy") {
        Some(healthy) if healthy.is_true() => Verdict::healthy(),
        Some(healthy) => Verdict::degraded(healthy.say()),
        None => Verdict::new(Health::Unknown, Reason::HealthUnknown, "it says nothing of itself"),
    }
}

/// Objects of a kind are being written again in another version of it.
pub(super) fn storage_migration(view: View<'_>) -> Verdict {
    let holds = |kind: &str| view.condition(kind).filter(|c| c.is_true());
    if let Some(failed) = holds("Failed") {
        Verdict::degraded(failed.say()).finally()
    } else if holds("Succeeded").is_some() {
        Verdict::healthy()
    } else {
        Verdict::progressing("objects are still to be written again")
    }
}
