//! Cases 37 and 44: a hub that is not the hub any more, and a question that nobody answers.

use std::{net::TcpListener, path::Path, process::Command};

use integration::stage::{Stage, programs};

use crate::{
    fleet::{Fleet, wave},
    world::SOON,
};

const ONE_WAVE: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets: {select: \"true\"}
  rollout:
    defaults: {minHealthy: 1s, maxInFlight: 2}
    waves: [{name: all, rest: true}]
";

fn signal(name: &str, pid: u32) {
    let done = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
    assert!(done.success(), "kill -{name} {pid}");
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success(), "copy {} to {}", from.display(), to.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn case_37_a_hub_that_was_replaced_is_obeyed_by_nobody() {
    let names = ["k1", "k2", "k3"];
    let fleet = Fleet::running(ONE_WAVE, &names.map(|name| (name, &[][..]))).await;

    // Two hubs on one store: the second does not even start.
    let data = fleet.stage.data_dir();
    let hub = Command::new(programs().unwrap().hub)
        .args(["serve", "--http", "127.0.0.1:0", "--agents", "127.0.0.1:0", "--data-dir"])
        .arg(&data)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&hub.stderr).into_owned();
    assert!(!hub.status.success() && said.contains("another"), "{said}");

    // The machine of the hub hangs. Its disk is copied, a hub is started on the copy, and agents find it
    // where they found the first.
    let old = fleet.stage.hub_pid().unwrap();
    signal("STOP", old);
    let place = fleet.stage.folder().join("successor");
    std::fs::create_dir(&place).unwrap();
    copy(&data, &place.join("hub"));
    let mut successor = Stage::in_folder(&place).unwrap();
    successor.start_hub().await.unwrap();
    let new_end = successor.agents_at().parse().unwrap();
    for name in names {
        fleet.wire(name).lead_to(new_end);
    }
    let commit = fleet.release("2");
    successor.wait_for_rollout("web", &commit, "Completed", SOON).await.unwrap();
    assert_eq!(fleet.all(), "k1=2 k2=2 k3=2");

    // The first machine wakes up and believes that nothing happened. An agent that comes to it by mistake
    // knows better, and does nothing that it says.
    signal("CONT", old);
    fleet.wire("k1").lead_to(fleet.hub());
    let look = || async {
        let log = fleet.stage.log("k1");
        Ok(if log.contains("AGT-709") { Ok(()) } else { Err(log) })
    };
    fleet.stage.wait("the agent to notice an older hub", SOON, look).await.unwrap();
    let seen = crate::world::cluster(&fleet.stage, "k1").await;
    assert_eq!(seen["connected"], false, "{seen:#}");
    assert_eq!(fleet.runs("k1").as_deref(), Some("2"));

    // Led to the hub that is one, it goes on.
    fleet.wire("k1").lead_to(new_end);
    let commit = fleet.release("3");
    successor.wait_for_rollout("web", &commit, "Completed", SOON).await.unwrap();
    fleet.all_run("3").await;
    fleet.end().await;
}

const MEASURED: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets: {select: \"true\"}
  rollout:
    defaults: {minHealthy: 1s, timeout: 8s}
    waves:
      - name: canary
        select: \"labels.ring == 'canary'\"
        after: {analysis: {prometheus: \"max(errors)\", expect: \"< 0.01\", every: 10s}}
      - {name: prod, rest: true}
";

#[tokio::test(flavor = "multi_thread")]
async fn case_44_a_measurement_that_nobody_answers_is_neither_good_nor_bad() {
    // A port at which nobody listens.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flags = ["--prometheus", &format!("http://{nobody}")];
    let mut fleet = Fleet::with_hub(&["c1", "p1"], &flags).await;
    fleet.join_all(&[("c1", &[("ring", "canary")]), ("p1", &[])]).await;
    let commit = fleet.first(MEASURED).await;

    // The canary is well, and the question is asked. Nobody answers: the wave neither passes nor fails.
    let words = ["GAT-618", "0 of 1 answers with data", "0 of 3 bad", "cannot be reached"];
    fleet.until_why(&["app/web"], &words).await;
    let rollout = fleet.rollout().await;
    assert_eq!(wave(&rollout, "canary")["state"], "Proving", "{rollout:#}");

    // It does not wait for ever either, and `why` still says what is missing.
    fleet.until_state(&commit, "Halted").await;
    fleet.until_why(&["app/web"], &["WAV-508", "answers with data"]).await;
    assert_eq!(fleet.all(), "c1=1 p1=nothing");

    // A person looks at the canary with their own eyes, and says so.
    let reason = "Prometheus is being moved; the canary is well";
    fleet.does(&["rollout", "resume", "web", "--reason", reason]).await;
    let gate = ["rollout", "override", "web", "--gate", "analysis", "--reason", reason];
    fleet.does(&gate).await;
    fleet.until_state(&commit, "Completed").await;
    assert_eq!(fleet.all(), "c1=1 p1=1");
    let shown = fleet.stage.ok(&["rollout", "show", "web"]).await.unwrap();
    assert!(shown.contains("analysis opened by admin") && shown.contains(reason), "{shown}");
    fleet.end().await;
}
