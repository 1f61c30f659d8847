//! The health corpus: `tests/objects/*.yaml`, at least five cases a kind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use plan::mutations::{self, Bug};
use plan::{HealthContext, Verdict, health, pods_verdict};
use serde::Deserialize;
use serde_json::{Value, json};

/// One case.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    #[serde(rename = "case")]
    story: String,
    expect: String,
    /// Name of the reason.
    reason: Option<String>,
    /// Part of the message.
    says: Option<String>,
    terminal: Option<bool>,
    held_back: Option<bool>,
    /// Seconds.
    recheck: Option<u64>,
    /// What a judge says that does not ask which generation a status is about.
    naive: Option<String>,
    /// `resourceVersion` of our write.
    applied: Option<String>,
    /// Seconds since our write.
    ago: Option<u64>,
    has_status: Option<bool>,
    #[serde(default)]
    waits_for_consumer: bool,
    /// No time is known.
    #[serde(default)]
    timeless: bool,
    object: Value,
}

macro_rules! corpus {
    ($($file:literal),* $(,)?) => {
        const CORPUS: &[(&str, &str)] = &[$(($file, include_str!(concat!("../objects/", $file)))),*];
    };
}

corpus!(
    "apiservice.yaml",
    "componentstatus.yaml",
    "cronjob.yaml",
    "custom.yaml",
    "customresourcedefinition.yaml",
    "daemonset.yaml",
    "deployment.yaml",
    "exists.yaml",
    "flowschema.yaml",
    "gateway.yaml",
    "gatewayclass.yaml",
    "horizontalpodautoscaler.yaml",
    "httproute.yaml",
    "ingress.yaml",
    "job.yaml",
    "namespace.yaml",
    "node.yaml",
    "persistentvolume.yaml",
    "persistentvolumeclaim.yaml",
    "pod.yaml",
    "poddisruptionbudget.yaml",
    "replicaset.yaml",
    "replicationcontroller.yaml",
    "service.yaml",
    "statefulset.yaml",
    "storageversionmigration.yaml",
    "validatingadmissionpolicy.yaml",
    "webhookconfiguration.yaml",
);

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn cases() -> impl Iterator<Item = (&'static str, Case)> {
    CORPUS.iter().flat_map(|(file, text)| {
        let cases: Vec<Case> =
            serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{file}: {e}"));
        cases.into_iter().map(move |case| (*file, case))
    })
}

impl Case {
    fn context(&self) -> HealthContext {
        HealthContext {
            applied_rv: self.applied.clone(),
            since_apply: self.ago.map(Duration::from_secs),
            has_status: self.has_status,
            waits_for_consumer: self.waits_for_consumer,
            now: (!self.timeless).then(now),
        }
    }

    /// What is wrong with a verdict.
    fn faults(&self, verdict: &Verdict) -> Vec<String> {
        let mut faults = Vec::new();
        let mut differs = |what: &str, want: String, got: String| {
            if want != got {
                faults.push(format!("{what}: expected {want}, got {got}"));
            }
        };
        differs("health", self.expect.clone(), verdict.health.to_string());
        if let Some(reason) = &self.reason {
            let got = verdict.reason.map_or("none", model::Reason::name);
            differs("reason", reason.clone(), got.to_owned());
        }
        if let Some(terminal) = self.terminal {
            differs("terminal", terminal.to_string(), verdict.terminal.to_string());
        }
        if let Some(held_back) = self.held_back {
            differs("held back", held_back.to_string(), verdict.held_back.to_string());
        }
        if let Some(recheck) = self.recheck {
            differs(
                "recheck",
                format!("{recheck}s"),
                format!("{:?}", verdict.recheck.unwrap_or_default()),
            );
        }
        if let Some(part) = self.says.as_ref().filter(|part| !verdict.message.contains(*part)) {
            faults.push(format!("message lacks {part:?}: {:?}", verdict.message));
        }
        faults
    }
}

