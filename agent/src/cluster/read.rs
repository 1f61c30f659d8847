//! Reads: one object, its metadata, lists.

use model::ObjectKey;
use serde_json::Value;

use super::client::{Accept, Ask, Cluster};
use super::resource::{Resource, escape};
use super::{Error, Reply};

/// Objects a page.
const PAGE: usize = 500;
/// Pages of one list: 100,000 objects.
const PAGES_MAX: usize = 200;

/// One whole list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its objects; of metadata lists only metadata.
    pub items: Vec<Value>,
    /// `resourceVersion` of the list.
    pub resource_version: String,
}

impl Cluster {
    /// The whole object.
    pub async fn object(&self, resource: &Resource, key: &ObjectKey) -> Result<Reply, Error> {
        self.ask(Ask::get("get", resource.object(key), Accept::Full)).await
    }

    /// Its metadata.
    pub async fn metadata(&self, resource: &Resource, key: &ObjectKey) -> Result<Reply, Error> {
        self.ask(Ask::get("get", resource.object(key), Accept::Metadata)).await
    }

    /// At most `limit` objects that carry `labels`, whole.
    pub async fn some(
        &self,
        resource: &Resource,
        namespace: &str,
        labels: &str,
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        let path = format!(
            "{}?labelSelector={}&limit={limit}",
            resource.collection(namespace),
            escape(labels)
        );
        let ask = Ask::get("list", path, Accept::Full);
        let what = ask.what();
        let reply = self.ask(ask).await?;
        if !reply.is_success() {
            return Err(Error::refused(&what, &reply));
        }
        Ok(items(reply.body))
    }

    /// Metadata of all objects in a namespace (empty: everywhere), by pages.
    pub async fn list_metadata(
        &self,
        resource: &Resource,
        namespace: &str,
        limit: Option<usize>,
    ) -> Result<Listed, Error> {
        self.list(resource, namespace, "", Accept::MetadataList, limit).await
    }

    /// Metadata of all objects that carry `label`, everywhere.
    pub async fn list_labelled(
        &self,
        resource: &Resource,
        label: &str,
    ) -> Result<Vec<Value>, Error> {
        Ok(self.list(resource, "", label, Accept::MetadataList, None).await?.items)
    }

    /// Lists by pages. A list that expires on the way begins again once.
    pub(super) async fn list(
        &self,
        resource: &Resource,
        namespace: &str,
        labels: &str,
        accept: Accept,
        limit: Option<usize>,
    ) -> Result<Listed, Error> {
        let first = self.pages(resource, namespace, labels, accept, limit).await;
        match first {
            Err(Error::Refused { code: 410, .. }) => {
                self.pages(resource, namespace, labels, accept, limit).await
            }
            other => other,
        }
    }

    async fn pages(
        &self,
        resource: &Resource,
        namespace: &str,
        labels: &str,
        accept: Accept,
        limit: Option<usize>,
    ) -> Result<Listed, Error> {
        let mut all = Listed { items: Vec::new(), resource_version: String::new() };
        let mut go_on = String::new();
        let page = limit.unwrap_or(PAGE).min(PAGE);
        for _ in 0..PAGES_MAX {
            let mut path = format!("{}?limit={page}", resource.collection(namespace));
            for (name, value) in [("labelSelector", labels), ("continue", &go_on)] {
                if !value.is_empty() {
                    path.push_str(&format!("&{name}={}", escape(value)));
                }
            }
            let ask = Ask::get("list", path, accept);
            let what = ask.what();
            let reply = self.ask(ask).await?;
            if !reply.is_success() {
                return Err(Error::refused(&what, &reply));
            }
            let meta = |name: &str| {
                reply.body.pointer(&format!("/metadata/{name}")).and_then(Value::as_str)
            };
            let Some(version) = meta("resourceVersion") else {
                return Err(Error::Unexpected { what, why: "no list".to_owned() });
            };
            version.clone_into(&mut all.resource_version);
            meta("continue").unwrap_or_default().clone_into(&mut go_on);
            all.items.extend(items(reply.body));
            if go_on.is_empty() || limit.is_some_and(|limit| all.items.len() >= limit) {
                return Ok(all);
            }
        }
        let what = format!("list {}", resource.collection(namespace));
        Err(Error::Unexpected { what, why: format!("more than {} objects", PAGE * PAGES_MAX) })
    }
}

/// The items of a list.
fn items(mut list: Value) -> Vec<Value> {
    match list.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}
