//! One pretend cluster: its API, its switches, and a side door for tests that act as other people.

use crate::{
    api, controllers,
    faults::Faults,
    kinds::Kind,
    ops::{self, DeleteOptions, Write},
    options::Options,
    patch::merge_patch,
    requests::RequestLog,
    shared::Shared,
    state::{Place, State, place_of},
    status::Status,
};
use http::{Request, Response};
use serde_json::{Value, json};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A pretend cluster in memory; clones are handles to the same one.
///
/// Its controllers run as one task on the tokio runtime in which it is made (or, if there was
/// none, first asked), and end with the last handle.
#[derive(Clone, Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
}

/// The names of the namespaces that every cluster has.
const SPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

impl Cluster {
    /// A new cluster with its namespaces and nodes, and nothing else.
    pub fn new(options: Options) -> Cluster {
        let nodes = options.nodes;
        let shared = Arc::new(Shared::new(options));
        {
            let mut state = shared.state();
            for space in SPACES {
                let namespace = json!({
                    "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space},
                });
                furnish(&mut state, "kube-apiserver", namespace);
            }
            for number in 0..nodes {
                let node = node(number, &state);
                furnish(&mut state, "kubelet", node);
            }
        }
        controllers::ensure(&shared);
        Cluster { shared }
    }

    /// Another cluster with the same name and token, in the state of this moment; from then on each goes its own way.
    #[must_use]
    pub fn copy(&self) -> Cluster {
        let shared = Arc::new(self.shared.copy());
        controllers::ensure(&shared);
        Cluster { shared }
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    pub(crate) fn token(&self) -> &str {
        &self.shared.token
    }

    /// Answers one API request. Nobody is asked who they are; the HTTPS server does that.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<api::ResponseBody>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        controllers::ensure(&self.shared);
        api::handle(&self.shared, request).await
    }

    /// The API as a tower service, for a client in the same process.
    pub fn service(&self) -> Service {
        Service { cluster: self.clone() }
    }

    /// The fault switches.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What was asked so far.
    pub fn requests(&self) -> RequestLog {
        self.shared.requests().clone()
    }

    /// Counts from zero again.
    pub fn reset_requests(&self) {
        *self.shared.requests() = RequestLog::default();
    }

    /// Forgets all past events: a watch or a page from an older version gets 410 Gone.
    pub fn compact(&self) {
        self.shared.state().forget_events();
    }

    /// Counts versions from `by` earlier on, as a store does that was restored from a backup: the objects stay as they
    /// are, with versions that went down, and no watch can go on.
    pub fn rewind(&self, by: u64) {
        self.shared.state().rewind(by);
    }

