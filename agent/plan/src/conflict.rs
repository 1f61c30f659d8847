//! Who else owns a field, and what to do about it.

use serde_json::Value;

use crate::ownership::Ownership;

/// What kind of other manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A person with a tool of the hand.
    Person,
    /// Something that scales.
    Scaler,
    /// Another delivery tool.
    DeliveryTool,
    /// This agent, for another App.
    AnotherApp,
}

/// What to do about a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// Apply again with force, and report the drift.
    Force,
    /// Leave that field out of our body and apply again: it is shared.
    Yield,
    /// Report it; nothing is written.
    Fail,
}

/// One field that another manager owns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConflictCause {
    /// The other manager.
    pub manager: String,
    /// Field path as the server prints it, such as `.spec.replicas`.
    pub field: String,
}

/// Managers of other delivery tools, by prefix.
const DELIVERY_TOOLS: &[&str] = &[
    "argocd-",
    "kustomize-controller",
    "helm-controller",
    "helm",
    "Helm",
    "fleet",
    "rancher",
    "work-agent",
    "work-controller",
    "configsync",
    "config-sync",
    "sveltos",
    "kapp-controller",
];

/// Managers that scale, by part of their name.
const SCALERS: &[&str] = &["autoscaler", "keda", "vpa-", "hpa-"];

/// The kind of a manager, by name.
pub(crate) fn owner_of(manager: &str) -> Owner {
    if manager.starts_with(Ownership::MANAGER_PREFIX) {
        Owner::AnotherApp
    } else if DELIVERY_TOOLS.iter().any(|tool| manager.starts_with(tool)) {
        Owner::DeliveryTool
    } else if SCALERS.iter().any(|part| manager.contains(part)) {
        Owner::Scaler
    } else {
        Owner::Person
    }
}

/// The default policy for one field that `manager` owns. `kube-controller-manager` scales through the
/// `scale` subresource (the horizontal autoscaler), as does everything that owns `.spec.replicas` with
/// that subresource: pass `through_scale` when the managed-fields entry says so.
pub fn conflict_policy(manager: &str, field: &str, through_scale: bool) -> Resolution {
    let replicas = field == ".spec.replicas";
    match owner_of(manager) {
        Owner::AnotherApp | Owner::DeliveryTool => Resolution::Fail,
        Owner::Scaler if replicas => Resolution::Yield,
        Owner::Scaler | Owner::Person if replicas && through_scale => Resolution::Yield,
        Owner::Person if replicas && manager == "kube-controller-manager" => Resolution::Yield,
        Owner::Scaler | Owner::Person => Resolution::Force,
    }
}

/// Reads the causes of a `FieldManagerConflict` from a `Status`. The server says
/// `conflict with "NAME"`, followed by ` using VERSION` or ` with subresource "scale" using VERSION`.
pub fn conflict_causes(status: &Value) -> Vec<ConflictCause> {
    let causes = status.pointer("/details/causes").and_then(Value::as_array);
    let of = |cause: &Value| {
        let text = |name: &str| cause.get(name).and_then(Value::as_str);
        (text("reason")? == "FieldManagerConflict").then_some(())?;
        let message = text("message")?;
        let manager = message.split('"').nth(1)?.to_owned();
        Some(ConflictCause { manager, field: text("field").unwrap_or("").to_owned() })
    };
    causes.into_iter().flatten().filter_map(of).collect()
}
