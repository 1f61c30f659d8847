//! `app.yaml`: what to deploy, where and how, typed and with every default filled in.
//!
//! A fault is never guessed around: an unknown field, a wrong value and a field that this version
//! cannot carry out are all refused, all at once, each with its place.

mod choices;
mod overrides;
mod source;
mod strategy;
mod gates;
mod fields;

use model::{AppName, Labels, Reason, Selector};
use rollout::{Expect, OnUntarget, Strategy, Targets};

use crate::{
    diagnostic::{Diagnostic, Position},
    limits,
    template::PathTemplate,
    yaml::{self, Node, Value},
};
pub use choices::{Asked, HealthRule};
pub(crate) use choices::{document, health};
pub(crate) use fields::{Faults, Fields};
pub use overrides::{Content, Override, Patch};
use source::Source;
pub use source::{Form, HelmSettings};
#[cfg(test)]
pub(crate) use {
    choices::{APPLY, DRIFT, IGNORE},
    overrides::{OVERRIDE, PATCH},
    source::{HELM, SOURCE, VERIFY},
};

/// `apiVersion` of an `app.yaml`.
pub const API_VERSION: &str = "tidegate.dev/v1alpha1";

/// What to deploy, where and how.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Name; also the folder below `apps/`.
    pub name: AppName,
    /// Labels of the App itself, for people.
    pub labels: Labels,
    /// Path of the `app.yaml` it was read from.
    pub file: String,
    /// Folder of the manifests, relative to the folder of `file`.
    pub path: PathTemplate,
    /// The ref that the App says it follows; `None` is that of its source.
    pub reference: Option<String>,
    /// Names of the signers whose signatures the App takes; empty takes what its source takes.
    pub signed_by: Vec<String>,
    /// Which clusters.
    pub targets: Targets,
    /// In which waves.
    pub strategy: Strategy,
    /// What happens to objects that somebody changed.
    pub drift: DriftMode,
    /// What else is asked of its agents.
    pub asked: Asked,
    /// What makes objects of the files.
    pub form: Form,
    /// What some clusters get in addition.
    pub overrides: Vec<Override>,
    /// Whether Secrets may stand readable in Git.
    pub plain_secrets: bool,
    pub(crate) path_at: Position,
    pub(crate) reference_at: Position,
    pub(crate) signed_by_at: Position,
}

/// What the agent does about an object that differs from what it applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DriftMode {
    /// Applies it again.
    #[default]
    Correct,
    /// Says so.
    Report,
    /// Nothing.
    Ignore,
}

impl DriftMode {
    /// As the wire says it.
    pub fn as_str(self) -> &'static str {
        match self {
            DriftMode::Correct => "correct",
            DriftMode::Report => "report",
            DriftMode::Ignore => "ignore",
        }
    }
}

