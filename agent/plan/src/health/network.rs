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

pub(super) fn gateway(view: View<'_>) -> Verdict {
    all(view, conditions(view.at("/status/conditions")), &["Accepted", "Programmed"])
}

pub(super) fn gateway_class(view: View<'_>) -> Verdict {
    all(view, conditions(view.at("/status/conditions")), &["Accepted"])
}

/// Every parent has to accept it.
pub(super) fn route(view: View<'_>) -> Verdict {
    let parents = view.at("/status/parents").and_then(Value::as_array);
    let parents: Vec<&Value> = parents.into_iter().flatten().collect();
    if parents.is_empty() {
        return Verdict::progressing("no gateway has looked at it yet");
    }
    let of = |parent: &&Value| {
        all(view, conditions(parent.get("conditions")), &["Accepted", "ResolvedRefs"])
    };
    let worst = parents.iter().map(of).max_by_key(|verdict| verdict.health);
    worst.unwrap_or_else(Verdict::healthy)
}

/// All of `kinds` must be true and about this generation.
fn all<'a>(
    view: View<'_>,
    conditions: impl Iterator<Item = Condition<'a>>,
    kinds: &[&str],
) -> Verdict {
    let list: Vec<Condition<'a>> = conditions.collect();
    let one = |kind: &&str| {
        let Some(condition) = list.iter().find(|c| c.kind() == *kind) else {
            return Verdict::progressing(format!("{kind} is not reported yet"));
        };
        if condition.is_stale(view.generation()) {
            Verdict::progressing(format!("{kind} is about an older generation"))
        } else if condition.is_true() {
            Verdict::healthy()
        } else if condition.is_false() && condition.reason() != "Pending" {
            Verdict::after_grace(view.since(condition.since()), GRACE, condition.say())
        } else {
            Verdict::progressing(condition.say())
        }
    };
    kinds.iter().map(one).max_by_key(|v| v.health).unwrap_or_else(Verdict::healthy)
}
