//! What a path means, before any kind is looked up.

use super::query::{Query, decode};
use http::Method;

/// Objects of one kind, or one of them, or a part of one.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    /// Empty, `status`, `scale`, …
    pub(super) subresource: String,
}

#[derive(Clone, Debug)]
pub(super) enum Target {
    Version,
    Health,
    Core,
    Groups,
    Group(String),
    Resources { group: String, version: String },
    AccessReview,
    Objects(Objects),
    Unknown,
}

pub(super) fn target(path: &str) -> Target {
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["version"] => Target::Version,
        ["healthz" | "livez" | "readyz", ..] => Target::Health,
        ["api"] => Target::Core,
        ["apis"] => Target::Groups,
        ["apis", group] => Target::Group((*group).to_owned()),
        ["api", version] => {
            Target::Resources { group: String::new(), version: (*version).to_owned() }
        }
        ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] => Target::AccessReview,
        ["apis", group, version] => {
            Target::Resources { group: (*group).to_owned(), version: (*version).to_owned() }
        }
        ["api", version, rest @ ..] => objects("", version, rest),
        ["apis", group, version, rest @ ..] => objects(group, version, rest),
        _ => Target::Unknown,
    }
}

fn objects(group: &str, version: &str, rest: &[&str]) -> Target {
    let (namespace, plural, name, subresource) = match rest {
        ["namespaces", name, sub @ ("status" | "finalize")] if group.is_empty() => {
            (None, "namespaces", Some(*name), *sub)
        }
        ["namespaces", namespace, plural] => (Some(*namespace), *plural, None, ""),
        ["namespaces", namespace, plural, name] => (Some(*namespace), *plural, Some(*name), ""),
        ["namespaces", namespace, plural, name, sub] => {
            (Some(*namespace), *plural, Some(*name), *sub)
        }
        [plural] => (None, *plural, None, ""),
        [plural, name] => (None, *plural, Some(*name), ""),
        [plural, name, sub] => (None, *plural, Some(*name), *sub),
        _ => return Target::Unknown,
    };
    Target::Objects(Objects {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        subresource: subresource.to_owned(),
    })
}

impl Target {
    /// The verb and the resource, as the request log and the faults name them.
    pub(super) fn named(
        &self,
        method: &Method,
        query: &Query,
        content_type: &str,
    ) -> (&'static str, String) {
        let Target::Objects(objects) = self else { return ("discovery", "discovery".to_owned()) };
        let verb = match (method.as_str(), objects.name.is_some()) {
            ("GET", _) if query.is_true("watch") => "watch",
            ("GET" | "HEAD", true) => "get",
            ("GET" | "HEAD", false) => "list",
            ("POST", false) => "create",
            ("PUT", true) => "update",
            ("PATCH", true) if content_type.starts_with("application/apply-patch+") => "apply",
            ("PATCH", true) => "patch",
            ("DELETE", true) => "delete",
            ("DELETE", false) => "deletecollection",
            _ => "other",
        };
        let mut resource = objects.plural.clone();
        for (between, part) in [('.', &objects.group), ('/', &objects.subresource)] {
            if !part.is_empty() {
                resource.push(between);
                resource.push_str(part);
            }
        }
        (verb, resource)
    }
}
