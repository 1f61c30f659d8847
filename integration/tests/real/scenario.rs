//! The agent's conformance scenarios on a real cluster with controllers; the same stories run on a simulated one in
//! the agent's own tests.

use crate::clusters::whole;
use crate::scenarios::scene::Scene;

/// The shared cluster. Names of everything that a story makes begin with its own.
async fn real(name: &str) -> Scene {
    Scene::new(name, &whole().await.kubeconfig(), Box::new(())).await
}

crate::scenarios::play_all!(crate::scenario::real);
