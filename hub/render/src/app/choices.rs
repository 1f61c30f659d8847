//! What an App asks of its agents: `spec.apply`, `spec.drift` and `spec.health`.
//!
//! All of it but the drift mode becomes part of the release ([`model::Choices`]). Health rules are read here by the
//! agent's own reader, so that a wrong one is told with its place and never leaves the repository.

use model::{Adopt, AppName, Choices, Ignore, Manifest};
use plan::RuleSet;
use serde_json::{Value as Json, json};

use super::{
    DriftMode,
    fields::{Faults, Fields},
};
use crate::{
    canonical,
    yaml::{Node, Value, clip},
};

/// Health rules of one file; each is asked for each object of its kinds.
const RULES_MAX: usize = 200;
/// Entries of `spec.drift.ignore`.
const IGNORES_MAX: usize = 64;
/// Fields that one entry names.
const PATHS_MAX: usize = 64;

/// Fields of `spec.apply`.
pub(crate) const APPLY: &[&str] = &["adopt", "recreate", "serviceAccount", "onRemove"];
/// Fields of `spec.drift`.
pub(crate) const DRIFT: &[&str] = &["mode", "ignore"];
/// Fields of an entry of `spec.drift.ignore`.
pub(crate) const IGNORE: &[&str] = &["group", "kind", "namespace", "name", "path", "paths"];

/// One health rule.
#[derive(Debug, Clone)]
pub struct HealthRule {
    /// As the agent reads it. Its name is file and kind, not the line: moving it is no new release.
    json: Json,
    read: RuleSet,
}

/// It is what is written.
impl PartialEq for HealthRule {
    fn eq(&self, other: &HealthRule) -> bool {
        self.json == other.json
    }
}

/// What the agents of an App are asked for, before it is known which objects there are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Asked {
    pub(crate) choices: Choices,
    /// Those of the fleet first: later ones outrank them.
    pub(crate) health: Vec<HealthRule>,
}

impl Asked {
    /// What travels with a release: health rules of kinds that are in it only.
    pub fn of(&self, manifest: &Manifest) -> Choices {
        let used = |rule: &&HealthRule| {
            let mut keys = manifest.entries().iter().map(|entry| &entry.key);
            keys.any(|key| rule.read.touches(&key.group, &key.kind))
        };
        let health = self.health.iter().filter(used).map(|rule| rule.json.clone()).collect();
        Choices { health, ..self.choices.clone() }
    }

    /// In whose name objects are applied; `None`: the agent's default.
    pub(crate) fn account(&self) -> Option<(&str, &str)> {
        self.choices.service_account.split_once('/')
    }
}

/// Reads `spec.apply`, `spec.drift` and `spec.health`.
pub(super) fn read(file: &str, spec: &Fields<'_>, faults: &mut Faults<'_>) -> (DriftMode, Asked) {
    let mut choices = Choices::default();
    if let Some(apply) = spec.section("apply", faults) {
        read_apply(&apply, &mut choices, faults);
    }
    let mut mode = DriftMode::default();
    if let Some(drift) = spec.section("drift", faults) {
        drift.only(DRIFT, &[], faults);
        let words = [DriftMode::Correct, DriftMode::Report, DriftMode::Ignore];
        let words = words.map(|mode| (mode.as_str(), mode));
        mode = drift.choice("mode", &words, faults).unwrap_or_default();
        choices.ignore = ignores(&drift, faults);
    }
    (mode, Asked { choices, health: health(file, spec, faults) })
}

fn read_apply(apply: &Fields<'_>, choices: &mut Choices, faults: &mut Faults<'_>) {
    apply.only(APPLY, &[], faults);
    let words = [
        ("if-unowned", Adopt::IfUnowned),
        ("if-identical", Adopt::IfIdentical),
        ("never", Adopt::Never),
        ("always", Adopt::Always),
    ];
    choices.adopt = apply.choice("adopt", &words, faults).unwrap_or_default();
    choices.recreate = apply.flag("recreate", faults).unwrap_or_default();
    let words = [("delete", false), ("orphan", true)];
    choices.orphan = apply.choice("onRemove", &words, faults).unwrap_or_default();
    let Some((account, at)) = apply.text("serviceAccount", faults) else { return };
    let parts: Vec<&str> = account.split('/').collect();
    if parts.len() == 2 && parts.iter().all(|part| is_name(part)) {
        account.clone_into(&mut choices.service_account);
    } else {
        let message = format!("`{}` cannot be `{}`", apply.name("serviceAccount"), clip(account));
        faults.wrong(at, message, "write NAMESPACE/NAME of the account, such as `shop/deployer`");
    }
}

