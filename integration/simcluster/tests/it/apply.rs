//! Server-side apply: owners, conflicts, removed fields.

use crate::setup::{setup, status};
use serde_json::{Value, json};

fn config(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
           "metadata": {"name": "web", "namespace": "default"}, "data": data})
}

#[tokio::test]
async fn a_second_manager_is_refused_by_name_and_path() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    s.apply("a", &api, &config(json!({"k": "1"}))).await.unwrap();
    let refused = status(s.apply("b", &api, &config(json!({"k": "2"}))).await.unwrap_err());
    assert_eq!((refused.code, &*refused.reason), (409, "Conflict"));
    assert_eq!(refused.message, "Apply failed with 1 conflict: conflict with \"a\": .data.k");
    let cause = &refused.details.unwrap().causes[0];
    assert_eq!((&*cause.reason, &*cause.field), ("FieldManagerConflict", ".data.k"));
    assert_eq!(cause.message, "conflict with \"a\"");
}

#[tokio::test]
async fn a_field_no_longer_applied_goes_and_another_managers_field_stays() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    s.apply("a", &api, &config(json!({"mine": "1", "shared": "1"}))).await.unwrap();
    s.apply("b", &api, &config(json!({"theirs": "1", "shared": "1"}))).await.unwrap();
    let left = s.apply("a", &api, &config(json!({}))).await.unwrap();
    assert_eq!(left.data["data"], json!({"shared": "1", "theirs": "1"}));
}
