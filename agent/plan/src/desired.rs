//! What one App shall be in this cluster: admitted, so that planning cannot fail.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, ObjectKey};
use serde_json::{Value, json};

use crate::choices::Choices;
use crate::keyed::Fingerprint;
use crate::order::Position;

/// One object, ready to apply.
#[derive(Clone, PartialEq)]
pub struct DesiredObject {
    /// Which.
    pub key: ObjectKey,
    /// `apiVersion` of the manifest, such as `apps/v1`; applied and watched with this one.
    pub api_version: String,
    /// Sanitised and marked body. Holds Secret data: never log it, and `Debug` does not show it.
    pub body: Value,
    /// Stands for the body.
    pub fingerprint: Fingerprint,
    /// Its place in the order.
    pub position: Position,
    /// Objects of this App that its author named as dependencies: they must be healthy first.
    pub depends_on: BTreeSet<ObjectKey>,
    /// What its author asks of the agent.
    pub choices: Choices,
    /// Objects of this App that it needs by nature: its namespace, its definition, the role it binds.
    pub needs: BTreeSet<ObjectKey>,
}

impl DesiredObject {
    /// The body to send. `uid` makes the API server refuse when the object has become another one.
    pub fn body_for(&self, uid: Option<&str>) -> Value {
        let mut body = self.body.clone();
        if let Some(uid) = uid {
            body["metadata"]["uid"] = json!(uid);
        }
        body
    }

    /// Version part of `api_version`.
    pub fn version(&self) -> &str {
        self.api_version.rsplit('/').next().unwrap_or(&self.api_version)
    }
}

impl std::fmt::Debug for DesiredObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DesiredObject")
            .field("id", &self.key.id())
            .field("position", &self.position)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// The whole set of one App, complete: whoever holds it may conclude from what is not in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub(crate) app: AppName,
    pub(crate) objects: BTreeMap<ObjectKey, DesiredObject>,
    pub(crate) notes: Vec<String>,
}

impl Desired {
    /// The App.
    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// All objects by key.
    pub fn objects(&self) -> &BTreeMap<ObjectKey, DesiredObject> {
        &self.objects
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<&DesiredObject> {
        self.objects.get(key)
    }

    /// What was put right on the way in and a person may want to know.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}
