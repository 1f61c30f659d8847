//! `/version`, `/api`, `/apis` and what hangs below them, in the old form and the aggregated one.

use super::{Ask, answer::Answer, route::Target};
use crate::{kinds::Kind, shared::Shared, state::State, status::Status};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

const VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const PART_VERBS: [&str; 3] = ["get", "patch", "update"];

pub(super) fn answer(shared: &Shared, ask: &Ask, target: &Target) -> Answer {
    let aggregated = ask.header(http::header::ACCEPT).contains("as=APIGroupDiscoveryList");
    let state = shared.state();
    match target {
        Target::Version => Answer::json(200, &version(&shared.version)),
        Target::Health => Answer::text(200, "ok"),
        Target::Core if aggregated => whole(ask, &state, true),
        Target::Groups if aggregated => whole(ask, &state, false),
        Target::Core => Answer::json(
            200,
            &json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ),
        Target::Groups => {
            let groups: Vec<Value> = groups(&state)
                .iter()
                .filter(|(group, _)| !group.is_empty())
                .map(|(group, versions)| group_value(group, versions))
                .collect();
            Answer::json(
                200,
                &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}),
            )
        }
        Target::Group(group) => match groups(&state).get(group) {
            Some(versions) => {
                let mut value = group_value(group, versions);
                value["kind"] = json!("APIGroup");
                value["apiVersion"] = json!("v1");
                Answer::json(200, &value)
            }
            None => Answer::page_not_found(),
        },
        Target::Resources { group, version } => resources(&state, group, version),
        Target::AccessReview => review(ask),
        Target::Objects(_) | Target::Unknown => Answer::page_not_found(),
    }
}

fn version(text: &str) -> Value {
    let mut parts = text.trim_start_matches('v').split('.');
    json!({
        "major": parts.next().unwrap_or_default(),
        "minor": parts.next().unwrap_or_default(),
        "gitVersion": text,
        "gitCommit": "0000000000000000000000000000000000000000",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "go1.26.0",
        "compiler": "gc",
        "platform": "linux/amd64",
    })
}

/// Everybody may do everything: there is no RBAC here.
fn review(ask: &Ask) -> Answer {
    match serde_json::from_slice::<Value>(&ask.body) {
        Ok(mut review) => {
            review["status"] = json!({"allowed": true});
            Answer::json(201, &review)
        }
        Err(error) => Answer::from(Status::bad_request(error.to_string())),
    }
}

/// By priority: v2 before v1 before v1beta1 before v1alpha1.
type Versions = BTreeMap<Rank, Vec<Arc<Kind>>>;

/// A version's place in the order of preference, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(std::cmp::Reverse<(u8, u32, u32)>, String);

impl Rank {
    fn of(version: &str) -> Rank {
        let rest = version.strip_prefix('v').unwrap_or_default();
        let (stage, name) = match () {
            () if rest.contains("alpha") => (1, "alpha"),
            () if rest.contains("beta") => (2, "beta"),
            () if rest.parse::<u32>().is_ok() => (3, "-"),
            () => (0, "-"),
        };
        let (major, minor) = rest.split_once(name).unwrap_or((rest, ""));
        let number = |text: &str| text.parse().unwrap_or(0);
        Rank(std::cmp::Reverse((stage, number(major), number(minor))), version.to_owned())
    }
}

/// Groups, their versions, their kinds; a version served by an absent extension server has none.
fn groups(state: &State) -> BTreeMap<String, Versions> {
    let mut groups: BTreeMap<String, Versions> = BTreeMap::new();
    for kind in state.kinds() {
        let versions = groups.entry(kind.group.clone()).or_default();
        versions.entry(Rank::of(&kind.version)).or_default().push(kind.clone());
    }
    for service in state.all("apiregistration.k8s.io", "APIService") {
        let text = |name: &str| service["spec"][name].as_str().unwrap_or_default().to_owned();
        if service["spec"]["service"].is_object() {
            groups.entry(text("group")).or_default().entry(Rank::of(&text("version"))).or_default();
        }
    }
    groups
}

