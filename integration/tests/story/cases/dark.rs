//! Cases 7 and 9: silence before a grant, and silence after it.

use std::time::Duration;

use crate::fleet::{Fleet, count};

/// As `staleAfter` of the Apps here, and a little.
const SILENT: Duration = Duration::from_secs(7);

const PATIENT: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets: {select: \"true\"}
  rollout:
    defaults: {minHealthy: 1s, maxInFlight: 1, offline: {staleAfter: 6s, grace: 10m}}
    waves: [{name: all, rest: true}]
";

#[tokio::test(flavor = "multi_thread")]
async fn case_7_a_cluster_that_is_dark_before_its_turn_is_left_out_and_catches_up() {
    let fleet = Fleet::running(PATIENT, &[("k1", &[]), ("k2", &[]), ("k3", &[])]).await;

    fleet.wire("k2").cut();
    fleet.until_silent("k2", SILENT).await;
    let commit = fleet.release("2");

    // The others go on without it, and it costs nothing.
    let done = fleet.until_state(&commit, "Completed").await;
    assert_eq!((count(&done, "all", "updated"), count(&done, "all", "deferred")), (2, 1));
    assert_eq!(count(&done, "all", "failed"), 0, "{done:#}");
    assert_eq!(fleet.all(), "k1=2 k2=1 k3=2");

    // It comes back, and gets what it missed; nobody has to do anything.
    fleet.wire("k2").mend();
    fleet.all_run("2").await;
    fleet.until_ready().await;
    assert_eq!(fleet.rollout().await["id"], done["id"], "no rollout was needed for it");
    fleet.end().await;
}

const STRICT: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets: {select: \"true\"}
  rollout:
    defaults: {minHealthy: 4s, maxInFlight: 1, offline: {staleAfter: 6s, grace: 1s}}
    waves: [{name: all, rest: true}]
";

#[tokio::test(flavor = "multi_thread")]
async fn case_9_a_cluster_that_goes_dark_with_the_release_counts_as_failed() {
    let fleet = Fleet::running(STRICT, &[("k1", &[]), ("k2", &[])]).await;

    // The first cluster takes the release, and is never heard again: so looks a release that cuts the network.
    let commit = fleet.release("2");
    let taken = |r: &serde_json::Value| {
        let flying = count(r, "all", "updating") + count(r, "all", "verifying");
        r["revision"].as_str().is_some_and(|of| of.ends_with(&commit))
            && flying == 1
            && r["unstarted"] == 0
    };
    fleet.until("the first cluster to take the release", taken).await;
    let first = if fleet.epoch("k1").await > fleet.epoch("k2").await { "k1" } else { "k2" };
    fleet.wire(first).cut();

    // It counts, the rollout halts, and the second cluster never sees the release.
    let halted = fleet.until_state(&commit, "Halted").await;
    assert_eq!((count(&halted, "all", "failed"), count(&halted, "all", "queued")), (1, 1));
    let reason = format!("{first} DarkAfterGrant");
    fleet.until_why(&["app/web"], &["WAV-507", &reason, "rollout rollback web"]).await;
    let other = if first == "k1" { "k2" } else { "k1" };
    assert_eq!(fleet.runs(other).as_deref(), Some("1"));

    // It comes back, well. The failure is gone; the halt is not: that is for a person to say.
    fleet.wire(first).mend();
    let back = fleet.until("it to count as updated", |r| count(r, "all", "updated") == 1).await;
    assert_eq!((count(&back, "all", "failed"), &back["state"]), (0, &"Halted".into()), "{back:#}");
    assert_eq!(fleet.runs(other).as_deref(), Some("1"));
    fleet.does(&["rollout", "resume", "web", "--reason", "the switch is replaced"]).await;
    fleet.until_state(&commit, "Completed").await;
    assert_eq!(fleet.all(), "k1=2 k2=2");
    fleet.end().await;
}
