//! One cluster, one hub, one agent.

use std::path::PathBuf;
use std::time::Duration;

use agent::{Config, Deps, Kubeconfig, Limits, Running};
use serde_json::{Value, json};
use simcluster::{Cluster, Options, Server};
use tempfile::TempDir;

use crate::hub::{Hub, PATIENCE};

pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) cluster: Cluster,
    pub(crate) dir: TempDir,
    server: Option<Server>,
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> World {
        if std::env::var_os("RUST_LOG").is_some() {
            drop(
                tracing_subscriber::fmt()
                    .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
                    .try_init(),
            );
        }
        let hub = Hub::start().await;
        let options = Options { name: "eu-1".into(), ..options };
        let cluster = Cluster::new(options);
        let server = Server::start(vec![cluster.clone()]).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("kubeconfig"), server.kubeconfig("eu-1")).unwrap();
        let world = World { hub, cluster, dir, server: Some(server) };
        world.write_token(1);
        world
    }

    /// The API server comes back with another certificate; what clients shall trust is told to nobody yet.
    pub(crate) async fn renew_certificate(&mut self, new_authority: bool) {
        let server = self.server.take().unwrap();
        self.server = Some(server.renew(new_authority).await.unwrap());
    }

    /// A person puts the kubeconfig of now where the old one stood.
    pub(crate) fn write_kubeconfig(&self) {
        let kubeconfig = self.server.as_ref().unwrap().kubeconfig("eu-1");
        std::fs::write(self.path("kubeconfig"), kubeconfig).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write_token(&self, id: u8) {
        std::fs::write(self.path("join"), self.hub.token(id).encode()).unwrap();
    }

    pub(crate) fn config(&self) -> Config {
        let kubeconfig = Kubeconfig::File(self.path("kubeconfig"));
        let mut config = Config::new(Some(self.path("join")), kubeconfig, Some(self.path("state")));
        // Tests are not about speed, and the machine is shared.
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

    pub(crate) fn get(&self, group: &str, kind: &str, name: &str) -> Option<Value> {
        self.cluster.get(group, kind, Some("shop"), name)
    }

    pub(crate) fn data(&self, name: &str, field: &str) -> Option<String> {
        let object = self.get("", "ConfigMap", name)?;
        object.get("data")?.get(field)?.as_str().map(str::to_owned)
    }

    /// Waits until the cluster satisfies `test`, looking often; returns how long it took.
    pub(crate) async fn until(&self, what: &str, test: impl Fn(&Cluster) -> bool) -> Duration {
        let start = tokio::time::Instant::now();
        while !test(&self.cluster) {
            assert!(start.elapsed() < PATIENCE, "waited for {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        start.elapsed()
    }

    /// Waits until no request was made for `quiet`, apart from watches that are renewed.
    pub(crate) async fn quiet(&self, quiet: Duration) {
        let mut last = self.cluster.requests().total();
        let mut since = tokio::time::Instant::now();
        let start = since;
        while since.elapsed() < quiet {
            assert!(start.elapsed() < PATIENCE, "never quiet");
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = self.cluster.requests().total();
            if now != last {
                last = now;
                since = tokio::time::Instant::now();
            }
        }
    }
}

pub(crate) fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
}

pub(crate) fn config_map(name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop"}, "data": {"key": value},
    })
}

pub(crate) fn deployment(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
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