impl App {
    /// The folder of its `app.yaml`.
    pub fn folder(&self) -> &str {
        self.file.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Whether all its clusters get the same.
    pub fn is_uniform(&self) -> bool {
        let helm = match &self.form {
            Form::Helm(settings) => settings.is_fixed(),
            Form::Detected | Form::Plain | Form::Kustomize => true,
        };
        self.path.is_fixed() && helm && self.overrides.iter().all(Override::is_fixed)
    }

    /// A fault when the App asks for another ref than the one its source follows.
    pub fn reference_fault(&self, source_reference: &str) -> Option<Diagnostic> {
        let own = self.reference.as_deref().filter(|own| *own != source_reference)?;
        let message = format!(
            "`spec.source.ref` is `{own}` while the source follows `{source_reference}`; \
             a ref of its own is not supported yet"
        );
        let fault = Diagnostic::error(Reason::NotSupportedYet, &self.file, message);
        Some(fault.at(self.reference_at).hint("remove `ref`, or add a source that follows it"))
    }
}

impl App {
    /// A fault when the App wants signatures that the commit does not carry: `signers` are those whose signatures
    /// its source has checked. All of them must be named, so that a tag and its commit may have two signers.
    pub fn signature_fault(&self, signers: &[&str]) -> Option<Diagnostic> {
        let wanted = &self.signed_by;
        if wanted.is_empty() {
            return None;
        }
        let fault = |reason, message: String| {
            Diagnostic::error(reason, &self.file, message).at(self.signed_by_at)
        };
        let names = wanted.iter().map(|n| format!("`{}`", yaml::clip(n))).collect::<Vec<_>>();
        let names = names.join(", ");
        if signers.is_empty() {
            let message = format!(
                "`spec.source.verify` wants the signature of {names}, and its source checks none"
            );
            let hint = "add the source with `--signed-by NAME=FILE`; keys never come from Git";
            return Some(fault(Reason::CommitUnsigned, message).hint(hint));
        }
        let other = signers.iter().find(|signer| !wanted.iter().any(|name| name == *signer))?;
        let message = format!(
            "the commit is signed by `{other}`, and `spec.source.verify` takes only {names}"
        );
        let hint = "let one of them sign the commit, or name the signer in `signedBy`";
        Some(fault(Reason::SignatureRefused, message).hint(hint))
    }
}

/// Reads one `app.yaml`. `file` is its path from the root of the repository and decides the name that
/// it must have: that of its folder.
pub fn parse_app(file: &str, text: &str) -> Result<App, Vec<Diagnostic>> {
    let document = only_document(file, text)?;
    let mut faults = Faults::new(file);
    let app = read(file, &document, &mut faults);
    match app {
        Some(app) if faults.is_empty() => Ok(app),
        Some(_) | None => Err(faults.into_list()),
    }
}

/// The one document of a hand-written file.
pub(crate) fn only_document(file: &str, text: &str) -> Result<Node, Vec<Diagnostic>> {
    if text.len() > limits::CONFIG_BYTES_MAX {
        let limit = limits::CONFIG_BYTES_MAX;
        let message = format!("the file has {} bytes, at most {limit} are allowed", text.len());
        return Err(vec![Diagnostic::error(Reason::AppInvalid, file, message)]);
    }
    let mut documents = yaml::documents(file, text.as_bytes())?;
    match (documents.pop(), documents.pop()) {
        (Some(document), None) => Ok(document),
        (None, _) => Err(vec![Diagnostic::error(Reason::AppInvalid, file, "the file is empty")]),
        (Some(second), Some(_)) => {
            let fault = Diagnostic::error(Reason::AppInvalid, file, "the file has two documents");
            Err(vec![fault.at(second.at).hint("keep one `app.yaml` per folder below `apps/`")])
        }
    }
}

/// Fields of `spec` that are read.
pub(crate) const SPEC: &[&str] =
    &["source", "targets", "rollout", "apply", "drift", "health", "overrides", "secrets"];

fn read(file: &str, document: &Node, faults: &mut Faults<'_>) -> Option<App> {
    let top = Fields::open(document, String::new(), faults)?;
    top.only(&["apiVersion", "kind", "metadata", "spec"], &["status"], faults);
    constant(&top, "apiVersion", API_VERSION, faults);
    constant(&top, "kind", "App", faults);
    let metadata = top.need_section("metadata", "write `metadata: {name: NAME}`", faults);
    let (name, labels) = metadata.map(|m| read_metadata(file, &m, faults)).unwrap_or_default();
    let spec = top.need_section("spec", "write what to deploy below `spec:`", faults)?;
    spec.only(SPEC, &["sources", "dependsOn", "project", "policy", "suspend"], faults);
    let source = match spec.get("source") {
        Some(_) => spec.section("source", faults).and_then(|s| source::read(file, &s, faults)),
        None => Source::beside(spec.at),
    };
    let hint = "write `targets: {select: \"true\"}` to select every cluster";
    let targets = spec.need_section("targets", hint, faults);
    let targets = targets.and_then(|t| read_targets(&t, faults));
    let strategy = strategy::read(&spec, faults);
    if let Some(strategy) = strategy.as_ref().filter(|_| faults.is_empty()) {
        let at = spec.get("rollout").map_or(spec.at, |node| node.at);
        let hint = "correct the strategy below `spec.rollout`";
        strategy.faults().into_iter().for_each(|fault| faults.wrong(at, fault.message, hint));
    }
    let (drift, asked) = choices::read(file, &spec, faults);
    let overrides = overrides::read(&spec, faults);
    let secrets = spec.choice("secrets", &[("refuse", false), ("plain", true)], faults);
    let source = source?;
    Some(App {
        name: name?,
        labels,
        file: file.to_owned(),
        path: source.path,
        reference: source.reference,
        signed_by: source.signed_by,
        targets: targets?,
        strategy: strategy?,
        drift,
        asked,
        form: source.form,
        overrides,
        plain_secrets: secrets.unwrap_or(false),
        path_at: source.path_at,
        reference_at: source.reference_at,
        signed_by_at: source.signed_by_at,
    })
}

fn constant(top: &Fields<'_>, key: &str, want: &str, faults: &mut Faults<'_>) {
    let hint = format!("write `{key}: {want}`");
    let Some(node) = top.need(key, &hint, faults) else { return };
    if node.text() != Some(want) {
        faults.wrong(node.at, format!("`{key}` must be `{want}`, but is {}", node.what()), &hint);
    }
}

fn read_metadata(
    file: &str,
    metadata: &Fields<'_>,
    faults: &mut Faults<'_>,
) -> (Option<AppName>, Labels) {
    metadata.only(&["name", "labels"], &["annotations"], faults);
    let mut labels = Labels::new();
    if let Some(given) = metadata.section("labels", faults) {
        for entry in given.entries() {
            if let Some(text) = entry.value.text() {
                labels.insert(entry.key.clone(), text.to_owned());
            } else {
                let (key, what) = (yaml::clip(&entry.key), entry.value.what());
                let message = format!("label `{key}` must be text, but is {what}");
                faults.wrong(entry.value.at, message, "put it in quotes");
            }
        }
    }
    let name = metadata.need("name", "write the name of the folder", faults);
    let name = name.and(metadata.text("name", faults)).and_then(|(text, at)| {
        let parsed = AppName::parse(text);
        if let Err(error) = &parsed {
            faults.wrong(at, error.to_string(), "rename the folder and the App");
        }
        let name = parsed.ok()?;
        let folder = file.rsplit('/').nth(1);
        if folder.is_some_and(|folder| folder != text) {
            let folder = folder.unwrap_or_default();
            let message = format!("`metadata.name` is `{text}`, but the folder is `{folder}`");
            faults.wrong(at, message, "give both the same name");
        }
        Some(name)
    });
    (name, labels)
}

fn read_targets(targets: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Targets> {
    targets.only(&["select", "exclude", "expect", "onUntarget"], &[], faults);
    let hint = "write `select: \"true\"` to select every cluster";
    let select = targets.need("select", hint, faults);
    let select = select.and(selector(targets, "select", faults));
    let exclude = selector(targets, "exclude", faults);
    let expect = targets.section("expect", faults).map(|expect| {
        expect.only(&["min", "maxChange"], &[], faults);
        let min = expect.count("min", faults);
        Expect { min, max_change: expect.amount("maxChange", faults) }
    });
    let words = [("retain", OnUntarget::Retain), ("prune", OnUntarget::Prune)];
    let on_untarget = targets.choice("onUntarget", &words, faults);
    Some(Targets {
        select: select?,
        exclude,
        expect: expect.unwrap_or_default(),
        on_untarget: on_untarget.unwrap_or_default(),
    })
}

/// A compiled CEL expression; `true` may stand without quotes.
fn selector(of: &Fields<'_>, key: &str, faults: &mut Faults<'_>) -> Option<Selector> {
    let node = of.get(key)?;
    let text = match &node.value {
        Value::Bool(true) => "true",
        Value::Bool(false) | Value::Null | Value::Number(_) | Value::List(_) | Value::Map(_) => {
            let message =
                format!("`{}` must be an expression, but is {}", of.name(key), node.what());
            faults.wrong(
                node.at,
                message,
                "write one in quotes, such as \"labels.ring == 'canary'\"",
            );
            return None;
        }
        Value::Text(text) => text,
    };
    match Selector::parse(text) {
        Ok(selector) => Some(selector),
        Err(error) => {
            let message = format!("`{}`: {}", of.name(key), one_line(&error.to_string()));
            faults.wrong(node.at, message, selector_hint(text));
            None
        }
    }
}

/// The parser of expressions draws over several lines; a diagnostic is one.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('|'));
    let lines = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    lines.replace("ERROR: <input>:1:", "at character ")
}

fn selector_hint(text: &str) -> &'static str {
    let bare = ["==", "!=", "<=", ">="].iter().fold(text.to_owned(), |t, two| t.replace(two, ""));
    if bare.contains('=') {
        "compare with `==`"
    } else {
        "write one such as \"labels.ring == 'canary'\""
    }
}
