//! Cases 25 and 28: the way back.

use integration::stage::Repository;
use simcluster::Reject;

use crate::{
    fleet::{Fleet, count, wave},
    world::{SOON, config_map},
};

const BY_PLACE: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: \"overlays/${labels.size}\"}
  targets: {select: \"true\"}
  rollout:
    assign: {order: \"label:place\"}
    defaults: {minHealthy: 1s, maxInFlight: 1, retry: {limit: 0}, progressDeadline: 20s}
    waves:
      - {name: canary, select: \"labels.ring == 'canary'\"}
      - {name: prod, rest: true}
";

/// A Deployment whose image does not exist.
const NO_IMAGE: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: cache, namespace: default}
spec:
  selector: {matchLabels: {app: cache}}
  template:
    metadata: {labels: {app: cache}}
    spec: {containers: [{name: cache, image: \"registry.example/cache:broken\"}]}
";

/// Writes a release into both overlays.
fn write(repository: &Repository, value: &str) {
    for size in ["small", "large"] {
        let file = format!("apps/web/overlays/{size}/web.yaml");
        repository.write(&file, &config_map("web", value)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_25_a_revert_while_halted_touches_only_what_differs() {
    let mut fleet = Fleet::empty(&["c1", "k2", "k3"]).await;
    let small = |place| [("size", "small"), ("place", place)];
    let canary = [("size", "small"), ("place", "1"), ("ring", "canary")];
    let members: [(&str, &[_]); 3] =
        [("c1", &canary), ("k2", &[("size", "large"), ("place", "2")]), ("k3", &small("3"))];
    fleet.join_all(&members).await;
    let repository = fleet.stage.repository();
    write(repository, "1");
    fleet.first(BY_PLACE).await;
    fleet.until("the first release to stand", |r| r["state"] == "Completed").await;
    let untouched = fleet.epoch("k3").await;

    // The new release is well where clusters are small, and cannot start where they are large.
    write(repository, "2");
    repository.write("apps/web/overlays/large/cache.yaml", NO_IMAGE).unwrap();
    let bad = repository.commit("web 2, with a cache where clusters are large").unwrap();
    let halted = fleet.until_state(&bad, "Halted").await;
    assert_eq!(wave(&halted, "canary")["state"], "Passed", "{halted:#}");
    assert_eq!((count(&halted, "prod", "failed"), count(&halted, "prod", "queued")), (1, 1));
    fleet.until_why(&["app/web"], &["WAV-507", "k2", "Deployment default/cache"]).await;
    assert_eq!(fleet.runs("c1").as_deref(), Some("2"));

    // Somebody reverts the commit. Whoever has the new release goes back, in one wave; k3 never had it.
    repository.git(&["revert", "--no-edit", "HEAD"]).unwrap();
    let good = repository.head().unwrap();
    let done = fleet.until_state(&good, "Completed").await;
    let waves: Vec<_> = done["waves"].as_array().unwrap().iter().map(|w| &w["name"]).collect();
    assert_eq!(waves, ["revert"], "{done:#}");
    assert_eq!((count(&done, "revert", "total"), count(&done, "revert", "updated")), (2, 2));
    fleet.all_run("1").await;
    assert_eq!(fleet.epoch("k3").await, untouched, "k3 was not even told");
    let gone = || async {
        let cache = fleet.cluster("k2").get("apps", "Deployment", Some("default"), "cache");
        Ok(cache.map_or(Ok(()), |cache| Err(format!("{cache:#}"))))
    };
    fleet.stage.wait("the cache to be gone from k2", SOON, gone).await.unwrap();
    fleet.until_ready().await;
    fleet.end().await;
}

const LOOKED_AT: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets: {select: \"true\"}
  rollout:
    probe: 0
    defaults: {minHealthy: 1s, maxInFlight: 3}
    rollback: {maxInFlight: 3, progressDeadline: 3s, retry: {limit: 0}}
    waves: [{name: all, rest: true, after: {approval: {count: 1}}}]
";

/// What an API server says to somebody without a right.
const FORBIDDEN: &str = "configmaps \"web\" is forbidden: User \"agent\" cannot patch resource \"configmaps\" in \
                         API group \"\" in the namespace \"default\"";

#[tokio::test(flavor = "multi_thread")]
async fn case_28_a_way_back_that_fails_waits_for_a_person() {
    let mut fleet = Fleet::empty(&["k1", "k2", "k3"]).await;
    fleet.join_all(&[("k1", &[]), ("k2", &[]), ("k3", &[])]).await;
    fleet.first(LOOKED_AT).await;
    fleet.until_why(&["app/web"], &["GAT-601"]).await;
    fleet.does(&["approve", "web"]).await;
    fleet.until("the first release to stand", |r| r["state"] == "Completed").await;

    // All three have the new release, and people who look at it do not like it. Meanwhile somebody takes
    // the agent's rights away on k2.
    fleet.release("2");
    fleet.all_run("2").await;
    fleet.until_why(&["app/web"], &["GAT-601"]).await;
    let reject = Reject::new("apply", "configmaps", 403, FORBIDDEN);
    fleet.cluster("k2").faults().reject(reject);
    let said = fleet.does(&["rollout", "rollback", "web", "--reason", "wrong colour"]).await;
    assert!(said.contains("3 clusters return to their last good release"), "{said}");

    // Two are back. The third is named, with the reason, and the rollback waits for a person.
    let back = |r: &serde_json::Value| r["kind"] == "rollback" && r["state"] == "Halted";
    let halted = fleet.until("the rollback to halt", back).await;
    assert_eq!(
        (count(&halted, "rollback", "updated"), count(&halted, "rollback", "failed")),
        (2, 1)
    );
    let words = ["ROL-617", "k2", "APL-314", "tidegate rollout retry web"];
    fleet.until_why(&["app/web"], &words).await;
    assert_eq!(fleet.all(), "k1=1 k2=2 k3=1");

    // A new commit does not overtake it.
    let fix = fleet.release("3");
    fleet.until_why(&["app/web"], &["ROL-620"]).await;
    assert_eq!(fleet.all(), "k1=1 k2=2 k3=1");

    // The rights are given back and the person says so: k2 returns, and then the fix goes out.
    fleet.cluster("k2").faults().accept_all();
    fleet.does(&["rollout", "retry", "web", "--reason", "the role is bound again"]).await;
    fleet.all_run("3").await;
    fleet.until_why(&["app/web"], &["GAT-601"]).await;
    let rollouts = fleet.stage.items("rollouts").await.unwrap();
    let story: Vec<_> = rollouts.iter().map(|r| (&r["kind"], &r["state"])).collect();
    assert_eq!(story[1], (&"rollback".into(), &"RolledBack".into()), "{story:?}");
    fleet.does(&["approve", "web"]).await;
    fleet.until_state(&fix, "Completed").await;
    fleet.end().await;
}
