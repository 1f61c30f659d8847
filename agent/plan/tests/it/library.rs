//! The library of health rules: every case beside every rule, for every kind of the rule.
//!
//! A case names what is to be said and the parts of the object that matter: `c` are its conditions
//! (`Ready: False Reason message`), `gen` its generation and the one that its controller has seen;
//! `spec`, `status` and `metadata` are taken as they are.

#![expect(clippy::disallowed_methods, reason = "the cases are in files beside the rules")]

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use plan::mutations::{self, Bug};
use plan::{HealthContext, RuleSet, Verdict, health, health_with};
use serde_json::{Map, Value, json};

/// The library is not to shrink.
const KINDS_MIN: usize = 300;

/// One case of one kind.
struct Case {
    file: String,
    /// Whether it is about the first kind of its rule.
    first: bool,
    place: String,
    expect: String,
    object: Value,
    /// Whether the rule believes a status whatever generation it is about.
    blind: bool,
}

fn later() -> Timestamp {
    "2036-01-01T12:00:00Z".parse().unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// Whatever a pattern matches.
fn example(pattern: &str) -> String {
    pattern.replace('*', if pattern == "*" { "Thing" } else { "some" })
}

fn conditions(short: &Value) -> Vec<Value> {
    let one = |(kind, value): (&String, &Value)| {
        let text = match value.as_bool() {
            Some(true) => "True",
            Some(false) => "False",
            None => value.as_str().unwrap_or_default(),
        };
        let mut words = text.splitn(3, ' ');
        let mut next = || words.next().unwrap_or_default().to_owned();
        let (status, reason, message) = (next(), next(), next());
        let (reason, severity) = match reason.split_once('!') {
            Some((reason, severity)) => (reason.to_owned(), severity.to_owned()),
            None => (reason, String::new()),
        };
        json!({"type": kind, "status": status, "reason": reason, "severity": severity, "message": message})
    };
    short.as_object().into_iter().flatten().map(one).collect()
}

fn object(group: &str, version: &str, kind: &str, parts: &Value) -> Value {
    let part = |name: &str| parts.get(name).cloned();
    let mut metadata = json!({"name": "x", "namespace": "n", "generation": 1, "creationTimestamp": "2026-01-01T11:00:00Z"});
    let mut status = part("status");
    if let Some(short) = parts.get("c") {
        let status = status.get_or_insert_with(|| json!({}));
        status["conditions"] = Value::Array(conditions(short));
    }
    if let Some([of, seen]) = parts.get("gen").and_then(Value::as_array).map(Vec::as_slice) {
        metadata["generation"] = of.clone();
        status.get_or_insert_with(|| json!({}))["observedGeneration"] = seen.clone();
    }
    for (name, value) in part("metadata").iter().filter_map(Value::as_object).flatten() {
        metadata[name] = value.clone();
    }
    let api_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut made = Map::new();
    made.insert("apiVersion".to_owned(), json!(api_version));
    made.insert("kind".to_owned(), part("kind").unwrap_or_else(|| json!(kind)));
    made.insert("metadata".to_owned(), metadata);
    for (name, value) in parts.as_object().into_iter().flatten() {
        if !["c", "gen", "metadata", "status", "kind", "story"].contains(&name.as_str()) {
            made.insert(name.clone(), value.clone());
        }
    }
    if let Some(status) = status {
        made.insert("status".to_owned(), status);
    }
    Value::Object(made)
}

/// All cases; `per_rule` is told place, kinds and cases of each rule.
fn cases(mut per_rule: impl FnMut(&str, &Value, usize)) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("health");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let document: Value =
            serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        for rule in document["rules"].as_array().unwrap() {
            let groups = texts(rule.get("group").or(rule.get("groups")).unwrap());
            let kinds = texts(&rule["kinds"]);
            let version = texts(&rule["versions"]).first().map_or("v1".to_owned(), Clone::clone);
            let none = Vec::new();
            let list = rule["cases"].as_array().unwrap_or(&none);
            per_rule(&format!("{name}: {kinds:?}"), rule, list.len());
            for (at, case) in list.iter().enumerate() {
                let (expect, parts) = case.as_object().unwrap().iter().next().unwrap();
                for (group, kind) in groups.iter().flat_map(|g| kinds.iter().map(move |k| (g, k))) {
                    all.push(Case {
                        file: name.clone(),
                        first: groups.first() == Some(group) && kinds.first() == Some(kind),
                        place: format!("{name}: {group}/{kind}, case {}", at + 1),
                        expect: expect.clone(),
                        object: object(&example(group), &version, &example(kind), parts),
                        blind: rule["observed"] == json!("none"),
                    });
                }
            }
        }
    }
    all
}

