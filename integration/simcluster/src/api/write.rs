//! create, update, patch, apply, delete.

use super::{
    Ask,
    answer::Answer,
    options,
    read::{place, selector, shown},
    route::Objects,
};
use crate::{
    kinds::Kind,
    ops::{self, DeleteOptions, scale_of, with_scale},
    patch::{json_patch, merge_patch, strategic},
    shared::Shared,
    state::Place,
    status::Status,
};
use serde_json::{Value, json};

fn body(ask: &Ask) -> Result<Value, Status> {
    serde_json::from_slice(&ask.body).map_err(|error| {
        Status::bad_request(format!("the object provided is unrecognized: {error}"))
    })
}

fn done(ask: &Ask, kind: &Kind, objects: &Objects, done: ops::Done) -> Answer {
    let code = if done.created { 201 } else { 200 };
    let value = match objects.subresource.as_str() {
        "scale" => scale_of(kind, &done.object),
        _ => shown(ask, kind, &done.object),
    };
    Answer::json(code, &value).warned(done.warnings)
}

pub(super) fn create(
    shared: &Shared,
    ask: &Ask,
    kind: &Kind,
    objects: &Objects,
) -> Result<Answer, Status> {
    let Some(namespace) = objects.namespace.clone().or((!kind.namespaced).then(String::new)) else {
        return Err(Status::method_not_allowed());
    };
    let mut object = body(ask)?;
    fill_in_type(kind, &mut object);
    let write = options::of_write(ask, &objects.subresource)?;
    let created = ops::create(&mut shared.state(), kind, &namespace, object, &write)?;
    Ok(done(ask, kind, objects, created))
}

/// A body may leave its type to the path.
fn fill_in_type(kind: &Kind, object: &mut Value) {
    if let Some(map) = object.as_object_mut()
        && !map.contains_key("kind")
        && !map.contains_key("apiVersion")
    {
        map.insert("kind".to_owned(), json!(kind.kind));
        map.insert("apiVersion".to_owned(), json!(kind.api_version()));
    }
}

pub(super) fn update(
    shared: &Shared,
    ask: &Ask,
    kind: &Kind,
    objects: &Objects,
) -> Result<Answer, Status> {
    let mut object = body(ask)?;
    let write = options::of_write(ask, &objects.subresource)?;
    let place = place(objects);
    let mut state = shared.state();
    let updated = match objects.subresource.as_str() {
        "scale" => ops::modify(&mut state, kind, &place, &write, |live| {
            Ok(with_scale(kind, live, &object))
        })?,
        "finalize" => {
            if object["spec"]["finalizers"][0].is_null() {
                ops::release(&mut state, kind, &place);
            }
            return Ok(Answer::json(200, &object));
        }
        _ => {
            fill_in_type(kind, &mut object);
            ops::update(&mut state, kind, &place, object, &write)?
        }
    };
    Ok(done(ask, kind, objects, updated))
}

pub(super) fn patch(
    shared: &Shared,
    ask: &Ask,
    kind: &Kind,
    objects: &Objects,
) -> Result<Answer, Status> {
    let write = options::of_write(ask, &objects.subresource)?;
    let place = place(objects);
    let content = ask.header(http::header::CONTENT_TYPE).split(';').next().unwrap_or_default();
    if !content.starts_with("application/") {
        let text = "415: Unsupported Media Type";
        let status = Status::new(415, "UnsupportedMediaType", text);
        return Err(Status { details: Some(Box::new(json!({}))), ..status });
    }
    let patch = body(ask)?;
    let mut state = shared.state();
    if ask.is_apply() {
        let applied = ops::apply(&mut state, kind, &place, patch, &write)?;
        return Ok(done(ask, kind, objects, applied));
    }
    let known = match content {
        "application/merge-patch+json" | "application/json-patch+json" => true,
        "application/strategic-merge-patch+json" => kind.custom.is_none(),
        _ => false,
    };
    if !known {
        return Err(unsupported(kind));
    }
    let changed = |target: &Value| match content {
        "application/merge-patch+json" => Ok(merge_patch(target, &patch)),
        "application/json-patch+json" => json_patch(target, &patch),
        _ => Ok(strategic(target, &patch, &kind.schema)),
    };
    let patched =
        ops::modify(&mut state, kind, &place, &write, |live| match objects.subresource.as_str() {
            "scale" => Ok(with_scale(kind, live, &changed(&scale_of(kind, live))?)),
            _ => changed(live),
        })?;
    Ok(done(ask, kind, objects, patched))
}

fn unsupported(kind: &Kind) -> Status {
    let mut types = vec!["application/json-patch+json", "application/merge-patch+json"];
    if kind.custom.is_none() {
        types.push("application/strategic-merge-patch+json");
    }
    types.push("application/apply-patch+yaml");
    let text = format!(
        "the body of the request was in an unknown format - accepted media types include: {}",
        types.join(", ")
    );
    Status::new(415, "UnsupportedMediaType", text)
}

/// A body, even an empty one, hides every parameter of the address.
fn delete_options(ask: &Ask) -> Result<DeleteOptions, Status> {
    if !ask.body.is_empty() {
        return DeleteOptions::of_body(&body(ask)?);
    }
    let mut options = DeleteOptions::default();
    let query = |name: &str| Some(ask.query.get(name)).filter(|value| !value.is_empty());
    options.set_propagation(query("propagationPolicy"))?;
    options.grace = query("gracePeriodSeconds").and_then(|grace| grace.parse().ok());
    options.dry_run = query("dryRun").is_some();
    Ok(options)
}

pub(super) fn delete(
    shared: &Shared,
    ask: &Ask,
    kind: &Kind,
    objects: &Objects,
) -> Result<Answer, Status> {
    let place = place(objects);
    let options = delete_options(ask)?;
    let deleted = ops::delete(&mut shared.state(), kind, &place, &options)?;
    if !deleted.gone {
        return Ok(Answer::json(200, &shown(ask, kind, &deleted.object)));
    }
    let mut details = json!({"name": place.1});
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    details["kind"] = json!(kind.plural);
    details["uid"] = deleted.object["metadata"]["uid"].clone();
    Ok(Answer::success(&details))
}

pub(super) fn delete_all(
    shared: &Shared,
    ask: &Ask,
    kind: &Kind,
    objects: &Objects,
) -> Result<Answer, Status> {
    let (selector, options) = (selector(ask, objects)?, delete_options(ask)?);
    let mut state = shared.state();
    let in_scope = |place: &Place| objects.namespace.as_ref().is_none_or(|space| *space == place.0);
    let chosen: Vec<Place> = state
        .table(kind)
        .map(|table| {
            let all = table.items.iter();
            let chosen = all.filter(|(place, object)| in_scope(place) && selector.matches(object));
            chosen.map(|(place, _)| place.clone()).collect()
        })
        .unwrap_or_default();
    let mut items = Vec::new();
    for place in chosen {
        let deleted = ops::delete(&mut state, kind, &place, &options)?;
        items.push(shown(ask, kind, &deleted.object));
    }
    let value = json!({
        "kind": kind.list,
        "apiVersion": kind.api_version(),
        "metadata": {"resourceVersion": state.version.to_string()},
        "items": items,
    });
    Ok(Answer::json(200, &value))
}
