//! One cluster behind one server, and a client as the agent makes it.

use kube::{
    Client, Config,
    api::{Api, DynamicObject, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::Value;
use simcluster::{Cluster, Options, Server};
use std::time::Duration;

pub(crate) struct Setup {
    pub(crate) cluster: Cluster,
    pub(crate) server: Server,
    pub(crate) client: Client,
}

pub(crate) async fn client(server: &Server, name: &str) -> Client {
    let config = Kubeconfig::from_yaml(&server.kubeconfig(name)).unwrap();
    let config =
        Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

pub(crate) async fn setup_with(options: Options) -> Setup {
    let cluster = Cluster::new(options);
    let server = Server::start(vec![cluster.clone()]).await.unwrap();
    let client = client(&server, cluster.name()).await;
    Setup { cluster, server, client }
}

pub(crate) async fn setup() -> Setup {
    let quick = Duration::from_millis(5);
    setup_with(Options { tick: quick, ready_after: quick * 4, ..Options::default() }).await
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

    pub(crate) fn core(&self, kind: &str) -> Api<DynamicObject> {
        self.api("", "v1", kind, Some("default"))
    }

    /// Applies as a manager, not by force.
    pub(crate) async fn apply(
        &self,
        manager: &str,
        api: &Api<DynamicObject>,
        object: &Value,
    ) -> Result<DynamicObject, kube::Error> {
        let name = object["metadata"]["name"].as_str().unwrap();
        api.patch(name, &PatchParams::apply(manager), &Patch::Apply(object)).await
    }

    /// Waits until an object satisfies a condition; fails after ten seconds.
    pub(crate) async fn until(&self, what: &str, find: impl Fn(&Cluster) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(10), async {
            while !find(&self.cluster) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "waited ten seconds for: {what}");
    }
}

/// The Status in an error of the client.
pub(crate) fn status(error: kube::Error) -> kube::core::Status {
    match error {
        kube::Error::Api(status) => *status,
        other => panic!("not an answer of the API: {other:?}"),
    }
}
