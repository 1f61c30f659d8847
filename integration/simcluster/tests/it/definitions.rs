//! Custom resource definitions: from the definition to the first object, and away again.

use crate::setup::{Setup, setup, status};
use kube::{api::DeleteParams, discovery::Discovery};
use serde_json::{Value, json};

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "carts.shop.example.com"},
        "spec": {"group": "shop.example.com", "scope": "Namespaced",
            "names": {"plural": "carts", "kind": "Cart"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "size": {"type": "integer", "minimum": 1, "default": 3},
                        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    }},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}}}]},
    })
}

fn cart(name: &str) -> Value {
    json!({"apiVersion": "shop.example.com/v1", "kind": "Cart",
           "metadata": {"name": name, "namespace": "default"},
           "spec": {"free": {"a": [1, 2], "b": {"c": true}}}})
}

async fn establish(s: &Setup) {
    let definitions = s.api("apiextensions.k8s.io", "v1", "CustomResourceDefinition", None);
    s.apply("a", &definitions, &definition()).await.expect("created");
    s.until("established", |cluster| {
        let name = "carts.shop.example.com";
        let found = cluster.get("apiextensions.k8s.io", "CustomResourceDefinition", None, name);
        found.expect("it is there")["status"]["conditions"][1]["type"] == "Established"
    })
    .await;
}

#[tokio::test]
async fn a_definition_makes_a_kind_that_discovery_names_and_objects_fit() {
    let s = setup().await;
    let carts = s.api("shop.example.com", "v1", "Cart", Some("default"));
    let before = s.apply("a", &carts, &cart("one")).await.expect_err("no such kind yet");
    assert!(before.to_string().contains("404"), "{before}");
    establish(&s).await;
    let found = Discovery::new(s.client.clone()).run_aggregated().await.expect("discovery");
    let group = found.get("shop.example.com").expect("the group");
    assert_eq!(group.recommended_kind("Cart").expect("the kind").0.plural, "carts");
    let made = s.apply("a", &carts, &cart("one")).await.expect("created");
    assert_eq!(made.data["spec"]["size"], 3, "the default of the schema");
    let mut small = cart("two");
    small["spec"]["size"] = json!(0);
    let refused = status(s.apply("a", &carts, &small).await.expect_err("too small"));
    assert_eq!((refused.code, &*refused.reason), (422, "Invalid"));
    small["spec"]["size"] = json!("large");
    let refused = status(s.apply("a", &carts, &small).await.expect_err("no number"));
    assert_eq!((refused.code, &*refused.reason), (500, ""));
}

#[tokio::test]
async fn a_terminating_definition_takes_nothing_new_and_goes_when_its_objects_are_gone() {
    let s = setup().await;
    establish(&s).await;
    let carts = s.api("shop.example.com", "v1", "Cart", Some("default"));
    let mut held = cart("held");
    held["metadata"]["finalizers"] = json!(["example.com/stay"]);
    s.apply("a", &carts, &held).await.expect("created");
    let definitions = s.api("apiextensions.k8s.io", "v1", "CustomResourceDefinition", None);
    let name = "carts.shop.example.com";
    definitions.delete(name, &DeleteParams::default()).await.expect("deleting");
    let again = s.apply("a", &definitions, &definition()).await.expect("answered all the same");
    assert!(again.metadata.deletion_timestamp.is_some());
    let late = status(s.apply("a", &carts, &cart("late")).await.expect_err("refused"));
    assert_eq!(late.code, 403);
    assert!(late.message.contains("custom resource definition is terminating"), "{late:?}");
    held["metadata"]["finalizers"] = json!([]);
    s.apply("a", &carts, &held).await.expect("let go");
    s.until("no definition", |c| {
        c.list("apiextensions.k8s.io", "CustomResourceDefinition").is_empty()
    })
    .await;
    s.until("no kind", |cluster| cluster.list("shop.example.com", "Cart").is_empty()).await;
    let after = carts.get("held").await.expect_err("no such kind any more");
    assert!(after.to_string().contains("404 page not found"), "{after}");
}

#[tokio::test]
async fn an_api_service_without_its_server_is_stale_and_not_gone() {
    let s = setup().await;
    let services = s.api("apiregistration.k8s.io", "v1", "APIService", None);
    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.metrics.example.com"},
        "spec": {"group": "metrics.example.com", "version": "v1", "groupPriorityMinimum": 100,
                 "versionPriority": 10, "service": {"name": "metrics", "namespace": "default"}}});
    s.apply("a", &services, &service).await.expect("created");
    s.until("unavailable", |cluster| {
        let found = cluster.list("apiregistration.k8s.io", "APIService");
        found[0]["status"]["conditions"][0]["reason"] == "ServiceNotFound"
    })
    .await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let request = http::Request::get("/apis").header("accept", accept).body(Vec::new());
    let text = s.client.request_text(request.expect("a request")).await.expect("discovery");
    let found: Value = serde_json::from_str(&text).expect("JSON");
    let items = found["items"].as_array().expect("groups").iter();
    let group = items.clone().find(|item| item["metadata"]["name"] == "metrics.example.com");
    assert_eq!(group.expect("the group")["versions"][0]["freshness"], "Stale");
}
