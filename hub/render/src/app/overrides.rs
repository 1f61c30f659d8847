//! `spec.overrides`: what some clusters get in addition, in the order in which it stands there.

use model::Selector;
use serde_json::Value as Json;

use super::{
    fields::{Faults, Fields},
    selector,
    source::{list, text, texts, values},
};
use crate::{
    canonical,
    diagnostic::Position,
    fill::{Text, Values},
    yaml::{Node, Value},
};

/// Overrides of one App; each is looked at for each cluster.
const OVERRIDES_MAX: usize = 100;

/// What the clusters that fit `when` get in addition.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// Which clusters; all when absent.
    pub when: Option<Selector>,
    /// Helm values that win over those before.
    pub values: Option<Values>,
    /// Files with Helm values, likewise.
    pub values_files: Vec<Text>,
    /// Patches of the rendered objects.
    pub patches: Vec<Patch>,
    pub(crate) at: Position,
}

impl Override {
    /// Whether all clusters get the same.
    pub(crate) fn is_fixed(&self) -> bool {
        let patch = |patch: &Patch| match &patch.content {
            Content::File(text) | Content::Inline(text) => text.is_fixed(),
        };
        self.when.is_none()
            && self.values.as_ref().is_none_or(Values::is_fixed)
            && self.values_files.iter().all(Text::is_fixed)
            && self.patches.iter().all(patch)
    }
}

/// A patch of rendered objects, as Kustomize understands it.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// The patch itself, or the file that holds it.
    pub content: Content,
    /// What it is for, when the patch does not say so itself.
    pub target: Option<Json>,
}

/// Where a patch stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In a file, from the folder of the App.
    File(Text),
    /// In the `app.yaml`.
    Inline(Text),
}

/// Fields of an override.
pub(crate) const OVERRIDE: &[&str] = &["when", "values", "valuesFiles", "patches"];

/// Fields of a patch that is a map.
pub(crate) const PATCH: &[&str] = &["path", "patch", "target"];

pub(super) fn read(spec: &Fields<'_>, faults: &mut Faults<'_>) -> Vec<Override> {
    let nodes = list(spec, "overrides", faults);
    if let Some(first) = nodes.get(OVERRIDES_MAX) {
        let message = format!("more than {OVERRIDES_MAX} overrides");
        faults.wrong(first.at, message, "select by labels that say more");
        return Vec::new();
    }
    let name = spec.name("overrides");
    let one = |node: &Node, faults: &mut Faults<'_>| {
        let fields = Fields::open(node, name.clone(), faults)?;
        fields.only(OVERRIDE, &["remove", "images"], faults);
        let patches = list(&fields, "patches", faults);
        Some(Override {
            when: selector(&fields, "when", faults),
            values: values(&fields, "values", faults),
            values_files: texts(&fields, "valuesFiles", faults),
            patches: patches.iter().filter_map(|node| patch(&name, node, faults)).collect(),
            at: node.at,
        })
    };
    nodes.iter().filter_map(|node| one(node, faults)).collect()
}

fn patch(name: &str, node: &Node, faults: &mut Faults<'_>) -> Option<Patch> {
    if let Value::Text(path) = &node.value {
        return match Text::parse(path, node.at) {
            Ok(path) => Some(Patch { content: Content::File(path), target: None }),
            Err(why) => {
                faults.wrong(node.at, format!("`{name}.patches`: {why}"), "write a path");
                None
            }
        };
    }
    let fields = Fields::open(node, format!("{name}.patches"), faults)?;
    fields.only(PATCH, &["options"], faults);
    let target = fields.get("target").map(canonical::json);
    let content = match (text(&fields, "path", faults), text(&fields, "patch", faults)) {
        (Some(path), None) => Content::File(path),
        (None, Some(patch)) => Content::Inline(patch),
        (Some(_), Some(_)) => {
            let hint = "keep one of the two";
            faults.wrong(node.at, format!("a patch in `{name}` has `path` and `patch`"), hint);
            return None;
        }
        (None, None) => {
            let hint = "write `path: FILE` or `patch: |`";
            faults.wrong(node.at, format!("a patch in `{name}` is empty"), hint);
            return None;
        }
    };
    Some(Patch { content, target })
}
