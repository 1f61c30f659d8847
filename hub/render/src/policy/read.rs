//! The file of a policy.

use model::{Expression, Selector};

use super::{Check, Lists, Policy, Rule, Tenant, glob::Globs};
use crate::{
    app::{API_VERSION, Faults, Fields, only_document},
    diagnostic::Diagnostic,
    yaml::{Node, Value},
};

/// Rules and tenants of one policy.
const ENTRIES_MAX: usize = 1000;

pub(super) fn policy(file: &str, text: &str) -> Result<Policy, Vec<Diagnostic>> {
    let document = only_document(file, text)?;
    let mut faults = Faults::new(file);
    let mut policy = Policy::default();
    if let Some(top) = Fields::open(&document, String::new(), &mut faults) {
        top.only(&["apiVersion", "kind", "rules", "tenants"], &["metadata"], &mut faults);
        for (key, want) in [("apiVersion", API_VERSION), ("kind", "Policy")] {
            let hint = format!("write `{key}: {want}`");
            if let Some(node) = top.need(key, &hint, &mut faults)
                && node.text() != Some(want)
            {
                faults.wrong(node.at, format!("`{key}` must be `{want}`"), &hint);
            }
        }
        for node in list(&top, "rules", &mut faults) {
            policy.rules.extend(rule(node, &mut faults));
        }
        for node in list(&top, "tenants", &mut faults) {
            policy.tenants.extend(tenant(node, &mut faults));
        }
    }
    if faults.is_empty() { Ok(policy) } else { Err(faults.into_list()) }
}

fn rule(node: &Node, faults: &mut Faults<'_>) -> Option<Rule> {
    let fields = Fields::open(node, "rules".to_owned(), faults)?;
    let known = ["name", "sources", "clusters", "kinds", "namespaces", "registries", "objects"];
    fields.only(&known, &["action"], faults);
    Some(Rule {
        name: name(&fields, faults)?,
        sources: globs(&fields, "sources", faults).unwrap_or_default(),
        clusters: clusters(&fields, faults),
        kinds: lists(&fields, "kinds", faults),
        namespaces: lists(&fields, "namespaces", faults),
        registries: lists(&fields, "registries", faults),
        objects: list(&fields, "objects", faults)
            .iter()
            .filter_map(|node| check(node, faults))
            .collect(),
    })
}

fn tenant(node: &Node, faults: &mut Faults<'_>) -> Option<Tenant> {
    let fields = Fields::open(node, "tenants".to_owned(), faults)?;
    fields.only(&["name", "sources", "clusters", "namespaces", "clusterKinds"], &[], faults);
    fields.need("sources", "write `sources: [NAME]`", faults);
    Some(Tenant {
        name: name(&fields, faults)?,
        sources: globs(&fields, "sources", faults).unwrap_or_default(),
        clusters: clusters(&fields, faults),
        namespaces: globs(&fields, "namespaces", faults),
        cluster_kinds: globs(&fields, "clusterKinds", faults).unwrap_or_default(),
    })
}

fn check(node: &Node, faults: &mut Faults<'_>) -> Option<Check> {
    let fields = Fields::open(node, "rules.objects".to_owned(), faults)?;
    fields.only(&["kinds", "expect", "message"], &[], faults);
    let kinds = globs(&fields, "kinds", faults).unwrap_or_default();
    let message = fields.text("message", faults).map(|(text, _)| text.to_owned());
    fields.need("expect", "write `expect: \"object.…\"`", faults);
    let (text, at) = fields.text("expect", faults)?;
    match Expression::parse_trusted(text, &["object"]) {
        Ok(expect) => Some(Check { kinds, expect, message }),
        Err(why) => {
            let hint = "write one such as \"object.spec.replicas <= 10\"";
            faults.wrong(at, format!("`expect`: `{text}`: {why}"), hint);
            None
        }
    }
}

fn name(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<String> {
    fields.need("name", "give it a name, which is shown to whoever it refuses", faults);
    fields.text("name", faults).map(|(text, _)| text.to_owned())
}

fn clusters(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Selector> {
    let (text, at) = fields.text("clusters", faults)?;
    match Selector::parse(text) {
        Ok(selector) => Some(selector),
        Err(error) => {
            faults.wrong(at, error.to_string(), "write one such as \"labels.env == 'prod'\"");
            None
        }
    }
}

fn lists(fields: &Fields<'_>, key: &str, faults: &mut Faults<'_>) -> Lists {
    let Some(section) = fields.section(key, faults) else { return Lists::default() };
    section.only(&["allow", "deny"], &[], faults);
    Lists {
        allow: globs(&section, "allow", faults),
        deny: globs(&section, "deny", faults).unwrap_or_default(),
    }
}

fn globs(fields: &Fields<'_>, key: &str, faults: &mut Faults<'_>) -> Option<Globs> {
    fields.get(key)?;
    let mut words = Vec::new();
    for node in list(fields, key, faults) {
        match node.text() {
            Some(word) if !word.is_empty() => words.push(word.to_owned()),
            Some(_) | None => {
                let message = format!("`{}` must hold texts", fields.name(key));
                faults.wrong(node.at, message, "write `[name, \"team-*\"]`");
            }
        }
    }
    Some(Globs::new(words))
}

fn list<'a>(fields: &Fields<'a>, key: &str, faults: &mut Faults<'_>) -> &'a [Node] {
    match fields.get(key) {
        Some(Node { value: Value::List(items), .. }) if items.len() <= ENTRIES_MAX => items,
        None => &[],
        Some(node) => {
            let message = format!("`{}` must be a list of at most {ENTRIES_MAX}", fields.name(key));
            faults.wrong(node.at, message, "write it as `[…]`");
            &[]
        }
    }
}
