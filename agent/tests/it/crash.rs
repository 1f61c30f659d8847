//! The agent dies at every single request of one sync, before the request arrives and after it was carried out with its
//! answer lost, and is started again: what comes out is always what comes out without a death.
//!
//! The grant is held before the first death, so that no hub is needed: each run is a copy of the same cluster and of
//! the same state folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use agent::{Config, Deps, Running};
use futures::StreamExt as _;
use serde_json::{Value, json};
use simcluster::{Cluster, Moment, Partition, Server};

use crate::hub::PATIENCE;
use crate::world::{World, config_map, deployment, namespace};

/// Runs side by side: as many as two cores keep busy.
const SIDE_BY_SIDE: usize = 6;
/// Kinds whose objects are compared.
const KINDS: [(&str, &str); 9] = [
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("", "Namespace"),
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "Service"),
    ("", "ServiceAccount"),
    ("apps", "Deployment"),
    ("batch", "Job"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
];

/// 40 objects that come, change and go, and some of others.
fn before() -> Vec<Value> {
    let mut set = vec![namespace(), deployment("web", "web:1"), deployment("old", "old:1")];
    set.push(binding("view"));
    set.extend((0..8).map(|n| config_map(&format!("same{n}"), "one")));
    set.extend((0..8).map(|n| config_map(&format!("changes{n}"), "one")));
    set.extend((0..8).map(|n| config_map(&format!("goes{n}"), "one")));
    set
}

fn after() -> Vec<Value> {
    let mut set = vec![namespace(), deployment("web", "web:2")];
    set.extend((0..8).map(|n| config_map(&format!("same{n}"), "one")));
    set.extend((0..8).map(|n| config_map(&format!("changes{n}"), "two")));
    set.extend((0..8).map(|n| config_map(&format!("comes{n}"), "two")));
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80}]}});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "web", "namespace": "shop"}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "web", "namespace": "shop"}, "stringData": {"password": "correct horse"}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "shop"}, "spec": {"size": 1}});
    set.extend([service, account, secret, definition, widget, binding("edit"), hook()]);
    set
}

/// What it refers to cannot change: it is replaced.
fn binding(role: &str) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "binding", "namespace": "shop",
            "annotations": {"tidegate.dev/recreate": "true"}},
        "subjects": [],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}})
}

fn hook() -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "migrate", "namespace": "shop",
            "annotations": {"tidegate.dev/hook": "pre-apply"}},
        "spec": {"template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "main", "image": "migrate:1"}]}}}})
}

/// Everything of a cluster that must not depend on when the agent died.
fn outcome(cluster: &Cluster) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for (group, kind) in KINDS.into_iter().chain([("example.com", "Widget")]) {
        for object in cluster.list(group, kind) {
            let name = object["metadata"]["name"].as_str().unwrap();
            let space = object["metadata"]["namespace"].as_str().unwrap_or("");
            let entries = object["metadata"]["managedFields"].as_array();
            // Who owns what of the object itself; controllers write the rest when they like.
            let ours = entries.into_iter().flatten().filter(|entry| entry["operation"] == "Apply");
            let owned: Vec<Value> =
                ours.map(|e| json!([e["manager"], e["fieldsV1"], e["apiVersion"]])).collect();
            let kept = json!({
                "labels": object["metadata"]["labels"], "annotations": ids(&object),
                "data": object["data"], "role": object["roleRef"], "owned": owned,
                // The specification of a Job names its uid.
                "spec": (kind != "Job").then_some(&object["spec"]),
            });
            all.insert(format!("{kind} {space}/{name}"), kept);
        }
    }
    all
}

/// Annotations, without those by which controllers count.
fn ids(object: &Value) -> Value {
    object["metadata"]["annotations"]["tidegate.dev/id"].clone()
}

/// What stands at the moment of the first death.
struct Template {
    world: World,
    cluster: Cluster,
    foreign: Vec<Value>,
}

