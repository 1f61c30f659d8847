//! One cluster, simulated or real, with a hub that says what the story says and an agent for this story alone.

use std::any::Any;
use std::path::PathBuf;
use std::time::Duration;

use agent::{Config, Deps, Kubeconfig, Limits, Running};
use model::{Phase, Reason, Report};
use proto::convert::GrantOptions;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::outside::Outside;
use crate::hub::{Hub, PATIENCE};

/// What a story plays on. Names of everything that the story makes begin with its own, because a real
/// cluster is shared by all.
pub(crate) struct Scene {
    pub(crate) name: String,
    pub(crate) hub: Hub,
    pub(crate) outside: Outside,
    dir: TempDir,
    /// Ends with the scene.
    _cluster: Box<dyn Any + Send + Sync>,
}

impl Scene {
    pub(crate) async fn new(
        name: &str,
        kubeconfig: &str,
        cluster: Box<dyn Any + Send + Sync>,
    ) -> Scene {
        let hub = Hub::start().await;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("kubeconfig"), kubeconfig).unwrap();
        std::fs::write(dir.path().join("join"), hub.token(1).encode()).unwrap();
        let outside = Outside::new(kubeconfig).await;
        Scene { name: name.to_owned(), hub, outside, dir, _cluster: cluster }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn config(&self) -> Config {
        let kubeconfig = Kubeconfig::File(self.path("kubeconfig"));
        let mut config = Config::new(Some(self.path("join")), kubeconfig, Some(self.path("state")));
        // Stories are not about speed, and the machine is shared.
        config.limits = Limits {
            writes_per_second: 500,
            writes_burst: 500,
            reads_per_second: 1000,
            wait: Duration::from_secs(5),
            ..Limits::default()
        };
        config
    }

    pub(crate) async fn agent(&self) -> Running {
        agent::start(self.config(), Deps::default()).await.unwrap()
    }

    /// Ends the agent as `kill -9` does, and starts it again.
    pub(crate) async fn revive(&self, agent: Running) -> Running {
        drop(agent);
        self.agent().await
    }

    /// The hub grants the story's App.
    pub(crate) fn grant(&self, epoch: u64, objects: &[Value]) {
        self.hub.grant(&self.name, epoch, objects);
    }

    /// Likewise, with what the App chose for its agent.
    pub(crate) fn grant_choosing(&self, epoch: u64, objects: &[Value], choices: &Value) {
        self.grant_app(&self.name, epoch, objects, choices);
    }

    /// Likewise, for another App of the same story.
    pub(crate) fn grant_app(&self, app: &str, epoch: u64, objects: &[Value], choices: &Value) {
        let choices = choices.to_string().into_bytes();
        let options = GrantOptions { choices, ..GrantOptions::default() };
        self.hub.grant_with(app, epoch, objects, options);
    }

    pub(crate) async fn healthy(&self, epoch: u64) -> Report {
        self.hub.healthy(&self.name, epoch).await
    }

    pub(crate) async fn failed(&self, epoch: u64) -> (Reason, String) {
        self.hub.failed(&self.name, epoch).await
    }

    pub(crate) async fn reported(&self, epoch: u64, test: impl Fn(&Phase) -> bool) -> Report {
        self.hub.reported(&self.name, epoch, test).await
    }

    /// Waits for a report of `epoch` that names an object by this reason; its message.
    pub(crate) async fn unhealthy(&self, epoch: u64, reason: Reason) -> String {
        let what = format!("{reason:?} at epoch {epoch}");
        let found = self.hub.until(&what, |book| {
            let of = book.reports.iter().rev().find(|(app, _)| app.as_str() == self.name)?;
            if of.1.epoch.0 != epoch {
                return None;
            }
            let named = of.1.unhealthy.iter().find(|o| o.reason == Some(reason));
            named.map(|object| object.message.clone())
        });
        found.await
    }

    pub(crate) fn namespace(&self) -> Value {
        namespace(&self.name)
    }

    pub(crate) fn config_map(&self, name: &str, value: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self.name}, "data": {"key": value},
        })
    }

    pub(crate) fn deployment(&self, name: &str, image: &str) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": self.name},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": "main", "image": image}]},
                },
            },
        })
    }

    /// `data.key` of a config map.
    pub(crate) async fn data(&self, name: &str) -> Option<String> {
        let live = self.outside.get(&self.config_map(name, "")).await?;
        live["data"]["key"].as_str().map(str::to_owned)
    }

    /// Waits until a config map holds `value`.
    pub(crate) async fn until_data(&self, name: &str, value: &str) -> Duration {
        let holds = |live: Option<&Value>| live.is_some_and(|o| o["data"]["key"] == value);
        self.outside.until("the value", &self.config_map(name, ""), holds).await
    }
}

/// An empty set that a person allowed to delete everything.
pub(crate) fn delete_all(scene: &Scene, epoch: u64, choices: &Value) {
    let allow = vec!["EmptySet".to_owned(), "NamespaceWipe".to_owned(), "MassPrune".to_owned()];
    let choices = choices.to_string().into_bytes();
    let options = GrantOptions { allow, choices, ..GrantOptions::default() };
    scene.hub.grant_with(&scene.name, epoch, &[], options);
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// Requests of an agent to its API server, by verb and code (`*`: any). Renewals of watches count too.
pub(crate) fn requests(agent: &Running, verb: &str, code: &str) -> u64 {
    let text = agent.metrics();
    let lines = text.lines().filter(|l| l.starts_with("tidegate_agent_kube_requests_total{"));
    let fits = |line: &&str, label: &str, wanted: &str| {
        wanted == "*" || line.contains(&format!("{label}=\"{wanted}\""))
    };
    lines
        .filter(|line| fits(line, "verb", verb) && fits(line, "code", code))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Requests that may change something.
pub(crate) fn writes(agent: &Running) -> u64 {
    ["apply", "patch", "create", "update", "delete"].iter().map(|v| requests(agent, v, "*")).sum()
}

/// Waits until the agent made no request for `quiet`.
pub(crate) async fn quiet(agent: &Running, quiet: Duration) {
    let start = tokio::time::Instant::now();
    let (mut last, mut since) = (requests(agent, "*", "*"), start);
    while since.elapsed() < quiet {
        assert!(start.elapsed() < PATIENCE, "never quiet");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = requests(agent, "*", "*");
        if now != last {
            (last, since) = (now, tokio::time::Instant::now());
        }
    }
}
