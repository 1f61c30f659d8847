//! Custom resource definitions: from the definition to the first object, and away again.

use serde_json::{Value, json};

use super::{Answer, Target, same_on_both};

fn definition(group: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("carts.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": "carts", "singular": "cart", "kind": "Cart", "shortNames": ["ct"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": {
                            "type": "object", "required": ["size"],
                            "properties": {
                                "size": {"type": "integer", "minimum": 1},
                                "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
                                "parts": {
                                    "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                                    "items": {
                                        "type": "object", "required": ["name"],
                                        "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
                                    },
                                },
                                "tags": {"type": "array", "items": {"type": "string"}},
                                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                            },
                        },
                        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
                    },
                }},
            }],
        },
    })
}

fn path_of(group: &str) -> String {
    format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/carts.{group}")
}

fn cart(group: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": format!("{group}/v1"), "kind": "Cart", "metadata": {"name": name}, "spec": spec})
}

fn condition(answer: &Answer, name: &str) -> Value {
    let all = answer.at("/status/conditions");
    let found = all.as_array().into_iter().flatten().find(|each| each["type"] == name).cloned();
    found.map(|each| json!([each["status"], each["reason"], each["message"]])).unwrap_or_default()
}

async fn establish(target: &Target, group: &str) {
    let path = path_of(group);
    let created = target.apply("one", &path, &definition(group)).await.expect(201);
    target.record_parts(
        "definition",
        created,
        &["/spec", "/metadata/generation", "/metadata/managedFields"],
    );
    let is_established = |answer: &Answer| condition(answer, "Established")[0] == "True";
    let established = target.until(&path, "established", is_established).await;
    target.note("established", &condition(&established, "Established"));
    target.note("names accepted", &condition(&established, "NamesAccepted"));
    target.note("accepted names", &established.at("/status/acceptedNames"));
    target.note("stored versions", &established.at("/status/storedVersions"));
    let list = format!("/apis/{group}/v1/carts");
    target.until(&list, "served", |answer| answer.code == 200).await;
}

#[tokio::test]
async fn a_definition_is_established_and_then_takes_objects() {
    same_on_both("custom", async |target| {
        let group = "custom.example.com";
        let path = target.at(&format!("{group}/v1"), "carts/a");
        target.record("before", target.apply("one", &path, &cart(group, "a", &json!({"size": 1}))).await.expect(404));
        establish(target, group).await;
        let spec = json!({
            "size": 1, "parts": [{"name": "wheel", "count": 4}], "tags": ["x", "y"], "free": {"any": [1, {"thing": true}]},
        });
        target.record("create", target.apply("one", &path, &cart(group, "a", &spec)).await.expect(201));
        target.record("again", target.apply("one", &path, &cart(group, "a", &spec)).await.expect(200));
        let two = cart(group, "a", &json!({"size": 1, "parts": [{"name": "lamp", "count": 1}]}));
        target.record("another adds a part", target.apply("two", &path, &two).await.expect(200));
        let less = cart(group, "a", &json!({"size": 2, "tags": ["x"]}));
        target.record("change of a shared field", target.apply("one", &path, &less).await.expect(409));
        let forced = format!("{path}?force=true");
        target.record("less", target.apply("one", &forced, &less).await.expect(200));
        let status = json!({"status": {"phase": "Full"}});
        let told = target.patch(&format!("{path}/status?fieldManager=shop"), "merge", &status).await.expect(200);
        target.record("status", told);
        let body = target.patch(&path, "merge", &json!({"status": {"phase": "Empty"}})).await.expect(200);
        target.record("status by the front door", body);
        let discovered = target.get(&format!("/apis/{group}/v1")).await.expect(200);
        target.record_parts("resources", discovered, &["/groupVersion", "/kind"]);
        target.delete(&path_of(group), &json!({})).await.expect(200);
        target.until_gone(&path_of(group)).await;
        target.until(&path, "text", |answer| answer.body.is_string()).await;
        target.record("after", target.get(&path).await);
    })
    .await;
}

#[tokio::test]
async fn objects_are_checked_against_their_schema() {
    same_on_both("custom-schema", async |target| {
        let group = "schema.example.com";
        establish(target, group).await;
        let path = target.at(&format!("{group}/v1"), "carts/a");
        for (label, spec) in [
            ("too small", json!({"size": 0})),
            ("not listed", json!({"size": 1, "color": "green"})),
            ("required", json!({"color": "red"})),
            ("no name", json!({"size": 1, "parts": [{"count": 1}]})),
            ("wrong type", json!({"size": "large"})),
            ("twice", json!({"size": 1, "parts": [{"name": "a"}, {"name": "a"}]})),
        ] {
            target.record(label, target.apply("one", &path, &cart(group, "a", &spec)).await);
        }
        let unknown = cart(group, "a", &json!({"size": 1, "weight": 3}));
        for mode in ["Strict", "Warn", "Ignore"] {
            let path = format!("{path}?fieldValidation={mode}&dryRun=All");
            target.record_parts(mode, target.apply("one", &path, &unknown).await, &["/spec"]);
        }
        target.delete(&path_of(group), &json!({})).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_terminating_definition_answers_an_apply_and_vanishes_all_the_same() {
    same_on_both("custom-terminating", async |target| {
        let group = "terminating.example.com";
        establish(target, group).await;
        let version = format!("{group}/v1");
        let held = target.at(&version, "carts/held");
        let mut body = cart(group, "held", &json!({"size": 1}));
        body["metadata"]["finalizers"] = json!(["example.com/stay"]);
        target.apply("one", &held, &body).await.expect(201);
        let path = path_of(group);
        target.delete(&path, &json!({})).await.expect(200);
        let is_terminating = |answer: &Answer| condition(answer, "Terminating")[0] == "True";
        let terminating = target.until(&path, "terminating", is_terminating).await;
        target.note("still established", &condition(&terminating, "Established"));
        let instance = |answer: &Answer| answer.at("/metadata/deletionTimestamp").is_string();
        target.until(&held, "the object is deleted", instance).await;
        let applied = target.apply("one", &path, &definition(group)).await.expect(200);
        let parts = ["/metadata/deletionTimestamp", "/metadata/finalizers", "/metadata/generation"];
        target.record_parts("apply", applied, &parts);
        let late = target.at(&version, "carts/late");
        target.record(
            "late",
            target.apply("one", &late, &cart(group, "late", &json!({"size": 1}))).await,
        );
        let change = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
        target.patch(&held, "json", &change).await.expect(200);
        target.until_gone(&path).await;
        let again = target.apply("one", &path, &definition(group)).await.expect(201);
        target.record_parts("again", again, &["/metadata/generation"]);
        target.delete(&path, &json!({})).await.expect(200);
    })
    .await;
}
