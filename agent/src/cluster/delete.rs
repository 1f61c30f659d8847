//! Delete, always with the uid that was judged.

use http::Method;
use model::ObjectKey;
use serde_json::json;

use super::client::{Accept, Ask, Cluster};
use super::{Error, Reply, Resource};

/// How the API server treats what belongs to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Object first, children after.
    Background,
    /// Children first.
    Foreground,
    /// Children stay.
    Orphan,
}

impl Cluster {
    /// Deletes `key` if it still is the object with `uid`, and in `version` when one is named.
    pub async fn delete(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        (uid, version): (&str, Option<&str>),
        propagation: Propagation,
    ) -> Result<Reply, Error> {
        let policy = match propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        };
        let mut preconditions = json!({"uid": uid});
        if let Some(version) = version {
            preconditions["resourceVersion"] = json!(version);
        }
        let body = json!({
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": policy,
            "preconditions": preconditions,
        });
        self.ask(Ask {
            verb: "delete",
            method: Method::DELETE,
            path: resource.object(key),
            accept: Accept::Full,
            body: Some(("application/json", body.to_string().into_bytes())),
            etag: None,
        })
        .await
    }
}
