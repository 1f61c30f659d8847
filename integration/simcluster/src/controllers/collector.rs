//! The garbage collector: dependants of what is gone, foreground deletion, orphaning.

use super::pass::{CONTROLLER, Pass, is_deleting};
use crate::{
    kinds::Kind,
    ops::{self, Write},
    state::{Place, place_of},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

struct Found {
    kind: Arc<Kind>,
    object: Arc<Value>,
}

impl Found {
    fn place(&self) -> Place {
        place_of(&self.kind, &self.object)
    }

    fn owners(&self) -> impl Iterator<Item = &Value> {
        self.object["metadata"]["ownerReferences"].as_array().into_iter().flatten()
    }

    fn holds(&self, finalizer: &str) -> bool {
        let list = self.object["metadata"]["finalizers"].as_array();
        list.into_iter().flatten().any(|name| name == finalizer)
    }
}

pub(super) fn step(pass: &mut Pass<'_>) {
    let mut all: Vec<Found> = Vec::new();
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    for kind in pass.state.kinds() {
        if seen.insert((kind.group.clone(), kind.plural.clone())) {
            let items = pass.state.table(kind).into_iter().flat_map(|table| table.items.values());
            all.extend(items.map(|object| Found { kind: kind.clone(), object: object.clone() }));
        }
    }
    let uid = |value: &Value| value["uid"].as_str().unwrap_or_default().to_owned();
    let alive: BTreeSet<String> = all.iter().map(|found| uid(&found.object["metadata"])).collect();
    let mut children: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, found) in all.iter().enumerate() {
        for owner in found.owners() {
            children.entry(uid(owner)).or_default().push(index);
        }
    }
    for found in &all {
        let orphaned = found.owners().next().is_some()
            && found.owners().all(|owner| !alive.contains(&uid(owner)));
        if orphaned && !is_deleting(&found.object) {
            pass.delete(&found.kind, &found.place());
        }
        if is_deleting(&found.object) {
            let own = children.get(&uid(&found.object["metadata"]));
            let own: Vec<&Found> = own.into_iter().flatten().map(|index| &all[*index]).collect();
            dying(pass, found, &own);
        }
    }
}

fn dying(pass: &mut Pass<'_>, found: &Found, children: &[&Found]) {
    if found.holds("orphan") {
        for child in children {
            let owner = &found.object["metadata"]["uid"];
            pass.edit(&child.kind, &child.object, &Write::by(CONTROLLER, ""), |child| {
                if let Some(list) = child["metadata"]["ownerReferences"].as_array_mut() {
                    list.retain(|reference| reference["uid"] != *owner);
                }
            });
        }
        ops::drop_finalizer(pass.state, &found.kind, &found.place(), "orphan");
    }
    if found.holds("foregroundDeletion") {
        for child in children.iter().filter(|child| !is_deleting(&child.object)) {
            pass.delete(&child.kind, &child.place());
        }
        let uid = &found.object["metadata"]["uid"];
        let blocks = |child: &&&Found| {
            child.owners().any(|owner| owner["uid"] == *uid && owner["blockOwnerDeletion"] == true)
        };
        if !children.iter().any(|child| blocks(&child)) {
            ops::drop_finalizer(pass.state, &found.kind, &found.place(), "foregroundDeletion");
        }
    }
}
