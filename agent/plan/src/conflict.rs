//! Who else owns a field, and what to do about it.

use serde_json::Value;

use crate::ownership::Ownership;
use crate::seeded::Bug;

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
    resolve_seeded(causes, None)
}

/// [`resolve`] with a bug on purpose.
pub(crate) fn resolve_seeded(causes: &[ConflictCause], bug: Option<Bug>) -> Resolution {
    if bug == Some(Bug::AlwaysForce) {
        return Resolution::Force;
    }
    let all = || causes.iter().map(ConflictCause::resolution);
    if causes.is_empty() || all().any(|r| r == Resolution::Fail) {
        Resolution::Fail
    } else if all().any(|r| r == Resolution::Yield) {
        Resolution::Yield
    } else {
        Resolution::Force
    }
}

/// Takes a shared field out of the body to apply, so that its ownership is given up properly. `field`
/// is a path as the server prints it: `.spec.replicas`,
/// `.spec.template.spec.containers[name="web"].image`. Says whether it could.
pub fn yield_field(body: &mut Value, field: &str) -> bool {
    let Some(steps) = steps(field) else { return false };
    take_out(body, &steps)
}

/// One step of a printed path.
#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    /// The item with these key fields.
    Item(Vec<(String, Value)>),
    /// The item of a set.
    Value(Value),
    At(usize),
}

fn take_out(at: &mut Value, steps: &[Step]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return false };
    match (step, at) {
        (Step::Field(name), Value::Object(map)) if rest.is_empty() => {
            map.shift_remove(name).is_some()
        }
        (Step::Field(name), Value::Object(map)) => {
            map.get_mut(name).is_some_and(|below| take_out(below, rest))
        }
        (step, Value::Array(items)) => {
            let is = |(place, item): (usize, &Value)| match step {
                Step::At(at) => *at == place,
                Step::Value(value) => item == value,
                Step::Item(keys) => keys.iter().all(|(name, value)| item.get(name) == Some(value)),
                Step::Field(_) => false,
            };
            let Some(place) = items.iter().enumerate().position(is) else { return false };
            if rest.is_empty() {
                items.remove(place);
                return true;
            }
            take_out(&mut items[place], rest)
        }
        _ => false,
    }
}

/// Reads a printed path; `None` when it is none.
fn steps(field: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            // Names with dots of their own are not told apart; labels and annotations are never shared.
            let end = after.find(['.', '[']).unwrap_or(after.len());
            steps.push(Step::Field(after[..end].to_owned()));
            rest = &after[end..];
        } else {
            let after = rest.strip_prefix('[')?;
            let end = closing(after)?;
            steps.push(item(&after[..end])?);
            rest = &after[end + 1..];
        }
    }
    (!steps.is_empty()).then_some(steps)
}

/// Where the bracket closes, outside of quotes.
fn closing(text: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// What stands in the brackets: `name="web"`, `containerPort=80,protocol="TCP"`, `="x"`, `3`.
fn item(text: &str) -> Option<Step> {
    if let Ok(at) = text.parse() {
        return Some(Step::At(at));
    }
    if let Some(value) = text.strip_prefix('=') {
        return serde_json::from_str(value).ok().map(Step::Value);
    }
    let mut keys = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<Value>();
        let value = values.next()?.ok()?;
        let end = values.byte_offset();
        keys.push((name.to_owned(), value));
        rest = after[end..].trim_start_matches(',');
    }
    Some(Step::Item(keys))
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
