//! What an App chose for its agents: how objects are taken over, replaced, left to others and judged.
//!
//! Choices are part of the release: a document of their own in the manifest, beside the objects. So they go
//! out in waves like any other change, are covered by the digest of the grant, and come back with a rollback.
//! An App that chose nothing has no such document. Deliberately absent: what a choice leads to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{AppName, ObjectKey, ObjectParts};

/// API group of documents that are no objects of a cluster.
const GROUP: &str = "tidegate.dev";
/// `apiVersion` of [`Choices::document`].
const API_VERSION: &str = "tidegate.dev/v1alpha1";
/// `kind` of [`Choices::document`].
const KIND: &str = "AppChoices";

/// What to do with an object that exists and carries no mark of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Adopt {
    /// Take it when no App and no other delivery tool owns it.
    #[default]
    IfUnowned,
    /// As [`Adopt::IfUnowned`], and only when applying would change nothing but our marks.
    IfIdentical,
    /// Never.
    Never,
    /// Also from another delivery tool; never from another App.
    Always,
}

/// Fields that are left to others, in objects of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ignore {
    /// API group; `None`: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind; empty: any. Likewise the next two.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// JSON pointers; `*` stands for every key or item.
    pub paths: Vec<String>,
}

/// Choices of one App. What is absent is the careful default; members that a version does not know are left
/// unread.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Choices {
    /// `NAMESPACE/NAME` of the account that writes; empty: the agent's default.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_account: String,
    /// For objects that exist and are not ours; an object's own annotation outranks it.
    #[serde(skip_serializing_if = "is_default")]
    pub adopt: Adopt,
    /// Whether objects are replaced when a field changes that cannot; their own annotation counts too.
    #[serde(skip_serializing_if = "is_default")]
    pub recreate: bool,
    /// When the App goes: everything stays, and our marks come off.
    #[serde(skip_serializing_if = "is_default")]
    pub orphan: bool,
    /// Fields that are left to others; an object may name more by annotation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<Ignore>,
    /// Health rules that outrank all others, later ones those before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<Value>,
    /// Objects (by id) that another App hands over to this one, and which.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub take_from: BTreeMap<String, AppName>,
    /// Objects (by id) that this App hands over to another one, and which: they are not deleted here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub leaving: BTreeMap<String, AppName>,
    /// Objects (by id) whose removal a person confirmed for this grant.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub approved: BTreeSet<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Ignore {
    /// Whether it is about `key`.
    pub fn is_about(&self, key: &ObjectKey) -> bool {
        let fits = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        self.group.as_ref().is_none_or(|group| *group == key.group)
            && fits(&self.kind, &key.kind)
            && fits(&self.namespace, &key.namespace)
            && fits(&self.name, &key.name)
    }
}

impl Choices {
    /// The key of an App's document. The name is the App's, so that those of two Apps are two.
    pub fn key(app: &AppName) -> ObjectKey {
        ObjectParts {
            group: GROUP.to_owned(),
            kind: KIND.to_owned(),
            namespace: String::new(),
            name: app.to_string(),
        }
        .into()
    }

    /// Whether `key` names a document of choices: no object of a cluster.
    pub fn is_key(key: &ObjectKey) -> bool {
        key.group == GROUP && key.kind == KIND
    }

    /// The document that stands in a release, as canonical JSON: sorted keys, no white space.
    pub fn document(&self, app: &AppName) -> Vec<u8> {
        let spec = serde_json::to_value(self).unwrap_or_default();
        let name = json!({"name": app.as_str()});
        let document =
            json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": name, "spec": spec});
        sorted(&document).to_string().into_bytes()
    }

    /// Reads [`Choices::document`]; the error says why it cannot.
    pub fn read_document(document: &Value) -> Result<Choices, String> {
        let spec = document.get("spec").filter(|spec| spec.is_object());
        let spec = spec.ok_or_else(|| format!("a document of kind {KIND} has no `spec`"))?;
        serde_json::from_value(spec.clone()).map_err(|fault| fault.to_string())
    }

    /// These choices with those of one grant on top.
    #[must_use]
    pub fn with(&self, grant: Choices) -> Choices {
        let mut both = self.clone();
        if !grant.service_account.is_empty() {
            both.service_account = grant.service_account;
        }
        if grant.adopt != Adopt::default() {
            both.adopt = grant.adopt;
        }
        both.recreate |= grant.recreate;
        both.orphan |= grant.orphan;
        both.ignore.extend(grant.ignore);
        both.health.extend(grant.health);
        both.take_from.extend(grant.take_from);
        both.leaving.extend(grant.leaving);
        both.approved.extend(grant.approved);
        both
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let all: BTreeMap<&String, Value> = map.iter().map(|(k, v)| (k, sorted(v))).collect();
            Value::Object(all.into_iter().map(|(k, v)| (k.clone(), v)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> AppName {
        AppName::parse("web").unwrap()
    }

    #[test]
    fn a_document_reads_back_and_names_only_what_was_chosen() {
        let choices = Choices {
            adopt: Adopt::IfIdentical,
            ignore: vec![Ignore {
                kind: "Deployment".to_owned(),
                paths: vec!["/spec/replicas".to_owned()],
                ..Ignore::default()
            }],
            ..Choices::default()
        };
        let bytes = choices.document(&app());
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(
            text,
            r#"{"apiVersion":"tidegate.dev/v1alpha1","kind":"AppChoices","metadata":{"name":"web"},"spec":{"adopt":"IfIdentical","ignore":[{"kind":"Deployment","paths":["/spec/replicas"]}]}}"#
        );
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(Choices::read_document(&document), Ok(choices));
        assert!(Choices::is_key(&Choices::key(&app())));
        assert!(Choices::read_document(&json!({"spec": []})).is_err());
    }

    #[test]
    fn what_a_grant_chooses_comes_on_top() {
        let release = Choices { recreate: true, adopt: Adopt::Never, ..Choices::default() };
        let grant = Choices { service_account: "shop/deployer".to_owned(), ..Choices::default() };
        let both = release.with(grant);
        assert!(both.recreate && both.adopt == Adopt::Never);
        assert_eq!(both.service_account, "shop/deployer");
    }

    #[test]
    fn fields_are_ignored_where_everything_that_is_named_fits() {
        let key = ObjectKey::parse_id("apps/Deployment/shop/web").unwrap();
        let ignore = |group: Option<&str>, kind: &str, name: &str| Ignore {
            group: group.map(str::to_owned),
            kind: kind.to_owned(),
            name: name.to_owned(),
            ..Ignore::default()
        };
        assert!(ignore(None, "", "").is_about(&key));
        assert!(ignore(Some("apps"), "Deployment", "web").is_about(&key));
        assert!(!ignore(Some(""), "Deployment", "web").is_about(&key));
        assert!(!ignore(None, "Deployment", "api").is_about(&key));
    }
}
