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
    /// Whether it wrote through the `scale` subresource.
    pub through_scale: bool,
}

impl ConflictCause {
    /// The default policy for this cause.
    pub fn resolution(&self) -> Resolution {
        conflict_policy(&self.manager, &self.field, self.through_scale)
    }
}

/// What to do about a refused apply as a whole: one field that must fail fails all, and force is used
/// only when every field that is not yielded may be forced. Yield first, then try again.
pub fn resolve(causes: &[ConflictCause]) -> Resolution {
    let all = || causes.iter().map(ConflictCause::resolution);
    if causes.is_empty() || all().any(|r| r == Resolution::Fail) {
        Resolution::Fail
    } else if all().any(|r| r == Resolution::Yield) {
        Resolution::Yield
    } else {
        Resolution::Force
    }
}

/// Takes a shared field out of the body to apply, so that its ownership is given up properly. Says
/// whether it could: paths through list items are not supported.
pub fn yield_field(body: &mut Value, field: &str) -> bool {
    let pointer = field.replace('.', "/");
    let Some((parent, name)) = pointer.rsplit_once('/') else { return false };
    match body.pointer_mut(parent) {
        Some(Value::Object(map)) => map.remove(name).is_some(),
        Some(_) | None => false,
    }
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

/// The default policy for one field that `manager` owns. Whoever owns `.spec.replicas` through the
/// `scale` subresource scales on purpose: the horizontal autoscaler, or a person with `kubectl scale`.
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
        let field = text("field").unwrap_or("").to_owned();
        let through_scale = message.contains("with subresource \"scale\"");
        Some(ConflictCause { manager, field, through_scale })
    };
    causes.into_iter().flatten().filter_map(of).collect()
}
