//! How values of one place of an object merge and compare: which lists have keys, which maps are taken
//! whole, which texts are quantities, which empty values the API server drops.
//!
//! Kinds of Kubernetes itself stand in `builtin`; custom resources are read from their definition when
//! there is one. Without any, maps merge and lists are taken whole, as the API server does.

mod builtin;
mod quantity;

use std::collections::BTreeMap;

use serde_json::Value;

pub(crate) use quantity::{nano, same_quantity};

/// How a list merges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListShape {
    /// Taken whole, in its order.
    Whole,
    /// Items told apart by these fields.
    Keyed(Vec<String>),
    /// Items told apart by themselves.
    Set,
}

/// The definitions of custom resources that are at hand.
#[derive(Debug, Clone, Default)]
pub struct Schemas {
    /// By group, kind and version.
    known: BTreeMap<(String, String, String), Value>,
}

impl Schemas {
    /// Only the kinds of Kubernetes itself.
    pub fn new() -> Schemas {
        Schemas::default()
    }

    /// Learns a `CustomResourceDefinition`. Other kinds teach nothing.
    pub fn learn(&mut self, object: &Value) {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_owned);
        if text("/kind").as_deref() != Some("CustomResourceDefinition") {
            return;
        }
        let (Some(group), Some(kind)) = (text("/spec/group"), text("/spec/names/kind")) else {
            return;
        };
        let versions = object.pointer("/spec/versions").and_then(Value::as_array);
        for version in versions.into_iter().flatten() {
            let name = version.get("name").and_then(Value::as_str);
            let schema = version.pointer("/schema/openAPIV3Schema");
            if let (Some(name), Some(schema)) = (name, schema) {
                let place = (group.clone(), kind.clone(), name.to_owned());
                self.known.insert(place, schema.clone());
            }
        }
    }

    /// The root of an object.
    pub(crate) fn root(&self, object: &Value) -> Node<'_> {
        let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let place = (group.to_owned(), kind.to_owned(), version.to_owned());
        let how = match self.known.get(&place) {
            Some(schema) => How::Defined(schema),
            None if builtin::is_builtin(group) => How::Builtin,
            None => How::Guessed,
        };
        Node { how, kind: kind.to_owned(), path: Vec::new() }
    }
}

#[derive(Debug, Clone, Copy)]
enum How<'a> {
    Builtin,
    Defined(&'a Value),
    Guessed,
}

/// One place of an object.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    how: How<'a>,
    kind: String,
    /// Field names from the root; items of lists add nothing.
    path: Vec<String>,
}

impl<'a> Node<'a> {
    /// The place of a field.
    pub(crate) fn field(&self, name: &str) -> Node<'a> {
        let mut path = self.path.clone();
        path.push(name.to_owned());
        let how = match self.how {
            // What every object has is defined by Kubernetes itself.
            _ if self.path.is_empty() && name == "metadata" => How::Builtin,
            How::Defined(schema) => {
                let of = |at: &str| schema.get(at)?.get(name);
                let more = || schema.get("additionalProperties").filter(|more| more.is_object());
                of("properties").or_else(more).map_or(How::Guessed, How::Defined)
            }
            How::Builtin | How::Guessed => self.how,
        };
        Node { how, kind: self.kind.clone(), path }
    }

    /// The place of an item of this list.
    pub(crate) fn item(&self) -> Node<'a> {
        let how = match self.how {
            How::Defined(schema) => schema.get("items").map_or(How::Guessed, How::Defined),
            How::Builtin | How::Guessed => self.how,
        };
        Node { how, kind: self.kind.clone(), path: self.path.clone() }
    }

    /// How the list here merges.
    pub(crate) fn list(&self) -> ListShape {
        match self.how {
            How::Builtin => builtin::list(&self.kind, &self.path),
            How::Defined(schema) => {
                let text = |name: &str| schema.get(name).and_then(Value::as_str);
                match text("x-kubernetes-list-type") {
                    Some("set") => ListShape::Set,
                    Some("map") => {
                        let keys = schema.get("x-kubernetes-list-map-keys");
                        let keys = keys.and_then(Value::as_array).into_iter().flatten();
                        let keys = keys.filter_map(Value::as_str).map(str::to_owned);
                        ListShape::Keyed(keys.collect())
                    }
                    _ => ListShape::Whole,
                }
            }
            How::Guessed => ListShape::Whole,
        }
    }

    /// The value of a key field that an item leaves out.
    pub(crate) fn key_default(&self, key: &str) -> Option<Value> {
        match self.how {
            How::Builtin => (key == "protocol").then(|| Value::from("TCP")),
            How::Defined(schema) => {
                schema.get("items")?.get("properties")?.get(key)?.get("default").cloned()
            }
            How::Guessed => None,
        }
    }

    /// Whether the map here is taken whole.
    pub(crate) fn is_whole_map(&self) -> bool {
        match self.how {
            How::Builtin => builtin::is_whole_map(&self.kind, &self.path),
            How::Defined(schema) => {
                schema.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic")
            }
            How::Guessed => false,
        }
    }

    /// Whether the text here is a quantity that the API server may write in another way.
    pub(crate) fn is_quantity(&self) -> bool {
        matches!(self.how, How::Builtin) && builtin::is_quantity(&self.path)
    }

    /// Whether the API server drops `value` here, so that it is the same as nothing.
    pub(crate) fn drops(&self, value: &Value) -> bool {
        match self.how {
            How::Builtin => builtin::drops(&self.path, value),
            How::Defined(_) | How::Guessed => value.is_null(),
        }
    }

    /// Whether the API server chooses a value here when it is given an empty one.
    pub(crate) fn chooses(&self) -> bool {
        matches!(self.how, How::Builtin) && builtin::chooses(&self.kind, &self.path)
    }

    /// Whether `value` is what the API server fills in here, or in a map that is taken whole.
    pub(crate) fn is_default(&self, value: &Value) -> bool {
        match self.how {
            How::Builtin => builtin::is_default(&self.path, value),
            How::Defined(schema) => schema.get("default") == Some(value),
            How::Guessed => false,
        }
    }

    /// Whether nothing is known about how lists merge here.
    pub(crate) fn is_guessed(&self) -> bool {
        matches!(self.how, How::Guessed)
    }

    /// Name of the field here, empty at the root.
    pub(crate) fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }
}
