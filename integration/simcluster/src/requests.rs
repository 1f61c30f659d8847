//! What was asked, counted, so that a test can say "no write was sent".

use std::collections::BTreeMap;

/// Counters by verb, resource and "was it a watch".
///
/// Verbs are `get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete`,
/// `deletecollection`, and `discovery` for everything that is not an object. A resource is
/// written `deployments.apps`, `configmaps`, `deployments.apps/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestLog {
    counts: BTreeMap<(String, String, bool), u64>,
}

/// The verbs that may change something.
pub(crate) const WRITES: [&str; 6] =
    ["create", "update", "patch", "apply", "delete", "deletecollection"];

impl RequestLog {
    pub(crate) fn note(&mut self, verb: &str, resource: &str) {
        let key = (verb.to_owned(), resource.to_owned(), verb == "watch");
        *self.counts.entry(key).or_default() += 1;
    }

    /// All requests.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Requests that may change something, dry runs included.
    pub fn writes(&self) -> u64 {
        WRITES.iter().map(|verb| self.count(verb, "*")).sum()
    }

    /// Requests of this verb on this resource; `*` stands for any.
    pub fn count(&self, verb: &str, resource: &str) -> u64 {
        let fits = |wanted: &str, got: &str| wanted == "*" || wanted == got;
        self.counts
            .iter()
            .filter(|((v, r, _), _)| fits(verb, v) && fits(resource, r))
            .map(|(_, count)| count)
            .sum()
    }

    /// Every counter: (verb, resource, is it a watch) and how often.
    pub fn counts(&self) -> &BTreeMap<(String, String, bool), u64> {
        &self.counts
    }
}
