//! Limits of the API server, found before it has to say so. Messages name keys and sizes, never values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Reason;
use serde_json::{Map, Value};

use super::{AdmitOptions, Fault, Flaw, Item};
use crate::path;

/// Longest name of a label or annotation, after its prefix.
const KEY_NAME_BYTES: usize = 63;
/// Longest prefix of a label or annotation: a DNS name.
const KEY_PREFIX_BYTES: usize = 253;
/// Longest label value.
const LABEL_VALUE_BYTES: usize = 63;
/// All annotations of one object, keys and values.
const ANNOTATIONS_BYTES: usize = 262_144;
/// One object; etcd takes 1.5 MiB, and the server adds managed fields.
const OBJECT_BYTES: usize = 1_468_006; // 1.4 MiB
/// `data` of a `Secret` or `ConfigMap`, decoded.
const DATA_BYTES: usize = 1_048_576;

/// Everything over a limit, or of the wrong type where types are easily mistaken.
pub(super) fn check(object: &Value) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let meta = object.get("metadata");
    let map = |name: &str| meta?.get(name);
    texts("metadata.labels", map("labels"), &mut flaws);
    texts("metadata.annotations", map("annotations"), &mut flaws);
    for base in ["labels", "annotations"] {
        for (name, _) in entries(map(base)) {
            if let Some(why) = key_fault(name) {
                flaws.push(Flaw::new(path::field(&format!("metadata.{base}"), name), why));
            }
        }
    }
    for (name, value) in entries(map("labels")) {
        if let Some(why) = value.as_str().and_then(label_fault) {
            flaws.push(Flaw::new(path::field("metadata.labels", name), why));
        }
    }
    let annotations: usize = entries(map("annotations"))
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len))
        .sum();
    if annotations > ANNOTATIONS_BYTES {
        let why = format!("{annotations} bytes in all; at most {ANNOTATIONS_BYTES}");
        flaws.push(Flaw::new("metadata.annotations", why).because(Reason::ObjectTooLarge));
    }
    let core = object.get("apiVersion").and_then(Value::as_str) == Some("v1");
    match object.get("kind").and_then(Value::as_str) {
        // Its values would be taken for what they encrypt, by the server and by whatever runs.
        _ if is_sealed(object) => {
            let why = "the object is encrypted with SOPS and was not opened: only the agent does that, in its cluster, \
                       with its age key";
            flaws.push(Flaw::new("sops", why).because(Reason::SealKeyMissing));
        }
        Some("Secret") if core => data(object, true, &mut flaws),
        Some("ConfigMap") if core => data(object, false, &mut flaws),
        _ => {}
    }
    let bytes = serde_json::to_string(object).map_or(0, |text| text.len());
    if bytes > OBJECT_BYTES {
        let why = format!("{bytes} bytes; at most {OBJECT_BYTES}");
        flaws.push(Flaw::new("", why).because(Reason::ObjectTooLarge));
    }
    flaws
}

/// Whether SOPS encrypted an object, and an agent is meant to open it: all kinds but the one that operators open.
pub fn is_sealed(object: &Value) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let Some(block) = object.get("sops").filter(|block| block.is_object()) else { return false };
    let core = text("apiVersion") == Some("v1");
    match text("kind") {
        Some("SopsSecret") => false,
        Some("Secret" | "ConfigMap") if core => true,
        _ => block.get("mac").is_some_and(Value::is_string),
    }
}

/// Limits of the whole set.
pub(super) fn whole(items: &[Item], options: &AdmitOptions) -> Vec<Fault> {
    let Some(last) = items.last() else { return Vec::new() };
    let bytes: usize =
        items.iter().map(|i| serde_json::to_string(&i.object).map_or(0, |text| text.len())).sum();
    let mut faults = Vec::new();
    if items.len() > options.objects_max {
        let why = format!(
            "{} objects in all; an App has at most {}; split it",
            items.len(),
            options.objects_max
        );
        faults.push(last.fault(Flaw::new("", why).because(Reason::ObjectTooLarge)));
    }
    if bytes > options.bytes_max {
        let why =
            format!("{bytes} bytes in all; an App has at most {}; split it", options.bytes_max);
        faults.push(last.fault(Flaw::new("", why).because(Reason::ObjectTooLarge)));
    }
    faults
}

fn entries(map: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    map.and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// All values of a map must be texts: `"yes"`, not `yes`.
fn texts(base: &str, map: Option<&Value>, flaws: &mut Vec<Flaw>) {
    if map.is_some_and(|map| !map.is_object()) {
        flaws.push(Flaw::new(base, "is not a map"));
    }
    for (name, value) in entries(map).filter(|(_, value)| !value.is_string()) {
        let kind = match value {
            Value::Null => "empty",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a map",
        };
        flaws.push(Flaw::new(path::field(base, name), format!("is {kind}, not text; quote it")));
    }
}

/// The data of a `Secret` or `ConfigMap`.
fn data(object: &Value, secret: bool, flaws: &mut Vec<Flaw>) {
    let mut bytes = 0;
    for base in ["data", "stringData", "binaryData"] {
        let map = object.get(base);
        texts(base, map, flaws);
        let encoded = base == "binaryData" || (secret && base == "data");
        for (name, value) in entries(map) {
            let Some(text) = value.as_str() else { continue };
            match STANDARD.decode(text) {
                Ok(decoded) if encoded => bytes += decoded.len(),
                Err(_) if encoded => {
                    let why = "is not base64; put plain text into `stringData`";
                    flaws.push(Flaw::new(path::field(base, name), why));
                }
                Ok(_) | Err(_) => bytes += text.len(),
            }
        }
    }
    if bytes > DATA_BYTES {
        let why = format!("{bytes} bytes in all; at most {DATA_BYTES}");
        flaws.push(Flaw::new("data", why).because(Reason::ObjectTooLarge));
    }
}

/// What is wrong with a label value. Values of labels are no secrets, still only sizes are named.
fn label_fault(value: &str) -> Option<String> {
    if value.len() > LABEL_VALUE_BYTES {
        return Some(format!(
            "{} bytes; a label value has at most {LABEL_VALUE_BYTES}",
            value.len()
        ));
    }
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = edge(value.chars().next()) && edge(value.chars().last()) && value.chars().all(inner);
    (!fits).then(|| {
        "a label value has letters, digits, `-`, `_` and `.`, and begins and ends with a letter or \
         digit"
            .to_owned()
    })
}

/// What is wrong with the key of a label or annotation: `name` or `prefix/name`.
fn key_fault(key: &str) -> Option<&'static str> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(p, n)| (Some(p), n));
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = edge(name.chars().next())
        && edge(name.chars().last())
        && name.chars().all(inner)
        && name.len() <= KEY_NAME_BYTES;
    let dns = |p: &str| {
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        !p.is_empty() && p.len() <= KEY_PREFIX_BYTES && p.chars().all(lower)
    };
    if !prefix.is_none_or(dns) {
        Some("the part before `/` is no DNS name in small letters")
    } else if fits {
        None
    } else {
        Some(
            "has no name of at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends",
        )
    }
}
