//! What an App has applied, from a file.

use std::{collections::BTreeMap, path::Path};

use model::{AppName, Epoch, ObjectKey, ObjectParts, Reason};
use plan::{Entry, Inventory, Position};
use serde_json::Value;

use crate::{
    error::{Error, Exit},
    objects::{Twice, documents, read},
};

/// Where the entries of an inventory stand, by the tool that wrote it.
const PLACES: &[&str] = &[
    "/entries",
    "/items",
    "/objects",
    "/resources",
    "/inventory/entries",
    "/status/inventory/entries",
    "/spec/resources",
];

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) app: Option<AppName>,
    pub(super) epoch: Epoch,
    pub(super) entries: BTreeMap<ObjectKey, Entry>,
}

impl Read {
    /// The inventory of `app`.
    pub(super) fn of(self, app: AppName) -> Inventory {
        Inventory::of(app, self.epoch, self.entries)
    }
}

/// Reads an inventory; without a file nothing is ours.
pub(super) fn inventory(file: Option<&Path>, namespace: &str) -> Result<Read, Error> {
    let Some(file) = file else { return Ok(Read::default()) };
    let fault = |why: &str| {
        let message = crate::output::safe(&format!("`{}`: {why}", file.display()));
        Error::because(Exit::Usage, Reason::BadRequest, message).hint(
            "an entry is `{\"group\": \"apps\", \"kind\": \"Deployment\", \"namespace\": \"shop\", \"name\": \
             \"web\", \"uid\": \"…\"}`, or `group/Kind/namespace/name`",
        )
    };
    let mut found = Read::default();
    for (_, document) in documents(file, &read(file)?, Twice::Refused)? {
        if let Some(app) = document.get("app").and_then(Value::as_str) {
            let app = AppName::parse(app).map_err(|_| fault("`app` is not the name of an App"))?;
            found.app = Some(app);
        }
        found.epoch = document.get("epoch").and_then(Value::as_u64).map_or(found.epoch, Epoch);
        for one in members(&document).ok_or_else(|| fault("holds no list of entries"))? {
            let (key, entry) =
                entry(&one, namespace).ok_or_else(|| fault(&format!("`{one}` is no entry")))?;
            found.entries.insert(key, entry);
        }
    }
    Ok(found)
}

/// The entries of a document.
fn members(document: &Value) -> Option<Vec<Value>> {
    if let Value::Array(items) = document {
        return Some(items.clone());
    }
    if let Some(found) = PLACES.iter().find_map(|place| document.pointer(place)) {
        return match found {
            Value::Array(items) => Some(items.clone()),
            // By id: what is beside the id is the rest of the entry.
            Value::Object(map) => Some(map.iter().map(|(id, rest)| by_id(id, rest)).collect()),
            Value::Null => Some(Vec::new()),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
    }
    if document.get("kind").and_then(Value::as_str) == Some("ConfigMap") {
        let data = document.get("data").and_then(Value::as_object);
        return Some(data.into_iter().flatten().map(|(id, _)| Value::from(id.as_str())).collect());
    }
    if document.get("kind").is_some() && document.get("metadata").is_some() {
        return Some(vec![document.clone()]);
    }
    document.as_object().filter(|map| map.is_empty() || map.contains_key("app")).map(|_| Vec::new())
}

fn by_id(id: &str, rest: &Value) -> Value {
    let mut one =
        if rest.is_object() { rest.clone() } else { Value::Object(serde_json::Map::new()) };
    one["id"] = Value::from(id);
    if let Some(uid) = rest.as_str() {
        one["uid"] = Value::from(uid);
    }
    one
}

/// One entry: an id, or an object with its parts.
fn entry(one: &Value, namespace: &str) -> Option<(ObjectKey, Entry)> {
    let text = |name: &str| {
        let meta = || one.get("metadata").and_then(|meta| meta.get(name));
        one.get(name).or_else(meta).and_then(Value::as_str).filter(|text| !text.is_empty())
    };
    let id = one.as_str().or_else(|| text("id"));
    let api_version = text("apiVersion").unwrap_or_default();
    let key = match id {
        Some(id) => parse(id)?,
        None => ObjectParts {
            group: text("group")
                .unwrap_or_else(|| api_version.split_once('/').map_or("", |(group, _)| group))
                .to_owned(),
            kind: text("kind")?.to_owned(),
            namespace: text("namespace").unwrap_or_default().to_owned(),
            name: text("name")?.to_owned(),
        }
        .into(),
    };
    let version = api_version.rsplit('/').next().filter(|v| !v.is_empty());
    let version = version.or_else(|| text("version")).or_else(|| text("v")).unwrap_or("v1");
    let wave = one.get("wave").and_then(Value::as_i64).and_then(|w| i32::try_from(w).ok());
    let depends_on = one.get("dependsOn").and_then(Value::as_array).into_iter().flatten();
    let finished = one.get("finished").and_then(Value::as_bool).unwrap_or(false);
    let recreating = text("recreating").map(str::to_owned);
    let entry = Entry {
        uid: text("uid").map(str::to_owned),
        position: Position { wave: wave.unwrap_or(0), ..Position::of_kind(&key) },
        depends_on: depends_on.filter_map(|d| parse(d.as_str()?)).collect(),
        pending: false,
        finished,
        recreating,
        ..Entry::claimed(version)
    };
    let scope = plan::Scope::namespaced(&super::kinds::Kinds::default(), &key.group, &key.kind);
    let key = match scope {
        Some(true) if key.namespace.is_empty() => {
            ObjectParts { namespace: namespace.to_owned(), ..key.into() }.into()
        }
        Some(false) => ObjectParts { namespace: String::new(), ..key.into() }.into(),
        _ => key,
    };
    Some((key, entry))
}

/// `group/Kind/namespace/name`, or `namespace_name_group_Kind` as other tools write it (with two
/// underscores for a colon).
fn parse(id: &str) -> Option<ObjectKey> {
    if let Ok(key) = ObjectKey::parse_id(id) {
        return Some(key);
    }
    let (rest, kind) = id.rsplit_once('_')?;
    let (rest, group) = rest.rsplit_once('_')?;
    let (namespace, name) = rest.split_once('_')?;
    (!kind.is_empty() && !name.is_empty()).then(|| {
        ObjectParts {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.replace("__", ":"),
        }
        .into()
    })
}
