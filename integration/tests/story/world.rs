//! Two clusters, two Apps: one has the bad day, the other must not notice.

use std::time::Duration;

use integration::stage::Stage;
use serde_json::{Value, json};
use simcluster::{Cluster, Options, Server};

/// How long anything in these stories may take on two busy cores.
pub(crate) const SOON: Duration = Duration::from_secs(90);

pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) server: Server,
}

/// An App with one wave.
pub(crate) fn app(name: &str, select: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  source: {{path: manifests}}\n  targets: {{select: \"{select}\"}}\n  rollout:\n    defaults: {{minHealthy: 1s, progressDeadline: 1m}}\n    waves: [{{name: all, rest: true, maxInFlight: 2}}]\n"
    )
}

/// A config map of an App.
pub(crate) fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\ndata: {{value: \"{value}\"}}\n"
    )
}

impl World {
    /// Hub and agents run; `web` and `other` stand on both clusters.
    pub(crate) async fn start() -> World {
        World::traced(None).await
    }

    /// The same, with a collector of traces.
    pub(crate) async fn traced(otlp: Option<String>) -> World {
        let mut stage = Stage::new().unwrap();
        stage.otlp = otlp;
        stage.start_hub().await.unwrap();
        let named =
            |name: &str| Cluster::new(Options { name: name.to_owned(), ..Options::default() });
        let clusters = vec![named("east"), named("west")];
        let server = Server::start(clusters.clone()).await.unwrap();
        for cluster in &clusters {
            stage.add_cluster(cluster.name(), &[("side", cluster.name())]).await.unwrap();
            let access = server.kubeconfig(cluster.name());
            stage.start_agent(cluster.name(), &access).unwrap();
        }
        let repository = stage.repository();
        for name in ["web", "other"] {
            repository.write(&format!("apps/{name}/app.yaml"), &app(name, "true")).unwrap();
            let file = format!("apps/{name}/manifests/{name}.yaml");
            repository.write(&file, &config_map(name, "1")).unwrap();
        }
        let commit = repository.commit("two apps").unwrap();
        let url = repository.url();
        stage.ok(&["source", "add", "fleet", "--url", &url, "--ref", "main"]).await.unwrap();
        for name in ["web", "other"] {
            stage.wait_for_rollout(name, &commit, "Completed", SOON).await.unwrap();
        }
        World { stage, clusters, server }
    }

    /// The value of an App's config map on each cluster; `None` where it is gone.
    pub(crate) fn values(&self, name: &str) -> Vec<Option<String>> {
        let value = |cluster: &Cluster| {
            let object = cluster.get("", "ConfigMap", Some("default"), name)?;
            object["data"]["value"].as_str().map(str::to_owned)
        };
        self.clusters.iter().map(value).collect()
    }

    /// Waits until an App shows a reason; returns its message.
    pub(crate) async fn shows(&self, app: &str, reason: &str) -> String {
        let stage = &self.stage;
        let look = || async {
            let items = stage.items("apps").await?;
            let item = items.into_iter().find(|a| a["name"] == app).unwrap_or(Value::Null);
            let message = item["message"].as_str().unwrap_or_default().to_owned();
            Ok(if item["reason"] == reason { Ok(message) } else { Err(format!("{item:#}")) })
        };
        stage.wait(&format!("{app} to show {reason}"), SOON, look).await.unwrap()
    }

    /// The App without the bad day still gets its commits.
    pub(crate) async fn other_goes_on(&self, value: &str) {
        let repository = self.stage.repository();
        repository.write("apps/other/manifests/other.yaml", &config_map("other", value)).unwrap();
        let commit = repository.commit("other goes on").unwrap();
        self.stage.wait_for_rollout("other", &commit, "Completed", SOON).await.unwrap();
        assert_eq!(self.values("other"), vec![Some(value.to_owned()); 2]);
    }

    /// `why` says the reason, and what to do.
    pub(crate) async fn why_says(&self, subject: &str, needed: &[&str]) {
        let text = self.stage.ok(&["why", subject]).await.unwrap();
        for word in needed.iter().chain(&["You can"]) {
            assert!(text.contains(word), "`why {subject}` lacks {word}:\n{text}");
        }
    }
}

/// JSON of a cluster item by name.
pub(crate) async fn cluster(stage: &Stage, name: &str) -> Value {
    let items = stage.items("clusters").await.unwrap();
    items.into_iter().find(|c| c["name"] == name).unwrap_or(json!({}))
}
