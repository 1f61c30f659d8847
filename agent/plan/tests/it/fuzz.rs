//! Spoiled bytes: objects of authors, of clusters and of API servers with pieces cut out, doubled, swapped and replaced.
//! Whatever comes out of that is answered; nothing panics, and nothing that was spoiled is called healthy by accident
//! of a type.

use std::sync::LazyLock;

use jiff::Timestamp;
use model::{Health, ObjectParts};
use plan::{
    Answer, Asked, DiffOptions, HealthContext, Inventory, Key, LiveMeta, Migrate, Ownership,
    RuleSet, Schemas, Scrubber, Until, Verb, admit, classify, diff, health, health_with, immutable,
    met, migrate_patch, pods_verdict, probe_body, rewrite_version_patch, shape_body,
    transfer_patch, workload_verdict,
};
use serde_json::{Value, json};

use super::laws::for_all;
use super::world::{Dice, Kinds, app, content, options};

/// Spoilings of one object.
const CUTS: u64 = 4;

/// What there is to spoil: an author's objects, live ones with managed fields, and answers.
static SEEDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let fields = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:replicas": {},
        "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:ports": {
        "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}}}}}}}}, "v:\"x\"": {}, "i:3": {}});
    let entry = |manager: &str, operation: &str| {
        json!({"manager": manager, "operation": operation,
        "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields})
    };
    let managed = [
        entry("tidegate-agent/web", "Apply"),
        entry("kubectl-client-side-apply", "Update"),
        entry("helm", "Update"),
    ];
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "shop",
        "uid": "u", "resourceVersion": "12", "generation": 2, "labels": {"tidegate.dev/app": "web", "a": "b"},
        "annotations": {"tidegate.dev/id": "apps/Deployment/shop/d", "tidegate.dev/depends-on": "/namespaces/shop/ConfigMap/c",
        "tidegate.dev/wave": "3", "tidegate.dev/ignore-fields": "/spec/replicas"}, "managedFields": managed},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}],
        "resources": {"limits": {"cpu": "1e3m", "memory": "1Gi"}}}], "volumes": [{"name": "v"}]}}},
        "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2,
        "conditions": [{"type": "Progressing", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop", "uid": "s"},
        "stringData": {"k": "v"}, "data": {"q": "dg=="}, "type": "Opaque"});
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.a.example"}, "spec": {"group": "a.example", "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things"}, "conversion": {"webhook": {"clientConfig": {"caBundle": "eA=="}}},
        "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
        "properties": {"items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}}}}}}}]}});
    let thing = json!({"apiVersion": "a.example/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "shop", "uid": "t"},
        "spec": {"items": [{"name": "a"}, {"name": "b"}]}, "status": {"phase": "Failed", "conditions": [{"type": "Ready", "status": "False"}]}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop", "uid": "p",
        "ownerReferences": [{"uid": "d"}], "finalizers": ["a/b"]}, "status": {"phase": "Running",
        "containerStatuses": [{"name": "c", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}], "conditions": [{"type": "Ready", "status": "False"}]}});
    let hook = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "shop",
        "annotations": {"tidegate.dev/hook": "pre-apply"}}, "spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [secret, pod]});
    let refusal = json!({"kind": "Status", "code": 409, "reason": "Conflict", "message": "Apply failed: conflict with \"x\"",
        "details": {"retryAfterSeconds": 1, "causes": [{"reason": "FieldManagerConflict",
        "message": "conflict with \"x\" with subresource \"scale\" using apps/v1", "field": ".spec.template.containers[name=\"c\"].image"}]}});
    let all = [deployment, secret, definition, thing, pod, hook, list, refusal];
    all.iter().map(Value::to_string).collect()
});

/// One seed, spoiled; `None` when it is no JSON any more.
fn spoiled(dice: &mut Dice) -> Option<Value> {
    let pick = |dice: &mut Dice, len: usize| usize::try_from(dice.roll(len as u64)).unwrap();
    let mut bytes = SEEDS[pick(dice, SEEDS.len())].clone().into_bytes();
    if dice.roll(3) == 0 {
        let other = &SEEDS[pick(dice, SEEDS.len())].as_bytes();
        for _ in 0..dice.roll(CUTS) {
            let (at, from) = (pick(dice, bytes.len()), pick(dice, other.len()));
            let till = (from + pick(dice, 40)).min(other.len());
            match dice.roll(3) {
                0 => drop(bytes.splice(at..at, other[from..till].iter().copied())),
                1 => drop(bytes.drain(at..(at + till - from).min(bytes.len()))),
                _ => bytes[at] = u8::try_from(dice.roll(256)).unwrap(),
            }
        }
        return serde_json::from_slice(&bytes).ok();
    }
    let mut object: Value = serde_json::from_slice(&bytes).unwrap();
    for _ in 0..=dice.roll(CUTS) {
        let places = count(&object);
        let mut left = pick(dice, places);
        let junk = junk(dice, &object);
        replace(&mut object, &mut left, &junk);
    }
    Some(object)
}