#[test]
fn s42_every_case_of_the_corpus_is_judged_as_written() {
    let mut wrong = Vec::new();
    for (file, case) in cases() {
        let verdict = health(&case.object, &case.context());
        wrong.extend(case.faults(&verdict).iter().map(|f| format!("{file}: {}: {f}", case.story)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kind_has_at_least_five_cases() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    cases().for_each(|(file, _)| *counts.entry(file).or_default() += 1);
    assert!(counts.values().all(|count| *count >= 5), "{counts:?}");
    assert_eq!(counts.len(), CORPUS.len());
}

#[test]
fn every_file_of_the_corpus_is_judged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/objects");
    let names = folder.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let listed: BTreeSet<String> = CORPUS.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), listed);
}

/// What the agent watches by metadata alone must not need more for its judgement.
#[test]
fn kinds_judged_by_existence_are_those_of_their_file() {
    for (file, case) in cases() {
        let text = |name: &str| case.object[name].as_str().unwrap_or_default().to_owned();
        let api_version = text("apiVersion");
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let judged = plan::judged_by_existence(group, &text("kind"));
        assert_eq!(judged, file == "exists.yaml", "{file}: {}", case.story);
    }
}

#[test]
fn only_a_healthy_object_has_no_reason_and_no_message_is_long() {
    for (file, case) in cases() {
        let verdict = health(&case.object, &case.context());
        let healthy = verdict.health == model::Health::Healthy;
        assert_eq!(healthy, verdict.reason.is_none(), "{file}: {}", case.story);
        assert!(verdict.message.len() <= 256, "{file}: {}", case.story);
    }
}

/// Seeded bug: a judge that believes every status.
#[test]
fn a_judge_that_ignores_generations_is_caught() {
    let mut caught = 0;
    for (file, case) in cases() {
        let Some(naive) = &case.naive else { continue };
        let verdict = mutations::health(&case.object, &case.context(), Bug::NaiveGeneration);
        assert_eq!(&verdict.health.to_string(), naive, "{file}: {}", case.story);
        assert_ne!(&case.expect, naive, "{file}: {}", case.story);
        caught += 1;
    }
    assert!(caught >= 15, "only {caught} cases would notice");
}

#[test]
fn no_shape_of_an_object_breaks_the_judge() {
    for (_, case) in cases() {
        for pointer in ["/metadata", "/status", "/spec", "/status/conditions", "/webhooks"] {
            for junk in [json!(null), json!(7), json!("x"), json!([1, null]), json!({"type": 3})] {
                let mut object = case.object.clone();
                if let Some(place) = object.pointer_mut(pointer) {
                    *place = junk;
                }
                let _verdict = health(&object, &case.context());
            }
        }
    }
}

fn pod(name: &str, status: Value) -> Value {
    json!({"metadata": {"name": name, "creationTimestamp": "2026-01-01T11:00:00Z"}, "status": status})
}

#[test]
fn pods_tell_the_worst_that_holds_a_workload_and_how_many_it_holds() {
    let waiting = |reason: &str, message: &str| {
        json!({"phase": "Pending", "containerStatuses":
            [{"name": "app", "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}}]})
    };
    let pods = [
        pod(
            "a",
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "message": "not ready"}]}),
        ),
        pod("b", waiting("ErrImagePull", "web:2: not found")),
        pod("c", waiting("ImagePullBackOff", "Back-off pulling image")),
        pod("d", json!({"phase": "Succeeded"})),
    ];
    let stuck = pods_verdict(&pods, now()).unwrap();
    assert_eq!(stuck.reason, model::Reason::ImagePullBackOff);
    assert_eq!((stuck.affected, stuck.total, stuck.terminal), (2, 3, true));
    assert!(stuck.message.starts_with("pod b: container app: ErrImagePull"), "{}", stuck.message);
}

