//! Fields that are left to others: what of them is still applied.

use model::AppName;
use plan::{Ownership, shape_body};
use serde_json::{Value, json};

fn ownership() -> Ownership {
    Ownership::of(&AppName::parse("web").unwrap())
}

fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
    json!({"manager": manager, "operation": operation, "fieldsV1": fields})
}

fn live(image: &str, replicas: u32, managers: &[Value]) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "managedFields": managers},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [
            {"name": "proxy", "image": "proxy:1"}, {"name": "web", "image": image},
        ]}}},
    })
}

fn body() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [
            {"name": "web", "image": "web:1"},
        ]}}},
    })
}

fn shaped(pointers: &[&str], live: &Value) -> Value {
    let mut body = body();
    let pointers: Vec<String> = pointers.iter().map(|p| (*p).to_owned()).collect();
    shape_body(&mut body, &pointers, live, &ownership());
    body
}

/// `f:spec` with what is below it.
fn spec(below: &Value) -> Value {
    json!({"f:spec": below})
}

#[test]
fn a_field_that_another_owns_is_given_up() {
    let ours = entry("tidegate-agent/web", "Apply", &spec(&json!({"f:replicas": {}})));
    let theirs = entry("scaler", "Update", &spec(&json!({"f:replicas": {}})));
    let body = shaped(&["/spec/replicas"], &live("web:1", 9, &[ours, theirs]));
    assert_eq!(body.pointer("/spec/replicas"), None);
    assert!(body.pointer("/spec/template").is_some());
}

#[test]
fn a_field_that_only_we_own_keeps_its_live_value_because_giving_it_up_would_remove_it() {
    let ours = entry("tidegate-agent/web", "Apply", &spec(&json!({"f:replicas": {}})));
    let body = shaped(&["/spec/replicas"], &live("web:1", 9, &[ours]));
    assert_eq!(body.pointer("/spec/replicas"), Some(&json!(9)));
}

#[test]
fn a_field_that_is_gone_or_nobodys_is_not_brought_back() {
    let mut bare = live("web:1", 9, &[]);
    assert_eq!(shaped(&["/spec/replicas"], &bare).pointer("/spec/replicas"), None);
    bare["spec"].as_object_mut().unwrap().shift_remove("replicas");
    assert_eq!(shaped(&["/spec/replicas"], &bare).pointer("/spec/replicas"), None);
}

#[test]
fn items_of_lists_are_told_apart_by_their_keys_and_not_by_their_place() {
    let path = json!({"f:template": {"f:spec": {"f:containers": {
        "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}},
    }}}});
    let ours = entry("tidegate-agent/web", "Apply", &spec(&path));
    let image = ["/spec/template/spec/containers/*/image"];
    let body = shaped(&image, &live("web:9", 2, std::slice::from_ref(&ours)));
    let container = body.pointer("/spec/template/spec/containers/0").unwrap();
    assert_eq!(*container, json!({"name": "web", "image": "web:9"}));
    let theirs = entry("updater", "Update", &spec(&path));
    let body = shaped(&image, &live("web:9", 2, &[ours, theirs]));
    assert_eq!(body.pointer("/spec/template/spec/containers/0"), Some(&json!({"name": "web"})));
}

#[test]
fn what_names_an_item_is_never_given_up() {
    let body = shaped(&["/spec/template/spec/containers/*/name"], &live("web:1", 2, &[]));
    assert_eq!(body, self::body());
    let body = shaped(&["/spec/template/spec/containers/*"], &live("web:1", 2, &[]));
    assert_eq!(body, self::body());
}

#[test]
fn a_name_with_a_slash_is_written_as_pointers_write_it() {
    let mut body = body();
    body["metadata"]["annotations"] = json!({"example.org/seen": "never", "other": "x"});
    let mut live = live("web:1", 2, &[]);
    live["metadata"]["annotations"] = json!({"example.org/seen": "today"});
    let pointers = ["/metadata/annotations/example.org~1seen".to_owned()];
    shape_body(&mut body, &pointers, &live, &ownership());
    assert_eq!(body["metadata"]["annotations"], json!({"other": "x"}));
}
