//! What a change does that nobody can simply take back, and what an API server will not let it do.
//!
//! The first is told by objects alone: a volume that goes or grows, a namespace that goes, a kind whose stored
//! version changes. An automatic rollback halts before it. The second is told nearly right by a table; in a cluster the
//! agent asks the API server itself.

use std::collections::{BTreeMap, BTreeSet};

use model::{Digest, Manifest, ObjectEntry, ObjectKey};
use serde_json::Value as Json;

/// Kinds whose removal takes data, or everything below, with it: group, kind, what goes.
const GRAVE: &[(&str, &str, &str)] = &[
    ("", "Namespace", "all that is in it"),
    ("", "PersistentVolume", "what it holds"),
    ("", "PersistentVolumeClaim", "what it holds"),
    ("apiextensions.k8s.io", "CustomResourceDefinition", "all objects of its kind"),
    ("apps", "StatefulSet", "the claims that its retention policy gives up"),
];

/// Sentences that one change may have; a definition has a handful of versions.
const TOLD_MAX: usize = 20;

/// Fields that cannot change on a live object, as JSON pointers; one covers all below it.
const FIXED: &[(&str, &str, &[&str])] = &[
    ("apps", "Deployment", &["/spec/selector"]),
    ("apps", "DaemonSet", &["/spec/selector"]),
    ("apps", "ReplicaSet", &["/spec/selector"]),
    (
        "apps",
        "StatefulSet",
        &[
            "/spec/selector",
            "/spec/serviceName",
            "/spec/volumeClaimTemplates",
            "/spec/podManagementPolicy",
        ],
    ),
    ("batch", "Job", &["/spec/template", "/spec/selector", "/spec/completionMode"]),
    (
        "",
        "PersistentVolumeClaim",
        &[
            "/spec/accessModes",
            "/spec/selector",
            "/spec/storageClassName",
            "/spec/volumeMode",
            "/spec/volumeName",
        ],
    ),
    ("", "Service", &["/spec/clusterIP", "/spec/clusterIPs"]),
    ("", "Secret", &["/type"]),
    ("rbac.authorization.k8s.io", "RoleBinding", &["/roleRef"]),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", &["/roleRef"]),
    ("scheduling.k8s.io", "PriorityClass", &["/value", "/preemptionPolicy"]),
    (
        "storage.k8s.io",
        "StorageClass",
        &["/provisioner", "/parameters", "/reclaimPolicy", "/volumeBindingMode"],
    ),
    ("networking.k8s.io", "IngressClass", &["/spec/controller"]),
    ("node.k8s.io", "RuntimeClass", &["/handler"]),
    ("apiextensions.k8s.io", "CustomResourceDefinition", &["/spec/group", "/spec/scope"]),
];

/// What of a change of releases cannot simply be undone, in words. `object` gives the bytes of an object by its
/// digest; an object that it does not know is passed over.
pub fn hard_to_undo(
    before: &Manifest,
    after: &Manifest,
    object: impl Fn(&Digest) -> Option<Vec<u8>>,
) -> BTreeSet<String> {
    let index = |of: &Manifest| -> BTreeMap<ObjectKey, Digest> {
        let counts = |e: &&ObjectEntry| {
            is_grave(&e.key) || e.key.kind == "ConfigMap" || e.key.kind == "Secret"
        };
        of.entries().iter().filter(counts).map(|e| (e.key.clone(), e.digest)).collect()
    };
    let (old, new) = (index(before), index(after));
    let parse = |digest: &Digest| -> Option<Json> { serde_json::from_slice(&object(digest)?).ok() };
    let mut told = BTreeSet::new();
    for (key, digest) in &old {
        match new.get(key) {
            Some(now) if now == digest => {}
            None if !is_grave(key) => {}
            None => told.extend(of_change(key, parse(digest).as_ref(), None)),
            Some(now) => {
                let (Some(was), Some(is)) = (parse(digest), parse(now)) else { continue };
                told.extend(of_change(key, Some(&was), Some(&is)));
            }
        }
        if told.len() >= TOLD_MAX {
            break;
        }
    }
    told
}

/// Whether the removal of such an object takes something with it.
pub(crate) fn is_grave(key: &ObjectKey) -> bool {
    loss(key).is_some()
}

fn loss(key: &ObjectKey) -> Option<&'static str> {
    let (.., what) =
        GRAVE.iter().find(|(group, kind, _)| *group == key.group && *kind == key.kind)?;
    Some(what)
}

