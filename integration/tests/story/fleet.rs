//! The fleet of one story: a hub, one App `web`, and clusters with real agents, each on a wire of its own.
//!
//! Whatever a person does goes through the command line or a commit. What is true is asked of the command
//! line and of the clusters themselves.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use hub::clock::Clock;
use integration::stage::{Answer, Stage};
use jiff::Timestamp;
use proto::token::JoinToken;
use serde_json::Value;
use simcluster::{Cluster, Options, Server};

use crate::{
    wire::Wire,
    world::{SOON, config_map},
};

/// Labels of a cluster.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

pub(crate) struct Fleet {
    pub(crate) stage: Stage,
    pub(crate) server: Server,
    clusters: BTreeMap<String, Cluster>,
    wires: BTreeMap<String, Wire>,
}

impl Fleet {
    /// Hub and clusters run; no cluster is registered yet.
    pub(crate) async fn empty(names: &[&str]) -> Fleet {
        Fleet::with_hub(names, &[]).await
    }

    /// The same, with flags for the hub.
    pub(crate) async fn with_hub(names: &[&str], flags: &[&str]) -> Fleet {
        let mut stage = Stage::new().unwrap();
        stage.hub_flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        stage.start_hub().await.unwrap();
        let made = |name: &&str| {
            let options = Options { name: (*name).to_owned(), ..Options::default() };
            ((*name).to_owned(), Cluster::new(options))
        };
        let clusters: BTreeMap<_, _> = names.iter().map(made).collect();
        let server = Server::start(clusters.values().cloned().collect()).await.unwrap();
        Fleet { stage, server, clusters, wires: BTreeMap::new() }
    }