#[test]
fn every_case_beside_a_rule_is_judged_as_written_there() {
    let mut faults = Vec::new();
    for case in cases(|_, _, _| ()) {
        // One kind of a rule shows as well as all that time changes nothing.
        let times = [HealthContext::timeless(), HealthContext::at(later())];
        for context in times.into_iter().take(1 + usize::from(case.first)) {
            let verdict = health(&case.object, &context);
            if verdict.health.to_string() != case.expect {
                let Verdict { health, message, .. } = &verdict;
                let (place, expect) = (&case.place, &case.expect);
                faults.push(format!("{place}: expected {expect}, got {health}: {message}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Users write what the library is written in: each of its files, given as a file of a user, says the same.
#[test]
fn a_file_of_the_library_is_a_file_of_rules_of_a_user() {
    let mut sets: BTreeMap<String, RuleSet> = BTreeMap::new();
    let mut faults = Vec::new();
    for case in cases(|_, _, _| ()).into_iter().filter(|case| case.first) {
        let set = sets.entry(case.file.clone()).or_insert_with(|| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("health").join(&case.file);
            let text = std::fs::read_to_string(path).unwrap();
            RuleSet::parse(&case.file, &text).unwrap_or_else(|found| {
                faults.extend(found.iter().map(ToString::to_string));
                RuleSet::new()
            })
        });
        let verdict = health_with(&case.object, &HealthContext::timeless(), set);
        if verdict.health.to_string() != case.expect && !set.is_empty() {
            let Verdict { health, message, .. } = &verdict;
            let (place, expect) = (&case.place, &case.expect);
            faults.push(format!("{place}: expected {expect}, got {health}: {message}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_rule_has_cases_for_well_and_unwell() {
    let mut poor = Vec::new();
    let mut kinds = 0;
    let all = cases(|place, rule, count| {
        kinds += texts(&rule["kinds"]).len();
        let clauses = rule["judge"].as_array().map_or(0, Vec::len);
        if count < 3 && !(clauses == 1 && count > 0) {
            poor.push(format!("{place}: {count} cases"));
        }
        let expects = |word: &str| {
            rule["cases"].as_array().into_iter().flatten().any(|c| c.get(word).is_some())
        };
        if !expects("Healthy") {
            poor.push(format!("{place}: no case is Healthy"));
        }
        if count > 1 && !expects("Degraded") && !expects("Progressing") {
            poor.push(format!("{place}: all is always well"));
        }
    });
    assert!(poor.is_empty(), "{}", poor.join("\n"));
    assert!(kinds >= KINDS_MIN, "{kinds} kinds, {} cases", all.len());
}

#[test]
fn what_is_on_its_way_out_or_not_observed_is_never_healthy() {
    let mut faults = Vec::new();
    let mut naive = 0;
    for case in cases(|_, _, _| ()).into_iter().filter(|case| case.first) {
        let mut going = case.object.clone();
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T11:59:59Z");
        let verdict = health(&going, &HealthContext::timeless());
        if verdict.reason != Some(model::Reason::Terminating) {
            faults.push(format!("{}: being deleted, got {verdict:?}", case.place));
        }
        if case.expect != "Healthy" || !case.object["status"].is_object() || case.blind {
            continue;
        }
        let mut old = case.object.clone();
        old["metadata"]["generation"] = json!(7);
        old["status"]["observedGeneration"] = json!(6);
        let verdict = health(&old, &HealthContext::timeless());
        if verdict.health != model::Health::Progressing {
            faults.push(format!("{}: stale, got {verdict:?}", case.place));
        }
        let believer = mutations::health(&old, &HealthContext::timeless(), Bug::NaiveGeneration);
        naive += usize::from(believer.health == model::Health::Healthy);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(naive > 100, "a judge who believes every status is caught by only {naive} cases");
}

#[test]
fn what_is_being_worked_on_is_not_broken_and_what_failed_is() {
    let of = |reason: &str| {
        let ready = json!({"type": "Ready", "status": "False", "reason": reason});
        let status = json!({"conditions": [ready]});
        let kind = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "status": status});
        health(&kind, &HealthContext::timeless()).health
    };
    assert_eq!(of("Provisioning"), model::Health::Progressing);
    assert_eq!(of("WaitingForStore"), model::Health::Progressing);
    assert_eq!(of("UpdatingFailed"), model::Health::Degraded);
    assert_eq!(of("SecretSyncedError"), model::Health::Degraded);
    assert_eq!(of(""), model::Health::Degraded);
}

/// Seeded faults: whatever a healthy object says, one plain word against it is enough.
#[test]
fn no_rule_calls_healthy_what_says_of_itself_that_it_is_not() {
    let mut faults = Vec::new();
    for case in cases(|_, _, _| ()) {
        if case.expect != "Healthy" || !case.object["status"].is_object() || !case.first {
            continue;
        }
        let mut objects = Vec::new();
        for (kind, status) in [("Ready", "False"), ("Degraded", "True"), ("Failed", "True")] {
            let mut object = case.object.clone();
            let said = json!({"type": kind, "status": status, "reason": "ItFailed"});
            match object["status"]["conditions"].as_array_mut() {
                Some(list) => {
                    list.retain(|c| c["type"] != json!(kind));
                    list.push(said);
                }
                None => object["status"]["conditions"] = json!([said]),
            }
            objects.push(object);
        }
        let mut object = case.object.clone();
        object["status"]["phase"] = json!("Failed");
        objects.push(object);
        let judged = objects.iter().map(|object| health(object, &HealthContext::timeless()));
        let wrong = judged.filter(|verdict| verdict.health == model::Health::Healthy).count();
        if wrong > 0 {
            faults.push(format!("{}: {wrong} of 4", case.place));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_shape_of_an_object_breaks_a_rule_or_makes_it_fail() {
    for case in cases(|_, _, _| ()).into_iter().filter(|case| case.first) {
        for pointer in ["/metadata", "/status", "/spec", "/status/conditions", "/status/phase"] {
            for junk in [json!(null), json!(7), json!("x"), json!([1, null]), json!({"type": 3})] {
                let mut object = case.object.clone();
                if let Some(place) = object.pointer_mut(pointer) {
                    *place = junk.clone();
                }
                let verdict = health(&object, &HealthContext::timeless());
                assert!(
                    !verdict.message.starts_with("health rule") || !junk.is_null(),
                    "{}: {pointer} = {junk}: {}",
                    case.place,
                    verdict.message
                );
            }
        }
    }
}

/// A rule that asks nothing says what is so as long as the object says nothing else.
#[test]
fn a_rule_that_asks_nothing_does_not_talk_over_the_object() {
    use model::Health::{Degraded, Healthy, Progressing};
    let judged = |api_version: &str, kind: &str, status: Value| {
        let object = json!({"apiVersion": api_version, "kind": kind, "status": status});
        health(&object, &HealthContext::timeless()).health
    };
    let condition = |kind: &str, status: &str, reason: &str| json!({"conditions": [{"type": kind, "status": status, "reason": reason}]});
    for (api_version, kind) in
        [("chaos-mesh.org/v1alpha1", "Schedule"), ("karpenter.sh/v1", "NodeOverlay")]
    {
        assert_eq!(judged(api_version, kind, json!({"x": 1})), Healthy);
        assert_eq!(judged(api_version, kind, json!({"phase": "Pending"})), Progressing);
        assert_eq!(judged(api_version, kind, json!({"phase": "Failed"})), Degraded);
        let accepted = condition("Accepted", "False", "InvalidParameters");
        assert_eq!(judged(api_version, kind, accepted), Degraded);
        let busy = condition("Reconciling", "True", "Progressing");
        assert_eq!(judged(api_version, kind, busy), Progressing);
        // Steps are no complaint, and what nobody understands is none either.
        assert_eq!(judged(api_version, kind, condition("Completed", "False", "")), Healthy);
        assert_eq!(judged(api_version, kind, json!({"phase": "Blue"})), Healthy);
    }
}
