//! Services, Ingresses, Gateways and routes.

use std::time::Duration;

use serde_json::Value;

use super::Verdict;
use super::view::{Condition, View, conditions};

/// Some controllers never publish an address; after so long its absence is a note.
const ADDRESS_GRACE: Duration = Duration::from_mins(1);
/// How long a route or gateway may be refused before it counts.
const GRACE: Duration = Duration::from_mins(1);

pub(super) fn service(view: View<'_>) -> Verdict {
    let balanced = view.text("/spec/type") == "LoadBalancer";
    if !balanced || view.filled("/status/loadBalancer/ingress") {
        Verdict::healthy()
    } else {
        Verdict::progressing("the load balancer has no address yet")
    }
}

pub(super) fn ingress(view: View<'_>) -> Verdict {
    if view.filled("/status/loadBalancer/ingress") {
        return Verdict::healthy();
    }
    let left = view.age().and_then(|age| ADDRESS_GRACE.checked_sub(age));
    match left.filter(|left| !left.is_zero()) {
        Some(left) => Verdict::progressing("no address published yet").again_in(left),
        None if view.timeless() => Verdict::progressing("no address published yet"),
        None => Verdict::healthy().note("its controller publishes no address"),
    }
}

/// What a gateway and its listeners say.
pub(super) fn gateway(view: View<'_>) -> Verdict {
    // `Programmed` was called `Ready` once.
    let programmed = match view.condition("Programmed") {
        None if view.condition("Ready").is_some() => "Ready",
        _ => "Programmed",
    };
    let accepted = match view.condition("Accepted") {
        None if view.condition("Scheduled").is_some() => "Scheduled",
        _ => "Accepted",
    };
    let own = all(view, conditions(view.at("/status/conditions")), &[accepted, programmed], &[]);
    let listeners = view.at("/status/listeners").and_then(Value::as_array);
    let of = |listener: &Value| {
        let asked = ["Accepted", "Programmed", "ResolvedRefs"];
        let verdict = all(view, conditions(listener.get("conditions")), &[], &asked);
        let conflict = conditions(listener.get("conditions"))
            .find(|c| ["Conflicted", "Detached"].contains(&c.kind()) && c.is_true());
        match conflict.filter(|c| !c.is_stale(view.generation())) {
            Some(conflict) => Verdict::degraded(conflict.say()),
            None => verdict,
        }
    };
    let listeners = listeners.into_iter().flatten().map(of);
    // Of equals the gateway's own word is the better one.
    listeners.chain([own]).max_by_key(|v| v.health).unwrap_or_else(Verdict::healthy)
}

pub(super) fn gateway_class(view: View<'_>) -> Verdict {
    all(view, conditions(view.at("/status/conditions")), &["Accepted"], &[])
}

/// Every parent has to accept it.
pub(super) fn route(view: View<'_>) -> Verdict {
    let parents = view.at("/status/parents").and_then(Value::as_array);
    let parents: Vec<&Value> = parents.into_iter().flatten().collect();
    if parents.is_empty() {
        return Verdict::progressing("no gateway has looked at it yet");
    }
    let of = |parent: &&Value| {
        let more = ["ResolvedRefs", "Programmed", "Reconciled"];
        let verdict = all(view, conditions(parent.get("conditions")), &["Accepted"], &more);
        let partial = conditions(parent.get("conditions"))
            .find(|c| c.kind() == "PartiallyInvalid" && c.is_true());
        match partial.filter(|c| !c.is_stale(view.generation())) {
            Some(partial) => Verdict::degraded(partial.say()),
            None => verdict,
        }
    };
    let worst = parents.iter().map(of).max_by_key(|verdict| verdict.health);
    worst.unwrap_or_else(Verdict::healthy)
}

/// All of `kinds` must be true and about this generation; those of `more` only when they are there.
fn all<'a>(
    view: View<'_>,
    conditions: impl Iterator<Item = Condition<'a>>,
    kinds: &[&str],
    more: &[&str],
) -> Verdict {
    const WAITING: &[&str] = &["Pending", "Waiting", "AddressNotAssigned"];
    let list: Vec<Condition<'a>> = conditions.collect();
    let one = |kind: &&str| {
        let Some(condition) = list.iter().find(|c| c.kind() == *kind) else {
            return Verdict::progressing(format!("{kind} is not reported yet"));
        };
        if condition.is_stale(view.generation()) {
            Verdict::progressing(format!("{kind} is about an older generation"))
        } else if condition.is_true() {
            Verdict::healthy()
        } else if condition.is_false() && !WAITING.contains(&condition.reason()) {
            Verdict::after_grace(view.since(condition.since()), GRACE, condition.say())
        } else {
            Verdict::progressing(condition.say())
        }
    };
    let there = more.iter().filter(|kind| list.iter().any(|c| c.kind() == **kind));
    kinds.iter().chain(there).map(one).max_by_key(|v| v.health).unwrap_or_else(Verdict::healthy)
}