fn junk(dice: &mut Dice, object: &Value) -> Value {
    match dice.roll(14) {
        0 => Value::Null,
        1 => json!(""),
        2 => json!(-1),
        3 => json!(u64::MAX),
        4 => json!(1e300),
        5 => json!(true),
        6 => json!([]),
        7 => json!({}),
        8 => json!([null, 1, "x", [], {}]),
        9 => json!({"": "", "/": "~", "name": 3, "type": null, "status": []}),
        10 => json!("\u{0}ä\"]}.[=,"),
        11 => json!("9".repeat(60)),
        12 => object.clone(),
        _ => json!(["", "a", "a"]),
    }
}

/// Values in `value`, itself too.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Object(map) => map.values().map(count).sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Puts `junk` in the place of the value that is `left` steps away.
fn replace(value: &mut Value, left: &mut usize, junk: &Value) -> bool {
    if *left == 0 {
        *value = junk.clone();
        return true;
    }
    *left -= 1;
    match value {
        Value::Object(map) => map.values_mut().any(|below| replace(below, left, junk)),
        Value::Array(items) => items.iter_mut().any(|below| replace(below, left, junk)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// Everything that reads an object of a cluster.
fn read(live: &Value, body: &Value) {
    let (ownership, key, migrate) = (Ownership::of(&app()), Key::new([5; 32]), Migrate::default());
    let mut schemas = Schemas::new();
    schemas.learn(live);
    let mut scrubber = Scrubber::new();
    scrubber.learn(live);
    scrubber.scrub(&body.to_string());
    let found = diff(body, live, &DiffOptions::new(&ownership, &schemas, &key, &migrate));
    for kind in ["Pod", "Service", "PersistentVolumeClaim", "Secret", "Job"] {
        let text = |text: &str| text.to_owned();
        let at = ObjectParts {
            group: text(""),
            kind: text(kind),
            namespace: text("n"),
            name: text("x"),
        }
        .into();
        immutable(&at, live, &found);
        let asked = Asked {
            verb: Verb::Apply,
            key: &at,
            namespace_planned: false,
            definition_planned: true,
        };
        for code in [400, 404, 409, 422, 500] {
            let answer = Answer { code, status: Some(live), text: "", retry_after: None };
            classify(&asked, &answer);
        }
    }
    LiveMeta::read(live, &ownership);
    migrate_patch(live, &ownership, &Migrate { delivery_tools: true, ..Migrate::default() });
    transfer_patch(live, &ownership, &app());
    rewrite_version_patch(live, &ownership, "apps/v2");
    ownership.detach_patch(live);
    let mut shaped = body.clone();
    shape_body(
        &mut shaped,
        &["/spec/replicas".to_owned(), "/spec/*/x".to_owned()],
        live,
        &ownership,
    );
    probe_body(body, "probe");
    pods_verdict(std::slice::from_ref(live), now());
    workload_verdict(live, std::slice::from_ref(body), ownership.manager(), now());
    let context = HealthContext::at(now());
    for until in [Until::NamespaceActive, Until::DefinitionEstablished, Until::EndpointReady] {
        let _met = met(until, live, &context);
    }
    health_with(live, &context, &RuleSet::default());
}

#[test]
fn no_spoiled_object_breaks_the_agents_brain() {
    for_all(|seed| {
        let mut dice = Dice(seed ^ 0xf022);
        let (Some(one), Some(other)) = (spoiled(&mut dice), spoiled(&mut dice)) else {
            return Ok(());
        };
        read(&one, &other);
        if let Ok(desired) =
            admit(&app(), vec![content(one.clone()), content(other)], &Kinds, &options())
        {
            for object in desired.objects().values() {
                object.body_for(Some("uid"));
                read(&one, &object.body);
            }
        }
        let deleting = one.pointer("/metadata/deletionTimestamp").is_some_and(Value::is_string);
        let verdict = health(&one, &HealthContext::timeless());
        if deleting && verdict.health == Health::Healthy {
            return Err(format!("healthy while it goes: {one}"));
        }
        Ok(())
    });
}

#[test]
fn no_spoiled_inventory_is_believed() {
    let key = Key::new([3; 32]);
    let sealed = Inventory::new(app()).seal(&key).unwrap();
    for_all(|seed| {
        let mut dice = Dice(seed ^ 0x1e57);
        let mut bytes = sealed.clone();
        for _ in 0..=dice.roll(CUTS) {
            let at = usize::try_from(dice.roll(bytes.len() as u64)).unwrap();
            match dice.roll(3) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes.insert(at, u8::try_from(dice.roll(256)).unwrap()),
                _ => bytes[at] ^= 1 << dice.roll(8),
            }
        }
        match Inventory::open(&bytes, &key) {
            Ok(read) if read != Inventory::new(app()) => Err(format!("believed: {bytes:?}")),
            Ok(_) | Err(_) => Ok(()),
        }
    });
}
