//! Workloads move on their own, and tell it as the real controllers do.

use crate::setup::{Setup, deployment, setup};
use serde_json::{Value, json};
use simcluster::Cluster;

fn web(cluster: &Cluster) -> Value {
    cluster.get("apps", "Deployment", Some("default"), "web").expect("it is there")
}

fn condition(object: &Value, name: &str) -> Value {
    let list = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    list.into_iter().find(|condition| condition["type"] == name).unwrap_or_default()
}

fn is_done(object: &Value, replicas: u32) -> bool {
    let status = &object["status"];
    status["observedGeneration"] == object["metadata"]["generation"]
        && ["replicas", "updatedReplicas", "availableReplicas"]
            .iter()
            .all(|count| status[*count] == replicas)
        && condition(object, "Progressing")["reason"] == "NewReplicaSetAvailable"
}

async fn rolled_out(s: &Setup, image: &str, replicas: u32) {
    s.apply("a", &s.deployments(), &deployment(image, replicas)).await.expect("applied");
    s.until("rolled out", |cluster| is_done(&web(cluster), replicas)).await;
}

#[tokio::test]
async fn a_deployment_rolls_out_and_the_reply_to_a_change_tells_the_old_truth() {
    let s = setup().await;
    rolled_out(&s, "web:1", 3).await;
    let reply = s.apply("a", &s.deployments(), &deployment("web:2", 3)).await.expect("applied");
    assert_eq!(reply.metadata.generation, Some(2));
    assert_eq!(reply.data["status"]["observedGeneration"], 1, "nobody has looked yet");
    assert_eq!(reply.data["status"]["availableReplicas"], 3);
    s.until("rolled out again", |cluster| is_done(&web(cluster), 3)).await;
    let images: Vec<Value> = s
        .cluster
        .list("", "Pod")
        .iter()
        .map(|pod| pod["spec"]["containers"][0]["image"].clone())
        .collect();
    assert_eq!(images, [json!("web:2"), json!("web:2"), json!("web:2")]);
    let revision = &web(&s.cluster)["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
    assert_eq!(*revision, "2");
}

#[tokio::test]
async fn a_broken_image_keeps_the_old_pods_and_is_told_by_the_new_ones() {
    let s = setup().await;
    rolled_out(&s, "web:1", 2).await;
    s.apply("a", &s.deployments(), &deployment("web:broken", 2)).await.expect("applied");
    let waits = |pod: &Value| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    };
    s.until("a pod that cannot pull", |cluster| cluster.list("", "Pod").iter().any(waits)).await;
    let now = web(&s.cluster);
    assert_eq!(condition(&now, "Available")["status"], "True", "{now}");
    assert_eq!(now["status"]["availableReplicas"], 2);
    rolled_out(&s, "web:1", 2).await;
}

#[tokio::test]
async fn a_deployment_that_makes_no_progress_says_so_at_its_deadline() {
    let s = setup().await;
    let mut body = deployment("web:broken", 1);
    body["spec"]["progressDeadlineSeconds"] = json!(1);
    s.apply("a", &s.deployments(), &body).await.expect("applied");
    s.until("the deadline", |cluster| {
        condition(&web(cluster), "Progressing")["reason"] == "ProgressDeadlineExceeded"
    })
    .await;
}

#[tokio::test]
async fn a_crashing_image_restarts_and_a_quota_is_told_by_the_deployment() {
    let s = setup().await;
    s.apply("a", &s.deployments(), &deployment("web:crash", 1)).await.expect("applied");
    s.until("a crash loop", |cluster| {
        let status = cluster.list("", "Pod")[..].first().cloned().unwrap_or_default();
        let container = &status["status"]["containerStatuses"][0];
        container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
            && container["restartCount"].as_u64() >= Some(3)
    })
    .await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": "default"}, "spec": {"hard": {"pods": "1"}}});
    s.apply("a", &s.core("ResourceQuota"), &quota).await.expect("applied");
    s.apply("a", &s.deployments(), &deployment("web:crash", 3)).await.expect("applied");
    s.until("a failure to create", |cluster| {
        let failure = condition(&web(cluster), "ReplicaFailure");
        failure["reason"] == "FailedCreate"
            && failure["message"].as_str().unwrap_or_default().contains("exceeded quota: few")
    })
    .await;
}

fn pods(labels: &Value, image: &str) -> Value {
    json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}})
}

#[tokio::test]
async fn a_stateful_set_makes_its_pods_in_order_with_their_claims() {
    let s = setup().await;
    let labels = json!({"app": "db"});
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {"replicas": 2, "serviceName": "db", "selector": {"matchLabels": labels},
            "template": pods(&labels, "db:1"),
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}});
    let api = s.api("apps", "v1", "StatefulSet", Some("default"));
    s.apply("a", &api, &set).await.expect("applied");
    s.until("ready", |cluster| {
        let db = cluster.get("apps", "StatefulSet", Some("default"), "db").expect("it is there");
        db["status"]["readyReplicas"] == 2
            && db["status"]["currentRevision"] == db["status"]["updateRevision"]
    })
    .await;
    let claims = s.cluster.list("", "PersistentVolumeClaim");
    let told: Vec<(&Value, &Value)> =
        claims.iter().map(|c| (&c["metadata"]["name"], &c["status"]["phase"])).collect();
    assert_eq!(
        told,
        [(&json!("data-db-0"), &json!("Bound")), (&json!("data-db-1"), &json!("Bound"))]
    );
}

#[tokio::test]
async fn a_daemon_set_runs_everywhere_and_a_job_ends_well_or_badly() {
    let s = setup().await;
    let labels = json!({"app": "log"});
    let daemons = json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "log", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": pods(&labels, "log:1")}});
    s.apply("a", &s.api("apps", "v1", "DaemonSet", Some("default")), &daemons)
        .await
        .expect("applied");
    for (name, image) in [("good", "job:1"), ("bad", "job:crash")] {
        let mut job = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"backoffLimit": 1, "template": pods(&json!({}), image)}});
        job["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
        s.apply("a", &s.api("batch", "v1", "Job", Some("default")), &job).await.expect("applied");
    }
    s.until("one on each of three nodes", |cluster| {
        let log = cluster.get("apps", "DaemonSet", Some("default"), "log").expect("it is there");
        log["status"]["numberAvailable"] == 3
    })
    .await;
    let job =
        |name: &str| s.cluster.get("batch", "Job", Some("default"), name).expect("it is there");
    s.until("an end", |_| condition(&job("good"), "Complete")["status"] == "True").await;
    s.until("a failure", |_| condition(&job("bad"), "Failed")["reason"] == "BackoffLimitExceeded")
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_cluster_moves_on_the_paused_clock_without_a_server() {
    let cluster = Cluster::new(simcluster::Options::default());
    cluster.apply_as("a", false, deployment("web:1", 2)).expect("created");
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(is_done(&web(&cluster), 2), "{}", web(&cluster));
}
