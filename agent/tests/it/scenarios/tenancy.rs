//! s06, s33, s53: Apps that are held to the rights of an account.

use model::{Phase, Reason};
use serde_json::{Value, json};

use super::scene::{Scene, delete_all, requests};

const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn role(scene: &Scene, name: &str, rules: &Value) -> Value {
    json!({"apiVersion": RBAC, "kind": "Role",
        "metadata": {"name": name, "namespace": scene.name}, "rules": rules})
}

fn binding(scene: &Scene, name: &str, role: &str, account: &str) -> Value {
    json!({"apiVersion": RBAC, "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": scene.name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": scene.name}]})
}

fn account(scene: &Scene) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "tenant", "namespace": scene.name}})
}

/// A namespace with an account that may write config maps, roles and bindings, and no more. What the App chooses.
async fn tenant(scene: &Scene) -> Value {
    let verbs = json!(["get", "list", "watch", "create", "update", "patch", "delete"]);
    let rules = json!([
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": verbs},
    ]);
    let outside = &scene.outside;
    outside.create_as("kubectl-create", &scene.namespace()).await.ok();
    outside.create_as("kubectl-create", &account(scene)).await.ok();
    outside.create_as("kubectl-create", &role(scene, "tenant", &rules)).await.ok();
    outside.create_as("kubectl-create", &binding(scene, "tenant", "tenant", "tenant")).await.ok();
    json!({"serviceAccount": format!("{}/tenant", scene.name)})
}

pub(crate) async fn s06_a_role_comes_before_its_binding_under_a_limited_account(scene: &Scene) {
    let choices = tenant(scene).await;
    let agent = scene.agent().await;
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]);
    let set = [
        binding(scene, "readers", "reader", "somebody"),
        role(scene, "reader", &rules),
        scene.config_map("web", "one"),
    ];
    scene.grant_choosing(1, &set, &choices);
    scene.healthy(1).await;
    assert_eq!(requests(&agent, "apply", "404"), 0, "{}", agent.metrics());
    assert_eq!(requests(&agent, "apply", "201"), 3);
    let (role, binding) = (scene.outside.get(&set[1]).await, scene.outside.get(&set[0]).await);
    let number =
        |live: Option<Value>| -> u64 { super::outside::version(&live.unwrap()).parse().unwrap() };
    assert!(number(role) < number(binding));
}

pub(crate) async fn s33_without_its_account_nothing_of_an_app_is_deleted_and_what_stays_is_listed(
    scene: &Scene,
) {
    let choices = tenant(scene).await;
    let _agent = scene.agent().await;
    let set = [scene.config_map("one", "one"), scene.config_map("two", "two")];
    scene.grant_choosing(1, &set, &choices);
    scene.healthy(1).await;
    scene.outside.delete(&account(scene)).await.ok();
    scene.outside.until_gone(&account(scene)).await;
    delete_all(scene, 2, &choices);
    let report = scene.reported(2, |phase| match phase {
        Phase::Degraded { reason: Reason::PruneBlocked, message } => message.contains("account"),
        Phase::Applying | Phase::Healthy | Phase::Degraded { .. } | Phase::Failed { .. } => false,
    });
    let Phase::Degraded { message, .. } = report.await.phase else { unreachable!() };
    assert!(message.contains("one") && message.contains("two"), "{message}");
    for object in &set {
        assert!(scene.outside.get(object).await.is_some());
    }
    // The account may still write, because its binding is there; it must exist all the same.
    scene.outside.create_as("kubectl-create", &account(scene)).await.ok();
    scene.healthy(2).await;
    assert!(scene.outside.get(&set[0]).await.is_none());
}

pub(crate) async fn s53_rights_that_an_account_does_not_hold_are_named_and_not_bound(
    scene: &Scene,
) {
    let choices = tenant(scene).await;
    let _agent = scene.agent().await;
    let rules = json!([{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["delete"]}]);
    let set = [
        binding(scene, "more", "more", "tenant"),
        role(scene, "more", &rules),
        scene.config_map("web", "one"),
    ];
    scene.grant_choosing(1, &set, &choices);
    let message = scene.unhealthy(1, Reason::Forbidden).await;
    let exact = r#"{APIGroups:["apps"], Resources:["deployments"], Verbs:["delete"]}"#;
    assert!(message.contains(exact), "{message}");
    assert!(scene.outside.get(&set[0]).await.is_none(), "no binding");
    assert!(scene.outside.get(&set[1]).await.is_none(), "no role");
    assert_eq!(scene.data("web").await.as_deref(), Some("one"), "the rest goes on");
}
