//! Fields that an App leaves to others: what of them belongs into the body that is applied.
//!
//! A field stays in the body until it is there: somebody has to make it. From then on it is taken out, so that its
//! ownership is given up properly; only where nobody else owns it the live value is sent along, because giving
//! it up would remove it. Absent: when to shape, which is whenever an object that exists is written.

use serde_json::Value;

use crate::fields::{FieldSet, Part};
use crate::ownership::Ownership;
use crate::schema::{ListShape, Node, Schemas};

/// Shapes `body` by `pointers` and the whole live object: fields that others own, or that are gone, are taken
/// out; fields that only we own get their live value.
pub fn shape_body(body: &mut Value, pointers: &[String], live: &Value, ownership: &Ownership) {
    let schemas = Schemas::new();
    let root = schemas.root(live);
    let mut shaper = Shaper { others: FieldSet::new(), ours: FieldSet::new() };
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let set = FieldSet::parse(entry.get("fieldsV1").unwrap_or(&Value::Null));
        let own = text("manager") == ownership.manager() && text("subresource").is_empty();
        let side = if own { &mut shaper.ours } else { &mut shaper.others };
        *side = side.union(&set);
    }
    for pointer in pointers {
        let steps: Vec<String> =
            pointer.split('/').skip(1).map(|p| p.replace("~1", "/").replace("~0", "~")).collect();
        shaper.visit(body, Some(live), &steps, &root, &mut Vec::new());
    }
}

struct Shaper {
    ours: FieldSet,
    others: FieldSet,
}

impl Shaper {
    /// Goes down `steps` in the body and, side by side, in the live object.
    fn visit(
        &self,
        body: &mut Value,
        live: Option<&Value>,
        steps: &[String],
        node: &Node<'_>,
        at: &mut Vec<Part>,
    ) {
        let Some((step, rest)) = steps.split_first() else { return };
        match body {
            Value::Object(map) => {
                let fits = |name: &&String| step == "*" || step == *name;
                let names: Vec<String> = map.keys().filter(fits).cloned().collect();
                for name in names {
                    let there = live.and_then(|live| live.get(&name));
                    at.push(Part::Field(name.clone()));
                    if !rest.is_empty() {
                        if let Some(below) = map.get_mut(&name) {
                            self.visit(below, there, rest, &node.field(&name), at);
                        }
                    } else if !names_item(at) {
                        match self.kept(there, at) {
                            Some(value) => drop(map.insert(name, value)),
                            None => drop(map.shift_remove(&name)),
                        }
                    }
                    at.pop();
                }
            }
            Value::Array(items) => {
                // The last step cannot be an item: a list without it is another list.
                for (place, item) in items.iter_mut().enumerate() {
                    if rest.is_empty() || !(step == "*" || *step == place.to_string()) {
                        continue;
                    }
                    let (part, there) = self.twin(item, place, live, node, at);
                    at.push(part);
                    self.visit(item, there, rest, &node.item(), at);
                    at.pop();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// What stays of a field: `None` takes it out.
    fn kept(&self, live: Option<&Value>, at: &[Part]) -> Option<Value> {
        let live = live.filter(|live| !live.is_null())?;
        (owns(&self.ours, at) && !owns(&self.others, at)).then(|| live.clone())
    }

    /// The live item that is the same as this one of the body, and what owners call it.
    fn twin<'l>(
        &self,
        item: &Value,
        place: usize,
        live: Option<&'l Value>,
        node: &Node<'_>,
        at: &[Part],
    ) -> (Part, Option<&'l Value>) {
        let items = live.and_then(Value::as_array);
        let keys = match node.list() {
            ListShape::Keyed(keys) => Some(keys),
            ListShape::Whole | ListShape::Set => self.keys(at),
        };
        let Some(keys) = keys else {
            return (Part::At(place), items.and_then(|items| items.get(place)));
        };
        let value =
            |item: &Value, key: &str| item.get(key).cloned().or_else(|| node.key_default(key));
        let fields = keys.iter().filter_map(|key| Some((key.clone(), value(item, key)?))).collect();
        let same = |other: &&Value| keys.iter().all(|key| value(other, key) == value(item, key));
        (Part::key(&fields), items.and_then(|items| items.iter().find(same)))
    }

    /// Key fields of the list at `at`, as its owners tell them, where no definition does.
    fn keys(&self, at: &[Part]) -> Option<Vec<String>> {
        [&self.ours, &self.others].into_iter().find_map(|set| {
            let set = at.iter().try_fold(set, |set, part| set.child(part))?;
            let mut parts = set.children().map(|(part, _)| part);
            parts.find_map(|part| Some(part.key_fields()?.keys().cloned().collect()))
        })
    }
}

/// Whether the last field tells its list item from others; without it the item would be another one.
fn names_item(at: &[Part]) -> bool {
    let [.., item, Part::Field(name)] = at else { return false };
    item.key_fields().is_some_and(|keys| keys.contains_key(name))
}

/// Whether a set holds the field, anything below it, or a whole that it is part of.
fn owns(set: &FieldSet, path: &[Part]) -> bool {
    let mut at = set;
    for part in path {
        let leaf = at.is_member() && at.children().next().is_none();
        match at.child(part) {
            Some(below) => at = below,
            None => return leaf,
        }
    }
    !at.is_empty()
}