async fn template() -> Template {
    let world = World::new().await;
    let agent = world.agent().await;
    world.hub.grant("web", 1, &before());
    world.hub.healthy("web", 1).await;
    for name in ["theirs", "goes-theirs"] {
        world.cluster.create_as("kubectl-create", config_map(name, "theirs")).unwrap();
    }
    world.quiet(Duration::from_secs(1)).await;
    world.cluster.faults().partition(Partition::Reset);
    world.hub.grant("web", 2, &after());
    world.hub.reported("web", 2, |_| true).await;
    world.hub.stop();
    agent.stop().await.unwrap();
    let cluster = world.cluster.copy();
    let foreign = theirs(&cluster);
    Template { world, cluster, foreign }
}

/// Pods of the hook.
fn runs(cluster: &Cluster) -> usize {
    let pods = cluster.list("", "Pod");
    let of = |pod: &&Value| pod["metadata"]["ownerReferences"][0]["kind"] == "Job";
    pods.iter().filter(of).count()
}

fn theirs(cluster: &Cluster) -> Vec<Value> {
    let get = |name| cluster.get("", "ConfigMap", Some("shop"), name).unwrap();
    ["theirs", "goes-theirs"].into_iter().map(get).collect()
}

/// A copy of the template that can be played.
struct Play {
    cluster: Cluster,
    config: Config,
    _server: Server,
    _dir: tempfile::TempDir,
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn play(template: &Template) -> Play {
    let cluster = template.cluster.copy();
    let server = Server::start(vec![cluster.clone()]).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    copy(&template.world.path("state"), &dir.path().join("state"));
    std::fs::write(dir.path().join("kubeconfig"), server.kubeconfig("eu-1")).unwrap();
    let mut config = template.world.config();
    config.kubeconfig = agent::Kubeconfig::File(dir.path().join("kubeconfig"));
    config.state = agent::StateAt::Directory(dir.path().join("state"));
    Play { cluster, config, _server: server, _dir: dir }
}

async fn start(config: &Config) -> Running {
    agent::start(config.clone(), Deps::default()).await.unwrap()
}

/// Waits until the agent has nothing left to do.
async fn settled(agent: &Running, run: &str) {
    let begin = tokio::time::Instant::now();
    while !agent.metrics().contains("tidegate_agent_revision_lag{app=\"web\"} 0") {
        assert!(begin.elapsed() < PATIENCE * 3, "{run}: never settled\n{}", agent.metrics());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn die_at(template: &Template, wanted: &BTreeMap<String, Value>, n: u64, moment: Moment) {
    let run = format!("death at request {n}, {moment:?}");
    let play = play(template).await;
    play.cluster.faults().crash_at(n, moment);
    let agent = start(&play.config).await;
    let wrote = tokio::select! {
        wrote = play.cluster.faults().crashed() => wrote,
        // Requests side by side make one run a little shorter than another.
        () = settled(&agent, &run) => true,
    };
    drop(agent);
    if moment == Moment::After && !wrote {
        // A read that was answered to nobody is one that was never asked: that death has a run of its own.
        return;
    }
    play.cluster.faults().clear();
    let agent = start(&play.config).await;
    settled(&agent, &run).await;
    let got = outcome(&play.cluster);
    for (name, object) in wanted {
        assert_eq!(got.get(name), Some(object), "{run}: {name}");
    }
    let more: Vec<&String> = got.keys().filter(|name| !wanted.contains_key(*name)).collect();
    assert!(more.is_empty(), "{run}: left behind {more:?}");
    assert_eq!(runs(&play.cluster), 1, "{run}: the hook ran again");
    assert_eq!(theirs(&play.cluster), template.foreign, "{run}: what is not ours was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_request_of_a_sync_changes_nothing_about_its_outcome() {
    let template = template().await;
    let undisturbed = play(&template).await;
    let agent = start(&undisturbed.config).await;
    settled(&agent, "undisturbed").await;
    let requests = undisturbed.cluster.requests().total();
    let wanted = outcome(&undisturbed.cluster);
    assert!(wanted.contains_key("ConfigMap shop/comes7"), "{:?}", wanted.keys());
    assert!(!wanted.contains_key("ConfigMap shop/goes0"));
    assert!(requests > 60, "{requests} are too few to be a sync");
    drop(agent);
    let deaths = (1..=requests).flat_map(|n| [(n, Moment::Before), (n, Moment::After)]);
    let runs = deaths.map(|(n, moment)| die_at(&template, &wanted, n, moment));
    futures::stream::iter(runs).buffer_unordered(SIDE_BY_SIDE).collect::<Vec<()>>().await;
}
