//! Where objects of a kind are served.

use model::ObjectKey;

/// One served kind in one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: String,
    /// Version, such as `v1`.
    pub version: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Name in paths, such as `deployments`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether it can be listed and watched.
    pub watchable: bool,
    /// Whether it has a status subresource.
    pub has_status: bool,
}

impl Resource {
    /// A core resource that every API server has.
    pub fn core(kind: &str, plural: &str, namespaced: bool) -> Resource {
        Resource {
            group: String::new(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced,
            watchable: true,
            has_status: false,
        }
    }

    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Path of the collection, in one namespace or (empty) in all.
    pub fn collection(&self, namespace: &str) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if self.namespaced && !namespace.is_empty() {
            format!("{root}/namespaces/{}/{}", escape(namespace), self.plural)
        } else {
            format!("{root}/{}", self.plural)
        }
    }

    /// Path of one object.
    pub fn object(&self, key: &ObjectKey) -> String {
        format!("{}/{}", self.collection(&key.namespace), escape(&key.name))
    }
}

/// Percent-encodes everything but unreserved characters: RBAC names may hold `:` and `%`.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use model::ObjectParts;

    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        let pods = Resource::core("Pod", "pods", true);
        assert_eq!(pods.collection(""), "/api/v1/pods");
        assert_eq!(pods.collection("shop"), "/api/v1/namespaces/shop/pods");
        let role = Resource {
            group: "rbac.authorization.k8s.io".into(),
            ..Resource::core("ClusterRole", "clusterroles", false)
        };
        let key = ObjectParts {
            group: role.group.clone(),
            kind: "ClusterRole".into(),
            namespace: String::new(),
            name: "system:a/b".into(),
        }
        .into();
        assert_eq!(
            role.object(&key),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aa%2Fb"
        );
    }
}
