//! Pods and what makes them.

use model::{Health, Reason};

use super::Verdict;
use super::view::View;
use crate::pods;

/// `n of m replicas WORD`.
fn behind(n: i64, of: i64, word: &str) -> Verdict {
    Verdict::progressing(format!("{n} of {of} replicas {word}"))
}

/// A pod on its own.
pub(super) fn pod(view: View<'_>) -> Verdict {
    let owned = view.filled("/metadata/ownerReferences");
    let phase = view.text("/status/phase");
    let why = match (view.text("/status/reason"), view.text("/status/message")) {
        ("", message) => message.to_owned(),
        (reason, "") => reason.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    };
    match phase {
        "Succeeded" => return Verdict::healthy(),
        // Its owner makes another one.
        "Failed" if owned && ["Evicted", "Preempting"].contains(&view.text("/status/reason")) => {
            return Verdict::progressing(why);
        }
        "Failed" => return Verdict::degraded(format!("failed: {why}")),
        _ => {}
    }
    if let Some(stuck) = pods::pods_verdict_at(std::slice::from_ref(view.object), view.context.now)
        && stuck.broken
    {
        let verdict = Verdict::new(Health::Degraded, stuck.reason, stuck.message);
        return if stuck.terminal { verdict.finally() } else { verdict };
    }
    match view.condition("Ready") {
        Some(ready) if phase == "Running" && ready.is_true() => Verdict::healthy(),
        Some(ready) => Verdict::progressing(ready.say()),
        None if phase.is_empty() => Verdict::progressing("not seen by a scheduler yet"),
        None => Verdict::progressing(format!("phase {phase}")),
    }
}

/// A controller that cannot make pods.
fn replica_failure(view: View<'_>) -> Option<Verdict> {
    let failure = view.condition("ReplicaFailure").filter(|c| c.is_true())?;
    Some(if failure.message().contains("exceeded quota") {
        Verdict::new(Health::Degraded, Reason::QuotaExceeded, failure.message()).finally()
    } else if failure.message().contains("violates PodSecurity") {
        Verdict::new(Health::Degraded, Reason::PolicyDenied, failure.message()).finally()
    } else {
        Verdict::degraded(failure.say())
    })
}

pub(super) fn deployment(view: View<'_>) -> Verdict {
    let wanted = view.replicas();
    let updated = view.count("/status/updatedReplicas");
    let all = view.count("/status/replicas");
    let available = view.count("/status/availableReplicas");
    if view.flag("/spec/paused") {
        let done = updated == wanted && all == wanted && available == wanted;
        let mut verdict = Verdict::suspended(if done {
            "paused"
        } else {
            "paused with a change that is not rolled out; set `spec.paused` to false"
        });
        verdict.held_back = !done;
        return verdict;
    }
    if let Some(progress) = view.condition("Progressing").filter(|c| c.is_false()) {
        return Verdict::new(Health::Degraded, Reason::DeadlineExceeded, progress.say());
    }
    if let Some(verdict) = replica_failure(view) {
        return verdict;
    }
    if updated < wanted {
        behind(updated, wanted, "updated")
    } else if all > updated {
        Verdict::progressing(format!("{} old replicas are still there", all - updated))
    } else if all > wanted {
        Verdict::progressing(format!("{} replicas too many are still there", all - wanted))
    } else if available < wanted {
        behind(available, wanted, "available")
    } else {
        Verdict::healthy()
    }
}

pub(super) fn replica_set(view: View<'_>) -> Verdict {
    let wanted = view.replicas();
    let all = view.count("/status/replicas");
    let available = view.count("/status/availableReplicas");
    if let Some(verdict) = replica_failure(view) {
        verdict
    } else if all != wanted {
        behind(all, wanted, "there")
    } else if available < wanted {
        behind(available, wanted, "available")
    } else {
        Verdict::healthy()
    }
}

pub(super) fn stateful_set(view: View<'_>) -> Verdict {
    let wanted = view.replicas();
    let all = view.count("/status/replicas");
    let ready = view.count("/status/readyReplicas");
    let available = match view.count("/spec/minReadySeconds") {
        0 => ready,
        _ => view.count("/status/availableReplicas"),
    };
    let updated = view.count("/status/updatedReplicas");
    let partition = view.count("/spec/updateStrategy/rollingUpdate/partition");
    let current = view.text("/status/currentRevision");
    let update = view.text("/status/updateRevision");
    let manual = view.text("/spec/updateStrategy/type") == "OnDelete";
    let to_update = (wanted - partition).max(0);
    if all != wanted {
        behind(all, wanted, "there")
    } else if ready < wanted {
        behind(ready, wanted, "ready")
    } else if available < wanted {
        behind(available, wanted, "available")
    } else if manual && current != update {
        Verdict::healthy().note("an update waits for its pods to be deleted by hand")
    } else if manual {
        Verdict::healthy()
    } else if current != update && updated < to_update {
        behind(updated, to_update, "updated")
    } else if current != update && partition == 0 {
        Verdict::progressing(format!("revision {current} is going over to {update}"))
    } else if current != update {
        Verdict::healthy().note(format!("updated down to partition {partition}"))
    } else {
        Verdict::healthy()
    }
}

pub(super) fn daemon_set(view: View<'_>) -> Verdict {
    let wanted = view.count("/status/desiredNumberScheduled");
    let updated = view.count("/status/updatedNumberScheduled");
    let available = view.count("/status/numberAvailable");
    let manual = view.text("/spec/updateStrategy/type") == "OnDelete";
    if updated < wanted && !manual {
        behind(updated, wanted, "updated")
    } else if available < wanted {
        behind(available, wanted, "available")
    } else if updated < wanted {
        Verdict::healthy().note("an update waits for its pods to be deleted by hand")
    } else {
        Verdict::healthy()
    }
}
