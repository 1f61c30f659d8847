//! What the fleet allows, whatever a repository says: rules about objects, and where each source may go.
//!
//! The rules are the fleet's own: they come from a file beside the hub, never from a repository that they
//! bind. Every rule looks at the final objects, after templates, hooks and patches. The first early "no" is
//! here; the agent's own policy is the last word.

mod read;
mod images;
mod glob;

use std::collections::BTreeMap;

use model::{Digest, Expression, Reason, Selector, SourceName};
use serde_json::Value as Json;

use crate::{
    app::App,
    diagnostic::Diagnostic,
    fleet::{Target, named},
    limits,
};
use glob::Globs;

/// The rules of a fleet.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    tenants: Vec<Tenant>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    name: String,
    /// For these sources only; empty: all.
    sources: Globs,
    /// For these clusters only.
    clusters: Option<Selector>,
    kinds: Lists,
    namespaces: Lists,
    registries: Lists,
    objects: Vec<Check>,
}

/// What is allowed (nothing said: everything), and what is not all the same.
#[derive(Debug, Clone, PartialEq, Default)]
struct Lists {
    allow: Option<Globs>,
    deny: Globs,
}

impl Lists {
    fn permits(&self, word: &str) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.any(word)) && !self.deny.any(word)
    }

    fn says_nothing(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }
}

/// A question about each object of some kinds.
#[derive(Debug, Clone, PartialEq)]
struct Check {
    /// Empty: all.
    kinds: Globs,
    expect: Expression,
    message: Option<String>,
}

/// Sources that belong to somebody, and where they may go.
#[derive(Debug, Clone, PartialEq)]
struct Tenant {
    name: String,
    sources: Globs,
    clusters: Option<Selector>,
    namespaces: Option<Globs>,
    /// Kinds without a namespace that it may hold.
    cluster_kinds: Globs,
}

impl Policy {
    /// Reads a policy. `file` is named in faults.
    pub fn parse(file: &str, text: &str) -> Result<Policy, Vec<Diagnostic>> {
        read::policy(file, text)
    }

    /// Why these objects may not go to these clusters.
    pub(crate) fn check(
        &self,
        source: Option<&SourceName>,
        app: &App,
        objects: &BTreeMap<Digest, Vec<u8>>,
        clusters: &[Target<'_>],
    ) -> Vec<Diagnostic> {
        let objects: Vec<Seen> = objects.values().filter_map(|bytes| Seen::read(bytes)).collect();
        let mut faults = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.binds(source)) {
            let bound = clusters.iter().any(|c| selects(rule.clusters.as_ref(), c));
            if clusters.is_empty() || bound {
                rule.check(app, &objects, &mut faults);
            }
        }
        if let Some(source) = source.filter(|_| !self.tenants.is_empty()) {
            self.tenants(source, app, &objects, clusters, &mut faults);
        }
        faults.truncate(limits::DIAGNOSTICS_MAX);
        faults
    }

