//! The whole product on three real API servers: real programs, real Git, real TLS, real Kubernetes.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use integration::{
    kubernetes::{Options, Pool},
    stage::{Error, Stage},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use rollout::{Event, WaveChange};
use serde_json::{Value, json};

/// How long a rollout over three clusters may take on two busy cores.
const ROLLOUT: Duration = Duration::from_mins(3);
/// What we promise for a drifted field.
const DRIFT_MAX: Duration = Duration::from_secs(2);
/// Kills of the hub in one story.
const KILLS: usize = 20;

const CLUSTERS: [&str; 3] = ["one", "two", "three"];

const APP: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets: {select: \"has(labels.ring)\", expect: {min: 3}}
  rollout:
    defaults: {minHealthy: 1s, progressDeadline: 2m}
    waves:
      - {name: first, select: \"labels.ring == 'one'\", after: {soak: 1s}}
      - {name: second, select: \"labels.ring == 'two'\", after: {soak: 1s}}
      - {name: third, rest: true}
";

/// A stage whose three clusters are real.
struct Fleet {
    stage: Stage,
    pool: Pool,
}

impl Fleet {
    async fn start() -> Fleet {
        let pool = Pool::start(3, Options::default()).await.unwrap();
        let mut stage = Stage::new().unwrap();
        stage.start_hub().await.unwrap();
        for (i, name) in CLUSTERS.iter().enumerate() {
            stage.add_cluster(name, &[("ring", name)]).await.unwrap();
            stage.start_agent(name, &pool.cluster(i).kubeconfig()).unwrap();
        }
        let repository = stage.repository();
        repository.write("apps/web/app.yaml", APP).unwrap();
        Fleet { stage, pool }
    }

    async fn follow(&self) {
        let url = self.stage.repository().url();
        self.stage.ok(&["source", "add", "fleet", "--url", &url, "--ref", "main"]).await.unwrap();
    }

    async fn client(&self, cluster: usize) -> Client {
        self.pool.cluster(cluster).client().await.unwrap()
    }

    async fn config_maps(&self, cluster: usize) -> BTreeMap<String, ConfigMap> {
        let api: Api<ConfigMap> = Api::namespaced(self.client(cluster).await, "shop");
        let list = api.list(&ListParams::default()).await.unwrap();
        list.items.into_iter().map(|o| (o.metadata.name.clone().unwrap(), o)).collect()
    }

    fn config_map_files(&self, values: &[(&str, &str)]) {
        let mut text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n".to_owned();
        for (name, value) in values {
            text.push_str(&format!(
                "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{value: \"{value}\"}}\n"
            ));
        }
        self.stage.repository().write("apps/web/manifests/all.yaml", &text).unwrap();
    }

    async fn complete(&self, commit: &str) -> Value {
        self.stage.wait_for_rollout("web", commit, "Completed", ROLLOUT).await.unwrap()
    }

    /// The decisions in the hub's store. The hub must be stopped.
    fn events(&self) -> Vec<Event> {
        let dir = self.stage.data_dir().join("store");
        let store = hub::store::SledStore::open(&dir).unwrap();
        let log = hub::store::Log::new(std::sync::Arc::new(store));
        let app = model::AppName::parse("web").unwrap();
        let events = log.events(&app, 0).unwrap();
        events.iter().map(|(_, bytes)| serde_json::from_slice(bytes).unwrap()).collect()
    }
}

/// No wave has a grant of a rollout before the wave ahead of it has passed in it, and no epoch of a cluster
/// is issued twice.
#[expect(clippy::wildcard_enum_match_arm, reason = "only these two matter here")]
fn check_order(events: &[Event], wave_of: &BTreeMap<String, usize>) {
    let mut passed = BTreeSet::new();
    let mut issued = BTreeSet::new();
    for event in events {
        match event {
            Event::Wave { rollout, wave, change: WaveChange::Passed { .. }, .. } => {
                passed.insert((*rollout, *wave));
            }
            Event::Granted { rollout, name, cluster, grant, .. } => {
                assert!(
                    issued.insert((cluster.clone(), grant.epoch)),
                    "epoch issued twice: {event:?}"
                );
                let wave = wave_of[name.as_str()];
                for before in 0..wave {
                    assert!(
                        passed.contains(&(*rollout, before)),
                        "{name} before wave {before}: {event:?}"
                    );
                }
            }
            _ => {}
        }
    }
    assert!(!issued.is_empty());
}

fn waves() -> BTreeMap<String, usize> {
    CLUSTERS.iter().enumerate().map(|(i, name)| ((*name).to_owned(), i)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_travels_in_wave_order_prunes_only_its_own_and_drift_is_corrected() {
    let mut fleet = Fleet::start().await;
    fleet.config_map_files(&[("a", "1"), ("b", "1"), ("c", "1")]);
    let first = fleet.stage.repository().commit("three objects").unwrap();
    fleet.follow().await;
    fleet.complete(&first).await;
    for cluster in 0..3 {
        let found = fleet.config_maps(cluster).await;
        assert!(["a", "b", "c"].iter().all(|n| found.contains_key(*n)), "{:?}", found.keys());
    }

    // Somebody copies an object with all its labels and annotations.
    let api: Api<ConfigMap> = Api::namespaced(fleet.client(0).await, "shop");
    let mut copy = api.get("b").await.unwrap();
    copy.metadata.name = Some("copy".to_owned());
    copy.metadata.uid = None;
    copy.metadata.resource_version = None;
    copy.metadata.managed_fields = None;
    api.create(&PostParams::default(), &copy).await.unwrap();

    fleet.config_map_files(&[("a", "2"), ("c", "1"), ("d", "1")]);
    let second = fleet.stage.repository().commit("change a, remove b, add d").unwrap();
    fleet.complete(&second).await;
    for (cluster, name) in CLUSTERS.iter().enumerate() {
        let found = fleet.config_maps(cluster).await;
        assert!(found.contains_key("d") && found.contains_key("c"), "{:?}", found.keys());
        assert!(!found.contains_key("b"), "b was not pruned on {name}");
        assert_eq!(found["a"].data.as_ref().unwrap()["value"], "2");
        assert_eq!(found.contains_key("copy"), cluster == 0, "the copy is not ours to prune");
    }

    let edit = json!({ "data": { "value": "by hand" } });
    let kubectl =
        PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    api.patch("a", &kubectl, &Patch::Merge(&edit)).await.unwrap();
    let edited = Instant::now();
    while api.get("a").await.unwrap().data.unwrap()["value"] != "2" {
        assert!(
            edited.elapsed() < 2 * DRIFT_MAX,
            "the edit still stands after {:?}",
            edited.elapsed()
        );
    }
    assert!(edited.elapsed() < DRIFT_MAX, "corrected only after {:?}", edited.elapsed());

    assert_eq!(fleet.stage.stop_hub().await.unwrap(), Some(0), "SIGTERM ends the hub cleanly");
    check_order(&fleet.events(), &waves());
}

/// What happened, without times and without what depends on when agents were heard.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other events depend on when agents were heard"
)]
fn story(events: &[Event]) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for event in events {
        let line = match event {
            Event::Started(start) => format!("started {}", start.release.subject),
            Event::Granted { name, .. } => format!("granted {name}"),
            Event::Wave { wave, change: WaveChange::Passed { .. }, .. } => format!("passed {wave}"),
            Event::Ended { outcome, .. } => format!("ended {outcome:?}"),
            Event::Halted { causes, .. } => format!("halted {causes:?}"),
            _ => continue,
        };
        if told.last() != Some(&line) {
            told.push(line);
        }
    }
    told
}

async fn three_commits(fleet: &mut Fleet, mut kills: usize, mut seed: u64) -> Result<(), Error> {
    fleet.config_map_files(&[("a", "0")]);
    let first = fleet.stage.repository().commit("commit 0")?;
    fleet.follow().await;
    fleet.complete(&first).await;
    for n in 1..=3 {
        let value = n.to_string();
        fleet.config_map_files(&[("a", &value)]);
        let commit = fleet.stage.repository().commit(&format!("commit {n}"))?;
        let mut left = kills.div_ceil(4 - n);
        kills -= left;
        while left > 0 {
            // xorshift: points spread over the second or so that each wave takes.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            tokio::time::sleep(Duration::from_millis(seed % 700)).await;
            fleet.stage.kill_hub().await?;
            fleet.stage.start_hub().await?;
            left -= 1;
        }
        fleet.complete(&commit).await;
    }
    fleet.stage.stop_hub().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_killed_at_twenty_points_ends_with_the_same_log() {
    let mut calm = Fleet::start().await;
    three_commits(&mut calm, 0, 1).await.unwrap();
    let expected = story(&calm.events());
    drop(calm);
    let mut shaken = Fleet::start().await;
    three_commits(&mut shaken, KILLS, 0x7469_6465).await.unwrap();
    let events = shaken.events();
    check_order(&events, &waves());
    assert_eq!(story(&events), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_hub_gone_an_agent_corrects_drift_also_after_its_own_restart() {
    let mut fleet = Fleet::start().await;
    fleet.config_map_files(&[("a", "1"), ("b", "1")]);
    let first = fleet.stage.repository().commit("two objects").unwrap();
    fleet.follow().await;
    fleet.complete(&first).await;
    fleet.stage.kill_hub().await.unwrap();

    let api: Api<ConfigMap> = Api::namespaced(fleet.client(0).await, "shop");
    fleet.stage.kill_agent("one").await.unwrap();
    api.delete("b", &DeleteParams::default()).await.unwrap();
    let kubeconfig = fleet.pool.cluster(0).kubeconfig();
    fleet.stage.start_agent("one", &kubeconfig).unwrap();
    let stage = &fleet.stage;
    let back = || async {
        let found = api.get_opt("b").await.unwrap();
        Ok(found.map(drop).ok_or_else(|| stage.log("one")))
    };
    stage.wait("b to be made again with no hub", Duration::from_mins(1), back).await.unwrap();

    let before: BTreeMap<_, _> = versions(&fleet).await;
    fleet.stage.start_hub().await.unwrap();
    let stage = &fleet.stage;
    stage
        .wait("all agents to be back", ROLLOUT, || async {
            let items = stage.items("clusters").await?;
            let ready =
                items.iter().filter(|c| c["connected"] == true && c["state"] == "Ready").count();
            Ok(if ready == 3 { Ok(()) } else { Err(format!("{items:#?}")) })
        })
        .await
        .unwrap();
    assert_eq!(versions(&fleet).await, before, "nothing is written when the hub comes back");
}

async fn versions(fleet: &Fleet) -> BTreeMap<(usize, String), Option<String>> {
    let mut all = BTreeMap::new();
    for cluster in 0..3 {
        for (name, object) in fleet.config_maps(cluster).await {
            all.insert((cluster, name), object.metadata.resource_version);
        }
    }
    all
}
