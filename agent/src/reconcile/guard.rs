//! What must hold just before a container of other objects goes. Looked at with what is served at this very moment:
//! a kind that somebody installed a second ago counts too. Uses the client.

use model::{ObjectKey, ObjectParts, Reason};
use plan::{Guard, LiveMeta, Ownership, is_content};
use serde_json::Value;

use super::report::Trouble;
use super::stage::Stage;
use crate::cluster::{Kinds, Resource};

/// Objects of one kind that are looked at to tell whether a namespace or a definition holds anything.
const CONTENT_MAX: usize = 50;
/// Objects that a message names.
const NAMED_MAX: usize = 5;

/// Fails with what is in the way.
pub(super) async fn clear(
    stage: Stage<'_>,
    key: &ObjectKey,
    guard: Guard,
    place: &Resource,
) -> Result<(), Trouble> {
    let kinds = stage.shared.cluster.refresh_kinds().await;
    let kinds = kinds.map_err(|fault| Trouble::unreachable(&fault))?;
    match guard {
        Guard::NamespaceEmpty => namespace_empty(stage, key, &kinds).await,
        Guard::NoInstances => no_instances(stage, key, place).await,
    }
}

fn blocked(message: String) -> Trouble {
    Trouble::waiting(Reason::PruneBlocked, message)
}

async fn namespace_empty(stage: Stage<'_>, key: &ObjectKey, kinds: &Kinds) -> Result<(), Trouble> {
    if let Some(group) = kinds.silent().next() {
        let why = format!("objects of the group `{group}` cannot be looked at now: it is stale");
        return Err(blocked(why));
    }
    let ownership = Ownership::of(stage.app);
    for place in kinds.all().filter(|r| r.namespaced) {
        let items = list(stage, place, &key.name).await?;
        let content = items.iter().filter_map(|item| {
            let name = item.pointer("/metadata/name").and_then(Value::as_str);
            let inside = ObjectParts {
                group: place.group.clone(),
                kind: place.kind.clone(),
                namespace: key.name.clone(),
                name: name.unwrap_or_default().to_owned(),
            }
            .into();
            let meta = LiveMeta::read(item, &ownership).unwrap_or_default();
            is_content(&inside, &meta).then(|| inside.to_string())
        });
        let content: Vec<String> = content.collect();
        if !content.is_empty() {
            return Err(blocked(format!("it still holds {}", named(&content))));
        }
    }
    Ok(())
}

/// The definition itself says where its instances are: discovery may not show them yet, or no more.
async fn no_instances(stage: Stage<'_>, key: &ObjectKey, place: &Resource) -> Result<(), Trouble> {
    let reply = stage.shared.cluster.object(place, key).await;
    let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
    if reply.code == 404 {
        return Ok(());
    }
    let text = |path: &str| reply.body.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let versions = reply.body.pointer("/spec/versions").and_then(Value::as_array);
    let mut versions = versions.into_iter().flatten();
    let served = versions.find(|v| v.get("served").and_then(Value::as_bool) == Some(true));
    // Without a served version nobody can say whether something is stored.
    let Some(version) = served.and_then(|v| v.get("name")?.as_str()) else {
        return Err(blocked("no version of it is served, so its objects cannot be counted".into()));
    };
    let instances = Resource {
        group: text("/spec/group").to_owned(),
        version: version.to_owned(),
        kind: text("/spec/names/kind").to_owned(),
        plural: text("/spec/names/plural").to_owned(),
        namespaced: text("/spec/scope") == "Namespaced",
        watchable: true,
        has_status: false,
    };
    let items = list(stage, &instances, "").await?;
    let name = |item: &Value| {
        let text = |path: &str| item.pointer(path).and_then(Value::as_str).unwrap_or_default();
        format!("{}/{}", text("/metadata/namespace"), text("/metadata/name"))
    };
    match items.len() {
        0 => Ok(()),
        count => {
            let names: Vec<String> = items.iter().map(name).collect();
            let least = if count < CONTENT_MAX { "" } else { " or more" };
            Err(blocked(format!(
                "the cluster still holds {count}{least} objects of kind {}: {}",
                instances.kind,
                named(&names)
            )))
        }
    }
}

fn named(names: &[String]) -> String {
    let mut text = names.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", names.len() - NAMED_MAX));
    }
    text
}

/// Objects of a kind; that it cannot be listed is no proof that there is none.
async fn list(stage: Stage<'_>, place: &Resource, namespace: &str) -> Result<Vec<Value>, Trouble> {
    let listed = stage.shared.cluster.list_metadata(place, namespace, Some(CONTENT_MAX)).await;
    listed.map(|listed| listed.items).map_err(|fault| {
        let why = crate::fault::causes(&fault);
        blocked(format!("objects of kind {} cannot be looked at now: {why}", place.kind))
    })
}
