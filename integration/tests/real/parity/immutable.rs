//! Fields that cannot change: the message differs from kind to kind, the code does not.

use serde_json::{Value, json};

use super::same_on_both;

fn pods() -> Value {
    json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "main", "image": "x:1"}]}})
}

struct Case {
    version: &'static str,
    resource: &'static str,
    field: &'static str,
    /// The value after.
    value: Value,
    before: Value,
}

/// `version/resource /pointer/to/field`
fn case(address: &'static str, value: Value, before: Value) -> Case {
    let (place, field) = address.split_once(' ').expect("place and field");
    let (version, resource) = place.rsplit_once('/').expect("version and resource");
    Case { version, resource, field, value, before }
}

fn workloads() -> Vec<Case> {
    let selector = json!({"matchLabels": {"app": "a"}});
    let other = json!({"app": "b"});
    let mut job = pods();
    job["spec"]["restartPolicy"] = json!("Never");
    let deployment = json!({"replicas": 0, "selector": selector, "template": pods()});
    let daemons = json!({"selector": selector, "template": pods()});
    let set = json!({"replicas": 0, "serviceName": "a", "selector": selector, "template": pods()});
    let job = json!({"suspend": true, "template": job});
    let image = "batch/v1/jobs /spec/template/spec/containers/0/image";
    let service_name = "apps/v1/statefulsets /spec/serviceName";
    vec![
        case(
            "apps/v1/deployments /spec/selector/matchLabels",
            other.clone(),
            json!({"kind": "Deployment", "spec": deployment}),
        ),
        case(
            "apps/v1/daemonsets /spec/selector/matchLabels",
            other,
            json!({"kind": "DaemonSet", "spec": daemons}),
        ),
        case(service_name, json!("other"), json!({"kind": "StatefulSet", "spec": set})),
        case(image, json!("x:2"), json!({"kind": "Job", "spec": job})),
    ]
}

fn configuration() -> Vec<Case> {
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"});
    let ports = json!([{"port": 80, "protocol": "TCP"}]);
    let claim = json!({
        "accessModes": ["ReadWriteOnce"], "storageClassName": "a", "resources": {"requests": {"storage": "1Gi"}},
    });
    let binding = "rbac.authorization.k8s.io/v1/rolebindings /roleRef/name";
    let class = "v1/persistentvolumeclaims /spec/storageClassName";
    let fixed =
        |kind: &str, value: &str| json!({"kind": kind, "immutable": true, "data": {"k": value}});
    let service = json!({"kind": "Service", "spec": {"clusterIP": "10.0.0.77", "ports": ports}});
    let secret = json!({"kind": "Secret", "type": "example.com/a"});
    vec![
        case("v1/services /spec/clusterIP", json!("None"), service),
        case("v1/configmaps /data/k", json!("2"), fixed("ConfigMap", "1")),
        case("v1/secrets /data/k", json!("dw=="), fixed("Secret", "dg==")),
        case("v1/secrets /type", json!("example.com/b"), secret),
        case(binding, json!("other"), json!({"kind": "RoleBinding", "roleRef": role})),
        case(class, json!("other"), json!({"kind": "PersistentVolumeClaim", "spec": claim})),
    ]
}

#[tokio::test]
async fn a_change_of_an_immutable_field_is_a_422_and_a_probe_under_another_name_tells_it_from_a_wrong_body()
 {
    same_on_both("immutable", async |target| {
        let cases = workloads().into_iter().chain(configuration()).enumerate();
        for (number, Case { version, resource, field, value, before: mut body }) in cases {
            let name = format!("case-{number}");
            body["apiVersion"] = json!(version);
            body["metadata"] = json!({"name": name});
            let path = target.at(version, &format!("{resource}/{name}"));
            target.apply("one", &path, &body).await.expect(201);
            *body.pointer_mut(field).expect("the field is there") = value;
            let refused = target.apply("one", &path, &body).await.expect(422);
            target.record(&format!("{resource} {field}"), refused);
            let probe = format!("{name}-probe");
            body["metadata"]["name"] = json!(probe);
            let path = target.at(version, &format!("{resource}/{probe}?dryRun=All"));
            let answer = target.apply("one", &path, &body).await;
            target.note(&format!("{resource} {field} probe"), &json!(answer.code));
        }
    })
    .await;
}

#[tokio::test]
async fn so_it_is_for_kinds_of_the_whole_cluster() {
    same_on_both("immutable-wide", async |target| {
        let cases = [
            ("/apis/scheduling.k8s.io/v1/priorityclasses/parity", "/value", json!(2), json!({
                "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1})),
            ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/parity", "/roleRef/name", json!("other"), json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "a"}})),
            ("/apis/storage.k8s.io/v1/storageclasses/parity", "/provisioner", json!("example.com/b"), json!({
                "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.com/a"})),
        ];
        for (path, field, value, mut body) in cases {
            body["metadata"] = json!({"name": "parity"});
            target.apply("one", path, &body).await.expect(201);
            *body.pointer_mut(field).expect("the field is there") = value;
            target.record(path, target.apply("one", path, &body).await.expect(422));
        }
    })
    .await;
}
