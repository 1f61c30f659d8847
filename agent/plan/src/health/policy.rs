//! What scales, protects and shares.

use std::time::Duration;

use serde_json::Value;

use super::Verdict;
use super::view::{View, conditions};

/// Metrics of new pods start late; an autoscaler without them is not broken before that.
const METRICS_GRACE: Duration = Duration::from_mins(5);

/// Where version 1, which has no field for them, keeps its conditions.
const CONDITIONS: &str = "/metadata/annotations/autoscaling.alpha.kubernetes.io~1conditions";

pub(super) fn autoscaler(view: View<'_>) -> Verdict {
    if view.text("/apiVersion") != "autoscaling/v1" {
        return scales(view, view.at("/status/conditions"));
    }
    match serde_json::from_str::<Value>(view.text(CONDITIONS)) {
        Ok(conditions) => scales(view, Some(&conditions)),
        // Who cut the annotation off left the counts: they are written by a look at the target.
        Err(_) if view.count("/status/desiredReplicas") > 0 => Verdict::healthy(),
        Err(_) => Verdict::progressing("not looked at yet"),
    }
}

fn scales(view: View<'_>, list: Option<&Value>) -> Verdict {
    let find = |kind: &str| conditions(list).find(|c| c.kind() == kind);
    let (able, active) = (find("AbleToScale"), find("ScalingActive"));
    let mut told = [able, active].into_iter().flatten();
    let broken = told.find(|c| c.is_false() && c.reason() != "ScalingDisabled");
    match (broken, able, active) {
        (Some(c), ..) => Verdict::after_grace(view.since(c.since()), METRICS_GRACE, c.say()),
        (None, Some(_), Some(_)) => Verdict::healthy(),
        (None, ..) => Verdict::progressing("not looked at yet"),
    }
}

/// That no disruption is allowed now is its very purpose.
pub(super) fn disruption_budget(view: View<'_>) -> Verdict {
    let failed = view.condition("DisruptionAllowed").filter(|c| c.is_false());
    match failed.filter(|c| c.reason() == "SyncFailed") {
        Some(condition) => Verdict::degraded(condition.say()),
        None => Verdict::healthy(),
    }
}

pub(super) fn flow_schema(view: View<'_>) -> Verdict {
    match view.condition("Dangling") {
        Some(condition) if condition.is_true() => Verdict::degraded(condition.say()),
        Some(_) => Verdict::healthy(),
        None => Verdict::progressing("not looked at yet"),
    }
}
