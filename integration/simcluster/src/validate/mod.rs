//! What the server refuses with 422 (and, for fields it does not know, 400). The obvious rules only;
//! the README lists what is missing.

mod transition;

mod workload;

mod custom;

mod names;

use transition::transition;

use crate::{
    kinds::Kind,
    schema::{Inside, Type},
    state::State,
    status::{Cause, Status},
};
use serde_json::{Value, json};

/// What the server does with fields it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Validation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// Most bytes in the data of a config map or a secret: 1 MiB.
const DATA_LIMIT: usize = 1 << 20;

/// Most bytes in all annotations of an object: 256 KiB.
const ANNOTATIONS_LIMIT: usize = 256 << 10;

/// Drops fields that the kind does not have; says so, or refuses, as asked.
pub(crate) fn unknown_fields(
    kind: &Kind,
    object: &mut Value,
    how: Validation,
) -> Result<Vec<String>, Status> {
    let mut found = Found::default();
    let spot = Spot { within: &kind.kind, path: String::new(), fields: String::new() };
    // A custom object's types are its schema's business.
    prune(object, &kind.schema, &spot, &mut found);
    let Found { unknown, wrong } = found;
    if let Some(first) = wrong.first().filter(|_| kind.custom.is_none()) {
        return Err(Status::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: {first}",
            kind.kind, kind.version, kind.kind
        )));
    }
    let texts = |unknown: &[String]| -> Vec<String> {
        unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect()
    };
    match how {
        Validation::Ignore => Ok(Vec::new()),
        Validation::Warn => Ok(texts(&unknown)),
        Validation::Strict if unknown.is_empty() => Ok(Vec::new()),
        Validation::Strict => {
            let list = texts(&unknown).join(", ");
            let head = format!(
                "{} in version \"{}\" cannot be handled as a {}: ",
                kind.kind, kind.version, kind.kind
            );
            Err(Status::bad_request(format!("{head}strict decoding error: {list}")))
        }
    }
}

/// What `prune` finds.
#[derive(Default)]
struct Found {
    unknown: Vec<String>,
    wrong: Vec<String>,
}

/// Where `prune` is: the structure it is in, the path as error texts show it with and without the
/// places in lists.
struct Spot<'a> {
    within: &'a str,
    path: String,
    fields: String,
}

fn prune(value: &mut Value, schema: &Type, spot: &Spot<'_>, found: &mut Found) {
    let mut expect = |fits: bool, wanted: &str| {
        if !fits {
            let got = match value {
                Value::Null | Value::Bool(_) => "bool",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            found.wrong.push(format!(
                "json: cannot unmarshal {got} into Go struct field {}.{} of type {wanted}",
                spot.within, spot.fields
            ));
        }
    };
    match schema.inside() {
        _ if value.is_null() => {}
        Inside::Free | Inside::Scalar | Inside::Quantity => {}
        Inside::Text => expect(value.is_string(), "string"),
        Inside::Number => expect(value.is_number(), "int32"),
        Inside::Bool => expect(value.is_boolean(), "bool"),
        Inside::List { of, .. } => match value {
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    let path = format!("{}[{index}]", spot.path);
                    let spot = Spot { path, fields: spot.fields.clone(), ..*spot };
                    prune(item, of, &spot, found);
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => expect(false, "[]string"),
        },
        Inside::Map { fields, others } => {
            let Value::Object(map) = value else { return expect(false, "map[string]string") };
            let within = schema.short_name().unwrap_or(spot.within);
            let join = |text: &str, name: &str| match text {
                "" => name.to_owned(),
                text => format!("{text}.{name}"),
            };
            map.retain(|name, value| {
                let path = join(&spot.path, name);
                let Some((of, declared)) = Type::entry(fields, others, name) else {
                    found.unknown.push(path);
                    return false;
                };
                let known = if declared { join(&spot.fields, name) } else { spot.fields.clone() };
                prune(value, of, &Spot { within, path, fields: known }, found);
                true
            });
        }
    }
}

/// The rules for a new object.
pub(crate) fn create(kind: &Kind, new: &Value) -> Result<(), Status> {
    refuse(kind, new, &object(kind, new))
}

/// The rules for a changed object: as it stands, and against what it was.
pub(crate) fn change(kind: &Kind, live: &Value, new: &Value) -> Result<(), Status> {
    let (mut first, mut second) = (object(kind, new), transition(kind, live, new));
    if kind.kind == "DaemonSet" {
        std::mem::swap(&mut first, &mut second);
    }
    first.append(&mut second);
    refuse(kind, new, &first)
}

fn refuse(kind: &Kind, object: &Value, causes: &[Cause]) -> Result<(), Status> {
    match causes {
        [] => Ok(()),
        causes => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            Err(Status::invalid(kind, name, causes))
        }
    }
}

