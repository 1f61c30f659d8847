//! Custom resource definitions: names accepted, kinds served, instances cleared away at the end.

use super::pass::{Pass, conditions, is_deleting, set_condition};
use crate::{
    kinds::{self, Kind},
    ops::{self, CLEANUP},
    state::{Resource, place_of},
};
use serde_json::{Value, json};

const GROUP: &str = "apiextensions.k8s.io";
const WRITER: &str = "kube-apiserver";

pub(super) fn step(pass: &mut Pass<'_>) {
    let Some(kind) = pass.kind(GROUP, "CustomResourceDefinition") else { return };
    let definitions = pass.state.all(GROUP, "CustomResourceDefinition");
    for definition in &definitions {
        if is_deleting(definition) {
            clear(pass, &kind, definition);
        } else {
            establish(pass, &kind, definition);
        }
    }
    // Looked at again: with a definition its kind goes at once.
    let left = pass.state.all(GROUP, "CustomResourceDefinition");
    forget(pass, &left);
    extension_servers(pass);
}

fn resource_of(definition: &Value) -> Resource {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&definition["spec"]["group"]), text(&definition["spec"]["names"]["plural"]))
}

fn establish(pass: &mut Pass<'_>, kind: &Kind, definition: &Value) {
    let wanted = kinds::custom(definition);
    let versions: Vec<String> = wanted.iter().map(|kind| kind.version.clone()).collect();
    let resource = resource_of(definition);
    let clash = pass.state.kinds().iter().find(|known| {
        known.group == resource.0
            && known.plural != resource.1
            && *known.kind == definition["spec"]["names"]["kind"]
    });
    let now = pass.state.clock.stamp();
    let mut list = conditions(definition);
    let accepted = clash.is_none();
    if accepted {
        set_condition(&mut list, &now, "NamesAccepted", true, "NoConflicts", "no conflicts found");
        let text = "the initial names have been accepted";
        set_condition(&mut list, &now, "Established", true, "InitialNamesAccepted", text);
    } else {
        let text = format!("{} is already in use", definition["spec"]["names"]["kind"]);
        set_condition(&mut list, &now, "NamesAccepted", false, "KindConflict", &text);
        let text = "not all names are accepted";
        set_condition(&mut list, &now, "Established", false, "NotAccepted", text);
    }
    let mut status = definition["status"].clone();
    status["conditions"] = Value::Array(list);
    if accepted {
        status["acceptedNames"] = definition["spec"]["names"].clone();
        serve(pass, &resource, wanted, &versions);
    }
    pass.status(kind, definition, WRITER, status);
}

fn serve(pass: &mut Pass<'_>, resource: &Resource, wanted: Vec<Kind>, versions: &[String]) {
    if !versions.is_empty() {
        pass.state.retire(resource, versions);
    }
    for kind in wanted {
        let known = pass.state.kind_at(&kind.group, &kind.version, &kind.plural);
        let same = known.is_some_and(|known| {
            known.custom == kind.custom
                && (known.status, &known.scale, &known.short)
                    == (kind.status, &kind.scale, &kind.short)
        });
        if !same {
            pass.state.serve(kind);
        }
    }
}

/// A definition that goes takes its instances along first.
fn clear(pass: &mut Pass<'_>, kind: &Kind, definition: &Value) {
    let resource = resource_of(definition);
    let known =
        pass.state.kinds().iter().find(|k| (&k.group, &k.plural) == (&resource.0, &resource.1));
    let instances: Vec<_> = known
        .cloned()
        .and_then(|kind| {
            let table = pass.state.table(&kind)?;
            Some(table.items.keys().map(|place| (kind.clone(), place.clone())).collect())
        })
        .unwrap_or_default();
    let now = pass.state.clock.stamp();
    let mut list = conditions(definition);
    if instances.is_empty() {
        let place = place_of(kind, definition);
        return ops::drop_finalizer(pass.state, kind, &place, CLEANUP);
    }
    let text = "CustomResource deletion is in progress";
    set_condition(&mut list, &now, "Terminating", true, "InstanceDeletionInProgress", text);
    let mut status = definition["status"].clone();
    status["conditions"] = Value::Array(list);
    pass.status(kind, definition, WRITER, status);
    for (kind, place) in &instances {
        pass.delete(kind, place);
    }
}

/// Kinds whose definition is gone are no longer served.
fn forget(pass: &mut Pass<'_>, definitions: &[std::sync::Arc<Value>]) {
    let defined: Vec<Resource> = definitions.iter().map(|d| resource_of(d)).collect();
    let gone: Vec<Resource> = pass
        .state
        .kinds()
        .iter()
        .filter(|kind| kind.custom.is_some())
        .map(|kind| (kind.group.clone(), kind.plural.clone()))
        .filter(|resource| !defined.contains(resource))
        .collect();
    for resource in gone {
        pass.state.retire(&resource, &[]);
    }
}

/// Nobody serves extension APIs here: an `APIService` with a service is never available.
fn extension_servers(pass: &mut Pass<'_>) {
    let Some(kind) = pass.kind("apiregistration.k8s.io", "APIService") else { return };
    for service in pass.state.all("apiregistration.k8s.io", "APIService") {
        let backing = &service["spec"]["service"];
        let now = pass.state.clock.stamp();
        let mut list = conditions(&service);
        if backing.is_object() {
            let text = format!(
                "service/{} in \"{}\" is not present",
                backing["name"].as_str().unwrap_or_default(),
                backing["namespace"].as_str().unwrap_or_default()
            );
            set_condition(&mut list, &now, "Available", false, "ServiceNotFound", &text);
        } else {
            let text = "Local APIServices are always available";
            set_condition(&mut list, &now, "Available", true, "Local", text);
        }
        pass.status(&kind, &service, WRITER, json!({"conditions": list}));
    }
}
