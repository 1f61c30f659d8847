//! Step 2: what is there. Watches answer for everything that is known; what they have never seen is
//! read one by one, so that a steady state costs nothing. Uses the client.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use model::{AppName, ObjectKey, ObjectParts};
use plan::{Desired, Inventory, Live, LiveMeta, Ownership, Sight};
use serde_json::Value;
use tokio::sync::Notify;

use super::Shared;
use super::mirror::{Look, key_of};
use super::report::Trouble;
use crate::cluster::{Found, Kinds, Resource};

/// Longest wait for the first list of a kind.
const LISTED_MAX: Duration = Duration::from_secs(20);
/// Unknown objects of one kind and namespace from which one list is cheaper than reads.
const LIST_FROM: usize = 10;

/// What was seen, and where it is served.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) live: Live,
    pub(super) kinds: Arc<Kinds>,
}

/// Version by which an object is addressed: that of the release, or of what was applied.
fn version<'a>(desired: &'a Desired, inventory: &'a Inventory, key: &ObjectKey) -> Option<&'a str> {
    let wanted = desired.get(key).map(plan::DesiredObject::version);
    let hook = || desired.hooks().find(|hook| hook.key == *key)?.api_version.rsplit('/').next();
    wanted.or_else(|| inventory.get(key).map(|entry| entry.version.as_str())).or_else(hook)
}

/// Finds where `key` is served, in any version when its own is gone.
pub(super) fn resource(kinds: &Kinds, key: &ObjectKey, version: &str) -> Found {
    match kinds.find(&key.group, version, &key.kind) {
        Found::OtherVersions(versions) => match kinds.any(&key.group, &key.kind) {
            Some(resource) => Found::Served(resource.clone()),
            None => Found::OtherVersions(versions),
        },
        found @ (Found::Served(_) | Found::Unknown | Found::No) => found,
    }
}

/// Looks at everything that is desired or was applied.
pub(super) async fn observe(
    shared: &Shared,
    app: &AppName,
    moved: &Arc<Notify>,
    desired: &Desired,
    inventory: &Inventory,
) -> Result<Observed, Trouble> {
    let hooks = desired.hooks().map(|hook| &hook.key);
    let keys: BTreeSet<&ObjectKey> =
        desired.objects().keys().chain(inventory.entries().keys()).chain(hooks).collect();
    let mut kinds = shared.cluster.kinds();
    let served = |kinds: &Kinds, key: &ObjectKey| {
        resource(kinds, key, version(desired, inventory, key).unwrap_or_default())
    };
    let all = |kinds: &Kinds| keys.iter().all(|k| matches!(served(kinds, k), Found::Served(_)));
    let mut outdated = false;
    if !all(&kinds) {
        match shared.cluster.refresh_kinds().await {
            Ok(fresh) => kinds = fresh,
            // What is known stays known; only what is not waits for discovery.
            Err(fault) if kinds.known() => {
                tracing::warn!(%app, fault = crate::fault::causes(&fault), "discovery failed");
                outdated = true;
            }
            Err(fault) => return Err(Trouble::unreachable(&fault)),
        }
    }
    let mut live = Live::new();
    let mut where_is: BTreeMap<&ObjectKey, Resource> = BTreeMap::new();
    for key in keys {
        match served(&kinds, key) {
            Found::Served(resource) => drop(where_is.insert(key, resource)),
            Found::Unknown => live.blind(&key.group, &key.kind),
            Found::No | Found::OtherVersions(_) if outdated => live.blind(&key.group, &key.kind),
            // Confirmed not served: then nothing of it can be there.
            Found::No | Found::OtherVersions(_) => {}
        }
    }
    let distinct: BTreeSet<Resource> = where_is.values().cloned().collect();
    let resources: Vec<Resource> = distinct.into_iter().collect();
    shared.mirror.follow(app, moved, &resources);
    shared.mirror.ready(&resources, LISTED_MAX).await;
    let mut unknown: Vec<(&ObjectKey, &Resource)> = Vec::new();
    for (key, resource) in &where_is {
        match shared.mirror.look(key) {
            Look::Present(meta) => live.insert((*key).clone(), *meta),
            Look::Absent => {}
            Look::Blind => live.blind(&key.group, &key.kind),
            Look::NotSeen => unknown.push((key, resource)),
        }
    }
    read_unknown(shared, &Ownership::of(app), unknown, &mut live).await?;
    Ok(Observed { live, kinds })
}