/// What of one object's change cannot simply be undone.
pub(crate) fn of_change(
    key: &ObjectKey,
    before: Option<&Json>,
    after: Option<&Json>,
) -> Vec<String> {
    match (before, after) {
        (Some(before), None) => removed(key, before).into_iter().collect(),
        (Some(before), Some(after)) => changed(key, before, after),
        (None, _) => Vec::new(),
    }
}

fn removed(key: &ObjectKey, before: &Json) -> Option<String> {
    let what = loss(key)?;
    let text = |pointer: &str| before.pointer(pointer).and_then(Json::as_str);
    // By default a StatefulSet leaves its claims behind.
    let keeps = key.kind == "StatefulSet"
        && text("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted") != Some("Delete");
    let retained = key.kind == "PersistentVolume"
        && text("/spec/persistentVolumeReclaimPolicy") == Some("Retain");
    let guarded = ["disabled", "false", "confirm"]
        .into_iter()
        .any(|word| text("/metadata/annotations/tidegate.dev~1prune") == Some(word));
    (!keeps && !retained && !guarded).then(|| format!("{key} is removed, and {what} with it"))
}

fn changed(key: &ObjectKey, before: &Json, after: &Json) -> Vec<String> {
    let mut told = Vec::new();
    if key.kind == "PersistentVolumeClaim" && key.group.is_empty() {
        let size = |object: &Json| {
            object.pointer("/spec/resources/requests/storage").map(|size| match size {
                Json::String(text) => text.clone(),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                    size.to_string()
                }
            })
        };
        let (was, is) = (size(before), size(after));
        if let (Some(was), Some(is)) = (&was, &is)
            && was != is
        {
            told.push(format!("{key} changes its size from {was} to {is}; a volume never shrinks"));
        }
    }
    if key.kind == "CustomResourceDefinition" {
        told.extend(versions(key, before, after));
    }
    let sealed = |object: &Json| object.get("immutable").and_then(Json::as_bool) == Some(true);
    if ["ConfigMap", "Secret"].contains(&key.kind.as_str()) && sealed(after) && !sealed(before) {
        told.push(format!("{key} becomes immutable for good"));
    }
    told
}

/// What becomes of the versions of a definition.
fn versions(key: &ObjectKey, before: &Json, after: &Json) -> Vec<String> {
    let named = |object: &Json, is: &dyn Fn(&Json) -> bool| -> BTreeSet<String> {
        let versions = object.pointer("/spec/versions").and_then(Json::as_array);
        let names = versions.into_iter().flatten().filter(|v| is(v));
        names.filter_map(|v| v["name"].as_str().map(str::to_owned)).collect()
    };
    let stored = |object: &Json| named(object, &|v| v["storage"] == Json::Bool(true));
    let served = |object: &Json| named(object, &|_| true);
    let mut told = Vec::new();
    let (was, is) = (stored(before), stored(after));
    if was != is {
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        told.push(format!("{key} stores version {} instead of {}", list(&is), list(&was)));
    }
    for gone in served(before).difference(&served(after)) {
        told.push(format!("{key} gives up version {gone}"));
    }
    told
}

/// Fields that change though API servers refuse that; with `tidegate.dev/recreate` the object is replaced.
pub(crate) fn fixed(key: &ObjectKey, before: &Json, after: &Json) -> Vec<String> {
    let replaced = after.pointer("/metadata/annotations/tidegate.dev~1recreate");
    if replaced.and_then(Json::as_str) == Some("true") {
        return Vec::new();
    }
    let table = FIXED.iter().find(|(group, kind, _)| *group == key.group && *kind == key.kind);
    let mut pointers: Vec<&str> =
        table.into_iter().flat_map(|(.., all)| all.iter().copied()).collect();
    let sealed = before.get("immutable").and_then(Json::as_bool) == Some(true);
    if sealed && key.group.is_empty() && ["ConfigMap", "Secret"].contains(&key.kind.as_str()) {
        pointers.extend(["/data", "/binaryData", "/stringData", "/immutable"]);
    }
    // A field that is written for the first time, or no longer, may stand on the object as it is.
    let differs = |pointer: &&str| match (before.pointer(pointer), after.pointer(pointer)) {
        (Some(was), Some(is)) => was != is,
        (None, Some(_)) | (Some(_), None) => {
            key.kind != "Service" && key.kind != "PersistentVolumeClaim"
        }
        (None, None) => false,
    };
    let shown = |pointer: &str| pointer.trim_start_matches('/').replace('/', ".");
    pointers.into_iter().filter(differs).map(shown).collect()
}
