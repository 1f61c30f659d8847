//! One cluster behind one server, and a client as the agent makes it.

use kube::{
    Client, Config,
    api::{Api, DynamicObject, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use simcluster::{Cluster, Options, Server};
use std::time::Duration;

pub(crate) struct Setup {
    pub(crate) cluster: Cluster,
    pub(crate) server: Server,
    pub(crate) client: Client,
}

/// A client that tries once.
pub(crate) async fn client(kubeconfig: &str) -> Client {
    let config = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig");
    let mut config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
        .await
        .expect("a config");
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

pub(crate) async fn setup_with(options: Options) -> Setup {
    let cluster = Cluster::new(options);
    let server = Server::start(vec![cluster.clone()]).await.expect("a free port");
    let client = client(&server.kubeconfig(cluster.name())).await;
    Setup { cluster, server, client }
}

pub(crate) fn quick() -> Options {
    let tick = Duration::from_millis(5);
    Options { tick, ready_after: tick * 4, ..Options::default() }
}

pub(crate) async fn setup() -> Setup {
    setup_with(quick()).await
}

impl Setup {
    pub(crate) fn api(
        &self,
        group: &str,
        version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// A core kind in the namespace `default`.
    pub(crate) fn core(&self, kind: &str) -> Api<DynamicObject> {
        self.api("", "v1", kind, Some("default"))
    }

    pub(crate) fn deployments(&self) -> Api<DynamicObject> {
        self.api("apps", "v1", "Deployment", Some("default"))
    }

    /// Applies as a manager, not by force.
    pub(crate) async fn apply(
        &self,
        manager: &str,
        api: &Api<DynamicObject>,
        object: &Value,
    ) -> Result<DynamicObject, kube::Error> {
        let name = object["metadata"]["name"].as_str().expect("a name");
        api.patch(name, &PatchParams::apply(manager), &Patch::Apply(object)).await
    }

    /// Waits until the cluster satisfies a condition; fails after ten seconds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Cluster) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(10), async {
            while !holds(&self.cluster) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "waited ten seconds for: {what}");
    }
}

/// The Status in an error of the client.
pub(crate) fn status(error: kube::Error) -> kube::core::Status {
    if let kube::Error::Api(status) = error {
        return *status;
    }
    panic!("not an answer of the API: {error:?}")
}

pub(crate) fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
           "metadata": {"name": name, "namespace": "default"}, "data": data})
}

pub(crate) fn deployment(image: &str, replicas: u32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image}]}}}})
}
