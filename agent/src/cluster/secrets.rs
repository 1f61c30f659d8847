//! Named bytes in Secrets of the agent's own namespace.
//!
//! A value up to [`SHARD_BYTES_MAX`] is one Secret. A larger one is cut into shards that are named after
//! the value's digest and written before the head that lists them: whoever reads sees the old value or
//! the new one, never a mixture.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use model::{Digest, ObjectParts};
use serde_json::{Value, json};

use super::client::{Accept, Ask, Cluster};
use super::{Error, Reply, Resource};

/// Bytes in one Secret: half of what Kubernetes allows.
const SHARD_BYTES_MAX: usize = 512 * 1024;
/// Label of all of them; its value is `head` or `shard`.
const LABEL: &str = "tidegate.dev/agent-state";
/// Annotation with the name that the agent uses.
const NAME: &str = "tidegate.dev/agent-state-name";
/// Tries when somebody else writes at the same time.
const RACES_MAX: usize = 3;

/// A place for named bytes.
#[derive(Debug, Clone)]
pub struct SecretStore {
    cluster: Cluster,
    namespace: String,
    resource: Resource,
}

impl SecretStore {
    /// Secrets of `namespace`, which is made if it is not there.
    pub async fn open(cluster: Cluster, namespace: &str) -> Result<SecretStore, Error> {
        let namespaces = Resource::core("Namespace", "namespaces", false);
        let body =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let ask = post(namespaces.collection(""), &body);
        let what = ask.what();
        let reply = cluster.ask(ask).await?;
        // 403: the namespace is there, and making one is not the agent's right.
        if !reply.is_success() && !matches!(reply.code, 409 | 403) {
            return Err(Error::refused(&what, &reply));
        }
        let resource = Resource::core("Secret", "secrets", true);
        Ok(SecretStore { cluster, namespace: namespace.to_owned(), resource })
    }