/// Lists, over all kinds, what carries the App's label: for an inventory that is lost. A kind that cannot be listed is
/// blind, and what may be there stays unknown.
pub(super) async fn labelled(shared: &Shared, app: &AppName) -> Result<Observed, Trouble> {
    let kinds = shared.cluster.refresh_kinds().await.map_err(|e| Trouble::unreachable(&e))?;
    let (ownership, mut live) = (Ownership::of(app), Live::new());
    let label = format!("{}={app}", Ownership::LABEL);
    for place in kinds.all() {
        match shared.cluster.list_labelled(place, &label).await {
            Ok(items) => {
                for item in items {
                    if let Some(meta) = LiveMeta::read(&item, &ownership) {
                        live.insert(key_of(place, &item), meta);
                    }
                }
            }
            Err(fault) => {
                tracing::warn!(%app, kind = place.kind, fault = crate::fault::causes(&fault), "not listed");
                live.blind(&place.group, &place.kind);
            }
        }
    }
    Ok(Observed { live, kinds })
}

/// Reads what no watch has seen: cluster-scoped objects first, because a namespace that is not there
/// answers for all that would be in it.
async fn read_unknown(
    shared: &Shared,
    ownership: &Ownership,
    unknown: Vec<(&ObjectKey, &Resource)>,
    live: &mut Live,
) -> Result<(), Trouble> {
    let (outer, inner): (Vec<_>, Vec<_>) =
        unknown.into_iter().partition(|(key, _)| key.namespace.is_empty());
    read_each(shared, ownership, outer, live).await?;
    let mut groups: BTreeMap<(&Resource, &str), Vec<&ObjectKey>> = BTreeMap::new();
    for (key, resource) in inner {
        let namespace = ObjectParts {
            group: String::new(),
            kind: "Namespace".to_owned(),
            namespace: String::new(),
            name: key.namespace.clone(),
        }
        .into();
        // Only a namespace of this App was looked at; about others nothing is known.
        let looked = matches!(shared.mirror.look(&namespace), Look::Absent);
        if looked && live.get(&namespace) == Sight::Absent {
            continue;
        }
        groups.entry((resource, key.namespace.as_str())).or_default().push(key);
    }
    let mut each = Vec::new();
    for ((resource, namespace), keys) in groups {
        if keys.len() < LIST_FROM {
            each.extend(keys.into_iter().map(|key| (key, resource)));
            continue;
        }
        let listed = shared.cluster.list_metadata(resource, namespace, None).await;
        let listed = listed.map_err(|e| Trouble::unreachable(&e))?;
        let by_name: BTreeMap<&str, &Value> = listed
            .items
            .iter()
            .filter_map(|i| Some((i.pointer("/metadata/name")?.as_str()?, i)))
            .collect();
        for key in keys {
            let object = by_name.get(key.name.as_str()).copied();
            shared.mirror.found(key, object);
            if let Some(meta) = object.and_then(|o| LiveMeta::read(o, ownership)) {
                live.insert(key.clone(), meta);
            }
        }
    }
    read_each(shared, ownership, each, live).await
}

async fn read_each(
    shared: &Shared,
    ownership: &Ownership,
    keys: Vec<(&ObjectKey, &Resource)>,
    live: &mut Live,
) -> Result<(), Trouble> {
    let mut reads = Vec::new();
    for (key, resource) in keys {
        reads.push(async move { (key, shared.cluster.metadata(resource, key).await) });
    }
    let mut reads = futures::stream::iter(reads).buffer_unordered(shared.limits.in_flight_per_app);
    while let Some((key, reply)) = reads.next().await {
        let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
        match reply.code {
            200 => {
                shared.mirror.found(key, Some(&reply.body));
                if let Some(meta) = LiveMeta::read(&reply.body, ownership) {
                    live.insert(key.clone(), meta);
                }
            }
            404 => shared.mirror.found(key, None),
            // Not allowed, or the server is ill: nothing may be concluded.
            code => {
                tracing::debug!(%key, code, "could not be read");
                live.blind(&key.group, &key.kind);
            }
        }
    }
    Ok(())
}
