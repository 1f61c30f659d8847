//! Layers of a graph: every node at its own place, or just behind what it depends on.

use std::collections::{BTreeMap, BTreeSet};

use model::ObjectKey;

use super::Position;

/// Objects that depend on each other in a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cycle(pub(crate) Vec<ObjectKey>);

/// Moves each node to a place after everything it depends on. Edges to unknown nodes do not count.
pub(crate) fn layer(
    nodes: &BTreeMap<ObjectKey, Position>,
    needs: &BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
) -> Result<BTreeMap<ObjectKey, Position>, Cycle> {
    let known = |key: &ObjectKey| -> BTreeSet<ObjectKey> {
        let all = needs.get(key).into_iter().flatten();
        all.filter(|need| nodes.contains_key(need)).cloned().collect()
    };
    let mut open: BTreeMap<&ObjectKey, BTreeSet<ObjectKey>> =
        nodes.keys().map(|key| (key, known(key))).collect();
    let mut users: BTreeMap<ObjectKey, Vec<&ObjectKey>> = BTreeMap::new();
    for (key, needs) in &open {
        for need in needs {
            users.entry(need.clone()).or_default().push(key);
        }
    }
    let mut placed = nodes.clone();
    let mut ready: Vec<&ObjectKey> =
        open.iter().filter(|(_, needs)| needs.is_empty()).map(|(key, _)| *key).collect();
    while let Some(key) = ready.pop() {
        open.remove(key);
        let behind = Position { depth: placed[key].depth.saturating_add(1), ..placed[key] };
        for user in users.get(key).into_iter().flatten() {
            let at = placed.entry((*user).clone()).or_insert(behind);
            *at = (*at).max(behind);
            let Some(left) = open.get_mut(*user) else { continue };
            left.remove(key);
            if left.is_empty() {
                ready.push(user);
            }
        }
    }
    if open.is_empty() { Ok(placed) } else { Err(ring(&open)) }
}

/// One ring among the nodes that are left: all of them wait for another that is left.
fn ring(open: &BTreeMap<&ObjectKey, BTreeSet<ObjectKey>>) -> Cycle {
    let mut path: Vec<ObjectKey> = Vec::new();
    let mut at = open.keys().next().map(|key| (*key).clone());
    while let Some(key) = at {
        if let Some(start) = path.iter().position(|seen| *seen == key) {
            path.drain(..start);
            break;
        }
        at = open.get(&key).and_then(|needs| needs.iter().find(|n| open.contains_key(n)).cloned());
        path.push(key);
    }
    Cycle(path)
}
