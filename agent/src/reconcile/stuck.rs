//! Why a workload does not get on, asked of its pods: on demand, while it is unwell, never as a watch.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Health, ObjectKey};
use plan::{Desired, Stuck, Verdict};
use serde_json::Value;

use super::Shared;
use crate::cluster::Resource;

/// A workload may take so long before its pods are asked.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at the pods of one workload.
const AGAIN: Duration = Duration::from_secs(5);
/// Pods looked at: the worst of many is as bad as the worst of all.
const PODS_MAX: usize = 50;
/// Workloads asked in one round, so that a broken cluster is not asked to death.
const WORKLOADS_MAX: usize = 10;

#[derive(Debug, Clone, Default)]
struct Case {
    /// Since when it is unwell.
    since: Duration,
    asked: Option<Duration>,
    stuck: Option<Stuck>,
}

/// Workloads that are unwell.
#[derive(Debug, Clone, Default)]
pub(super) struct Pods {
    cases: BTreeMap<ObjectKey, Case>,
}

fn is_workload(key: &ObjectKey) -> bool {
    matches!(
        (key.group.as_str(), key.kind.as_str()),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job")
    )
}

/// `a=b,c=d`, from what the release itself says.
fn selector(key: &ObjectKey, body: &Value) -> Option<String> {
    if key.kind == "Job" {
        return Some(format!("batch.kubernetes.io/job-name={}", key.name));
    }
    let labels = body.pointer("/spec/selector/matchLabels")?.as_object()?;
    let pairs: Vec<String> =
        labels.iter().filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?))).collect();
    (!pairs.is_empty()).then(|| pairs.join(","))
}

impl Pods {
    /// Asks for the pods of workloads that are unwell for long enough. Returns when to look again.
    pub(super) async fn look(
        &mut self,
        shared: &Shared,
        desired: &Desired,
        verdicts: &BTreeMap<ObjectKey, Verdict>,
    ) -> Option<Duration> {
        let now = shared.clock.elapsed();
        let unwell = |v: &Verdict| matches!(v.health, Health::Progressing | Health::Degraded);
        self.cases.retain(|key, _| verdicts.get(key).is_some_and(unwell));
        let mut next: Option<Duration> = None;
        let mut asked = 0;
        for (key, _) in verdicts.iter().filter(|(key, v)| is_workload(key) && unwell(v)) {
            let case = self
                .cases
                .entry(key.clone())
                .or_insert_with(|| Case { since: now, ..Case::default() });
            let due = case.asked.map_or(case.since + PATIENCE, |at| at + AGAIN);
            if now >= due && asked < WORKLOADS_MAX {
                asked += 1;
                case.asked = Some(now);
                let body = desired.get(key).map(|object| &object.body);
                if let Some(selector) = body.and_then(|body| selector(key, body)) {
                    let pods = Resource::core("Pod", "pods", true);
                    let got = shared.cluster.some(&pods, &key.namespace, &selector, PODS_MAX).await;
                    match got {
                        Ok(pods) => case.stuck = plan::pods_verdict(&pods, shared.clock.now()),
                        Err(fault) => {
                            tracing::debug!(%key, fault = crate::fault::causes(&fault), "pods not listed");
                        }
                    }
                }
            }
            let wait = case.asked.map_or(case.since + PATIENCE, |at| at + AGAIN);
            let wait = wait.saturating_sub(now).max(Duration::from_millis(100));
            next = Some(next.map_or(wait, |n| n.min(wait)));
        }
        next
    }

    /// What the pods add to a verdict.
    pub(super) fn explain(&self, key: &ObjectKey, verdict: Verdict) -> Verdict {
        match self.cases.get(key).and_then(|case| case.stuck.as_ref()) {
            Some(stuck) => verdict.stuck(stuck),
            None => verdict,
        }
    }
}
