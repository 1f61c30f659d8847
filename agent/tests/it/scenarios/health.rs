//! s43 to s46: what is called healthy, and what is said when it is not.

use std::time::Duration;

use model::{Phase, Reason};
use serde_json::json;

use super::scene::{Scene, requests};

pub(crate) async fn s43_an_old_truth_is_never_called_healthy(scene: &Scene) {
    let _agent = scene.agent().await;
    scene.grant(1, &[scene.namespace(), scene.deployment("web", "web:1")]);
    scene.healthy(1).await;
    // The answer to this write still says `Available=True` for the generation before, and the old pods stay
    // available for as long as the new ones do not come.
    scene.grant(2, &[scene.namespace(), scene.deployment("web", "web:broken")]);
    scene.failed(2).await;
    let book = scene.hub.book.lock().unwrap();
    let lied = book.reports.iter().filter(|r| r.1.epoch.0 == 2 && r.1.phase == Phase::Healthy);
    assert_eq!(lied.count(), 0, "{:?}", book.reports);
}

pub(crate) async fn s44_an_image_that_cannot_be_pulled_is_named_within_seconds(scene: &Scene) {
    let _agent = scene.agent().await;
    let mut web = scene.deployment("web", "web:broken");
    web["spec"]["progressDeadlineSeconds"] = json!(600);
    scene.grant(1, &[scene.namespace(), web.clone()]);
    scene.outside.until_there(&web).await;
    let start = tokio::time::Instant::now();
    let named = scene.unhealthy(1, Reason::ImagePullBackOff).await;
    assert!(start.elapsed() < Duration::from_secs(15), "took {:?}", start.elapsed());
    assert!(named.contains("2 of 2"), "pods are counted: {named}");
}

pub(crate) async fn s45_a_quota_that_blocks_pods_is_named_and_waited_for(scene: &Scene) {
    let _agent = scene.agent().await;
    let quota = |pods: &str| {
        json!({"apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": "small", "namespace": scene.name}, "spec": {"hard": {"pods": pods}}})
    };
    scene.outside.create_as("kubectl-create", &scene.namespace()).await.ok();
    scene.outside.create_as("kubectl-create", &quota("1")).await.ok();
    scene
        .outside
        .until("the quota to be counted", &quota(""), |live| {
            live.is_some_and(|q| q["status"]["hard"]["pods"] == "1")
        })
        .await;
    let web = scene.deployment("web", "web:1");
    scene.grant(1, &[scene.namespace(), web.clone()]);
    scene.outside.until_there(&web).await;
    let start = tokio::time::Instant::now();
    let named = scene.hub.until("the quota", |book| {
        let report = &book.reports.iter().rev().find(|r| r.0.as_str() == scene.name)?.1;
        let messages = report.unhealthy.iter().map(|object| object.message.clone());
        messages.into_iter().find(|message| message.contains("exceeded quota: small"))
    });
    named.await;
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
    let more = json!({"spec": {"hard": {"pods": "5"}}});
    scene.outside.edit_as("kubectl-edit", &quota(""), &more).await.ok();
    scene.healthy(1).await;
}

pub(crate) async fn s46_a_hook_runs_once_also_when_its_job_is_cleaned_up_and_the_agent_restarts(
    scene: &Scene,
) {
    let agent = scene.agent().await;
    let hook = |name: &str, phase: &str| {
        json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "namespace": scene.name,
                "annotations": {"tidegate.dev/hook": phase}},
            "spec": {"ttlSecondsAfterFinished": 5, "template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "main", "image": "migrate:1"}]}}}})
    };
    let set = [
        hook("before", "pre-apply"),
        hook("after", "post-apply"),
        scene.namespace(),
        scene.config_map("web", "one"),
    ];
    scene.grant(1, &set);
    scene.healthy(1).await;
    assert_eq!(requests(&agent, "apply", "201"), 4, "a namespace, two Jobs, a config map");
    let start = tokio::time::Instant::now();
    while !scene.outside.list(&hook("", ""), "").await.is_empty() {
        assert!(start.elapsed() < crate::hub::PATIENCE, "the Jobs are never cleaned up");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let agent = scene.revive(agent).await;
    let second = |book: &crate::hub::Book| {
        book.reports.last().filter(|r| r.1.boot == 2 && r.1.phase == Phase::Healthy).map(drop)
    };
    scene.hub.until("a report of the second start", second).await;
    scene.hub.some_reports_later().await;
    assert_eq!(requests(&agent, "apply", "*"), 0, "neither hook ran again");
}
