//! Simulated clusters for the scenarios.

use simcluster::{Cluster, Options, Server};

use crate::scenarios::scene::Scene;

/// Kubeconfig of a cluster to play the stories on instead: a real one with controllers, made for tests.
const ELSEWHERE: &str = "TIDEGATE_TEST_KUBECONFIG";

/// A cluster for this story alone.
pub(crate) async fn simulated(name: &str) -> Scene {
    match std::env::var_os(ELSEWHERE) {
        Some(path) => Scene::new(name, &std::fs::read_to_string(path).unwrap(), Box::new(())).await,
        None => scene(name).await.0,
    }
}

/// Likewise, with its switches.
pub(crate) async fn scene(name: &str) -> (Scene, Cluster) {
    if std::env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        drop(tracing_subscriber::fmt().with_env_filter(filter).try_init());
    }
    let cluster = Cluster::new(Options { name: name.to_owned(), ..Options::default() });
    let server = Server::start(vec![cluster.clone()]).await.unwrap();
    let scene = Scene::new(name, &server.kubeconfig(name), Box::new(server)).await;
    (scene, cluster)
}

crate::scenarios::play_all!(crate::stage::simulated);