fn object(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = names::check(kind, object);
    metadata(kind, object, &mut causes);
    match kind.kind.as_str() {
        _ if kind.custom.is_some() => {}
        "ConfigMap" | "Secret" => data(kind, object, &mut causes),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => {
            workload::check(&kind.kind, object, &mut causes);
        }
        "Pod" => workload::pod(&object["spec"], "spec", &mut causes),
        "Job" => workload::pod_of_job(&object["spec"]["template"]["spec"], &mut causes),
        "Service" => service(object, &mut causes),
        "RoleBinding" | "ClusterRoleBinding"
            if object["roleRef"]["name"].as_str().is_none_or(str::is_empty) =>
        {
            causes.push(Cause::required("roleRef.name", ""));
        }
        "StorageClass" if object["provisioner"].as_str().is_none_or(str::is_empty) => {
            causes.push(Cause::required("provisioner", ""));
        }
        "CustomResourceDefinition" => definition(object, &mut causes),
        "HorizontalPodAutoscaler" => workload::autoscaler(&object["spec"], &mut causes),
        "Ingress" => ingress(&object["spec"], &mut causes),
        _ => {}
    }
    if let Some(schema) = &kind.custom {
        custom::violations(object, schema, "", &mut causes);
    }
    causes
}

fn metadata(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let annotations = object["metadata"]["annotations"].as_object();
    for name in annotations.into_iter().flat_map(|map| map.keys()) {
        if !names::is_qualified(&name.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", &json!(name), names::QUALIFIED));
        }
    }
    // Extension kinds and definitions may use any name.
    let free = kind.custom.is_some() || kind.group == "apiextensions.k8s.io";
    let finalizers = object["metadata"]["finalizers"].as_array();
    for (index, name) in finalizers.into_iter().flatten().enumerate() {
        if !free && !names::is_finalizer(name.as_str().unwrap_or_default()) {
            let field = format!("metadata.finalizers[{index}]");
            let text = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(&field, name, text));
        }
    }
    let size: usize = annotations
        .into_iter()
        .flatten()
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > ANNOTATIONS_LIMIT {
        causes.push(Cause::too_long("metadata.annotations", ANNOTATIONS_LIMIT));
    }
    for (name, value) in object["metadata"]["labels"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        if value.len() > 63 || !names::is_label_value(value) {
            let text =
                if value.len() > 63 { "must be no more than 63 bytes" } else { names::LABEL_VALUE };
            causes.push(Cause::invalid("metadata.labels", &json!(value), text));
        }
        if !names::is_qualified(name) {
            causes.push(Cause::invalid("metadata.labels", &json!(name), names::QUALIFIED));
        }
    }
}

fn data(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let size = |field: &str, encoded: bool| -> usize {
        let map = object[field].as_object();
        let lengths = map.into_iter().flatten().map(|(name, value)| {
            let bytes = value.as_str().map_or(0, str::len);
            name.len() * usize::from(!encoded) + if encoded { bytes / 4 * 3 } else { bytes }
        });
        lengths.sum()
    };
    let (total, field) = match kind.kind.as_str() {
        "Secret" => (size("data", true), "data"),
        _ => (size("data", false) + size("binaryData", true), "[]"),
    };
    for part in ["data", "binaryData"] {
        for name in object[part].as_object().into_iter().flat_map(|map| map.keys()) {
            if !names::is_data_key(name) {
                let field = format!("{part}[{name}]");
                causes.push(Cause::invalid(&field, &json!(name), names::DATA_KEY));
            }
        }
    }
    if total > DATA_LIMIT {
        causes.push(Cause::too_long(field, DATA_LIMIT));
    }
    if kind.kind == "Secret" && object["type"] == "kubernetes.io/tls" {
        for name in ["tls.crt", "tls.key"] {
            if object["data"].get(name).is_none() {
                causes.push(Cause::required(&format!("data[{name}]"), ""));
            }
        }
    }
}