    /// Every cluster runs the first release, `1`, of an App.
    pub(crate) async fn running(app: &str, members: &[(&str, Labels<'_>)]) -> Fleet {
        let names: Vec<_> = members.iter().map(|(name, _)| *name).collect();
        let mut fleet = Fleet::empty(&names).await;
        fleet.join_all(members).await;
        let first = fleet.first(app).await;
        fleet.stage.wait_for_rollout("web", &first, "Completed", SOON).await.unwrap();
        fleet.all_run("1").await;
        fleet
    }

    /// Registers clusters, and starts their agents.
    pub(crate) async fn join_all(&mut self, members: &[(&str, Labels<'_>)]) {
        for (name, labels) in members {
            self.join(name, labels).await;
        }
        let stage = &self.stage;
        let look = || async {
            let items = stage.items("clusters").await?;
            let here = items.iter().filter(|c| c["connected"] == true).count();
            Ok(if here == items.len() { Ok(()) } else { Err(format!("{items:#?}")) })
        };
        stage.wait("every agent to connect", SOON, look).await.unwrap();
    }

    /// Registers a cluster, and starts its agent on a wire.
    pub(crate) async fn join(&mut self, name: &str, labels: Labels<'_>) {
        let file = self.stage.add_cluster(name, labels).await.unwrap();
        let mut token = JoinToken::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let wire = Wire::to(self.hub()).await;
        token.endpoints = vec![wire.address().to_string()];
        std::fs::write(file, token.encode()).unwrap();
        self.wires.insert(name.to_owned(), wire);
        let access = self.server.kubeconfig(name);
        self.stage.start_agent(name, &access).unwrap();
    }

    /// Commits the App at `1` to a new source; the commit.
    pub(crate) async fn first(&self, app: &str) -> String {
        let repository = self.stage.repository();
        repository.write("apps/web/app.yaml", app).unwrap();
        let commit = self.release("1");
        let url = repository.url();
        self.stage.ok(&["source", "add", "fleet", "--url", &url, "--ref", "main"]).await.unwrap();
        commit
    }

    /// Commits a release; the commit.
    pub(crate) fn release(&self, value: &str) -> String {
        let repository = self.stage.repository();
        repository.write("apps/web/manifests/web.yaml", &config_map("web", value)).unwrap();
        repository.commit(&format!("web {value}")).unwrap()
    }

    /// Where agents reach the hub.
    pub(crate) fn hub(&self) -> SocketAddr {
        self.stage.agents_at().parse().unwrap()
    }

    /// The pretended Kubernetes of a cluster.
    pub(crate) fn cluster(&self, name: &str) -> &Cluster {
        &self.clusters[name]
    }

    /// The wire between a cluster's agent and the hub.
    pub(crate) fn wire(&self, name: &str) -> &Wire {
        &self.wires[name]
    }

    /// The release that a cluster runs, read from the cluster.
    pub(crate) fn runs(&self, name: &str) -> Option<String> {
        let object = self.clusters[name].get("", "ConfigMap", Some("default"), "web")?;
        object["data"]["value"].as_str().map(str::to_owned)
    }

    /// What every cluster runs, by name: `c1=2 p1=1`.
    pub(crate) fn all(&self) -> String {
        let one = |name: &String| {
            let runs = self.runs(name).unwrap_or_else(|| "nothing".to_owned());
            format!("{name}={runs}")
        };
        self.clusters.keys().map(one).collect::<Vec<_>>().join(" ")
    }

    /// Waits until every cluster runs a release.
    pub(crate) async fn all_run(&self, value: &str) {
        let names = self.clusters.keys();
        let wanted: Vec<_> = names.map(|name| format!("{name}={value}")).collect();
        self.until_runs(&wanted.join(" ")).await;
    }

    /// Waits until the clusters run this, as [`Fleet::all`] says it.
    pub(crate) async fn until_runs(&self, wanted: &str) {
        let look = || async {
            let all = self.all();
            Ok(if all == wanted { Ok(()) } else { Err(format!("{all}\n{}", self.why().await)) })
        };
        self.stage.wait(&format!("clusters to run {wanted}"), SOON, look).await.unwrap();
    }

    /// Waits until the newest rollout is as wanted; the rollout.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let wanted = &wanted;
        let look = || async move {
            let rollout = self.stage.rollout("web").await?.unwrap_or_default();
            if wanted(&rollout) {
                return Ok(Ok(rollout));
            }
            Ok(Err(format!("{rollout:#}\n{}", self.why().await)))
        };
        self.stage.wait(what, SOON, look).await.unwrap()
    }

    /// Waits until the newest rollout carries a commit and is in a state; the rollout.
    pub(crate) async fn until_state(&self, commit: &str, state: &str) -> Value {
        self.stage.wait_for_rollout("web", commit, state, SOON).await.unwrap()
    }

    /// The newest rollout.
    pub(crate) async fn rollout(&self) -> Value {
        self.stage.rollout("web").await.unwrap().unwrap()
    }

    /// `tidegate why app/web`.
    pub(crate) async fn why(&self) -> String {
        let answer = self.stage.tidegate(&["why", "app/web"]).await.unwrap();
        format!("{}{}", answer.stdout, answer.stderr)
    }

    /// Waits until `tidegate why` has every word; the text.
    pub(crate) async fn until_why(&self, subject: &[&str], words: &[&str]) -> String {
        let arguments = [&["why"], subject].concat();
        let arguments = &arguments;
        let look = || async move {
            let text = self.stage.tidegate(arguments).await?.stdout;
            let all = words.iter().all(|word| text.contains(word));
            Ok(if all { Ok(text) } else { Err(text) })
        };
        let what = format!("`tidegate {}` to say {words:?}", arguments.join(" "));
        self.stage.wait(&what, SOON, look).await.unwrap()
    }

    /// A command that must work; what it said beside its data.
    pub(crate) async fn does(&self, arguments: &[&str]) -> String {
        let answer = self.stage.tidegate(arguments).await.unwrap();
        assert_eq!(answer.code, 0, "{arguments:?}: {answer:?}");
        answer.stderr
    }

    /// A command that must be refused with a code and words.
    pub(crate) async fn refuses(&self, arguments: &[&str], code: i32, words: &[&str]) -> Answer {
        let answer = self.stage.tidegate(arguments).await.unwrap();
        assert_eq!(answer.code, code, "{arguments:?}: {answer:?}");
        let said = format!("{}{}", answer.stdout, answer.stderr);
        for word in words {
            assert!(said.contains(word), "{arguments:?} lacks `{word}`: {said}");
        }
        answer
    }

    /// The grant that a cluster holds, as the hub says.
    pub(crate) async fn epoch(&self, name: &str) -> u64 {
        let item = crate::world::cluster(&self.stage, name).await;
        item["apps"][0]["grant"]["epoch"].as_u64().unwrap_or_default()
    }

    /// Events in the log of the App.
    pub(crate) async fn events(&self) -> u64 {
        let shown = self.stage.json(&["rollout", "show", "web"]).await.unwrap();
        shown["events"].as_u64().unwrap()
    }

    /// When a cluster's agent was last heard, as `get clusters` says.
    pub(crate) async fn last_seen(&self, name: &str) -> Timestamp {
        let item = crate::world::cluster(&self.stage, name).await;
        item["lastSeen"].as_str().unwrap().parse().unwrap()
    }

    /// Waits until a cluster's agent was heard at a time or later.
    pub(crate) async fn until_seen(&self, name: &str, at: Timestamp) {
        let look = || async {
            let seen = self.last_seen(name).await;
            Ok(if seen >= at { Ok(()) } else { Err(format!("last seen {seen}")) })
        };
        self.stage.wait(&format!("{name} to be heard at {at}"), SOON, look).await.unwrap();
    }

    /// Waits until the newest release stands everywhere, and nothing is left to say.
    pub(crate) async fn until_ready(&self) {
        let look = || async {
            let why = self.stage.json(&["why", "app/web"]).await?;
            let done = why["state"] == "Ready" && why["chain"] == Value::Array(Vec::new());
            Ok(if done { Ok(()) } else { Err(format!("{why:#}")) })
        };
        self.stage.wait("nothing to be left", SOON, look).await.unwrap();
    }

    /// Waits until a cluster was silent for so long, as `get clusters` says.
    pub(crate) async fn until_silent(&self, name: &str, length: Duration) {
        let look = || async {
            let seen = self.last_seen(name).await;
            let silent = Clock::system().now().duration_since(seen);
            let enough = Duration::try_from(silent).is_ok_and(|silent| silent > length);
            Ok(if enough { Ok(()) } else { Err(format!("last seen {seen}")) })
        };
        self.stage.wait(&format!("{name} to be silent"), SOON, look).await.unwrap();
    }

    /// Ends it.
    pub(crate) async fn end(self) {
        drop(self.wires);
        self.server.stop().await;
    }
}

/// The wave of a rollout by name.
pub(crate) fn wave<'a>(rollout: &'a Value, name: &str) -> &'a Value {
    let waves = rollout["waves"].as_array().map(Vec::as_slice).unwrap_or_default();
    waves.iter().find(|wave| wave["name"] == name).unwrap_or(&Value::Null)
}

/// How many clusters of a wave are in a state.
pub(crate) fn count(rollout: &Value, name: &str, state: &str) -> u64 {
    wave(rollout, name)["clusters"][state].as_u64().unwrap_or_default()
}