    fn tenants(
        &self,
        source: &SourceName,
        app: &App,
        objects: &[Seen],
        clusters: &[Target<'_>],
        faults: &mut Vec<Diagnostic>,
    ) {
        let refuse = |message: String| Diagnostic::error(Reason::TenantRefused, &app.file, message);
        let own: Vec<_> = self.tenants.iter().filter(|t| t.sources.any(source.as_str())).collect();
        let names = own.iter().map(|t| format!("`{}`", t.name)).collect::<Vec<_>>().join(", ");
        if own.is_empty() {
            let message =
                format!("source `{source}` belongs to no tenant, and the policy has tenants");
            faults.push(refuse(message).hint("list the source below one of `tenants`"));
            return;
        }
        let outside = |c: &&Target<'_>| !own.iter().any(|t| selects(t.clusters.as_ref(), c));
        let lost: Vec<_> = clusters.iter().filter(outside).map(|c| c.name).collect();
        if !lost.is_empty() {
            let message = format!("tenant {names} may not use {}", named(&lost));
            faults.push(refuse(message));
        }
        if let Some((namespace, account)) = app.asked.account()
            && !own.iter().any(|t| t.namespaces.as_ref().is_none_or(|n| n.any(namespace)))
        {
            let message = format!(
                "tenant {names} may not use service account `{account}` of namespace `{namespace}`"
            );
            faults.push(refuse(message));
        }
        for object in objects {
            let allowed = own.iter().any(|t| match object.namespace.as_deref() {
                Some(namespace) => t.namespaces.as_ref().is_none_or(|n| n.any(namespace)),
                None => t.namespaces.is_none() || t.cluster_kinds.any(&object.kind),
            });
            if !allowed {
                let place = object.namespace.as_deref().map_or_else(
                    || "without a namespace".to_owned(),
                    |namespace| format!("in namespace `{namespace}`"),
                );
                let message = format!("tenant {names} may not hold {} {place}", object.shown);
                faults.push(refuse(message));
            }
        }
    }
}

impl Rule {
    fn binds(&self, source: Option<&SourceName>) -> bool {
        self.sources.is_empty() || source.is_some_and(|source| self.sources.any(source.as_str()))
    }

    fn check(&self, app: &App, objects: &[Seen], faults: &mut Vec<Diagnostic>) {
        for object in objects {
            let mut refuse = |what: String| {
                let message = format!("rule `{}`: {}: {what}", self.name, object.shown);
                faults.push(Diagnostic::error(Reason::PolicyRefused, &app.file, message));
            };
            if !self.kinds.permits(&object.kind) {
                refuse(format!("kind `{}` is not allowed", object.kind));
            }
            if let Some(namespace) = object.namespace.as_deref()
                && !self.namespaces.permits(namespace)
            {
                refuse(format!("namespace `{namespace}` is not allowed"));
            }
            if !self.registries.says_nothing() {
                for image in images::of(&object.json) {
                    if !self.registries.permits(&image) {
                        refuse(format!("image `{image}` is not from an allowed registry"));
                    }
                }
            }
            for check in &self.objects {
                if !check.kinds.is_empty() && !check.kinds.any(&object.kind) {
                    continue;
                }
                let words = check.message.clone();
                match check.expect.ask(&[("object", &object.json)]) {
                    Ok(true) => {}
                    Ok(false) => {
                        let text = || format!("`{}` does not hold", check.expect);
                        refuse(words.unwrap_or_else(text));
                    }
                    Err(why) => refuse(format!("`{}`: {why}", check.expect)),
                }
            }
        }
    }
}

fn selects(selector: Option<&Selector>, cluster: &Target<'_>) -> bool {
    // What is no question for a cluster must not free it from a rule, nor give it to a tenant: a rule asks
    // for "binds", a tenant for "allows". Both read an error as no; rules name their clusters by labels.
    selector.is_none_or(|s| s.matches(cluster.labels, cluster.facts).unwrap_or(false))
}

/// An object as rules see it.
struct Seen {
    json: Json,
    /// `Deployment` or `Certificate.cert-manager.io`.
    kind: String,
    namespace: Option<String>,
    /// For messages.
    shown: String,
}

impl Seen {
    fn read(bytes: &[u8]) -> Option<Seen> {
        let json: Json = serde_json::from_slice(bytes).ok()?;
        let text = |pointer: &str| json.pointer(pointer).and_then(Json::as_str);
        let name = text("/kind")?;
        let group = text("/apiVersion")?.split_once('/').map_or("", |(group, _)| group);
        let namespace = text("/metadata/namespace").map(str::to_owned);
        let place = namespace.as_ref().map(|n| format!("{n}/")).unwrap_or_default();
        let shown = format!("{name} {place}{}", text("/metadata/name")?);
        let kind = if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") };
        Some(Seen { json, kind, namespace, shown })
    }
}
