//! Jobs: pods that end, counted until enough succeeded or too many failed. Cron jobs are kept and
//! not run.

use super::{
    pass::{
        CONTROLLER, Pass, conditions, count, is_active, is_deleting, is_true, name, number,
        seconds_since, set_condition,
    },
    replicas::pod_of,
};
use crate::{kinds::Kind, state::place_of};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

pub(super) fn step(pass: &mut Pass<'_>) {
    let (Some(kind), Some(pods)) = (pass.kind("batch", "Job"), pass.kind("", "Pod")) else {
        return;
    };
    for job in pass.state.all("batch", "Job") {
        if is_deleting(&job) {
            continue;
        }
        if is_true(&job, "Complete") || is_true(&job, "Failed") {
            expire(pass, &kind, &job);
        } else {
            one(pass, &kind, &pods, &job);
        }
    }
}

/// A finished job with a time to live goes when that is over.
fn expire(pass: &mut Pass<'_>, kind: &Kind, job: &Value) {
    let Some(life) = job["spec"]["ttlSecondsAfterFinished"].as_i64() else { return };
    let ended =
        conditions(job).iter().find(|c| c["type"] == "Complete" || c["type"] == "Failed").cloned();
    let passed = seconds_since(pass, &ended.unwrap_or_default()["lastTransitionTime"]);
    if passed >= life {
        pass.delete(kind, &place_of(kind, job));
    } else {
        pass.again_in(Duration::from_secs(u64::try_from(life - passed).unwrap_or(1)));
    }
}

/// How many pods of a job are where.
struct Tally {
    active: i64,
    ready: i64,
    succeeded: i64,
    failed: i64,
}

fn tally(pods: &[Arc<Value>]) -> Tally {
    let count = |fits: &dyn Fn(&Value) -> bool| {
        i64::try_from(pods.iter().filter(|pod| fits(pod)).count()).unwrap_or(0)
    };
    Tally {
        active: count(&is_active),
        ready: count(&|pod| is_active(pod) && is_true(pod, "Ready")),
        succeeded: count(&|pod| pod["status"]["phase"] == "Succeeded"),
        failed: count(&|pod| pod["status"]["phase"] == "Failed"),
    }
}

fn one(pass: &mut Pass<'_>, kind: &Kind, pods: &Kind, job: &Value) {
    let spec = &job["spec"];
    let owned = pass.owned("", "Pod", job);
    let mut tally = tally(&owned);
    let wanted = spec["completions"].as_i64().unwrap_or(1);
    let end = match () {
        () if tally.succeeded >= wanted => Some((true, "CompletionsReached", SUCCEEDED)),
        () if tally.failed > number(&spec["backoffLimit"]) => {
            Some((false, "BackoffLimitExceeded", FAILED))
        }
        () if overdue(pass, job) => Some((false, "DeadlineExceeded", OVERDUE)),
        () => None,
    };
    let suspended = spec["suspend"] == true;
    if end.is_some() || suspended {
        for pod in owned.iter().filter(|pod| is_active(pod)) {
            pass.delete(pods, &place_of(pods, pod));
        }
        tally.active = 0;
        tally.ready = 0;
    } else {
        let room = number(&spec["parallelism"]).min(wanted - tally.succeeded) - tally.active;
        for _ in 0..room.max(0) {
            let suffix = pass.state.suffix(5);
            let pod = pod_of(kind, job, &format!("{}-{suffix}", name(job)));
            if pass.create(pods, pod).is_ok() {
                tally.active += 1;
            }
        }
    }
    status(pass, kind, job, &tally, (end, suspended));
}

const SUCCEEDED: &str = "Reached expected number of succeeded pods";
const FAILED: &str = "Job has reached the specified backoff limit";
const OVERDUE: &str = "Job was active longer than specified deadline";

fn overdue(pass: &mut Pass<'_>, job: &Value) -> bool {
    let (Some(limit), Some(_)) =
        (job["spec"]["activeDeadlineSeconds"].as_i64(), job["status"]["startTime"].as_str())
    else {
        return false;
    };
    let passed = seconds_since(pass, &job["status"]["startTime"]);
    if passed < limit {
        pass.again_in(Duration::from_secs(u64::try_from(limit - passed).unwrap_or(1)));
    }
    passed >= limit
}

type End = (Option<(bool, &'static str, &'static str)>, bool);

fn status(pass: &mut Pass<'_>, kind: &Kind, job: &Value, tally: &Tally, (ended, suspended): End) {
    let now = pass.state.clock.stamp();
    let mut list = conditions(job);
    if suspended {
        set_condition(&mut list, &now, "Suspended", true, "JobSuspended", "Job suspended");
    } else if list.iter().any(|condition| condition["type"] == "Suspended") {
        set_condition(&mut list, &now, "Suspended", false, "JobResumed", "Job resumed");
    }
    let mut status = json!({"ready": tally.ready, "terminating": 0, "uncountedTerminatedPods": {}});
    count(&mut status, "active", tally.active);
    count(&mut status, "succeeded", tally.succeeded);
    count(&mut status, "failed", tally.failed);
    match job["status"]["startTime"].as_str() {
        _ if suspended => {}
        Some(start) => status["startTime"] = json!(start),
        None => status["startTime"] = json!(now),
    }
    if let Some((good, reason, text)) = ended {
        let (before, end) =
            if good { ("SuccessCriteriaMet", "Complete") } else { ("FailureTarget", "Failed") };
        set_condition(&mut list, &now, before, true, reason, text);
        set_condition(&mut list, &now, end, true, reason, text);
        if good {
            status["completionTime"] = json!(now);
        }
    }
    for condition in &mut list {
        if condition["lastProbeTime"].is_null() {
            condition["lastProbeTime"] = condition["lastTransitionTime"].clone();
        }
    }
    if !list.is_empty() {
        status["conditions"] = Value::Array(list);
    }
    pass.status(kind, job, CONTROLLER, status);
}
