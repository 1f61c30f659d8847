//! The shape of every kind: which fields exist, which lists merge by which keys.
//!
//! Built-in kinds come from `builtin.txt` (printed by `examples/schema_table.rs` from an API
//! server's own description); custom kinds from the schema in their definition (`custom.rs`).

mod custom;

pub(crate) use custom::{below, drop_forbidden_nulls, fill_defaults, type_of};

use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// The type of a value.
#[derive(Clone, Debug)]
pub(crate) enum Type {
    Text,
    Number,
    Bool,
    Quantity,
    /// A number or a text.
    Scalar,
    /// Not described: maps merge by key, lists are replaced.
    Free,
    Named {
        name: Arc<str>,
        atomic: bool,
    },
    List {
        of: Arc<Type>,
        merge: Merge,
    },
    Map {
        fields: Arc<BTreeMap<String, Type>>,
        others: Option<Arc<Type>>,
        atomic: bool,
    },
}

/// How two lists become one.
#[derive(Clone, Debug)]
pub(crate) enum Merge {
    Atomic,
    Set,
    Keys(Arc<[Key]>),
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) default: Option<Value>,
}

/// What a walker sees of a type: names resolved, atomic things made leaves.
pub(crate) enum Shape<'a> {
    Leaf,
    List { of: &'a Type, merge: &'a Merge },
    Map { fields: &'a BTreeMap<String, Type>, others: Option<&'a Type> },
}

static FREE: Type = Type::Free;

fn no_fields() -> &'static BTreeMap<String, Type> {
    static EMPTY: BTreeMap<String, Type> = BTreeMap::new();
    &EMPTY
}

fn table() -> &'static BTreeMap<String, Type> {
    static TABLE: OnceLock<BTreeMap<String, Type>> = OnceLock::new();
    TABLE.get_or_init(|| include_str!("builtin.txt").lines().filter_map(line).collect())
}

fn line(text: &str) -> Option<(String, Type)> {
    let mut words = text.split(' ');
    let name = words.next()?;
    let mut fields = BTreeMap::new();
    for word in words {
        let (field, expression) = word.split_once(':')?;
        let mut parser = Parser { text: expression };
        fields.insert(field.to_owned(), parser.read()?);
    }
    if name.matches('.').count() == 2 && is_root(&fields) {
        fields.entry("apiVersion".to_owned()).or_insert(Type::Text);
        fields.entry("kind".to_owned()).or_insert(Type::Text);
    }
    Some((name.to_owned(), Type::Map { fields: Arc::new(fields), others: None, atomic: false }))
}

fn is_root(fields: &BTreeMap<String, Type>) -> bool {
    matches!(fields.get("metadata"), Some(Type::Named { name, .. }) if &**name == "meta.v1.ObjectMeta")
}

/// Reads one type expression; the grammar stands in `examples/schema_table.rs`.
struct Parser<'a> {
    text: &'a str,
}

impl Parser<'_> {
    fn eat(&mut self, token: char) -> bool {
        match self.text.strip_prefix(token) {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => false,
        }
    }

    fn read(&mut self) -> Option<Type> {
        let atomic = self.eat('!');
        if self.eat('<') {
            let of = self.read()?;
            self.eat('>');
            let (fields, others) = (Arc::default(), Some(Arc::new(of)));
            return Some(Type::Map { fields, others, atomic });
        }
        if self.eat('[') {
            return self.list();
        }
        let end = self.text.find([']', '>']).unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        self.text = rest;
        Some(match word {
            "s" => Type::Text,
            "n" => Type::Number,
            "b" => Type::Bool,
            "q" => Type::Quantity,
            "u" => Type::Scalar,
            "*" => Type::Free,
            name => Type::Named { name: name.into(), atomic },
        })
    }

    fn list(&mut self) -> Option<Type> {
        let merge = if self.eat('=') {
            Merge::Set
        } else if let Some((keys, rest)) = self.text.split_once('|')
            && !keys.contains(['[', '<', ']'])
        {
            self.text = rest;
            Merge::Keys(keys.split(',').map(key).collect())
        } else {
            Merge::Atomic
        };
        let of = Arc::new(self.read()?);
        self.eat(']');
        Some(Type::List { of, merge })
    }
}

