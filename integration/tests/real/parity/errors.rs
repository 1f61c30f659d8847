//! Bodies that the server refuses, and how it says so.

use serde_json::{Value, json};

use super::apply::config_map;
use super::same_on_both;

fn deployment(containers: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": containers}},
        },
    })
}

#[tokio::test]
async fn an_apply_that_does_not_fit_its_address_or_its_protocol_is_refused() {
    same_on_both("misfit", async |target| {
        let path = target.config_map("a");
        let body = config_map("a", &json!({"k": "1"}));
        let apply = &[("content-type", "application/apply-patch+yaml")];
        let nobody = target.send(http::Method::PATCH, &path, apply, &body.to_string()).await;
        target.record("no manager", nobody);
        let long = "m".repeat(129);
        target.record("long manager", target.apply(&long, &path, &body).await);
        target.record("other name", target.apply("one", &path, &config_map("b", &json!({}))).await);
        let mut elsewhere = body.clone();
        elsewhere["metadata"]["namespace"] = json!("default");
        target.record("other namespace", target.apply("one", &path, &elsewhere).await);
        let mut other = body.clone();
        other["kind"] = json!("Secret");
        target.record("other kind", target.apply("one", &path, &other).await);
        let mut other = body.clone();
        other["apiVersion"] = json!("v2");
        target.record("other version", target.apply("one", &path, &other).await);
        let mut managed = body.clone();
        managed["metadata"]["managedFields"] =
            json!([{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}]);
        target.record("managed fields", target.apply("one", &path, &managed).await);
        let text = target.send(http::Method::PATCH, &format!("{path}?fieldManager=one"), apply, "{: nonsense").await;
        assert_eq!(text.code, 400);
        target.note("nonsense", &json!([text.code, text.at("/reason"), text.at("/kind")]));
        let merge = &[("content-type", "application/merge-patch+json")];
        target.record("forced merge", target.send(http::Method::PATCH, &format!("{path}?force=true"), merge, "{}").await);
        let odd = &[("content-type", "text/plain")];
        target.record("odd type", target.send(http::Method::PATCH, &path, odd, "x").await);
        target.record("odd dry run", target.apply("one", &format!("{path}?dryRun=Some"), &body).await);
        target.get(&path).await.expect(404);
    })
    .await;
}

#[tokio::test]
async fn duplicate_keys_of_a_list_are_a_500_without_a_reason() {
    same_on_both("duplicates", async |target| {
        let path = target.at("apps/v1", "deployments/a");
        let env = json!([{"name": "main", "image": "x", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]);
        target.record("env", target.apply("one", &path, &deployment(&env)).await);
        let ports = json!([{"name": "main", "image": "x", "ports": [
            {"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "TCP"}]}]);
        target.record("ports", target.apply("one", &path, &deployment(&ports)).await);
        let containers = json!([{"name": "main", "image": "x"}, {"name": "main", "image": "y"}]);
        target.record("containers", target.apply("one", &path, &deployment(&containers)).await);
        let plain = json!([{"name": "main", "image": "x"}]);
        target.apply("one", &path, &deployment(&plain)).await.expect(201);
        target.record("env of an existing one", target.apply("one", &path, &deployment(&env)).await);
    })
    .await;
}

#[tokio::test]
async fn too_much_is_refused() {
    same_on_both("too-much", async |target| {
        let path = target.config_map("a");
        let large = config_map("a", &json!({"k": "x".repeat(1024 * 1024 + 1)}));
        target.record("data", target.apply("one", &path, &large).await.expect(422));
        let mut annotated = config_map("a", &json!({}));
        annotated["metadata"]["annotations"] = json!({"k": "x".repeat(256 * 1024)});
        target.record("annotations", target.apply("one", &path, &annotated).await.expect(422));
        let path = target.at("v1", "secrets/a");
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"k": "x".repeat(1024 * 1024 + 1)},
        });
        target.record("secret", target.apply("one", &path, &secret).await.expect(422));
    })
    .await;
}

#[tokio::test]
async fn names_labels_and_required_fields_are_checked() {
    same_on_both("invalid", async |target| {
        let apply = async |label: &str, name: &str, body: Value| {
            let path = target.config_map(name);
            target.record(label, target.apply("one", &path, &body).await);
        };
        apply("name", "A_b", config_map("A_b", &json!({}))).await;
        let with = |key: &str, value: Value| {
            let mut body = config_map("a", &json!({}));
            body["metadata"][key] = value;
            body
        };
        apply("label value", "a", with("labels", json!({"k": "not ok"}))).await;
        apply("long label", "a", with("labels", json!({"k": "x".repeat(64)}))).await;
        apply("label key", "a", with("labels", json!({"a b": "x"}))).await;
        apply("annotation key", "a", with("annotations", json!({"a b": "x"}))).await;
        apply("finalizer", "a", with("finalizers", json!(["plain"]))).await;
        apply("data key", "a", config_map("a", &json!({"a b": "x"}))).await;
        apply("label type", "a", with("labels", json!({"k": 1}))).await;
        let path = target.at("apps/v1", "deployments/a");
        let bare = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {}});
        target.record("empty spec", target.apply("one", &path, &bare).await);
        let mut other = deployment(&json!([{"name": "main", "image": "x"}]));
        other["spec"]["selector"] = json!({"matchLabels": {"app": "b"}});
        target.record("selector misses template", target.apply("one", &path, &other).await);
        let nameless = deployment(&json!([{"name": "main"}]));
        target.record("no image", target.apply("one", &path, &nameless).await);
        let mut negative = deployment(&json!([{"name": "main", "image": "x"}]));
        negative["spec"]["replicas"] = json!(-1);
        target.record("negative replicas", target.apply("one", &path, &negative).await);
        negative["spec"]["replicas"] = json!("three");
        target.record("replicas of another type", target.apply("one", &path, &negative).await);
    })
    .await;
}
