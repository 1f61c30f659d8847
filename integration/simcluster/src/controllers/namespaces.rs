//! Namespaces: what each is given, and how one is emptied.

use super::pass::{CONTROLLER, Pass, is_deleting, name};
use crate::{
    kinds::Kind,
    ops,
    state::{Place, place_of},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

pub(super) fn step(pass: &mut Pass<'_>, all: bool) {
    let Some(kind) = pass.kind("", "Namespace") else { return };
    for namespace in pass.state.all("", "Namespace") {
        if !all {
            continue;
        }
        if is_deleting(&namespace) {
            clear(pass, &kind, &namespace);
        } else {
            furnish(pass, name(&namespace));
        }
    }
}

/// Every namespace has an account and the cluster's certificate.
fn furnish(pass: &mut Pass<'_>, namespace: &str) {
    let given = [
        ("ServiceAccount", "default", json!({})),
        ("ConfigMap", "kube-root-ca.crt", json!({"data": {"ca.crt": "simulated"}})),
    ];
    for (kind, name, mut object) in given {
        let Some(kind) = pass.kind("", kind) else { continue };
        if pass.state.get(&kind, &(namespace.to_owned(), name.to_owned())).is_some() {
            continue;
        }
        object["apiVersion"] = json!("v1");
        object["kind"] = json!(kind.kind);
        object["metadata"] = json!({"name": name, "namespace": namespace});
        let _tried_again_next_pass = pass.create(&kind, object);
    }
}

fn clear(pass: &mut Pass<'_>, kind: &Kind, namespace: &Value) {
    let space = name(namespace).to_owned();
    let mut content: Vec<(Arc<Kind>, Place)> = Vec::new();
    for kind in pass.state.kinds().iter().filter(|kind| kind.namespaced) {
        let known = |other: &(Arc<Kind>, Place)| {
            (&other.0.group, &other.0.plural) == (&kind.group, &kind.plural)
        };
        if content.iter().any(known) {
            continue;
        }
        let places = pass.state.table(kind).into_iter().flat_map(|table| table.items.keys());
        let here = places.filter(|place| place.0 == space);
        content.extend(here.map(|place| (kind.clone(), place.clone())));
    }
    for (kind, place) in &content {
        pass.delete(kind, place);
    }
    let left: Vec<(Arc<Kind>, Arc<Value>)> = content
        .iter()
        .filter_map(|(kind, place)| Some((kind.clone(), pass.state.get(kind, place)?)))
        .collect();
    if left.is_empty() {
        let place = place_of(kind, namespace);
        return ops::release(pass.state, kind, &place);
    }
    let mut status = namespace["status"].clone();
    status["conditions"] = remaining(pass, &left, namespace);
    pass.status(kind, namespace, CONTROLLER, status);
}

fn remaining(pass: &Pass<'_>, left: &[(Arc<Kind>, Arc<Value>)], namespace: &Value) -> Value {
    let mut by_kind: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_finalizer: BTreeMap<String, usize> = BTreeMap::new();
    for (kind, object) in left {
        *by_kind.entry(format!("{}.{}", kind.plural, kind.group)).or_default() += 1;
        for finalizer in object["metadata"]["finalizers"].as_array().into_iter().flatten() {
            let name = finalizer.as_str().unwrap_or_default();
            *by_finalizer.entry(name.to_owned()).or_default() += 1;
        }
    }
    let now = pass.state.clock.stamp();
    let mut list = super::pass::conditions(namespace);
    let mut set = |kind: &str, bad: bool, reasons: (&str, &str), texts: (&str, String)| {
        let (reason, text) =
            if bad { (reasons.1, texts.1) } else { (reasons.0, texts.0.to_owned()) };
        super::pass::set_condition(&mut list, &now, kind, bad, reason, &text);
    };
    set(
        "NamespaceDeletionDiscoveryFailure",
        false,
        ("ResourcesDiscovered", ""),
        ("All resources successfully discovered", String::new()),
    );
    set(
        "NamespaceDeletionGroupVersionParsingFailure",
        false,
        ("ParsedGroupVersions", ""),
        ("All legacy kube types successfully parsed", String::new()),
    );
    set(
        "NamespaceDeletionContentFailure",
        false,
        ("ContentDeleted", ""),
        ("All content successfully deleted, may be waiting on finalization", String::new()),
    );
    let texts: Vec<String> = by_kind
        .iter()
        .map(|(resource, count)| format!("{resource} has {count} resource instances"))
        .collect();
    set(
        "NamespaceContentRemaining",
        true,
        ("ContentRemoved", "SomeResourcesRemain"),
        ("", format!("Some resources are remaining: {}", texts.join(", "))),
    );
    let texts: Vec<String> = by_finalizer
        .iter()
        .map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"))
        .collect();
    set(
        "NamespaceFinalizersRemaining",
        !by_finalizer.is_empty(),
        ("ContentHasNoFinalizers", "SomeFinalizersRemain"),
        (
            "All content-preserving finalizers finished",
            format!("Some content in the namespace has finalizers remaining: {}", texts.join(", ")),
        ),
    );
    Value::Array(list)
}
