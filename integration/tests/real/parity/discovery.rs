//! What the server serves, and how it says that it does not.

use serde_json::{Value, json};

use super::same_on_both;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Every built-in kind that an agent gives a place in its order.
const KINDS: &[(&str, &str, &str)] = &[
    ("", "v1", "Namespace"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "Secret"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("", "v1", "Pod"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "PersistentVolume"),
    ("", "v1", "ResourceQuota"),
    ("", "v1", "LimitRange"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "StatefulSet"),
    ("apps", "v1", "DaemonSet"),
    ("apps", "v1", "ReplicaSet"),
    ("batch", "v1", "Job"),
    ("batch", "v1", "CronJob"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("networking.k8s.io", "v1", "IngressClass"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("storage.k8s.io", "v1", "StorageClass"),
    ("scheduling.k8s.io", "v1", "PriorityClass"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "v1", "APIService"),
    ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding"),
    ("discovery.k8s.io", "v1", "EndpointSlice"),
];

fn named<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
    list.as_array()
        .and_then(|all| all.iter().find(|each| each[key] == name))
        .unwrap_or(&Value::Null)
}

#[tokio::test]
async fn aggregated_discovery_describes_every_kind_alike() {
    same_on_both("discovery", async |target| {
        let core = target.get_as("/api", AGGREGATED).await.expect(200);
        let rest = target.get_as("/apis", AGGREGATED).await.expect(200);
        for (label, answer) in [("/api", &core), ("/apis", &rest)] {
            let head = json!([
                answer.kind,
                answer.at("/kind"),
                answer.at("/apiVersion"),
                answer.at("/metadata")
            ]);
            target.note(label, &head);
        }
        for (group, version, kind) in KINDS {
            let groups = if group.is_empty() { &core.body["items"] } else { &rest.body["items"] };
            let found = groups.as_array().and_then(|all| {
                all.iter()
                    .find(|each| each["metadata"]["name"].as_str().unwrap_or_default() == *group)
            });
            let found = found.unwrap_or_else(|| panic!("no group {group}"));
            let version = named(&found["versions"], "version", version);
            let resources = version["resources"].as_array().into_iter().flatten();
            let mut resource = resources
                .filter(|each| each["responseKind"]["kind"] == *kind)
                .find(|each| each["singularResource"] != "")
                .cloned()
                .unwrap_or_else(|| panic!("no kind {kind}"));
            // Of a kind's subresources an agent asks for two.
            let mut parts = resource["subresources"].as_array().cloned().unwrap_or_default();
            parts.retain(|each| each["subresource"] == "status" || each["subresource"] == "scale");
            resource["subresources"] = parts.into();
            target.note(&format!("{kind} is {}", version["freshness"]), &resource);
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_kind_is_a_404_in_plain_text() {
    same_on_both("unknown-kind", async |target| {
        let body =
            json!({"apiVersion": "shop.example.com/v1", "kind": "Cart", "metadata": {"name": "a"}});
        for (version, rest) in [
            ("shop.example.com/v1", "carts"),
            ("shop.example.com/v1", "carts/a"),
            ("apps/v9", "deployments/a"),
            ("apps/v1", "carts/a"),
            ("v1", "carts/a"),
        ] {
            let path = target.at(version, rest);
            target.record(&format!("get {path}"), target.get(&path).await.expect(404));
        }
        let path = target.at("shop.example.com/v1", "carts/a");
        target.record("apply", target.apply("a", &path, &body).await.expect(404));
        target.record("delete", target.delete(&path, &json!({})).await.expect(404));
        let list = "/apis/shop.example.com/v1/carts?watch=true&resourceVersion=1";
        target.record("watch", target.get(list).await.expect(404));
    })
    .await;
}

#[tokio::test]
async fn the_server_says_that_it_is_there() {
    same_on_both("there", async |target| {
        target.record("ready", target.get_as("/readyz", "*/*").await.expect(200));
        target.record("alive", target.get_as("/livez", "*/*").await.expect(200));
        let version = target.get("/version").await.expect(200);
        assert!(version.text("/gitVersion").starts_with("v1."), "{}", version.body);
        target.note(
            "version has these keys",
            &json!(["/major", "/minor", "/platform"].map(|key| version.at(key).is_string())),
        );
    })
    .await;
}
