//! Patches of the list of managers itself: how an object is handed over, or let go without losing its data.

use serde_json::{Value, json};

use super::apply::config_map;
use super::same_on_both;

#[tokio::test]
async fn a_patch_renames_a_manager_and_the_new_name_may_then_drop_its_fields() {
    same_on_both("rename", async |target| {
        let path = target.config_map("a");
        let created = target
            .apply("old", &path, &config_map("a", &json!({"k": "1", "l": "1"})))
            .await
            .expect(201);
        let rename = |version: &str| {
            json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": version},
                {"op": "test", "path": "/metadata/managedFields/0/manager", "value": "old"},
                {"op": "replace", "path": "/metadata/managedFields/0/manager", "value": "new"},
            ])
        };
        target.record("stale", target.patch(&path, "json", &rename("1")).await);
        target.record(
            "rename",
            target.patch(&path, "json", &rename(&created.version())).await.expect(200),
        );
        let less =
            target.apply("new", &path, &config_map("a", &json!({"k": "2"}))).await.expect(200);
        let less = target.record("less", less);
        assert_eq!(less.at("/data"), json!({"k": "2"}));
    })
    .await;
}

#[tokio::test]
async fn an_object_is_let_go_by_an_empty_entry_and_keeps_its_data() {
    same_on_both("let-go", async |target| {
        let path = target.config_map("a");
        let mut body = config_map("a", &json!({"k": "1"}));
        body["metadata"]["labels"] = json!({"tidegate.dev/app": "web", "keep": "yes"});
        target.apply("one", &path, &body).await.expect(201);
        let change = json!([
            {"op": "remove", "path": "/metadata/labels/tidegate.dev~1app"},
            {"op": "replace", "path": "/metadata/managedFields", "value": [{}]},
        ]);
        let free = target.record("let go", target.patch(&path, "json", &change).await.expect(200));
        assert_eq!(free.at("/data"), json!({"k": "1"}));
        assert_eq!(free.at("/metadata/managedFields"), Value::Null);
        let other = target.apply("two", &path, &config_map("a", &json!({"k": "2"}))).await;
        target.record("another applies", other);
        let empty = target
            .apply("two", &format!("{path}?force=true"), &config_map("a", &json!({"k": "2"})))
            .await;
        target.record("another forces", empty);
    })
    .await;
}

#[tokio::test]
async fn an_empty_intent_of_the_only_owner_takes_the_data_with_it() {
    same_on_both("empty-intent", async |target| {
        let path = target.config_map("a");
        target.apply("one", &path, &config_map("a", &json!({"k": "1"}))).await.expect(201);
        let nothing = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let empty = target.record("empty", target.apply("one", &path, &nothing).await.expect(200));
        assert_eq!(empty.at("/data"), Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_json_patch_is_refused_whole() {
    same_on_both("wrong-patch", async |target| {
        let path = target.config_map("a");
        target.apply("one", &path, &config_map("a", &json!({"k": "1"}))).await.expect(201);
        let patches = [
            ("test fails", json!([{"op": "replace", "path": "/data/k", "value": "2"}, {"op": "test", "path": "/data/k", "value": "3"}])),
            ("nothing there", json!([{"op": "remove", "path": "/data/absent"}])),
            ("nowhere", json!([{"op": "add", "path": "/absent/k", "value": "1"}])),
            ("uid", json!([{"op": "replace", "path": "/metadata/uid", "value": "11111111-2222-3333-4444-555555555555"}])),
            ("name", json!([{"op": "replace", "path": "/metadata/name", "value": "b"}])),
        ];
        for (label, patch) in patches {
            target.record(label, target.patch(&path, "json", &patch).await);
        }
        let read = target.record("read", target.get(&path).await.expect(200));
        assert_eq!(read.text("/data/k"), "1");
    })
    .await;
}
