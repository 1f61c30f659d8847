//! Watches: what is told, in which order, and how they end.

use crate::setup::{Setup, config_map, setup};
use futures::{Stream, StreamExt};
use kube::{
    api::{DynamicObject, WatchEvent, WatchParams},
    core::PartialObjectMeta,
};
use serde_json::{Value, json};
use simcluster::Status;
use std::{pin::Pin, time::Duration};

type Event = WatchEvent<PartialObjectMeta<DynamicObject>>;
type Events = Pin<Box<dyn Stream<Item = kube::Result<Event>> + Send>>;

async fn put(s: &Setup, name: &str, labels: &Value, value: &str) -> String {
    let mut body = config_map(name, &json!({"k": value}));
    body["metadata"]["labels"] = labels.clone();
    let made = s.apply("x", &s.core("ConfigMap"), &body).await.expect("applied");
    made.metadata.resource_version.expect("a version")
}

async fn watch(s: &Setup, from: &str) -> Events {
    let params = WatchParams::default().labels("app").timeout(60);
    Box::pin(s.core("ConfigMap").watch_metadata(&params, from).await.expect("a watch"))
}

/// The next event as (type, name); bookmarks are passed over.
async fn next(events: &mut Events) -> Option<(&'static str, String)> {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(10), events.next());
        let event = event.await.expect("an event in time")?;
        let name =
            |object: PartialObjectMeta<DynamicObject>| object.metadata.name.unwrap_or_default();
        match event.expect("a whole event") {
            WatchEvent::Added(object) => return Some(("ADDED", name(object))),
            WatchEvent::Modified(object) => return Some(("MODIFIED", name(object))),
            WatchEvent::Deleted(object) => return Some(("DELETED", name(object))),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => return Some(("ERROR", status.code.to_string())),
        }
    }
}

#[tokio::test]
async fn an_object_that_loses_its_label_is_told_as_deleted_and_one_that_gains_it_as_added() {
    let s = setup().await;
    let from = put(&s, "a", &json!({"app": "web"}), "1").await;
    let mut events = watch(&s, &from).await;
    put(&s, "a", &json!({}), "1").await;
    assert_eq!(next(&mut events).await, Some(("DELETED", "a".into())));
    put(&s, "other", &json!({}), "1").await;
    put(&s, "a", &json!({"app": "db"}), "1").await;
    assert_eq!(next(&mut events).await, Some(("ADDED", "a".into())));
    put(&s, "a", &json!({"app": "db"}), "2").await;
    assert_eq!(next(&mut events).await, Some(("MODIFIED", "a".into())));
    s.cluster.delete("", "ConfigMap", Some("default"), "a").expect("deleted");
    assert_eq!(next(&mut events).await, Some(("DELETED", "a".into())));
}

#[tokio::test]
async fn a_watch_from_the_past_tells_what_was_missed_and_from_a_forgotten_past_410() {
    let s = setup().await;
    let from = put(&s, "a", &json!({"app": "web"}), "1").await;
    put(&s, "b", &json!({"app": "web"}), "1").await;
    let mut events = watch(&s, &from).await;
    assert_eq!(next(&mut events).await, Some(("ADDED", "b".into())));
    s.cluster.compact();
    let mut events = watch(&s, &from).await;
    assert_eq!(next(&mut events).await, Some(("ERROR", "410".into())));
    assert_eq!(next(&mut events).await, None, "the stream ends");
    let mut events = watch(&s, "99999999").await;
    assert_eq!(next(&mut events).await, Some(("ERROR", "504".into())));
}

#[tokio::test]
async fn watches_are_cut_failed_and_expired_on_demand() {
    let s = setup().await;
    let from = put(&s, "a", &json!({"app": "web"}), "1").await;
    let mut events = watch(&s, &from).await;
    s.cluster.faults().cut_watches();
    assert_eq!(next(&mut events).await, None);
    let mut events = watch(&s, &from).await;
    s.cluster.faults().fail_watches(Status::new(500, "InternalError", "etcd is away"));
    assert_eq!(next(&mut events).await, Some(("ERROR", "500".into())));
    s.cluster.faults().expire_watches(1);
    let mut events = watch(&s, &from).await;
    assert_eq!(next(&mut events).await, Some(("ERROR", "410".into())));
    let mut events = watch(&s, &from).await;
    put(&s, "a", &json!({"app": "web"}), "2").await;
    assert_eq!(next(&mut events).await, Some(("MODIFIED", "a".into())), "only the next one");
}
