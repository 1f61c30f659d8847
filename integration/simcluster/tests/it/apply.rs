//! Server-side apply: owners, conflicts, removed fields.

use crate::setup::{config_map, deployment, setup, status};
use kube::api::{Patch, PatchParams};
use serde_json::json;

#[tokio::test]
async fn a_second_manager_is_refused_by_name_and_path_until_it_forces() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    s.apply("a", &api, &config_map("web", &json!({"k": "1"}))).await.expect("created");
    let two = config_map("web", &json!({"k": "2"}));
    let refused = status(s.apply("b", &api, &two).await.expect_err("a conflict"));
    assert_eq!((refused.code, &*refused.reason), (409, "Conflict"));
    assert_eq!(refused.message, "Apply failed with 1 conflict: conflict with \"a\": .data.k");
    let cause = &refused.details.expect("details").causes[0];
    assert_eq!((&*cause.reason, &*cause.field), ("FieldManagerConflict", ".data.k"));
    assert_eq!(cause.message, "conflict with \"a\"");
    let forced = api.patch("web", &PatchParams::apply("b").force(), &Patch::Apply(&two)).await;
    let entries = forced.expect("forced").metadata.managed_fields.expect("owners");
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0].manager.as_deref(), Some("b"));
}

#[tokio::test]
async fn a_field_no_longer_applied_goes_and_a_shared_or_foreign_one_stays() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    let of = |data| config_map("web", &data);
    s.apply("a", &api, &of(json!({"mine": "1", "shared": "1"}))).await.expect("a");
    s.apply("b", &api, &of(json!({"theirs": "1", "shared": "1"}))).await.expect("b");
    let left = s.apply("a", &api, &of(json!({}))).await.expect("a leaves");
    assert_eq!(left.data["data"], json!({"shared": "1", "theirs": "1"}));
}

#[tokio::test]
async fn an_apply_that_changes_nothing_keeps_version_and_time() {
    let s = setup().await;
    let first = s.apply("a", &s.deployments(), &deployment("web:1", 0)).await.expect("created");
    s.until("observed", |cluster| {
        let web = cluster.get("apps", "Deployment", Some("default"), "web").expect("it is there");
        web["status"]["conditions"][1]["reason"] == "NewReplicaSetAvailable"
    })
    .await;
    let before = s.deployments().get("web").await.expect("it is there");
    let again = s.apply("a", &s.deployments(), &deployment("web:1", 0)).await.expect("no change");
    assert_eq!(again.metadata.resource_version, before.metadata.resource_version);
    let time = |object: &kube::api::DynamicObject| {
        let entries = object.metadata.managed_fields.clone().expect("owners");
        entries.into_iter().find(|entry| entry.manager.as_deref() == Some("a")).expect("a").time
    };
    assert_eq!(time(&again), time(&first));
}

#[tokio::test]
async fn an_edit_by_a_person_takes_the_field_from_its_owner() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    s.apply("agent", &api, &config_map("web", &json!({"k": "1"}))).await.expect("created");
    let patch = json!({"data": {"k": "edited"}});
    let space = Some("default");
    s.cluster.merge_patch_as("kubectl-edit", "", "ConfigMap", space, "web", patch).expect("edited");
    let again = s.apply("agent", &api, &config_map("web", &json!({"k": "1"}))).await;
    let refused = status(again.expect_err("a conflict"));
    let cause = &refused.details.expect("details").causes[0];
    assert_eq!(cause.message, "conflict with \"kubectl-edit\" using v1");
}

#[tokio::test]
async fn an_apply_with_the_uid_of_a_vanished_object_does_not_bring_it_back() {
    let s = setup().await;
    let api = s.core("ConfigMap");
    let mut body = config_map("web", &json!({"k": "1"}));
    body["metadata"]["uid"] = json!("11111111-2222-3333-4444-555555555555");
    let refused = status(s.apply("agent", &api, &body).await.expect_err("a conflict"));
    assert_eq!(refused.code, 409, "{refused:?}");
    s.apply("agent", &api, &config_map("web", &json!({"k": "1"}))).await.expect("created");
    let refused = status(s.apply("agent", &api, &body).await.expect_err("another uid"));
    assert_eq!(refused.code, 422, "{refused:?}");
}

#[tokio::test]
async fn containers_of_two_managers_merge_by_name() {
    let s = setup().await;
    s.apply("a", &s.deployments(), &deployment("web:1", 0)).await.expect("created");
    let side = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [
            {"name": "side", "image": "side:1", "ports": [{"containerPort": 80}]}]}}}});
    let both = s.apply("b", &s.deployments(), &side).await.expect("merged");
    let containers = &both.data["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers[0]["name"], "web");
    assert_eq!(containers[1]["ports"][0]["protocol"], "TCP");
    let less = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
    let one = s.apply("b", &s.deployments(), &less).await.expect("let go");
    let left = one.data["spec"]["template"]["spec"]["containers"].as_array().expect("a list");
    assert_eq!(left.len(), 1, "{left:?}");
}