fn key(text: &str) -> Key {
    match text.split_once('~') {
        Some((name, default)) => Key { name: name.to_owned(), default: Some(Value::from(default)) },
        None => Key { name: text.to_owned(), default: None },
    }
}

impl Type {
    /// A built-in type, such as `apps.v1.Deployment`.
    pub(crate) fn named(name: &str) -> Type {
        Type::Named { name: name.into(), atomic: false }
    }

    fn resolved(&self) -> (&Type, bool) {
        if let Type::Named { name, atomic } = self {
            return (table().get(&**name).unwrap_or(&FREE), *atomic);
        }
        (self, false)
    }

    /// The shape that fits `value`; a type without description takes the value's own shape.
    pub(crate) fn shape(&self, value: &Value) -> Shape<'_> {
        match self.resolved() {
            (_, true)
            | (Type::Map { atomic: true, .. } | Type::List { merge: Merge::Atomic, .. }, _) => {
                Shape::Leaf
            }
            (Type::List { of, merge }, false) => Shape::List { of, merge },
            (Type::Map { fields, others, .. }, false) => {
                Shape::Map { fields, others: others.as_deref() }
            }
            (Type::Free, false) if value.is_object() => {
                Shape::Map { fields: no_fields(), others: Some(&FREE) }
            }
            _ => Shape::Leaf,
        }
    }

    /// The type's structure, atomic or not: what may stand inside.
    pub(crate) fn inside(&self) -> Inside<'_> {
        match self.resolved().0 {
            Type::List { of, merge } => Inside::List { of, merge },
            Type::Map { fields, others, .. } => Inside::Map { fields, others: others.as_deref() },
            Type::Text => Inside::Text,
            Type::Number => Inside::Number,
            Type::Bool => Inside::Bool,
            Type::Quantity => Inside::Quantity,
            Type::Scalar => Inside::Scalar,
            Type::Free | Type::Named { .. } => Inside::Free,
        }
    }

    /// What the server's language calls a structure.
    pub(crate) fn short_name(&self) -> Option<&str> {
        if let Type::Named { name, .. } = self { name.rsplit('.').next() } else { None }
    }

    /// The type of a map's entry, and whether it is a declared field.
    pub(crate) fn entry<'a>(
        fields: &'a BTreeMap<String, Type>,
        others: Option<&'a Type>,
        name: &str,
    ) -> Option<(&'a Type, bool)> {
        match fields.get(name) {
            Some(field) => Some((field, true)),
            None => others.map(|other| (other, false)),
        }
    }
}

/// What may stand inside a value of a type.
pub(crate) enum Inside<'a> {
    Text,
    Number,
    Bool,
    Quantity,
    Scalar,
    Free,
    List { of: &'a Type, merge: &'a Merge },
    Map { fields: &'a BTreeMap<String, Type>, others: Option<&'a Type> },
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = include_str!("builtin.txt").lines().count();
        assert!(lines > 300, "{lines}");
        assert_eq!(table().len(), lines);
    }

    #[test]
    fn ports_merge_by_port_and_protocol_and_tolerations_are_one_leaf() {
        let pod = Type::named("core.v1.PodSpec");
        let Shape::Map { fields, .. } = pod.shape(&json!({})) else { panic!("a map") };
        assert!(matches!(fields["tolerations"].shape(&json!([])), Shape::Leaf));
        let container = Type::named("core.v1.Container");
        let Shape::Map { fields, .. } = container.shape(&json!({})) else { panic!("a map") };
        let Shape::List { merge: Merge::Keys(keys), .. } = fields["ports"].shape(&json!([])) else {
            panic!("keyed")
        };
        let names: Vec<&str> = keys.iter().map(|key| &*key.name).collect();
        assert_eq!(names, ["containerPort", "protocol"]);
        assert_eq!(keys[1].default, Some(json!("TCP")));
    }
}
