//! Deleting: preconditions, finalizers, dependents.

use serde_json::{Value, json};

use super::apply::config_map;
use super::{Target, same_on_both};

#[tokio::test]
async fn a_delete_holds_to_its_preconditions() {
    same_on_both("preconditions", async |target| {
        let path = target.config_map("a");
        let created = target.record(
            "create",
            target.apply("one", &path, &config_map("a", &json!({}))).await.expect(201),
        );
        let with = |key: &str, value: &str| json!({"preconditions": {key: value}});
        let wrong = with("uid", "11111111-2222-3333-4444-555555555555");
        target.record("wrong uid", target.delete(&path, &wrong).await.expect(409));
        target.record(
            "wrong version",
            target.delete(&path, &with("resourceVersion", "1")).await.expect(409),
        );
        target.record(
            "right uid",
            target.delete(&path, &with("uid", &created.uid())).await.expect(200),
        );
        target
            .record("again", target.delete(&path, &with("uid", &created.uid())).await.expect(404));
        target.record(
            "odd policy",
            target.delete(&path, &json!({"propagationPolicy": "Sideways"})).await,
        );
    })
    .await;
}

async fn held(target: &Target, name: &str) -> String {
    let path = target.config_map(name);
    let mut body = config_map(name, &json!({"k": "1"}));
    body["metadata"]["finalizers"] = json!(["example.com/stay"]);
    target.apply("one", &path, &body).await.expect(201);
    path
}

#[tokio::test]
async fn a_finalizer_holds_an_object_and_an_apply_does_not_save_it() {
    same_on_both("finalizer", async |target| {
        let path = held(target, "a").await;
        target.record("delete", target.delete(&path, &json!({})).await.expect(200));
        target.record("delete again", target.delete(&path, &json!({})).await.expect(200));
        let mut body = config_map("a", &json!({"k": "2"}));
        body["metadata"]["finalizers"] = json!(["example.com/stay"]);
        let applied = target.record("apply", target.apply("one", &path, &body).await.expect(200));
        assert!(applied.at("/metadata/deletionTimestamp").is_string());
        body["metadata"]["finalizers"] = json!(["example.com/stay", "example.com/new"]);
        target.record("new finalizer", target.apply("one", &path, &body).await);
        body["metadata"]["finalizers"] = json!([]);
        target.record("without finalizer", target.apply("one", &path, &body).await);
        target.record("gone", target.get(&path).await.expect(404));
    })
    .await;
}

#[tokio::test]
async fn a_finalizer_that_a_patch_removes_lets_the_object_go() {
    same_on_both("finalizer-patch", async |target| {
        let path = held(target, "a").await;
        target.delete(&path, &json!({})).await.expect(200);
        let change = json!([{"op": "remove", "path": "/metadata/finalizers/0"}]);
        target.record("patch", target.patch(&path, "json", &change).await.expect(200));
        target.record("gone", target.get(&path).await.expect(404));
    })
    .await;
}

/// An owner and one that depends on it, each a `ConfigMap`; the dependent may block the owner and be held by a finalizer.
async fn family(target: &Target, owner: &str, is_held: bool) -> (String, String) {
    let path = target.config_map(owner);
    let made = target.apply("one", &path, &config_map(owner, &json!({}))).await.expect(201);
    let child = format!("{owner}-child");
    let mut body = config_map(&child, &json!({}));
    body["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": made.uid(), "blockOwnerDeletion": true,
    }]);
    if is_held {
        body["metadata"]["finalizers"] = json!(["example.com/stay"]);
    }
    let child = target.config_map(&child);
    target.apply("one", &child, &body).await.expect(201);
    (path, child)
}

#[tokio::test]
async fn a_background_delete_takes_the_owner_at_once_and_the_dependents_soon() {
    same_on_both("background", async |target| {
        let (owner, child) = family(target, "a", false).await;
        target.record(
            "delete",
            target.delete(&owner, &json!({"propagationPolicy": "Background"})).await.expect(200),
        );
        target.get(&owner).await.expect(404);
        target.until_gone(&child).await;
    })
    .await;
}

#[tokio::test]
async fn a_foreground_delete_waits_for_the_dependents() {
    same_on_both("foreground", async |target| {
        let (owner, child) = family(target, "a", true).await;
        let answer =
            target.delete(&owner, &json!({"propagationPolicy": "Foreground"})).await.expect(200);
        target.record_parts(
            "delete",
            answer,
            &["/kind", "/metadata/finalizers", "/metadata/deletionGracePeriodSeconds"],
        );
        let deleting =
            |answer: &super::Answer| answer.at("/metadata/deletionTimestamp").is_string();
        let held = target.until(&child, "the dependent is deleted", deleting).await;
        target.note("dependent", &held.at("/metadata/finalizers"));
        let waiting = target.get(&owner).await.expect(200);
        target.note("owner", &waiting.at("/metadata/finalizers"));
        let change = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
        target.patch(&child, "json", &change).await.expect(200);
        target.until_gone(&owner).await;
        target.until_gone(&child).await;
    })
    .await;
}

#[tokio::test]
async fn an_orphaning_delete_leaves_the_dependents_without_an_owner() {
    same_on_both("orphan", async |target| {
        let (owner, child) = family(target, "a", false).await;
        let answer =
            target.delete(&owner, &json!({"propagationPolicy": "Orphan"})).await.expect(200);
        target.record_parts("delete", answer, &["/kind", "/metadata/finalizers"]);
        target.until_gone(&owner).await;
        let free = target.get(&child).await.expect(200);
        assert_eq!(free.at("/metadata/ownerReferences"), Value::Null);
    })
    .await;
}
