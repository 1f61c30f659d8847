//! What an author asks of the agent for one object, by annotation. Where other delivery tools have a
//! word for the same thing, it is understood too: a person who wrote it meant it.

use model::{Adopt, AppName};
use serde_json::Value;

use crate::path;

/// The annotation of each choice.
const ADOPT: &str = "tidegate.dev/adopt";
const RECREATE: &str = "tidegate.dev/recreate";
const APPLY: &str = "tidegate.dev/apply";
const IGNORE: &str = "tidegate.dev/ignore-fields";
const TRANSFER: &str = "tidegate.dev/transfer-from";
const HEALTH: &str = "tidegate.dev/health";

/// Fields that one object may leave to others.
const IGNORED_MAX: usize = 64;

/// Choices for one object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choices {
    /// Overrides the App's policy.
    pub adopt: Option<Adopt>,
    /// Replace it when a field changes that cannot change on a live object.
    pub recreate: bool,
    /// Make it when it is not there, and never touch it again.
    pub once: bool,
    /// JSON pointers of fields that are left to others, by its annotation and by its App; `*` stands for every key
    /// or item.
    pub ignore: Vec<String>,
    /// The App that hands it over.
    pub transfer_from: Option<AppName>,
    /// How well it is does not count for its App; that it is there does.
    pub unjudged: bool,
}

/// A choice that cannot be read: where, and why.
pub(crate) type Misread = (String, String);

impl Choices {
    /// Reads the annotations of `object`.
    pub(crate) fn read(object: &Value) -> (Choices, Vec<Misread>) {
        let mut misread = Vec::new();
        let mut choices = Choices::default();
        let mut refuse = |name: &str, why: &str| {
            misread.push((path::field("metadata.annotations", name), why.to_owned()));
        };
        match annotation(object, ADOPT) {
            None => {}
            Some("if-unowned") => choices.adopt = Some(Adopt::IfUnowned),
            Some("if-identical") => choices.adopt = Some(Adopt::IfIdentical),
            Some("never") => choices.adopt = Some(Adopt::Never),
            Some("always") => choices.adopt = Some(Adopt::Always),
            Some(_) => refuse(ADOPT, "is not `if-unowned`, `if-identical`, `never` or `always`"),
        }
        match annotation(object, RECREATE) {
            None | Some("false") => choices.recreate = recreate_elsewhere(object),
            Some("true") => choices.recreate = true,
            Some(_) => refuse(RECREATE, "is not \"true\" or \"false\""),
        }
        match annotation(object, APPLY) {
            None | Some("always") => choices.once = once_elsewhere(object),
            Some("once") => choices.once = true,
            Some(_) => refuse(APPLY, "is not `once` or `always`"),
        }
        let pointers = annotation(object, IGNORE).unwrap_or("").split(',').map(str::trim);
        for pointer in pointers.filter(|p| !p.is_empty()) {
            match pointer_fault(pointer) {
                Some(why) => refuse(IGNORE, why),
                None => choices.ignore.push(pointer.to_owned()),
            }
        }
        if choices.ignore.len() > IGNORED_MAX {
            refuse(IGNORE, "names more than 64 fields");
        }
        match annotation(object, TRANSFER).map(AppName::parse) {
            None => {}
            Some(Ok(app)) => choices.transfer_from = Some(app),
            Some(Err(_)) => refuse(TRANSFER, "is not the name of an App"),
        }
        match annotation(object, HEALTH) {
            None => {}
            Some("ignore") => choices.unjudged = true,
            Some(_) => refuse(HEALTH, "is not `ignore`"),
        }
        (choices, misread)
    }
}

/// What is wrong with a pointer to a field that shall be left to others.
pub fn pointer_fault(pointer: &str) -> Option<&'static str> {
    let marks = ["/metadata/name", "/metadata/namespace", "/apiVersion", "/kind"];
    if !pointer.starts_with('/') || pointer.len() < 2 {
        Some("is no JSON pointer such as `/spec/replicas`")
    } else if marks.contains(&pointer) || pointer == "/metadata" {
        Some("names what tells the object from others, which cannot be left to others")
    } else {
        None
    }
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(name)?.as_str().map(str::trim)
}

/// Options of a comma-separated annotation.
fn option(object: &Value, name: &str, wanted: &[&str]) -> bool {
    let text = annotation(object, name).unwrap_or("");
    text.split(',').any(|part| wanted.iter().any(|w| part.trim().eq_ignore_ascii_case(w)))
}

fn recreate_elsewhere(object: &Value) -> bool {
    option(object, "kustomize.toolkit.fluxcd.io/force", &["enabled"])
        || option(object, "argocd.argoproj.io/sync-options", &["Replace=true", "Force=true"])
}

fn once_elsewhere(object: &Value) -> bool {
    option(object, "kustomize.toolkit.fluxcd.io/ssa", &["IfNotPresent", "Ignore"])
        || option(object, "kustomize.toolkit.fluxcd.io/reconcile", &["disabled"])
        || option(object, "client.lifecycle.config.k8s.io/mutation", &["ignore"])
}
