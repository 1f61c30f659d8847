//! Cases 15 and 40: brakes that a person pulls, and one that the plan has.

use crate::fleet::{Fleet, count};

const THREE_AT_ONCE: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets: {select: \"true\"}
  rollout:
    probe: 0
    defaults: {minHealthy: 1s, maxInFlight: 3}
    waves: [{name: all, rest: true}]
";

#[tokio::test(flavor = "multi_thread")]
async fn case_15_a_pause_calls_back_what_has_not_begun() {
    let names = ["k1", "k2", "k3", "k4"];
    let fleet = Fleet::running(THREE_AT_ONCE, &names.map(|name| (name, &[][..]))).await;

    // Three grants leave the hub and do not arrive.
    for name in names {
        fleet.wire(name).hold();
    }
    let commit = fleet.release("2");
    let granted = |r: &serde_json::Value| {
        r["revision"].as_str().is_some_and(|of| of.ends_with(&commit)) && r["unstarted"] == 3
    };
    fleet.until("three grants to be under way", granted).await;
    let said = fleet.does(&["rollout", "pause", "web", "--reason", "wrong file"]).await;
    assert!(said.contains("3 unstarted grants are called back"), "{said}");

    // Nobody knows whether they arrived, so they hold their slots, and `why` says so.
    let paused = fleet.rollout().await;
    assert_eq!((paused["state"].as_str(), count(&paused, "all", "recalling")), (Some("Paused"), 3));
    fleet
        .until_why(&["app/web"], &["ROL-611", "wrong file", "WAV-509", "3 grants were recalled"])
        .await;

    // What was on the wire is lost. The agents promise never to begin it.
    for name in names {
        fleet.wire(name).cut();
        fleet.wire(name).mend();
    }
    let waits =
        fleet.until("every cluster to wait again", |r| count(r, "all", "queued") == 4).await;
    assert_eq!((waits["state"].as_str(), waits["unstarted"].as_u64()), (Some("Paused"), Some(0)));
    assert_eq!(fleet.all(), "k1=1 k2=1 k3=1 k4=1");

    // The person looks again, and lets it go on.
    fleet.does(&["rollout", "resume", "web", "--reason", "it was the right file"]).await;
    fleet.until_state(&commit, "Completed").await;
    fleet.all_run("2").await;
    fleet.end().await;
}

const WIDE: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets:
    select: \"true\"
    expect: {maxChange: 20%}
    onUntarget: prune
  rollout:
    probe: 0
    defaults: {minHealthy: 1s, maxInFlight: 100%}
    waves: [{name: all, rest: true}]
";

#[tokio::test(flavor = "multi_thread")]
async fn case_40_a_selector_that_drops_most_of_the_fleet_sends_nothing() {
    let keep: &[(&str, &str)] = &[("keep", "yes")];
    let members = [("k1", keep), ("k2", keep), ("x1", &[][..]), ("x2", &[]), ("x3", &[])];
    let fleet = Fleet::running(WIDE, &members).await;
    let before = fleet.rollout().await;

    // A slip of the pen: three of five clusters are not meant any more, and what they run would be removed.
    // Whoever asked would be told by which line.
    let repository = fleet.stage.repository();
    let narrow = WIDE.replace("\"true\"", "\"labels.keep == 'yes'\"");
    repository.write("apps/web/app.yaml", &narrow).unwrap();
    let root = repository.path().display().to_string();
    let ask = ["targets", "app/web", &root, "--explain", "x1"];
    fleet
        .refuses(&ask, 1, &["not selected", "labels.keep is missing", "apps/web/app.yaml:7"])
        .await;
    let commit = fleet.release("2");
    let words = ["ROL-605", "3 of 5 clusters dropped", "20 %", "maxChange"];
    fleet.until_why(&["app/web"], &words).await;

    // No plan, so no grant for those that stay and no removal for those that go.
    let app = fleet.stage.items("apps").await.unwrap().remove(0);
    assert!(app["head"].as_str().is_some_and(|head| head.ends_with(&commit)), "{app:#}");
    assert_eq!(fleet.rollout().await["id"], before["id"], "nothing was planned");
    assert_eq!(fleet.all(), "k1=1 k2=1 x1=1 x2=1 x3=1");

    // The pen is corrected, and the release goes to all five.
    repository.write("apps/web/app.yaml", WIDE).unwrap();
    let commit = repository.commit("the selector as it was").unwrap();
    fleet.until_state(&commit, "Completed").await;
    fleet.all_run("2").await;
    fleet.end().await;
}