    /// Reads a value.
    pub async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(head) = self.read(&secret(name)).await? else { return Ok(None) };
        let damaged = |why: &str| Error::Unexpected {
            what: format!("get Secret {}/{}", self.namespace, secret(name)),
            why: why.to_owned(),
        };
        let Some(shards) = text(&head, "shards") else {
            let value = bytes(&head, "value").ok_or_else(|| damaged("it holds no value"))?;
            return Ok(Some(value));
        };
        let digest = text(&head, "digest").and_then(|d| Digest::parse(&d).ok());
        let digest = digest.ok_or_else(|| damaged("it holds no digest"))?;
        let count: usize = shards.parse().map_err(|_| damaged("shards is no number"))?;
        let mut all = Vec::new();
        for index in 0..count {
            let shard = self.read(&shard_name(name, &digest, index)).await?;
            let part = shard.and_then(|s| bytes(&s, "value"));
            all.extend(part.ok_or_else(|| damaged("a shard is missing"))?);
        }
        if Digest::of(&all) != digest {
            return Err(damaged("its shards do not hash to its digest"));
        }
        Ok(Some(all))
    }

    /// Writes a value.
    pub async fn put(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        let before = self.read(&secret(name)).await?;
        if value.len() <= SHARD_BYTES_MAX {
            let data = json!({"value": STANDARD.encode(value)});
            self.write(&secret(name), name, "head", &data).await?;
        } else {
            let digest = Digest::of(value);
            let shards = value.chunks(SHARD_BYTES_MAX);
            let count = shards.len();
            for (index, shard) in shards.enumerate() {
                let data = json!({"value": STANDARD.encode(shard)});
                self.write(&shard_name(name, &digest, index), name, "shard", &data).await?;
            }
            let data = json!({
                "shards": STANDARD.encode(count.to_string()),
                "digest": STANDARD.encode(digest.to_string()),
            });
            self.write(&secret(name), name, "head", &data).await?;
            if before.as_ref().and_then(|b| text(b, "digest")) == Some(digest.to_string()) {
                return Ok(());
            }
        }
        match before {
            Some(head) => self.drop_shards(name, &head).await,
            None => Ok(()),
        }
    }

    /// Removes a value; it need not be there.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let head = self.read(&secret(name)).await?;
        self.erase(&secret(name)).await?;
        match head {
            Some(head) => self.drop_shards(name, &head).await,
            None => Ok(()),
        }
    }

    /// Names that begin with `prefix`, sorted.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let heads = format!("{LABEL}=head");
        let listed = self
            .cluster
            .list(&self.resource, &self.namespace, &heads, Accept::MetadataList, None)
            .await?;
        let annotation = format!("/metadata/annotations/{}", NAME.replace('/', "~1"));
        let annotated = listed.items.iter().filter_map(|i| i.pointer(&annotation)?.as_str());
        let mut names: Vec<String> =
            annotated.filter(|n| n.starts_with(prefix)).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    async fn drop_shards(&self, name: &str, head: &Value) -> Result<(), Error> {
        let count = text(head, "shards").and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
        let Some(digest) = text(head, "digest").and_then(|d| Digest::parse(&d).ok()) else {
            return Ok(());
        };
        for index in 0..count {
            self.erase(&shard_name(name, &digest, index)).await?;
        }
        Ok(())
    }

    fn path(&self, secret: &str) -> String {
        self.resource.object(
            &ObjectParts {
                group: String::new(),
                kind: "Secret".to_owned(),
                namespace: self.namespace.clone(),
                name: secret.to_owned(),
            }
            .into(),
        )
    }

    async fn read(&self, secret: &str) -> Result<Option<Value>, Error> {
        let ask = Ask::get("get", self.path(secret), Accept::Full);
        let what = ask.what();
        let reply = self.cluster.ask(ask).await?;
        match reply.code {
            404 => Ok(None),
            200 => Ok(Some(reply.body)),
            _ => Err(Error::refused(&what, &reply)),
        }
    }

    async fn write(&self, secret: &str, name: &str, role: &str, data: &Value) -> Result<(), Error> {
        let body = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "tidegate.dev/agent-state",
            "metadata": {
                "name": secret, "namespace": self.namespace,
                "labels": {LABEL: role}, "annotations": {NAME: name},
            },
            "data": data,
        });
        let mut last = None;
        for _ in 0..RACES_MAX {
            let mut ask = post(self.path(secret), &body);
            ask.method = Method::PUT;
            ask.verb = "update";
            let what = ask.what();
            let reply = self.cluster.ask(ask).await?;
            let reply = if reply.code == 404 {
                self.cluster.ask(post(self.resource.collection(&self.namespace), &body)).await?
            } else {
                reply
            };
            if reply.is_success() {
                return Ok(());
            }
            let again = matches!(reply.code, 0 | 409);
            last = Some((what, reply));
            if !again {
                break;
            }
        }
        let unsent = || {
            (
                "update".to_owned(),
                Reply { code: 0, body: Value::Null, text: String::new(), retry_after: None },
            )
        };
        let (what, reply) = last.unwrap_or_else(unsent);
        Err(Error::refused(&what, &reply))
    }

    async fn erase(&self, secret: &str) -> Result<(), Error> {
        let ask = Ask {
            verb: "delete",
            method: Method::DELETE,
            path: self.path(secret),
            accept: Accept::Full,
            body: None,
            etag: None,
        };
        let what = ask.what();
        let reply = self.cluster.ask(ask).await?;
        if reply.is_success() || reply.code == 404 {
            Ok(())
        } else {
            Err(Error::refused(&what, &reply))
        }
    }
}

fn post(path: String, body: &Value) -> Ask {
    Ask {
        verb: "create",
        method: Method::POST,
        path,
        accept: Accept::Full,
        body: Some(("application/json", body.to_string().into_bytes())),
        etag: None,
    }
}

/// Name of the Secret that holds a value.
fn secret(name: &str) -> String {
    format!("tidegate-{}", name.replace('/', "."))
}

fn shard_name(name: &str, digest: &Digest, index: usize) -> String {
    format!("{}.{}.{index}", secret(name), digest.short())
}

fn bytes(secret: &Value, field: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.get("data")?.get(field)?.as_str()?).ok()
}

fn text(secret: &Value, field: &str) -> Option<String> {
    String::from_utf8(bytes(secret, field)?).ok()
}
