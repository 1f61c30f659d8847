//! An `app.yaml` that is being made.

use std::collections::{BTreeMap, BTreeSet};

use model::AppName;
use serde_json::{Map, Value as Json, json};

use crate::{app::API_VERSION, yaml};

/// What an `app.yaml` will say.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) name: AppName,
    /// What it was made of, for people.
    pub(super) made_of: String,
    /// Labels of the App.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) path: String,
    /// `raw`, `kustomize` or `helm`, and its settings.
    pub(super) form: Option<(&'static str, Json)>,
    pub(super) select: String,
    pub(super) exclude: Option<String>,
    pub(super) overrides: Vec<Json>,
    pub(super) waves: Vec<Json>,
    /// Apps whose rollout this one waits for.
    pub(super) depends_on: Vec<String>,
    /// Waits for a person.
    pub(super) manual: bool,
    /// Leaves what somebody changed in a cluster, and says so.
    pub(super) report_drift: bool,
    /// Files that it needs.
    pub(super) beside: BTreeMap<String, String>,
    pub(super) commands: BTreeSet<String>,
}

impl Draft {
    pub(super) fn new(name: AppName, made_of: String) -> Draft {
        Draft {
            name,
            made_of,
            labels: BTreeMap::new(),
            path: ".".to_owned(),
            form: None,
            select: "true".to_owned(),
            exclude: None,
            overrides: Vec::new(),
            waves: Vec::new(),
            depends_on: Vec::new(),
            manual: false,
            report_drift: false,
            beside: BTreeMap::new(),
            commands: BTreeSet::new(),
        }
    }

    /// The label by which clusters are chosen that the other tool named one by one.
    pub(super) fn own_label(&self) -> String {
        format!("app_{}", self.name.as_str().replace('-', "_"))
    }

    /// Selects this cluster by a label that it has to be given.
    pub(super) fn choose(&mut self, cluster: &str, also: &[(String, String)]) {
        let label = self.own_label();
        let mut command = format!("tidegate cluster label {} {label}=yes", shell(cluster));
        for (key, value) in also {
            command.push_str(&format!(" {key}={}", shell(value)));
        }
        self.commands.insert(command);
        self.select = format!("labels.{label} == 'yes'");
    }

    /// The file; `place` is where it comes from.
    pub(super) fn text(&self, place: &str) -> String {
        let mut metadata = json!({ "name": self.name.as_str() });
        if !self.labels.is_empty() {
            metadata["labels"] = json!(self.labels);
        }
        let mut source = Map::new();
        if self.path != "." {
            source.insert("path".to_owned(), json!(self.path));
        }
        if let Some((form, settings)) = &self.form {
            source.insert((*form).to_owned(), settings.clone());
        }
        let mut spec = Map::new();
        if !source.is_empty() {
            spec.insert("source".to_owned(), Json::Object(source));
        }
        let mut targets = json!({ "select": self.select });
        if let Some(exclude) = &self.exclude {
            targets["exclude"] = json!(exclude);
        }
        spec.insert("targets".to_owned(), targets);
        if !self.overrides.is_empty() {
            spec.insert("overrides".to_owned(), json!(self.overrides));
        }
        if let Some(rollout) = self.rollout() {
            spec.insert("rollout".to_owned(), rollout);
        }
        if self.report_drift {
            spec.insert("drift".to_owned(), json!({ "mode": "report" }));
        }
        let file = json!({
            "apiVersion": API_VERSION, "kind": "App", "metadata": metadata, "spec": spec,
        });
        let made_of: String = self.made_of.chars().filter(|c| !c.is_control()).collect();
        format!("# Imported from {made_of} ({place}).\n{}", yaml::text(&file))
    }

    fn rollout(&self) -> Option<Json> {
        let mut rollout = Map::new();
        if self.manual {
            rollout.insert("start".to_owned(), json!("manual"));
        }
        let mut waves = self.waves.clone();
        if waves.is_empty() && !self.depends_on.is_empty() {
            // The usual waves, written out so that there is a place for what they wait for.
            waves = vec![
                json!({ "name": "canary", "take": 1, "after": { "soak": "10m" } }),
                json!({ "name": "rest", "rest": true, "maxInFlight": "25%" }),
            ];
        }
        if !self.depends_on.is_empty() {
            let on: Vec<_> = self.depends_on.iter().map(|app| json!({ "app": app })).collect();
            for wave in &mut waves {
                wave["before"] = json!({ "dependsOn": on });
            }
        }
        if !waves.is_empty() {
            rollout.insert("waves".to_owned(), json!(waves));
        }
        (!rollout.is_empty()).then_some(Json::Object(rollout))
    }
}

/// A word of a command line.
fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@%+=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Values of the other tool, in which `${` means nothing.
pub(super) fn plain(json: Json) -> Json {
    match json {
        Json::String(text) => Json::String(text.replace("${", "$${")),
        Json::Array(items) => Json::Array(items.into_iter().map(plain).collect()),
        Json::Object(map) => Json::Object(map.into_iter().map(|(k, v)| (k, plain(v))).collect()),
        Json::Null | Json::Bool(_) | Json::Number(_) => json,
    }
}

/// Puts the values of `over` over those of `under`, as Helm does.
pub(super) fn merge(under: &mut Json, over: Json) {
    match (under, over) {
        (Json::Object(under), Json::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key).or_insert(Json::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// A chart of one dependency: a chart of a repository, as a folder of this one.
pub(super) fn wrapper(draft: &mut Draft, chart: &str, version: &str, repository: &str) {
    let text = json!({
        "apiVersion": "v2", "name": draft.name.as_str(), "version": "0.0.0",
        "dependencies": [{ "name": chart, "version": version, "repository": repository }],
    });
    let folder = format!("apps/{}/chart", draft.name);
    draft.beside.insert(format!("{folder}/Chart.yaml"), yaml::text(&text));
    "chart".clone_into(&mut draft.path);
    draft.commands.insert(format!("helm dependency update {folder}"));
}
