//! Several managers of one object.

use serde_json::{Value, json};

use super::apply::config_map;
use super::{Answer, Target, same_on_both};

async fn read(target: &Target, path: &str) -> Answer {
    target.record("read", target.get(path).await.expect(200))
}

#[tokio::test]
async fn a_conflict_names_the_other_manager_and_the_field_and_force_takes_the_field() {
    same_on_both("conflict", async |target| {
        let path = target.config_map("a");
        target
            .apply("one", &path, &config_map("a", &json!({"k": "1", "l": "1"})))
            .await
            .expect(201);
        let other = config_map("a", &json!({"k": "2", "l": "2", "m": "2"}));
        target.record("two fields", target.apply("two", &path, &other).await.expect(409));
        target.record("nothing of it was taken", target.get(&path).await.expect(200));
        let forced = format!("{path}?force=true");
        target.record("force", target.apply("two", &forced, &other).await.expect(200));
        target.record(
            "the loser",
            target.apply("one", &path, &config_map("a", &json!({"k": "1"}))).await.expect(409),
        );
        let explicit = format!("{path}?force=false");
        target.record(
            "force=false",
            target.apply("one", &explicit, &config_map("a", &json!({"k": "1"}))).await,
        );
        target.record(
            "the loser gives up",
            target.apply("one", &path, &config_map("a", &json!({}))).await.expect(200),
        );
    })
    .await;
}

#[tokio::test]
async fn a_conflict_with_a_plain_update_names_its_version_and_with_several_managers_each_one() {
    same_on_both("conflict-update", async |target| {
        let path = target.config_map("a");
        target
            .apply("one", &path, &config_map("a", &json!({"k": "1", "l": "1"})))
            .await
            .expect(201);
        let edit = json!({"data": {"k": "edited"}});
        let edited = target
            .patch(&format!("{path}?fieldManager=kubectl-edit"), "merge", &edit)
            .await
            .expect(200);
        target.record("edit", edited);
        target.record(
            "one again",
            target.apply("one", &path, &config_map("a", &json!({"k": "1", "l": "1"}))).await,
        );
        target.record(
            "third",
            target.apply("three", &path, &config_map("a", &json!({"k": "3", "l": "3"}))).await,
        );
        let forced = format!("{path}?force=true");
        let first = config_map("a", &json!({"k": "1", "l": "1"}));
        target.record("back", target.apply("one", &forced, &first).await.expect(200));
        read(target, &path).await;
    })
    .await;
}

#[tokio::test]
async fn managers_that_agree_own_a_field_together_and_it_goes_with_the_last() {
    same_on_both("shared", async |target| {
        let path = target.config_map("a");
        let both = config_map("a", &json!({"k": "1"}));
        target.apply("one", &path, &both).await.expect(201);
        target.record("two agrees", target.apply("two", &path, &both).await.expect(200));
        target.record(
            "change alone",
            target.apply("one", &path, &config_map("a", &json!({"k": "2"}))).await.expect(409),
        );
        let none = config_map("a", &json!({}));
        let left = target.record("one leaves", target.apply("one", &path, &none).await.expect(200));
        assert_eq!(left.text("/data/k"), "1");
        let gone = target.record("two leaves", target.apply("two", &path, &none).await.expect(200));
        assert_eq!(gone.at("/data/k"), Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_second_owner_is_refused_by_its_label() {
    same_on_both("owner-label", async |target| {
        let path = target.config_map("a");
        let owned = |owner: &str| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "a", "labels": {"tidegate.dev/app": owner}}, "data": {owner: "1"},
            })
        };
        target.apply("tidegate/one", &path, &owned("one")).await.expect(201);
        target.record("claim", target.apply("tidegate/two", &path, &owned("two")).await.expect(409));
        read(target, &path).await;
    })
    .await;
}

#[tokio::test]
async fn scaling_takes_the_replicas_and_is_named_with_its_subresource() {
    same_on_both("scale", async |target| {
        let path = target.at("apps/v1", "deployments/a");
        let body = |replicas: &Value| {
            let mut body = json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
                "spec": {
                    "selector": {"matchLabels": {"app": "a"}}, "paused": true,
                    "template": {
                        "metadata": {"labels": {"app": "a"}},
                        "spec": {"containers": [{"name": "main", "image": "x:1"}]},
                    },
                },
            });
            if !replicas.is_null() {
                body["spec"]["replicas"] = replicas.clone();
            }
            body
        };
        target.apply("one", &path, &body(&json!(0))).await.expect(201);
        let scale = format!("{path}/scale");
        let read = target.get(&scale).await.expect(200);
        target.record_parts(
            "scale",
            read,
            &["/kind", "/apiVersion", "/spec", "/metadata/name", "/metadata/namespace"],
        );
        let change = json!({"spec": {"replicas": 1}});
        let scaled =
            target.patch(&format!("{scale}?fieldManager=hpa"), "merge", &change).await.expect(200);
        target.record_parts("scaled", scaled, &["/kind", "/apiVersion", "/spec"]);
        let entries = async |label: &str| {
            let entries = target.get(&path).await.at("/metadata/managedFields");
            let ours =
                entries.as_array().into_iter().flatten().filter(|entry| {
                    entry["operation"] == "Apply" || entry["subresource"] == "scale"
                });
            target.note(label, &json!({"managedFields": ours.collect::<Vec<_>>()}));
        };
        entries("after scaling").await;
        target.record("conflict", target.apply("one", &path, &body(&json!(0))).await.expect(409));
        let parts = ["/spec/replicas", "/metadata/generation"];
        target.record_parts(
            "yield",
            target.apply("one", &path, &body(&Value::Null)).await.expect(200),
            &parts,
        );
        entries("after yielding").await;
        let forced = format!("{path}?force=true");
        target.record_parts(
            "take back",
            target.apply("one", &forced, &body(&json!(0))).await.expect(200),
            &parts,
        );
        entries("after taking back").await;
    })
    .await;
}
