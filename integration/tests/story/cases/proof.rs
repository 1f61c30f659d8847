//! Cases 1 and 6: what is proof, and what is not.

use std::time::Duration;

use crate::fleet::{Fleet, count, wave};

/// More than `minHealthy` of the App here.
const LONG_ENOUGH: Duration = Duration::from_secs(3);

const ONE_WAVE: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets: {select: \"true\"}
  rollout:
    defaults: {minHealthy: 1s, maxInFlight: 1}
    waves: [{name: all, rest: true}]
";

#[tokio::test(flavor = "multi_thread")]
async fn case_1_a_cluster_that_is_healthy_on_the_old_release_proves_nothing() {
    let fleet = Fleet::running(ONE_WAVE, &[("k1", &[])]).await;

    // From now on nothing reaches k1, while its reports go on: it is healthy, on the old release.
    fleet.wire("k1").hold();
    let commit = fleet.release("2");
    let granted = |r: &serde_json::Value| {
        r["revision"].as_str().is_some_and(|of| of.ends_with(&commit)) && r["unstarted"] == 1
    };
    fleet.until("k1 to be granted the new release", granted).await;
    let begun = fleet.last_seen("k1").await;
    fleet.until_seen("k1", begun.checked_add(LONG_ENOUGH).unwrap()).await;

    // Healthy reports arrived for longer than the wave asks for, and none of them counted.
    let rollout = fleet.rollout().await;
    assert_eq!(rollout["state"], "Progressing", "{rollout:#}");
    assert_eq!(wave(&rollout, "all")["state"], "Open", "{rollout:#}");
    assert_eq!((count(&rollout, "all", "updated"), count(&rollout, "all", "updating")), (0, 1));
    assert_eq!(fleet.all(), "k1=1");
    let why = fleet.until_why(&["app/web", "--cluster", "k1"], &["has not acknowledged"]).await;
    assert!(why.contains("AGT-703"), "{why}");

    // Only the new release, held for long enough, is proof.
    fleet.wire("k1").mend();
    fleet.until_state(&commit, "Completed").await;
    assert_eq!(fleet.all(), "k1=2");
    fleet.end().await;
}

const CANARY: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets: {select: \"true\"}
  rollout:
    defaults: {minHealthy: 1s}
    waves:
      - {name: canary, select: \"labels.ring == 'canary'\", after: {soak: 1s, approval: {count: 1}}}
      - {name: prod, rest: true}
";

#[tokio::test(flavor = "multi_thread")]
async fn case_6_a_cluster_that_joins_while_the_canary_soaks_gets_the_proven_release() {
    let mut fleet = Fleet::empty(&["c1", "c2", "p1"]).await;
    fleet.join_all(&[("c1", &[("ring", "canary")]), ("p1", &[])]).await;
    fleet.first(CANARY).await;
    fleet.until_why(&["app/web"], &["GAT-601"]).await;
    fleet.does(&["approve", "web"]).await;
    fleet.until("the first release to be proven", |r| r["state"] == "Completed").await;

    // The canary has the new release, and is looked at until somebody approves.
    let commit = fleet.release("2");
    fleet.until_runs("c1=2 c2=nothing p1=1").await;
    fleet.until_why(&["app/web"], &["GAT-601"]).await;

    // A second canary joins. Nobody has proved the new release, so it gets the old one.
    fleet.join("c2", &[("ring", "canary")]).await;
    fleet.until_runs("c1=2 c2=1 p1=1").await;
    let rollout = fleet.rollout().await;
    assert_eq!(wave(&rollout, "canary")["clusters"]["total"], 1, "the wave is as it was planned");
    assert_eq!(wave(&rollout, "canary")["state"], "Proving", "nobody waits for the second canary");

    // Proven, the new release goes to everybody, the second canary last.
    fleet.does(&["approve", "web"]).await;
    let done = fleet.until_state(&commit, "Completed").await;
    assert_eq!(count(&done, "canary", "total") + count(&done, "prod", "total"), 2, "{done:#}");
    fleet.all_run("2").await;
    fleet.until_ready().await;
    fleet.end().await;
}