#[test]
fn what_its_pods_say_outranks_what_a_workload_says_but_never_makes_it_better() {
    let pods = [pod(
        "a",
        json!({"phase": "Pending", "containerStatuses":
        [{"name": "app", "restartCount": 0, "state": {"waiting": {"reason": "InvalidImageName"}}}]}),
    )];
    let stuck = pods_verdict(&pods, now()).unwrap();
    let progressing =
        Verdict::new(model::Health::Progressing, model::Reason::Progressing, "0 of 1");
    let verdict = progressing.stuck(&stuck);
    assert_eq!(verdict.health, model::Health::Degraded);
    assert!(verdict.terminal && verdict.message.starts_with("1 of 1 pods: pod a"), "{verdict:?}");
    assert_eq!(Verdict::missing().stuck(&stuck), Verdict::missing());
    assert_eq!(Verdict::healthy().stuck(&stuck), Verdict::healthy());
}

#[test]
fn broken_pods_of_the_release_before_are_no_evidence_against_its_fix() {
    let broken = |name: &str, made: &str, revision: &str| {
        json!({"metadata": {"name": name, "creationTimestamp": made, "labels": {"controller-revision-hash": revision}},
            "status": {"phase": "Pending", "containerStatuses":
                [{"name": "app", "restartCount": 0, "state": {"waiting": {"reason": "InvalidImageName"}}}]}})
    };
    let workload = |status: Value| {
        json!({"kind": "Deployment", "metadata": {"generation": 2, "managedFields":
            [{"manager": "m", "operation": "Apply", "time": "2026-01-01T11:59:00Z"}]}, "status": status})
    };
    let rolling = workload(json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1}));
    let old = broken("old", "2026-01-01T11:00:00Z", "");
    let new = broken("new", "2026-01-01T11:59:01Z", "");
    let judge =
        |workload: &Value, pods: &[Value]| plan::workload_verdict(workload, pods, "m", now());
    assert_eq!(judge(&rolling, std::slice::from_ref(&old)), None);
    assert!(judge(&rolling, &[old.clone(), new]).unwrap().message.contains("pod new"));
    // All pods are of the newest template: all count, however old they are.
    let done = workload(json!({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1}));
    assert!(judge(&done, &[old]).is_some());
    // A StatefulSet says which revision it is going to.
    let set = workload(
        json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "updateRevision": "b"}),
    );
    assert_eq!(judge(&set, &[broken("db-0", "2026-01-01T11:59:30Z", "a")]), None);
    assert!(judge(&set, &[broken("db-0", "2026-01-01T11:00:00Z", "b")]).is_some());
}

#[test]
fn pods_that_are_well_hold_nothing() {
    let well =
        pod("a", json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}));
    assert_eq!(pods_verdict(&[well], now()), None);
    assert_eq!(pods_verdict(&[], now()), None);
}

#[test]
fn needs_are_met_by_what_leans_on_them_not_by_hope() {
    use plan::{Met, Until, met};
    let context = HealthContext::at(now());
    let yes = |until, object: Value| met(until, &object, &context) == Met::Yes;
    assert!(yes(Until::NamespaceActive, json!({"status": {"phase": "Active"}})));
    assert!(!yes(Until::NamespaceActive, json!({"status": {"phase": "Terminating"}})));
    let crd = |extra: Value| {
        let mut conditions = vec![
            json!({"type": "NamesAccepted", "status": "True"}),
            json!({"type": "Established", "status": "True"}),
        ];
        conditions.push(extra);
        json!({"status": {"conditions": conditions}})
    };
    assert!(yes(Until::DefinitionEstablished, crd(json!({}))));
    let going = json!({"type": "Terminating", "status": "True"});
    assert!(!yes(Until::DefinitionEstablished, crd(going)));
    let slices =
        |ready: Value| json!({"items": [{"endpoints": [{"conditions": {"ready": ready}}]}]});
    assert!(yes(Until::EndpointReady, slices(json!(true))));
    assert!(yes(Until::EndpointReady, slices(json!(null))));
    assert!(!yes(Until::EndpointReady, slices(json!(false))));
    assert!(!yes(Until::EndpointReady, json!({"items": []})));
    assert!(yes(Until::Healthy, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}})));
}
