//! What an impersonated user may do: the roles and bindings of the cluster, and nobody gives what he has not.
//!
//! The bearer of the cluster's token is its administrator, and may do everything until he speaks for somebody else.

use super::{Ask, route::Objects};
use crate::{kinds::Kind, state::State, status::Status};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const RBAC: &str = "rbac.authorization.k8s.io";

/// Who asks, when it is not the administrator.
#[derive(Clone, Debug)]
pub(super) struct User {
    name: String,
    groups: Vec<String>,
}

impl User {
    /// From the headers of impersonation.
    pub(super) fn of(ask: &Ask) -> Option<User> {
        let headers = &ask.parts.headers;
        let name = headers.get("impersonate-user")?.to_str().ok()?.to_owned();
        let groups = headers.get_all("impersonate-group").iter();
        let groups = groups.filter_map(|group| group.to_str().ok()).map(str::to_owned).collect();
        Some(User { name, groups })
    }

    fn is(&self, subject: &Value) -> bool {
        let text = |name: &str| subject[name].as_str().unwrap_or_default();
        match text("kind") {
            "User" => text("name") == self.name,
            "Group" => self.groups.iter().any(|group| group == text("name")),
            "ServiceAccount" => {
                let account =
                    format!("system:serviceaccount:{}:{}", text("namespace"), text("name"));
                account == self.name
            }
            _ => false,
        }
    }

    /// All rules that hold for this user, in one namespace (empty: in the whole cluster).
    fn rules(&self, state: &State, namespace: &str) -> Vec<Value> {
        let mine = |binding: &Value| {
            binding["subjects"].as_array().into_iter().flatten().any(|subject| self.is(subject))
        };
        let mut rules = Vec::new();
        for kind in ["ClusterRoleBinding", "RoleBinding"] {
            for binding in state.all(RBAC, kind) {
                let space = binding["metadata"]["namespace"].as_str().unwrap_or_default();
                let here = kind == "ClusterRoleBinding" || space == namespace;
                if here && mine(&binding) {
                    rules.extend(referred(state, &binding["roleRef"], space).unwrap_or_default());
                }
            }
        }
        rules
    }
}

/// The rules of the role that a binding names; none when there is no such role.
fn referred(state: &State, reference: &Value, namespace: &str) -> Option<Vec<Value>> {
    let kind = state.kind_named(RBAC, reference["kind"].as_str()?)?;
    let space = if kind.namespaced { namespace.to_owned() } else { String::new() };
    let role = state.get(&kind, &(space, reference["name"].as_str()?.to_owned()))?;
    Some(role["rules"].as_array().cloned().unwrap_or_default())
}

fn names(rule: &Value, field: &str) -> Vec<String> {
    let list = rule[field].as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// One thing that a rule allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    group: String,
    resource: String,
    name: String,
    verb: String,
}

fn allows(rules: &[Value], wanted: &Right) -> bool {
    let fits = |list: Vec<String>, wanted: &str| list.iter().any(|got| got == "*" || got == wanted);
    rules.iter().any(|rule| {
        let only = names(rule, "resourceNames");
        fits(names(rule, "apiGroups"), &wanted.group)
            && fits(names(rule, "resources"), &wanted.resource)
            && fits(names(rule, "verbs"), &wanted.verb)
            && (only.is_empty() || only.contains(&wanted.name))
    })
}

/// Refuses what this user may not do.
pub(super) fn check(
    state: &State,
    ask: &Ask,
    user: &User,
    verb: &str,
    kind: &Kind,
    objects: &Objects,
) -> Result<(), Status> {
    let verb = if verb == "apply" { "patch" } else { verb };
    let namespace = objects.namespace.clone().unwrap_or_default();
    let rules = user.rules(state, &namespace);
    let resource = match objects.subresource.as_str() {
        "" => kind.plural.clone(),
        part => format!("{}/{part}", kind.plural),
    };
    let name = objects.name.clone().unwrap_or_default();
    let right = |verb: &str| Right {
        group: kind.group.clone(),
        resource: resource.clone(),
        name: name.clone(),
        verb: verb.to_owned(),
    };
    if !allows(&rules, &right(verb)) {
        let place = match namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            space => format!("in the namespace \"{space}\""),
        };
        let text = format!(
            "User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{}\" {place}",
            user.name, kind.group
        );
        return Err(Status::forbidden(kind, &name, &text));
    }
    let place = (namespace.clone(), name.clone());
    let applies_new = ask.is_apply() && state.get(kind, &place).is_none();
    if applies_new && !allows(&rules, &right("create")) {
        return Err(Status::forbidden(kind, &name, ""));
    }
    if kind.group == RBAC && matches!(verb, "create" | "update" | "patch") {
        return escalates(state, ask, user, kind, &rules, &place);
    }
    Ok(())
}

/// Nobody grants rights that he does not hold, by a role or by a binding.
fn escalates(
    state: &State,
    ask: &Ask,
    user: &User,
    kind: &Kind,
    held: &[Value],
    place: &(String, String),
) -> Result<(), Status> {
    let Ok(body) = serde_json::from_slice::<Value>(&ask.body) else { return Ok(()) };
    let granted = if kind.kind.ends_with("Binding") {
        let reference = &body["roleRef"];
        let role = reference["name"].as_str().unwrap_or_default();
        let Some(rules) = referred(state, reference, &place.0) else {
            let found = state.kind_named(RBAC, reference["kind"].as_str().unwrap_or_default());
            return Err(
                found.map_or_else(Status::no_resource, |kind| Status::not_found(&kind, role))
            );
        };
        rules
    } else {
        body["rules"].as_array().cloned().unwrap_or_default()
    };
    let missing: BTreeSet<Right> =
        granted.iter().flat_map(rights).filter(|right| !allows(held, right)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let groups: Vec<String> = user.groups.iter().map(|group| format!("{group:?}")).collect();
    let text = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        groups.join(" "),
        printed(&missing)
    );
    Err(Status::forbidden(kind, &place.1, &text))
}

/// Every single right of a rule.
fn rights(rule: &Value) -> Vec<Right> {
    let mut only = names(rule, "resourceNames");
    if only.is_empty() {
        only.push(String::new());
    }
    let mut all = Vec::new();
    for group in names(rule, "apiGroups") {
        for resource in names(rule, "resources") {
            for verb in names(rule, "verbs") {
                for name in &only {
                    let (group, resource) = (group.clone(), resource.clone());
                    all.push(Right { group, resource, name: name.clone(), verb: verb.clone() });
                }
            }
        }
    }
    all
}

/// As the server prints them: one line for each resource, with its verbs.
fn printed(missing: &BTreeSet<Right>) -> String {
    let mut lines: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for right in missing {
        let key = (right.group.clone(), right.resource.clone(), right.name.clone());
        lines.entry(key).or_default().push(right.verb.clone());
    }
    let list = |items: &[String]| {
        let quoted: Vec<String> = items.iter().map(|item| json!(item).to_string()).collect();
        quoted.join(" ")
    };
    let line = |((group, resource, name), verbs): (&(String, String, String), &Vec<String>)| {
        let named = match name.as_str() {
            "" => String::new(),
            name => format!(", ResourceNames:[{}]", list(&[name.to_owned()])),
        };
        format!(
            "{{APIGroups:[{}], Resources:[{}]{named}, Verbs:[{}]}}",
            list(std::slice::from_ref(group)),
            list(std::slice::from_ref(resource)),
            list(verbs)
        )
    };
    lines.iter().map(line).collect::<Vec<String>>().join("\n")
}