fn service(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let headless = spec["clusterIP"] == "None" || spec["type"] == "ExternalName";
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    if ports.is_empty() && !headless {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        let number = port["port"].as_i64().unwrap_or(0);
        if !(1..=65_535).contains(&number) {
            let field = format!("spec.ports[{index}].port");
            let text = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(&field, &json!(number), text));
        }
        let name = &port["name"];
        if ports.len() > 1 && name.is_null() {
            causes.push(Cause::required(&format!("spec.ports[{index}].name"), ""));
        }
        if name.is_string() && ports[..index].iter().any(|other| other["name"] == *name) {
            causes.push(Cause::duplicate(&format!("spec.ports[{index}].name"), name));
        }
    }
}

fn ingress(spec: &Value, causes: &mut Vec<Cause>) {
    let backend = |backend: &Value, field: &str, causes: &mut Vec<Cause>| {
        let port = &backend["service"]["port"];
        if backend["service"].is_object() && backend["service"]["name"].is_null() {
            causes.push(Cause::required(&format!("{field}.service.name"), ""));
        }
        if backend["service"].is_object() && port["number"].is_null() && port["name"].is_null() {
            causes.push(Cause::required(field, "port name or number is required"));
        }
    };
    if spec["defaultBackend"].is_null() && spec["rules"].is_null() {
        let text = "either `defaultBackend` or `rules` must be specified";
        causes.push(Cause::invalid("spec", &Value::Null, text));
    }
    backend(&spec["defaultBackend"], "spec.defaultBackend", causes);
    for (index, rule) in spec["rules"].as_array().into_iter().flatten().enumerate() {
        for (number, path) in rule["http"]["paths"].as_array().into_iter().flatten().enumerate() {
            let field = format!("spec.rules[{index}].http.paths[{number}].backend");
            backend(&path["backend"], &field, causes);
        }
    }
}

fn definition(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let plural = spec["names"]["plural"].as_str().unwrap_or_default();
    let group = spec["group"].as_str().unwrap_or_default();
    let wanted = format!("{plural}.{group}");
    if object["metadata"]["name"] != wanted.as_str() {
        let text = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &object["metadata"]["name"], text));
    }
    for (field, value) in [("spec.group", group), ("spec.names.plural", plural)] {
        if value.is_empty() {
            causes.push(Cause::required(field, ""));
        }
    }
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let text = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &spec["versions"], text));
    }
    for (index, version) in versions.iter().enumerate() {
        if !version["schema"]["openAPIV3Schema"].is_object() {
            let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
            causes.push(Cause::required(&field, "schemas are required"));
        }
    }
    let scope = &spec["scope"];
    if *scope != "Namespaced" && *scope != "Cluster" {
        causes.push(Cause::unsupported("spec.scope", scope, &["Cluster", "Namespaced"]));
    }
}

/// A quota on pods (`pods` or `count/PLURAL`) refuses the one too many.
pub(crate) fn quota(state: &State, kind: &Kind, namespace: &str, name: &str) -> Result<(), Status> {
    let counted = |object: &Value| object["metadata"]["namespace"] == namespace;
    for quota in state.all("", "ResourceQuota").iter().filter(|quota| counted(quota)) {
        let count = format!("count/{}", kind.resource());
        let hard = quota["spec"]["hard"].as_object();
        let limits = hard.into_iter().flatten().filter(|(resource, _)| {
            **resource == count || (kind.group.is_empty() && **resource == kind.plural)
        });
        for (resource, limit) in limits {
            let limit: u64 = limit.as_str().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
            let objects = state.all(&kind.group, &kind.kind);
            let ended = |object: &Value| {
                object["status"]["phase"] == "Succeeded" || object["status"]["phase"] == "Failed"
            };
            let used = objects.iter().filter(|object| counted(object) && !ended(object)).count();
            if u64::try_from(used).unwrap_or(u64::MAX) >= limit {
                let quota = quota["metadata"]["name"].as_str().unwrap_or_default();
                let text = format!(
                    "exceeded quota: {quota}, requested: {resource}=1, used: {resource}={used}, \
                     limited: {resource}={limit}"
                );
                return Err(Status::forbidden(kind, name, &text));
            }
        }
    }
    Ok(())
}
