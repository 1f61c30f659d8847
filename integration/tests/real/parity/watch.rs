//! Watches: what is told, in which order, and how they end.

use serde_json::{Value, json};

use super::apply::config_map;
use super::target::{METADATA, METADATA_LIST, Watch};
use super::{Target, same_on_both, same_on_both_alone};

async fn put(target: &Target, name: &str, labels: &Value, value: &str) {
    let mut body = config_map(name, &json!({"k": value}));
    body["metadata"]["labels"] = labels.clone();
    let answer = target.apply("one", &target.config_map(name), &body).await;
    assert!(answer.code < 300, "{}", answer.body);
}

async fn now(target: &Target) -> String {
    target.get(&target.at("v1", "configmaps?labelSelector=app")).await.expect(200).version()
}

async fn told(target: &Target, watch: &mut Watch, label: &str) -> Value {
    let event = watch.next().await.expect("an event");
    target.note(label, &event);
    event
}

#[tokio::test]
async fn a_watch_tells_what_was_added_changed_and_deleted_in_order() {
    same_on_both("watch", async |target| {
        put(target, "before", &json!({"app": "web"}), "1").await;
        let from = now(target).await;
        put(target, "between", &json!({"app": "web"}), "1").await;
        let path = target
            .at("v1", &format!("configmaps?watch=true&labelSelector=app&resourceVersion={from}"));
        let mut watch = target.watch(&path, "application/json").await;
        told(target, &mut watch, "between the list and the watch").await;
        put(target, "other", &json!({}), "1").await;
        put(target, "before", &json!({"app": "web"}), "2").await;
        told(target, &mut watch, "changed").await;
        target.delete(&target.config_map("before"), &json!({})).await.expect(200);
        told(target, &mut watch, "deleted").await;
    })
    .await;
}

#[tokio::test]
async fn a_watch_of_metadata_tells_an_object_that_lost_its_label_as_deleted() {
    same_on_both("watch-label", async |target| {
        put(target, "a", &json!({"app": "web"}), "1").await;
        let from = now(target).await;
        let path = format!("/api/v1/configmaps?watch=true&labelSelector=app%3Dweb&resourceVersion={from}&allowWatchBookmarks=true");
        for accept in [METADATA, &format!("{METADATA_LIST},application/json"), &format!("{METADATA},application/json")] {
            let path = format!("{path}&fieldSelector=metadata.namespace={}", target.namespace);
            let answer = target.watch(&format!("{path}&timeoutSeconds=60"), accept).await;
            drop(answer);
        }
        let mut watch = target.watch(&path, METADATA).await;
        let mine = async |watch: &mut Watch, label: &str| loop {
            let event = watch.next().await.expect("an event");
            if event["object"]["metadata"]["namespace"] == target.namespace {
                target.note(label, &event);
                return event;
            }
        };
        put(target, "a", &json!({"other": "x"}), "1").await;
        let lost = mine(&mut watch, "label lost").await;
        assert_eq!(lost["type"], "DELETED");
        target.get(&target.config_map("a")).await.expect(200);
        put(target, "a", &json!({"app": "web"}), "1").await;
        mine(&mut watch, "label back").await;
        put(target, "a", &json!({"app": "web"}), "2").await;
        mine(&mut watch, "changed").await;
        put(target, "a", &json!({"app": "db"}), "2").await;
        mine(&mut watch, "label changed").await;
    })
    .await;
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_over_and_a_bookmark_comes_before_that() {
    same_on_both("watch-ends", async |target| {
        put(target, "a", &json!({"app": "web"}), "1").await;
        let from = now(target).await;
        let list = "configmaps?watch=true&labelSelector=app";
        let path = target.at("v1", &format!("{list}&resourceVersion={from}&timeoutSeconds=1"));
        let mut watch = target.watch(&path, METADATA).await;
        assert_eq!(watch.next().await, None);
        let path = format!("{path}0&allowWatchBookmarks=true");
        let mut watch = target.watch(&path, METADATA).await;
        put(target, "a", &json!({"app": "web"}), "2").await;
        told(target, &mut watch, "change").await;
        told(target, &mut watch, "bookmark").await;
        while let Some(event) = watch.next().await {
            assert_eq!(event["type"], "BOOKMARK", "{event}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_watch_from_a_version_that_is_no_number_is_refused() {
    same_on_both("watch-odd", async |target| {
        let path = target.at("v1", "configmaps?watch=true&resourceVersion=soon");
        target.record("no number", target.get(&path).await);
    })
    .await;
}

#[tokio::test]
async fn what_the_server_has_forgotten_is_a_410_in_a_watch_and_in_a_list() {
    same_on_both_alone("forgotten", async |target| {
        for name in ["a", "b", "c"] {
            put(target, name, &json!({"app": "web"}), "1").await;
        }
        let from = now(target).await;
        let page = target.at("v1", "configmaps?limit=1&labelSelector=app");
        let first = target.get(&page).await.expect(200);
        put(target, "a", &json!({"app": "web"}), "2").await;
        target.forget_history().await;
        let path = format!("configmaps?watch=true&resourceVersion={from}&timeoutSeconds=10");
        let mut watch = target.watch(&target.at("v1", &path), METADATA).await;
        told(target, &mut watch, "watch").await;
        assert_eq!(watch.next().await, None, "the stream ends");
        let token = first.text("/metadata/continue");
        let expired = target.get(&format!("{page}&continue={token}")).await.expect(410);
        let expired = target.record("page", expired);
        let rest = format!("{page}&continue={}", expired.text("/metadata/continue"));
        target.record("the rest, of another moment", target.get(&rest).await);
        let exact = target
            .at("v1", &format!("configmaps?resourceVersion={from}&resourceVersionMatch=Exact"));
        target.record("exact", target.get(&exact).await.expect(410));
        let paged = target.get(&format!("{page}&resourceVersion={from}")).await.expect(410);
        target.record("a page of a version means exactly this one", paged);
        let whole =
            target.at("v1", &format!("configmaps?resourceVersion={from}&labelSelector=app"));
        target.record("a whole list may be newer", target.get(&whole).await.expect(200));
    })
    .await;
}

#[tokio::test]
async fn a_watch_may_begin_with_all_there_is() {
    same_on_both("watch-initial", async |target| {
        put(target, "a", &json!({"app": "web"}), "1").await;
        put(target, "b", &json!({"app": "web"}), "1").await;
        let list = "configmaps?watch=true&labelSelector=app&timeoutSeconds=20";
        for rest in ["", "&resourceVersion=0"] {
            let mut watch =
                target.watch(&target.at("v1", &format!("{list}{rest}")), METADATA).await;
            let both = [watch.next().await.expect("a"), watch.next().await.expect("b")];
            target.note(&format!("plain{rest}"), &json!(both));
        }
        let streaming =
            "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let mut watch =
            target.watch(&target.at("v1", &format!("{list}{streaming}")), METADATA).await;
        told(target, &mut watch, "first").await;
        told(target, &mut watch, "second").await;
        told(target, &mut watch, "end of what there is").await;
        put(target, "c", &json!({"app": "web"}), "1").await;
        told(target, &mut watch, "then what comes").await;
        let without = target.at("v1", &format!("{list}&sendInitialEvents=true"));
        target.record("without match", target.get(&without).await);
    })
    .await;
}
