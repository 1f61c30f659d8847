//! From Helm's hooks and namespaces to what the agent understands.
//!
//! | Helm | here |
//! |---|---|
//! | `pre-install`, `pre-upgrade` | hook `pre-apply`, once for each release |
//! | `post-install`, `post-upgrade` | hook `post-apply`, once for each release |
//! | `pre-delete` | hook `pre-delete` |
//! | `post-delete`, `pre-rollback`, `post-rollback` | left out, with a note |
//! | `test` | left out |
//! | hook weight | `tidegate.dev/wave` |
//! | a hook of several phases | the first of them |
//! | hook on something that does not run | an ordinary object of an early wave |
//! | `crds/` | ordinary objects: also upgraded, which Helm never does |

use std::collections::{BTreeMap, BTreeSet};

use model::Reason;

use crate::{
    diagnostic::Diagnostic,
    yaml::{Entry, Node, Value},
};

const HELM_HOOK: &str = "helm.sh/hook";
const HELM_WEIGHT: &str = "helm.sh/hook-weight";
const HELM_POLICY: &str = "helm.sh/hook-delete-policy";
const HOOK: &str = "tidegate.dev/hook";
const POLICY: &str = "tidegate.dev/hook-delete";
const WAVE: &str = "tidegate.dev/wave";

/// Before everything else: what a hook needs and does not run itself.
const EARLY: &str = "-1000";

/// Phases as the agent knows them; `None` is left out.
fn phase(word: &str) -> Option<&'static str> {
    match word {
        "pre-install" | "pre-upgrade" => Some("pre-apply"),
        "post-install" | "post-upgrade" => Some("post-apply"),
        "pre-delete" => Some("pre-delete"),
        _ => None,
    }
}

/// What is to be told about hooks, each thing once.
#[derive(Debug, Default)]
pub(super) struct Notes {
    first: BTreeMap<&'static str, String>,
}

impl Notes {
    fn say(&mut self, what: &'static str, file: &str) {
        self.first.entry(what).or_insert_with(|| file.to_owned());
    }

    pub(super) fn into_list(self) -> Vec<Diagnostic> {
        let note = |(what, file): (&'static str, String)| {
            let fault = Diagnostic::warning(Reason::NotSupportedYet, &file, what);
            fault.hint("see the table of hooks in the documentation of charts")
        };
        self.first.into_iter().map(note).collect()
    }
}

/// Rewrites the hook of an object; `false` leaves the object out.
pub(super) fn mapped(node: &mut Node, file: &str, notes: &mut Notes) -> bool {
    let Some(words) = annotation(node, HELM_HOOK) else { return true };
    let words: Vec<&str> = words.split(',').map(str::trim).collect();
    if words.contains(&"crd-install") {
        return true;
    }
    let phases: BTreeSet<_> = words.iter().filter_map(|word| phase(word)).collect();
    if phases.is_empty() {
        if !words.iter().any(|word| word.starts_with("test")) {
            notes
                .say("a hook for rollback or after deletion is left out: it never runs here", file);
        }
        return false;
    }
    let weight = annotation(node, HELM_WEIGHT).unwrap_or_else(|| "0".to_owned());
    let policy = annotation(node, HELM_POLICY);
    if !runs(node) {
        notes.say("a hook that is no Job or Pod becomes an ordinary object of an early wave", file);
        annotate(node, WAVE, EARLY);
        return true;
    }
    notes.say(
        "hooks for install and upgrade run once for each release, also the first and after a rollback",
        file,
    );
    // The agent runs a hook in one phase: the first in which Helm would.
    let order = ["pre-apply", "post-apply", "pre-delete"];
    if phases.len() > 1 {
        notes.say("a hook for several phases runs in the first of them only", file);
    }
    let first = order.into_iter().find(|phase| phases.contains(phase)).unwrap_or("pre-apply");
    annotate(node, HOOK, first);
    if weight != "0" {
        annotate(node, WAVE, &weight);
    }
    if let Some(policy) = policy {
        let policy = policy
            .replace("before-hook-creation", "before-creation")
            .replace("hook-succeeded", "on-success")
            .replace("hook-failed", "on-failure");
        annotate(node, POLICY, &policy);
    }
    true
}

fn runs(node: &Node) -> bool {
    let kind = node.get("kind").and_then(Node::text).unwrap_or_default();
    ["Job", "Pod", "Workflow"].contains(&kind)
}

fn annotation(node: &Node, name: &str) -> Option<String> {
    let annotations = node.get("metadata")?.get("annotations")?;
    Some(annotations.get(name)?.text()?.to_owned())
}

fn annotate(node: &mut Node, name: &str, value: &str) {
    let at = node.at;
    let Some(metadata) = field(node, "metadata") else { return };
    if metadata.get("annotations").is_none()
        && let Value::Map(entries) = &mut metadata.value
    {
        let value = Node { at, value: Value::Map(Vec::new()) };
        entries.push(Entry { key: "annotations".to_owned(), at, value });
    }
    if let Some(Node { value: Value::Map(entries), .. }) = field(metadata, "annotations") {
        entries.retain(|entry| entry.key != name);
        let value = Node { at, value: Value::Text(value.to_owned()) };
        entries.push(Entry { key: name.to_owned(), at, value });
    }
}

fn field<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().find(|e| e.key == key).map(|e| &mut e.value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => None,
    }
}

/// Kinds of Kubernetes itself that have no namespace.
const GLOBAL: &[&str] = &[
    "APIService",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "CSIDriver",
    "CSINode",
    "CustomResourceDefinition",
    "DeviceClass",
    "FlowSchema",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
    "VolumeAttributesClass",
];

/// Groups of Kubernetes itself: only of their kinds is it known which have a namespace.
const OWN_GROUPS: &[&str] = &["", "apps", "batch", "autoscaling", "policy", "extensions"];

/// Helm installs into the namespace of the release what names none.
pub(super) fn settle(node: &mut Node, namespace: &str) {
    let group = node.get("apiVersion").and_then(Node::text).unwrap_or_default().to_owned();
    let group = group.split_once('/').map_or("", |(group, _)| group);
    let kind = node.get("kind").and_then(Node::text).unwrap_or_default().to_owned();
    let own = OWN_GROUPS.contains(&group) || group.ends_with(".k8s.io");
    if namespace == "default" || !own || GLOBAL.contains(&kind.as_str()) {
        return;
    }
    let at = node.at;
    if let Some(metadata) = field(node, "metadata")
        && metadata.get("namespace").is_none()
        && let Value::Map(entries) = &mut metadata.value
    {
        let value = Node { at, value: Value::Text(namespace.to_owned()) };
        entries.push(Entry { key: "namespace".to_owned(), at, value });
    }
}
