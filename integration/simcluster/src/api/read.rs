//! get and list.

use super::{Ask, answer::Answer, options, route::Objects};
use crate::{
    kinds::Kind,
    ops::{in_version, scale_of},
    selector::Selector,
    shared::Shared,
    state::Place,
    status::Status,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::{collections::BTreeMap, ops::Bound, sync::Arc};

pub(super) fn place(objects: &Objects) -> Place {
    (objects.namespace.clone().unwrap_or_default(), objects.name.clone().unwrap_or_default())
}

pub(super) fn selector(ask: &Ask, objects: &Objects) -> Result<Selector, Status> {
    let mut fields = ask.query.get("fieldSelector").to_owned();
    if let Some(name) = &objects.name {
        fields = format!("metadata.name={name}");
    }
    Selector::parse(ask.query.get("labelSelector"), &fields)
}

/// The object as asked for: whole, or its metadata alone.
pub(super) fn shown(ask: &Ask, kind: &Kind, object: &Value) -> Value {
    if ask.wants_partial() { partial(object) } else { in_version(object, kind) }
}

pub(super) fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

pub(super) fn get(
    shared: &Shared,
    ask: &Ask,
    kind: &Kind,
    objects: &Objects,
) -> Result<Answer, Status> {
    let place = place(objects);
    let found = shared.state().get(kind, &place);
    let object = found.ok_or_else(|| Status::not_found(kind, &place.1))?;
    Ok(match objects.subresource.as_str() {
        "scale" => Answer::json(200, &scale_of(kind, &object)),
        _ => Answer::json(200, &shown(ask, kind, &object)),
    })
}

/// Where a page ended: the version of the whole list (none once that is forgotten), and the last
/// place shown.
struct Continue {
    version: Option<u64>,
    after: Place,
}

impl Continue {
    fn encode(&self) -> String {
        let (namespace, name) = &self.after;
        let version = self.version.map_or(json!(-1), |version| json!(version));
        let token = json!({"v": "meta.k8s.io/v1", "rv": version, "ns": namespace, "n": name});
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn decode(text: &str) -> Result<Continue, Status> {
        let refuse = |why: &str| {
            let text = format!("invalid continue token: continue key is not valid: {why}");
            Status::bad_request(text)
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refuse("illegal base64 data"))?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| {
            let first = bytes.first().copied().unwrap_or_default();
            let shown = if first.is_ascii_graphic() {
                char::from(first).to_string()
            } else {
                format!("\\u{first:04x}")
            };
            refuse(&format!("invalid character '{shown}' looking for beginning of value"))
        })?;
        if token["v"] != "meta.k8s.io/v1" {
            return Err(refuse("server does not recognize this encoded version "));
        }
        let part = |name: &str| token[name].as_str().unwrap_or_default().to_owned();
        Ok(Continue { version: token["rv"].as_u64(), after: (part("ns"), part("n")) })
    }
}

const PAGE_TOO_OLD: &str = "The provided continue parameter is too old to display a consistent \
     list result. You can start a new list without the continue parameter, or use the continue \
     token in this response to retrieve the remainder of the results. Continuing with the provided \
     token results in an inconsistent list - objects that were created, modified, or deleted \
     between the time the first chunk was returned and now may show up in the list.";
const LIST_TOO_OLD: &str = "The resourceVersion for the provided list is too old.";

type Snapshot = (u64, Bound<Place>, BTreeMap<Place, Arc<Value>>);

/// The objects to page through: now, as of the first page, or as of the version asked for.
fn snapshot(shared: &Shared, ask: &Ask, kind: &Kind) -> Result<Snapshot, Status> {
    let state = shared.state();
    let Some(table) = state.table(kind) else { return Err(Status::not_found(kind, "")) };
    let token = ask.query.get("continue");
    if !token.is_empty() {
        let page = Continue::decode(token)?;
        let Some(version) = page.version else {
            return Ok((state.version, Bound::Excluded(page.after), table.items.clone()));
        };
        let Some(items) = table.as_of(version) else {
            let rest = Continue { version: None, after: page.after };
            let list = Some(Box::new(json!({"continue": rest.encode()})));
            return Err(Status { list, ..Status::expired(PAGE_TOO_OLD) });
        };
        return Ok((version, Bound::Excluded(page.after), items));
    }
    options::check_list(ask, false)?;
    let asked = options::version(ask)
        .map_err(|text| Status::bad_request(format!("invalid resource version: {text}")))?;
    if asked > state.version {
        return Err(too_large(asked, state.version));
    }
    let paged =
        !ask.query.get("limit").is_empty() && ask.query.get("resourceVersionMatch").is_empty();
    if asked > 0 && (paged || ask.query.get("resourceVersionMatch") == "Exact") {
        let items = table.as_of(asked).ok_or_else(|| Status::expired(LIST_TOO_OLD))?;
        return Ok((asked, Bound::Unbounded, items));
    }
    Ok((state.version, Bound::Unbounded, table.items.clone()))
}

pub(super) fn too_large(asked: u64, current: u64) -> Status {
    let text = format!("Too large resource version: {asked}, current: {current}");
    let mut status = Status::new(504, "Timeout", format!("Timeout: {text}"));
    status.details = Some(Box::new(json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
    })));
    status.retry_after = Some(1);
    status
}

pub(super) fn list(
    shared: &Shared,
    ask: &Ask,
    kind: &Kind,
    objects: &Objects,
) -> Result<Answer, Status> {
    let selector = selector(ask, objects)?;
    let limit: usize = ask.query.get("limit").parse().unwrap_or(0);
    let (version, after, items) = snapshot(shared, ask, kind)?;
    let wanted = |place: &Place| objects.namespace.as_ref().is_none_or(|space| *space == place.0);
    let mut rest =
        items.range((after, Bound::Unbounded)).filter(|(place, _)| wanted(place)).peekable();
    let mut shown_items = Vec::new();
    let mut metadata = json!({"resourceVersion": version.to_string()});
    while let Some((place, object)) = rest.next() {
        if !selector.matches(object) {
            continue;
        }
        shown_items.push(item(ask, kind, object));
        if limit > 0 && shown_items.len() == limit && rest.peek().is_some() {
            let next = Continue { version: Some(version), after: place.clone() };
            metadata["continue"] = json!(next.encode());
            if ask.query.get("labelSelector").is_empty()
                && ask.query.get("fieldSelector").is_empty()
            {
                metadata["remainingItemCount"] = json!(rest.count());
            }
            break;
        }
    }
    // An empty list of metadata has no items, of objects it has none.
    let shown_items = if shown_items.is_empty() && ask.wants_partial() {
        Value::Null
    } else {
        Value::Array(shown_items)
    };
    let (list, api_version) = if ask.wants_partial() {
        ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned())
    } else {
        (kind.list.clone(), kind.api_version())
    };
    let value = json!({
        "kind": list, "apiVersion": api_version, "metadata": metadata, "items": shown_items,
    });
    Ok(Answer::json(200, &value))
}

/// Built-in kinds are listed without their own kind and apiVersion, custom kinds with.
fn item(ask: &Ask, kind: &Kind, object: &Value) -> Value {
    let mut object = shown(ask, kind, object);
    if kind.custom.is_none()
        && !ask.wants_partial()
        && let Some(map) = object.as_object_mut()
    {
        map.shift_remove("kind");
        map.shift_remove("apiVersion");
    }
    object
}
