//! One App shares hub and repository with every hostile one that we know: it goes out as fast as before, and the hub grows
//! no fatter.

use std::{path::Path, time::Duration, time::Instant};

use crate::{fleet::Fleet, world::SOON};

/// Releases that are timed, alone and among neighbours.
const ROUNDS: usize = 5;
/// What the hub may keep of all of them: words about each, and what the allocator holds back.
const GROWTH_KIB: u64 = 64 << 10;
/// Two processors do everything here, also what the neighbours burn until they are stopped.
const SLOWER: Duration = Duration::from_secs(3);

const APP: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets: {select: \"true\"}
  rollout:
    defaults: {minHealthy: 0s}
    waves: [{name: all, rest: true}]
";

/// A hostile App: what its `source` says, its files and its links.
#[derive(Default)]
struct Hostile {
    name: &'static str,
    source: &'static str,
    files: Vec<(&'static str, String)>,
    links: Vec<(&'static str, &'static str)>,
}

fn hostile() -> Vec<Hostile> {
    let mut all: Vec<Hostile> = Vec::new();
    for line in include_str!("../../../hub/sandbox/tests/trees/hostile.txt").lines() {
        if let Some(name) = line.strip_prefix("@@@ ") {
            all.push(Hostile { name, ..Hostile::default() });
            continue;
        }
        let last = all.last_mut().unwrap();
        if let Some(path) = line.strip_prefix("@@ ") {
            last.files.push((path, String::new()));
        } else if let Some(link) = line.strip_prefix("@> ") {
            last.links.push(link.split_once(' ').unwrap());
        } else if let Some(source) = line.strip_prefix("@? ") {
            last.source = source;
        } else {
            let text = &mut last.files.last_mut().unwrap().1;
            text.push_str(line);
            text.push('\n');
        }
    }
    all
}

impl Hostile {
    /// Its files below `apps/h-N`; `round` makes them new.
    fn write(&self, fleet: &Fleet, number: usize, round: usize) {
        let repository = fleet.stage.repository();
        let folder = format!("apps/h-{number}");
        let app = format!(
            "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: h-{number}}}\n\
             spec: {{targets: {{select: \"true\"}}, source: {{{}}}}}\n",
            self.source
        );
        repository.write(&format!("{folder}/app.yaml"), &app).unwrap();
        for (path, text) in &self.files {
            repository.write(&format!("{folder}/{path}"), &format!("{text}# {round}\n")).unwrap();
        }
        let in_chart = self.files.iter().any(|(path, _)| path.starts_with("chart/"));
        if in_chart && !self.files.iter().any(|(path, _)| *path == "chart/Chart.yaml") {
            let chart = format!("apiVersion: v2\nname: web\nversion: 0.1.{round}\n");
            repository.write(&format!("{folder}/chart/Chart.yaml"), &chart).unwrap();
        }
        for (path, target) in &self.links {
            let place = repository.path().join(&folder).join(path);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::remove_file(&place).ok();
            std::os::unix::fs::symlink(target, place).unwrap();
        }
    }
}

/// Resident memory of the hub, in KiB.
fn memory(fleet: &Fleet) -> u64 {
    let path = format!("/proc/{}/status", fleet.stage.hub_pid().unwrap());
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Times releases of `web` from commit to cluster; the middle one.
async fn latency(fleet: &Fleet, from: usize, beside: impl Fn(usize)) -> Duration {
    let mut times = Vec::new();
    for round in from..from + ROUNDS {
        beside(round);
        let begin = Instant::now();
        let commit = fleet.release(&round.to_string());
        fleet.all_run(&round.to_string()).await;
        times.push(begin.elapsed());
        fleet.stage.wait_for_rollout("web", &commit, "Completed", SOON).await.unwrap();
    }
    times.sort();
    times[ROUNDS / 2]
}

#[expect(clippy::print_stderr, reason = "figures for whoever reads the run")]
#[tokio::test(flavor = "multi_thread")]
async fn an_app_goes_out_as_fast_among_every_hostile_neighbour_and_the_hub_stays_as_it_was() {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("bin");
    let bin = std::env::var_os("KUBEBUILDER_ASSETS").map_or(bin, Into::into);
    let program = |name: &str| bin.join(name).display().to_string();
    let (kustomize, helm) = (program("kustomize"), program("helm"));
    let mut fleet = Fleet::with_hub(&["k1"], &["--kustomize", &kustomize, "--helm", &helm]).await;
    fleet.join_all(&[("k1", &[])]).await;
    let first = fleet.first(APP).await;
    fleet.stage.wait_for_rollout("web", &first, "Completed", SOON).await.unwrap();
    let alone = latency(&fleet, 2, |_| ()).await;
    let before = memory(&fleet);

    let all = hostile();
    let write = |round: usize| {
        for (number, one) in all.iter().enumerate() {
            one.write(&fleet, number, round);
        }
    };
    let among = latency(&fleet, 10, write).await;
    // Every one of them is refused in words, and nothing of it reached a cluster.
    let look = || async {
        let apps = fleet.stage.items("apps").await?;
        let refused = |number: &usize| {
            let name = format!("h-{number}");
            apps.iter().any(|app| {
                app["name"] == name.as_str()
                    && app["state"] == "Failed"
                    && app["reason"].is_string()
            })
        };
        let open: Vec<_> = (0..all.len()).filter(|number| !refused(number)).collect();
        let names = || open.iter().map(|number| all[*number].name).collect::<Vec<_>>();
        Ok(if open.is_empty() { Ok(()) } else { Err(format!("not refused: {:?}", names())) })
    };
    fleet.stage.wait("all of them to be refused", SOON, look).await.unwrap();
    let rollouts = fleet.stage.items("rollouts").await.unwrap();
    assert!(rollouts.iter().all(|rollout| rollout["app"] == "web"), "{rollouts:#?}");
    let after = memory(&fleet);
    eprintln!(
        "commit to cluster: {alone:?} alone, {among:?} among {} hostile Apps; hub {before} KiB before, {after} KiB after",
        all.len()
    );
    assert!(among < alone + SLOWER, "{among:?} among them, {alone:?} alone");
    assert!(after < before + GROWTH_KIB, "the hub grew from {before} to {after} KiB");
    assert_eq!(
        fleet.cluster("k1").get("", "ConfigMap", Some("default"), "web").unwrap()["data"]["value"],
        serde_json::json!((10 + ROUNDS - 1).to_string())
    );
    fleet.end().await;
}