/// Whether an extension server that is not there shall serve this version of a group.
pub(super) fn is_silent(state: &State, group: &str, version: &str) -> bool {
    state.all("apiregistration.k8s.io", "APIService").iter().any(|service| {
        let spec = &service["spec"];
        spec["service"].is_object() && spec["group"] == group && spec["version"] == version
    })
}

fn group_value(group: &str, versions: &Versions) -> Value {
    let list: Vec<Value> = versions
        .keys()
        .map(|Rank(_, version)| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": list, "preferredVersion": list.first()})
}

fn resources(state: &State, group: &str, version: &str) -> Answer {
    let groups = groups(state);
    let Some(kinds) = groups.get(group).and_then(|versions| versions.get(&Rank::of(version)))
    else {
        return Answer::page_not_found();
    };
    if kinds.is_empty() {
        return Answer::from(Status::new(503, "ServiceUnavailable", "service unavailable"));
    }
    let mut list = Vec::new();
    for kind in kinds {
        let mut resource = json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": verbs(kind),
        });
        if !kind.short.is_empty() {
            resource["shortNames"] = json!(kind.short);
        }
        if !kind.categories.is_empty() {
            resource["categories"] = json!(kind.categories);
        }
        list.push(resource);
        for (part, of) in parts(kind) {
            let mut resource = json!({
                "name": format!("{}/{part}", kind.plural),
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": of["kind"],
                "verbs": PART_VERBS,
            });
            if part == "scale" {
                resource["group"] = of["group"].clone();
                resource["version"] = of["version"].clone();
            }
            list.push(resource);
        }
    }
    let group_version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    let value = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
        "resources": list,
    });
    Answer::json(200, &value)
}

/// What may be done with a kind: everything, but namespaces are not deleted by the collection.
fn verbs(kind: &Kind) -> Vec<&'static str> {
    if kind.custom.is_some() {
        return ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
            .to_vec();
    }
    let all = VERBS.into_iter();
    all.filter(|verb| *verb != "deletecollection" || !kind.is("", "Namespace")).collect()
}

/// The kind as the aggregated form names it: built-in kinds without group and version.
fn named(kind: &Kind) -> Value {
    if kind.custom.is_some() {
        json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
    } else {
        json!({"group": "", "version": "", "kind": kind.kind})
    }
}

/// The subresources of a kind and the kind each answers with.
fn parts(kind: &Kind) -> Vec<(&'static str, Value)> {
    let own = named(kind);
    let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
    let mut parts = Vec::new();
    if kind.scale.is_some() {
        parts.push(("scale", scale));
    }
    if kind.status {
        parts.push(("status", own));
    }
    parts
}

/// The aggregated form: all groups in one document, with an `ETag`.
fn whole(ask: &Ask, state: &State, core: bool) -> Answer {
    let items: Vec<Value> = groups(state)
        .iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|(Rank(_, version), kinds)| {
                    let resources: Vec<Value> = kinds.iter().map(|kind| aggregated(kind)).collect();
                    let freshness = if kinds.is_empty() { "Stale" } else { "Current" };
                    json!({"version": version, "resources": resources, "freshness": freshness})
                })
                .collect();
            let metadata = match group.as_str() {
                "" => json!({}),
                group => json!({"name": group}),
            };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    let value = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    });
    let text = value.to_string();
    let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let tag = format!("\"{sum:016X}\"");
    if ask.header(http::header::IF_NONE_MATCH) == tag {
        Answer::not_modified().tagged(tag)
    } else {
        Answer::discovery(&value).tagged(tag)
    }
}

fn aggregated(kind: &Kind) -> Value {
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": named(kind),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs(kind),
    });
    if !kind.short.is_empty() {
        resource["shortNames"] = json!(kind.short);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    let mut parts: Vec<Value> = parts(kind)
        .into_iter()
        .map(|(part, of)| json!({"subresource": part, "responseKind": of, "verbs": PART_VERBS}))
        .collect();
    if kind.is("", "ServiceAccount") {
        let of = json!({"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"});
        parts.push(json!({"subresource": "token", "responseKind": of, "verbs": ["create"]}));
    }
    if !parts.is_empty() {
        resource["subresources"] = json!(parts);
    }
    resource
}