/// Whether it may be the name of a namespace or an account.
fn is_name(text: &str) -> bool {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 253
        && text.chars().all(ok)
        && ends(text.chars().next())
        && ends(text.chars().last())
}

fn ignores(drift: &Fields<'_>, faults: &mut Faults<'_>) -> Vec<Ignore> {
    let hint = "begin each entry with `- kind: KIND`";
    let entries = drift.maps("ignore", hint, faults);
    let mut ignores = Vec::new();
    for entry in entries.into_iter().take(IGNORES_MAX) {
        entry.only(IGNORE, &["if"], faults);
        let word = |key: &str, faults: &mut Faults<'_>| {
            entry.text(key, faults).map(|(text, _)| text.to_owned())
        };
        let group = word("group", faults);
        let kind = word("kind", faults).unwrap_or_default();
        let namespace = word("namespace", faults).unwrap_or_default();
        let name = word("name", faults).unwrap_or_default();
        let mut named = entry.texts("path", faults);
        named.extend(entry.texts("paths", faults));
        if named.is_empty() {
            let message = format!("`{}` names no field", entry.path());
            faults.wrong(entry.at, message, "write one such as `path: /spec/replicas`");
        }
        if named.len() > PATHS_MAX {
            let message = format!("`{}` names {} fields", entry.path(), named.len());
            faults.wrong(entry.at, message, "name at most 64 fields in one entry");
        }
        for (path, at) in &named {
            if let Some(why) = plan::pointer_fault(path) {
                let message = format!("`{}`: `{}` {why}", entry.path(), clip(path));
                faults.wrong(
                    *at,
                    message,
                    "write a JSON pointer; `*` stands for every key or item",
                );
            }
        }
        let paths = named.into_iter().map(|(path, _)| path.to_owned()).collect();
        ignores.push(Ignore { group, kind, namespace, name, paths });
    }
    ignores
}

/// The health rules of a file, `health: [{apiVersion: …, kind: …, ready: …}]`.
pub(crate) fn health(file: &str, of: &Fields<'_>, faults: &mut Faults<'_>) -> Vec<HealthRule> {
    let name = of.name("health");
    let Some(node) = of.get("health") else { return Vec::new() };
    let Value::List(items) = &node.value else {
        let message = format!("`{name}` must be a list, but is {}", node.what());
        faults.wrong(node.at, message, "begin each rule with `- apiVersion: GROUP/VERSION`");
        return Vec::new();
    };
    if items.len() > RULES_MAX {
        let message = format!("`{name}` has {} rules, at most {RULES_MAX}", items.len());
        faults.wrong(node.at, message, "let one rule stand for several kinds");
    }
    items.iter().take(RULES_MAX).filter_map(|item| rule(file, &name, item, faults)).collect()
}

fn rule(file: &str, name: &str, node: &Node, faults: &mut Faults<'_>) -> Option<HealthRule> {
    let mut json = canonical::json(node);
    if let Json::Object(map) = &mut json {
        // Cases are for whoever writes a rule; a name of its own would hide where it stands.
        map.shift_remove("cases");
        let first = map.get("kinds").and_then(|kinds| kinds.get(0));
        let kind = map.get("kind").or(first).and_then(Json::as_str).unwrap_or_default();
        map.insert("name".to_owned(), Json::from(format!("{file} {kind}")));
    }
    match RuleSet::parse(file, &json!({ "rules": [&json] }).to_string()) {
        Ok(read) => Some(HealthRule { json, read }),
        Err(wrongs) => {
            for wrong in wrongs {
                let hint = "write `ready`, `failed` and `inProgress`, or `judge`, as CEL";
                // The parser of expressions draws where it stopped; one line is enough.
                let why = wrong.message.split(" | ").next().unwrap_or_default();
                let why = why.replace("ERROR: <input>:1:", "at character ");
                faults.wrong(node.at, format!("`{name}`: {why}"), hint);
            }
            None
        }
    }
}

/// The document of choices for a release, when there is any choice.
pub(crate) fn document(asked: &Asked, app: &AppName, manifest: &Manifest) -> Option<Vec<u8>> {
    let choices = asked.of(manifest);
    (choices != Choices::default()).then(|| choices.document(app))
}
