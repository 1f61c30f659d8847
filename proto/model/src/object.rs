//! Identity of a Kubernetes object.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Group, kind, namespace and name. The version is left out on purpose: the same object is served
/// under several. Ordered by those four fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Namespace, empty for a cluster-scoped object.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// A text that is no object key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an object: expected `group/Kind/namespace/name`")]
pub struct ParseObjectKeyError(String);

impl ObjectKey {
    /// The tracking id, `group/Kind/namespace/name`; absent parts are empty.
    pub fn id(&self) -> String {
        format!("{}/{}/{}/{}", self.group, self.kind, self.namespace, self.name)
    }

    /// Parses a tracking id made by [`ObjectKey::id`].
    pub fn parse_id(text: &str) -> Result<ObjectKey, ParseObjectKeyError> {
        let mut parts = text.split('/').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(group), Some(kind), Some(namespace), Some(name), None)
                if !kind.is_empty() && !name.is_empty() =>
            {
                Ok(ObjectKey { group, kind, namespace, name })
            }
            _ => Err(ParseObjectKeyError(text.to_owned())),
        }
    }
}

/// As people say it: `Deployment shop/web`, `Namespace shop`.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}
