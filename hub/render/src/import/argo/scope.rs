//! What the placeholders of a template stand for.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::import::draft::plain;

/// What the generators of a set say.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Which clusters, plainly and guarded, one for each generator that speaks of clusters.
    pub(super) select: Vec<(String, String)>,
    /// What stands for a placeholder.
    pub(super) values: BTreeMap<String, String>,
    /// Folders of the repository, each an App of its own.
    pub(super) folders: Option<Vec<String>>,
    /// Clusters that are listed, with what is said of each.
    pub(super) elements: Vec<BTreeMap<String, String>>,
}

/// Values with placeholders put into our form.
pub(super) fn places(json: Json, scope: &Scope) -> Json {
    match json {
        Json::String(ref text) if text.contains("{{") => {
            filled(text, scope).map_or_else(|_| Json::String(text.clone()), Json::String)
        }
        Json::Array(items) => {
            Json::Array(items.into_iter().map(|item| places(item, scope)).collect())
        }
        Json::Object(map) => {
            Json::Object(map.into_iter().map(|(k, v)| (k, places(v, scope))).collect())
        }
        Json::String(_) | Json::Null | Json::Bool(_) | Json::Number(_) => plain(json),
    }
}

/// A text with our places for its placeholders; `Err` names one that has none.
pub(super) fn filled(text: &str, scope: &Scope) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(&before.replace("${", "$${"));
        let Some((inner, behind)) = after.split_once("}}") else { return Err(text.to_owned()) };
        let inner = inner.trim().trim_matches('-').trim();
        let inner = inner.split('|').next().unwrap_or_default().trim();
        let key = inner.strip_prefix('.').unwrap_or(inner);
        let listed = scope.elements.iter().any(|element| element.contains_key(key));
        let index = key.strip_prefix("index ").and_then(|rest| {
            let (of, key) = rest.trim().split_once(' ')?;
            (of.trim_start_matches('.') == "metadata.labels").then(|| key.trim().trim_matches('"'))
        });
        if let Some(value) = scope.values.get(key) {
            out.push_str(&filled(value, &Scope { values: BTreeMap::new(), ..scope.clone() })?);
        } else if let Some(label) = index.or_else(|| key.strip_prefix("metadata.labels.")) {
            out.push_str(&format!("${{labels.{label}}}"));
        } else if ["name", "nameNormalized", "cluster"].contains(&key) {
            out.push_str("${cluster.name}");
        } else if listed {
            out.push_str(&format!("${{labels.{key}}}"));
        } else {
            return Err(format!("{{{{{inner}}}}}"));
        }
        rest = behind;
    }
    out.push_str(&rest.replace("${", "$${"));
    Ok(out)
}
