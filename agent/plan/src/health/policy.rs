//! What scales, protects and shares.

use std::time::Duration;

use super::Verdict;
use super::view::View;

/// Metrics of new pods start late; an autoscaler without them is not broken before that.
const METRICS_GRACE: Duration = Duration::from_mins(5);

pub(super) fn autoscaler(view: View<'_>) -> Verdict {
    // Version 1 keeps its conditions in an annotation, for nobody to read.
    if view.text("/apiVersion") == "autoscaling/v1" {
        return Verdict::healthy();
    }
    let (Some(able), Some(active)) =
        (view.condition("AbleToScale"), view.condition("ScalingActive"))
    else {
        return match view.condition("AbleToScale").filter(|c| c.is_false()) {
            Some(c) => Verdict::after_grace(view.since(c.since()), METRICS_GRACE, c.say()),
            None => Verdict::progressing("not looked at yet"),
        };
    };
    for condition in [able, active] {
        if condition.is_false() && condition.reason() != "ScalingDisabled" {
            let begun = view.since(condition.since());
            return Verdict::after_grace(begun, METRICS_GRACE, condition.say());
        }
    }
    Verdict::healthy()
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
