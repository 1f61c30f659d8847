//! Which of several agents of one cluster writes: the holder of a Lease. The others wait.
//!
//! No clock is compared with another's: a Lease is free when its `renewTime` did not move for its whole life by our own
//! monotonic clock. The holder may write for a shorter time than that after each renewal, so that an agent which was
//! frozen finds its leash too short before its first write.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use model::ObjectParts;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Accept, Ask, Cluster};
use super::leash::Leash;
use super::{Reply, Resource};
use crate::clock::Clock;

/// A Lease that is not renewed for so long is free.
const LIFE: Duration = Duration::from_secs(15);
/// Between two renewals, or two looks whether it is free.
const RENEW: Duration = Duration::from_secs(2);
/// Name of the Lease.
const NAME: &str = "tidegate-agent";

/// One candidate.
#[derive(Debug)]
pub struct Leadership {
    cluster: Cluster,
    namespace: String,
    holder: String,
    clock: Clock,
    leash: Arc<Leash>,
}

impl Leadership {
    /// A candidate for the Lease in `namespace`.
    pub fn new(cluster: Cluster, namespace: &str, clock: Clock) -> Leadership {
        Leadership {
            cluster,
            namespace: namespace.to_owned(),
            holder: uuid::Uuid::new_v4().to_string(),
            clock,
            leash: Arc::default(),
        }
    }

    /// The API server, for writes only while the Lease is held.
    pub fn leashed(&self) -> Cluster {
        self.cluster.on_leash(Arc::clone(&self.leash))
    }

    /// Waits until the Lease is ours.
    pub async fn acquire(&self) {
        let mut seen: Option<(Value, Instant)> = None;
        loop {
            if self.attempt(&mut seen).await {
                tracing::info!(holder = self.holder, "leads");
                return;
            }
            tokio::time::sleep(RENEW).await;
        }
    }

    async fn attempt(&self, seen: &mut Option<(Value, Instant)>) -> bool {
        let Ok(reply) = self.ask(Method::GET, &self.object(), None).await else { return false };
        if reply.code == 404 {
            return self.make().await;
        }
        let spec = reply.body.get("spec").cloned().unwrap_or_default();
        let holder = spec.get("holderIdentity").and_then(Value::as_str).unwrap_or("");
        let now = Instant::now();
        let since = match seen {
            Some((before, since)) if *before == spec => *since,
            _ => {
                *seen = Some((spec.clone(), now));
                now
            }
        };
        let free = holder.is_empty() || holder == self.holder || now - since >= LIFE;
        reply.is_success() && free && self.take(&reply.body).await
    }

    async fn make(&self) -> bool {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": self.namespace}});
        // It is there already, or making one is not our right: then the next request tells.
        drop(self.ask(Method::POST, "/api/v1/namespaces", Some(&namespace)).await);
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": NAME, "namespace": self.namespace}, "spec": self.spec(0)});
        self.send(Method::POST, &Self::resource().collection(&self.namespace), &lease).await
    }

    async fn take(&self, live: &Value) -> bool {
        let mut lease = live.clone();
        let before = live.pointer("/spec/leaseTransitions").and_then(Value::as_i64).unwrap_or(0);
        lease["spec"] = self.spec(before + 1);
        self.send(Method::PUT, &self.object(), &lease).await
    }

    /// Renews until the Lease is lost, or may be.
    pub async fn keep(&self) {
        loop {
            tokio::time::sleep(RENEW).await;
            let renewed = match self.ask(Method::GET, &self.object(), None).await {
                Ok(reply) if reply.is_success() => {
                    let holder = reply.body.pointer("/spec/holderIdentity").and_then(Value::as_str);
                    if holder != Some(&self.holder) {
                        break;
                    }
                    let mut lease = reply.body;
                    lease["spec"]["renewTime"] = json!(self.now());
                    self.send(Method::PUT, &self.object(), &lease).await
                }
                Ok(_) | Err(_) => false,
            };
            if !renewed && !self.leash.holds() {
                break;
            }
        }
        self.leash.drop_now();
        tracing::error!(holder = self.holder, "does not lead any more");
    }

    /// Lets others lead at once.
    pub async fn release(&self) {
        let Ok(reply) = self.ask(Method::GET, &self.object(), None).await else { return };
        let holder = reply.body.pointer("/spec/holderIdentity").and_then(Value::as_str);
        self.leash.drop_now();
        if reply.is_success() && holder == Some(&self.holder) {
            let mut lease = reply.body;
            lease["spec"]["holderIdentity"] = json!("");
            drop(self.ask(Method::PUT, &self.object(), Some(&lease)).await);
        }
    }

    /// Writes the Lease; the leash counts from before the request.
    async fn send(&self, method: Method, path: &str, lease: &Value) -> bool {
        let sent = Instant::now();
        let reply = self.ask(method, path, Some(lease)).await;
        let done = reply.is_ok_and(|reply| reply.is_success());
        if done {
            self.leash.renewed(sent);
        }
        done
    }

    fn spec(&self, transitions: i64) -> Value {
        json!({
            "holderIdentity": self.holder, "leaseDurationSeconds": LIFE.as_secs(),
            "acquireTime": self.now(), "renewTime": self.now(), "leaseTransitions": transitions,
        })
    }

    /// As Kubernetes writes a `MicroTime`.
    fn now(&self) -> String {
        self.clock.now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
    }

    fn resource() -> Resource {
        let group = "coordination.k8s.io".to_owned();
        Resource { group, ..Resource::core("Lease", "leases", true) }
    }

    fn object(&self) -> String {
        Self::resource().object(
            &ObjectParts {
                group: "coordination.k8s.io".to_owned(),
                kind: "Lease".to_owned(),
                namespace: self.namespace.clone(),
                name: NAME.to_owned(),
            }
            .into(),
        )
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, super::Error> {
        let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
        let (verb, accept) = ("lease", Accept::Full);
        self.cluster
            .ask(Ask { verb, method, path: path.to_owned(), accept, body, etag: None })
            .await
    }
}
