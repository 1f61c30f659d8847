//! Opens lists, so that everything after meets single objects.

use serde_json::Value;

use super::{Content, Fault, Flaw, Item};
use crate::path;

/// Lists within lists that are opened.
const NESTED_MAX: usize = 4;
/// Levels of maps and lists that an object may have; Kubernetes' own kinds stay below 30.
const DEPTH_MAX: usize = 96;

/// Single objects, in order.
pub(super) fn expand(contents: Vec<Content>, faults: &mut Vec<Fault>) -> Vec<Item> {
    let mut items = Vec::new();
    for (index, content) in contents.into_iter().enumerate() {
        let item = Item {
            index,
            inside: String::new(),
            digest: content.digest,
            object: content.object,
            key: None,
        };
        if !shallow(&item.object, DEPTH_MAX) {
            let flaw = Flaw::new("", format!("nested deeper than {DEPTH_MAX} levels"));
            faults.push(item.fault(flaw));
            continue;
        }
        open(item, NESTED_MAX, &mut items, faults);
    }
    items
}

fn open(mut item: Item, left: usize, items: &mut Vec<Item>, faults: &mut Vec<Fault>) {
    let kind = item.object.get("kind").and_then(Value::as_str).unwrap_or("");
    let is_list = kind.ends_with("List") && item.object.get("items").is_some_and(Value::is_array);
    if !is_list {
        items.push(item);
        return;
    }
    if left == 0 {
        let flaw = Flaw::new("items", format!("more than {NESTED_MAX} lists within lists"));
        faults.push(item.fault(flaw));
        return;
    }
    let Some(Value::Array(members)) = item.object.get_mut("items").map(Value::take) else { return };
    for (at, object) in members.into_iter().enumerate() {
        let member = Item {
            index: item.index,
            inside: path::item(&path::field(&item.inside, "items"), at),
            digest: item.digest,
            object,
            key: None,
        };
        open(member, left - 1, items, faults);
    }
}

/// Whether `value` has at most `left` levels.
fn shallow(value: &Value, left: usize) -> bool {
    match value {
        Value::Object(map) => left > 0 && map.values().all(|v| shallow(v, left - 1)),
        Value::Array(items) => left > 0 && items.iter().all(|v| shallow(v, left - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