    /// One object as it stands; `group` is empty for the core kinds.
    pub fn get(
        &self,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Value> {
        let state = self.shared.state();
        let kind = state.kind_named(group, kind)?;
        state.get(&kind, &place(namespace, name)).map(|object| ops::in_version(&object, &kind))
    }

    /// All objects of a kind, by namespace and name.
    pub fn list(&self, group: &str, kind: &str) -> Vec<Value> {
        self.shared.state().all(group, kind).iter().map(|object| (**object).clone()).collect()
    }

    /// Applies an object as another field manager would.
    pub fn apply_as(&self, manager: &str, force: bool, object: Value) -> Result<Value, Status> {
        let mut state = self.shared.state();
        let kind = state.kind_of(&object)?;
        let place = place_of(&kind, &object);
        let write = Write { force, ..Write::by(manager, "") };
        let done = ops::apply(&mut state, &kind, &place, object, &write)?;
        Ok((*done.object).clone())
    }

    /// Creates an object as another field manager would, with POST.
    pub fn create_as(&self, manager: &str, object: Value) -> Result<Value, Status> {
        let mut state = self.shared.state();
        let kind = state.kind_of(&object)?;
        let namespace = place_of(&kind, &object).0;
        let done = ops::create(&mut state, &kind, &namespace, object, &Write::by(manager, ""))?;
        Ok((*done.object).clone())
    }

    /// Edits an object as another field manager would, with a merge patch.
    #[expect(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
    pub fn merge_patch_as(
        &self,
        manager: &str,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        patch: Value,
    ) -> Result<Value, Status> {
        self.patch(&Write::by(manager, ""), (group, kind), &place(namespace, name), &patch)
    }

    /// Writes an object's status as a controller would, with a merge patch on `/status`.
    #[expect(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
    pub fn patch_status_as(
        &self,
        manager: &str,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        patch: Value,
    ) -> Result<Value, Status> {
        self.patch(&Write::by(manager, "status"), (group, kind), &place(namespace, name), &patch)
    }

    /// Scales a workload through its `scale` subresource, as an autoscaler would.
    pub fn scale_as(
        &self,
        manager: &str,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        replicas: u32,
    ) -> Result<Value, Status> {
        let mut state = self.shared.state();
        let kind = known(&state, group, kind)?;
        let (place, write) = (place(namespace, name), Write::by(manager, "scale"));
        let scale = json!({"spec": {"replicas": replicas}});
        let done = ops::modify(&mut state, &kind, &place, &write, |live| {
            Ok(ops::with_scale(&kind, live, &scale))
        })?;
        Ok((*done.object).clone())
    }

    fn patch(
        &self,
        write: &Write,
        (group, kind): (&str, &str),
        place: &Place,
        patch: &Value,
    ) -> Result<Value, Status> {
        let mut state = self.shared.state();
        let kind = known(&state, group, kind)?;
        let done =
            ops::modify(&mut state, &kind, place, write, |live| Ok(merge_patch(live, patch)))?;
        Ok((*done.object).clone())
    }

    /// Deletes an object in the background, as another person would.
    pub fn delete(
        &self,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<(), Status> {
        let mut state = self.shared.state();
        let kind = known(&state, group, kind)?;
        let options = DeleteOptions {
            propagation: Some(ops::Propagation::Background),
            ..DeleteOptions::default()
        };
        ops::delete(&mut state, &kind, &place(namespace, name), &options).map(|_| ())
    }
}

fn known(state: &State, group: &str, kind: &str) -> Result<Arc<Kind>, Status> {
    let found = state.kind_named(group, kind);
    found.ok_or_else(|| Status::new(404, "NotFound", "404 page not found"))
}

fn place(namespace: Option<&str>, name: &str) -> Place {
    (namespace.unwrap_or_default().to_owned(), name.to_owned())
}

/// Puts an object in at the start; what is given here is right by construction.
fn furnish(state: &mut State, manager: &str, object: Value) {
    let Ok(kind) = state.kind_of(&object) else { return };
    let _accepted = ops::create(state, &kind, "", object, &Write::by(manager, ""));
}

fn node(number: u32, state: &State) -> Value {
    let name = format!("node-{number}");
    let now = state.clock.stamp();
    let room = json!({"cpu": "32", "memory": "128Gi", "pods": "110"});
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
        }},
        "spec": {"providerID": format!("sim:///zone-a/{name}")},
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady",
                "message": "kubelet is posting ready status",
                "lastHeartbeatTime": now, "lastTransitionTime": now,
            }],
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux",
                "kubeletVersion": state.options.version, "bootID": "", "containerRuntimeVersion": "sim://1",
                "kernelVersion": "6.0.0", "kubeProxyVersion": "", "machineID": "", "osImage": "sim",
                "systemUUID": "",
            },
        },
    })
}

/// A cluster's API for a client in the same process.
#[derive(Clone, Debug)]
pub struct Service {
    cluster: Cluster,
}

type Answering = Pin<Box<dyn Future<Output = io::Result<Response<api::ResponseBody>>> + Send>>;

impl<B> tower::Service<Request<B>> for Service
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<api::ResponseBody>;
    type Error = io::Error;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answering {
        let cluster = self.cluster.clone();
        Box::pin(async move {
            let response = cluster.handle(request).await;
            if api::is_broken(&response) {
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            } else {
                Ok(response)
            }
        })
    }
}
