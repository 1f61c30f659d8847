//! `Application` and `ApplicationSet` of Argo CD.

mod source;
mod scope;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{Import, Object, at, draft::Draft, is, labels, list, text};
use crate::{
    canonical,
    diagnostic::Position,
    yaml::{Node, Value},
};
use scope::{Scope, filled};
use source::source;

/// Folders that one generator may give.
const FOLDERS_MAX: usize = 1_000;

pub(super) fn read(import: &mut Import<'_>, objects: &[Object]) {
    for (file, object) in objects {
        let group = text(object, &["apiVersion"]).unwrap_or_default();
        if !group.starts_with("argoproj.io/") {
            continue;
        }
        match text(object, &["kind"]) {
            Some("Application") => {
                import.out.read += 1;
                let Some(spec) = object.get("spec") else { continue };
                let scope = Scope::default();
                application(import, file, object, (spec, object.get("metadata")), &scope);
            }
            Some("ApplicationSet") => {
                import.out.read += 1;
                set(import, file, object);
            }
            Some("AppProject") => {
                let hint = "write its destinations and kinds as a tenant of the hub's policy file";
                import.note(file, object.at, "an `AppProject` is not imported", hint);
            }
            Some(_) | None => {}
        }
    }
}

fn set(import: &mut Import<'_>, file: &str, object: &Node) {
    let Some(spec) = object.get("spec") else { return };
    let mut scope = Scope::default();
    for generator in list(spec.get("generators")) {
        gather(import, file, generator, &mut scope);
    }
    let hints = [
        ("goTemplateOptions", "a label that is missing is always an error here"),
        ("preservedFields", "what nobody owns in an object is left alone anyway"),
        ("templatePatch", "write it as an override with `when`"),
    ];
    let known = ["generators", "template", "strategy", "goTemplate", "syncPolicy"];
    import.rest(file, "spec", Some(spec), &known, &hints);
    let Some(template) = spec.get("template") else { return };
    let Some(inner) = template.get("spec") else { return };
    let about = (inner, template.get("metadata"));
    let none = scope.folders.is_none() && scope.select.is_empty() && scope.elements.is_empty();
    if none && spec.get("generators").is_some() {
        return import.note(
            file,
            object.at,
            "the ApplicationSet gives no App",
            "see the notes below",
        );
    }
    match scope.folders.take() {
        None => application(import, file, object, about, &scope),
        Some(folders) => {
            for folder in folders.into_iter().take(FOLDERS_MAX) {
                let mut own = scope.clone();
                let last = folder.rsplit('/').next().unwrap_or_default().to_owned();
                for (key, value) in [
                    ("path", &folder),
                    ("path.path", &folder),
                    ("path.basename", &last),
                    ("path.basenameNormalized", &last),
                ] {
                    own.values.insert(key.to_owned(), value.clone());
                }
                application(import, file, object, about, &own);
            }
        }
    }
}

/// Adds what one generator says.
fn gather(import: &mut Import<'_>, file: &str, generator: &Node, scope: &mut Scope) {
    let Value::Map(entries) = &generator.value else { return };
    for entry in entries {
        match entry.key.as_str() {
            "clusters" => clusters(import, file, &entry.value, scope),
            "list" => {
                for element in list(entry.value.get("elements")) {
                    scope.elements.push(strings(element));
                }
            }
            "git" if entry.value.get("directories").is_some() => {
                scope.folders.get_or_insert_default().extend(folders(import, &entry.value));
            }
            "matrix" => {
                for inner in list(entry.value.get("generators")) {
                    gather(import, file, inner, scope);
                }
            }
            "selector" => {}
            other => {
                let message = format!("generator `{other}` is not imported");
                let hint = "write one folder below `apps` for each App, and labels on clusters";
                import.note(file, entry.at, message, hint);
            }
        }
    }
}

fn clusters(import: &mut Import<'_>, file: &str, node: &Node, scope: &mut Scope) {
    match node.get("selector").map(labels::both) {
        None => scope.select.push(("true".to_owned(), "true".to_owned())),
        Some(Ok(both)) => scope.select.push(both),
        Some(Err(operator)) => {
            let message = format!("a selector has the operator `{operator}`");
            import.note(file, node.at, message, "use In, NotIn, Exists or DoesNotExist");
        }
    }
    for (key, value) in node.get("values").map(strings).unwrap_or_default() {
        scope.values.insert(format!("values.{key}"), value);
    }
    let kept = ["selector", "values", "flatList"];
    import.rest(file, "clusters", Some(node), &kept, &[]);
}

/// Folders of the repository that the patterns name; `*` stands for one name.
fn folders(import: &Import<'_>, node: &Node) -> Vec<String> {
    let (mut found, mut out): (BTreeSet<String>, BTreeSet<String>) = Default::default();
    for entry in list(node.get("directories")) {
        let pattern = text(entry, &["path"]).unwrap_or_default();
        let mut reached = vec![String::new()];
        for part in pattern.trim_matches('/').split('/') {
            let mut next = Vec::new();
            for folder in &reached {
                let inside = crate::apps::folders(import.tree, folder).unwrap_or_default();
                let fits = inside.into_iter().filter(|name| fits(part, name));
                next.extend(fits.map(|name| crate::walk::join(folder, &name)));
            }
            next.truncate(FOLDERS_MAX);
            reached = next;
        }
        if is(entry, &["exclude"], true) { out.extend(reached) } else { found.extend(reached) }
    }
    found.difference(&out).cloned().collect()
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            name.len() >= before.len() + after.len()
                && name.starts_with(before)
                && name.ends_with(after)
        }
    }
}

fn strings(node: &Node) -> BTreeMap<String, String> {
    let Value::Map(entries) = &node.value else { return BTreeMap::new() };
    let value =
        |node: &Node| node.text().map_or_else(|| canonical::json(node).to_string(), str::to_owned);
    entries.iter().map(|entry| (entry.key.clone(), value(&entry.value))).collect()
}

fn application(
    import: &mut Import<'_>,
    file: &str,
    object: &Node,
    (spec, metadata): (&Node, Option<&Node>),
    scope: &Scope,
) {
    let here = object.at;
    let kind = text(object, &["kind"]).unwrap_or_default();
    let own = text(object, &["metadata", "name"]).unwrap_or_default();
    let named = metadata.and_then(|metadata| text(metadata, &["name"])).unwrap_or(own);
    // What differs from cluster to cluster is no part of the name of an App.
    let fixed = filled(named, scope).unwrap_or_default();
    let fixed: String =
        fixed.split("${").map(|part| part.split_once('}').map_or(part, |(_, rest)| rest)).collect();
    let fixed = if fixed.trim_matches(['-', '.']).is_empty() { own } else { &fixed };
    let Some(name) = import.name(file, here, fixed) else { return };
    let mut draft = Draft::new(name, format!("Argo CD {kind} {own}"));
    if let Some(given) = metadata.and_then(|metadata| metadata.get("labels")) {
        let given = strings(given).into_iter();
        draft.labels = given.filter(|(_, value)| !value.contains("{{")).collect();
    }
    targets(import, file, spec, scope, &mut draft);
    let sources = list(spec.get("sources"));
    if let [first, more, ..] = sources {
        let message = "an Application of several sources is imported with its first one";
        import.note(file, more.at, message, "make an App of each, or put them into one folder");
        source(import, file, first, scope, &mut draft);
    } else if let Some(one) = spec.get("source").or(sources.first()) {
        source(import, file, one, scope, &mut draft);
    } else {
        return import.note(file, spec.at, "there is no `source`", "name the folder of manifests");
    }
    namespace(import, file, spec, &mut draft);
    sync(import, file, spec, &mut draft);
    if let Some(steps) = at(object, &["spec", "strategy", "rollingSync", "steps"]) {
        waves(import, file, list(Some(steps)), metadata, scope, &mut draft);
    }
    let hints = [
        ("ignoreDifferences", "name the fields in the annotation `tidegate.dev/ignore-fields`"),
        ("info", "put it into `metadata.labels` of the App"),
    ];
    let known =
        ["source", "sources", "destination", "project", "syncPolicy", "revisionHistoryLimit"];
    import.rest(file, "spec", Some(spec), &known, &hints);
    import.add(file, here, draft);
}

/// Which clusters.
fn targets(import: &mut Import<'_>, file: &str, spec: &Node, scope: &Scope, draft: &mut Draft) {
    for element in &scope.elements {
        let cluster = ["cluster", "name", "clusterName"].iter().find_map(|key| element.get(*key));
        let also: Vec<_> = element
            .iter()
            .filter(|(key, _)| {
                !["cluster", "name", "clusterName", "url", "server"].contains(&key.as_str())
            })
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        draft.choose(cluster.map_or("CLUSTER", String::as_str), &also);
    }
    if !scope.select.is_empty() || !scope.elements.is_empty() {
        let listed = (!scope.elements.is_empty()).then(|| labels::yes(&draft.own_label()));
        let all: Vec<_> = scope.select.iter().cloned().chain(listed).collect();
        draft.select = labels::either(&all);
        return;
    }
    let destination = spec.get("destination");
    let named = destination.and_then(|d| text(d, &["name"]).or(text(d, &["server"])));
    match named {
        Some("https://kubernetes.default.svc" | "in-cluster") | None => {
            draft.choose("CLUSTER", &[]);
            let at = destination.map_or(spec.at, |node| node.at);
            let message =
                "the destination is the cluster of Argo CD itself, whose name is not known here";
            import.note(file, at, message, "give that cluster the label that the App selects by");
        }
        Some(name) => draft.choose(name, &[]),
    }
}

/// The namespace of objects that name none.
fn namespace(import: &mut Import<'_>, file: &str, spec: &Node, draft: &mut Draft) {
    let Some(node) = at(spec, &["destination", "namespace"]) else { return };
    let Some(namespace) = node.text().filter(|text| !text.contains("{{")) else { return };
    let folder = draft.path.trim_start_matches("../");
    if draft.form.is_none() && import.has(&crate::walk::join(folder, "Chart.yaml")) {
        draft.form = Some(("helm", json!({})));
    }
    if let Some(("helm", settings)) = &mut draft.form {
        if settings.get("namespace").is_none() {
            settings["namespace"] = json!(namespace);
        }
    } else {
        let message = format!("objects that name no namespace went to `{namespace}`");
        let hint = "write it into the manifests, or as `namespace:` into the `kustomization.yaml`";
        import.note(file, node.at, message, hint);
    }
}

/// `syncPolicy`, as far as it has a meaning here.
fn sync(import: &mut Import<'_>, file: &str, spec: &Node, draft: &mut Draft) {
    let Some(policy) = spec.get("syncPolicy") else {
        draft.manual = true;
        draft.report_drift = true;
        return;
    };
    let automated = policy.get("automated").filter(|node| !is(node, &["enabled"], false));
    draft.manual = automated.is_none();
    draft.report_drift = !automated.is_some_and(|node| is(node, &["selfHeal"], true));
    if let Some(automated) = automated.filter(|node| !is(node, &["prune"], true)) {
        let message =
            "`prune` is off there; here objects that leave Git are deleted, behind brakes";
        let hint = "annotate what must stay with `tidegate.dev/prune: disabled`";
        import.note(file, automated.at, message, hint);
    }
    for option in list(policy.get("syncOptions")) {
        let hint = match option.text().unwrap_or_default() {
            "CreateNamespace=true" => "put a Namespace object beside the manifests",
            "ServerSideApply=true" | "PruneLast=true" | "ApplyOutOfSyncOnly=true" => continue,
            "Replace=true" => "annotate the objects with `tidegate.dev/recreate: \"true\"`",
            _ => "look whether the App needs it",
        };
        let message =
            format!("sync option `{}` is not imported", option.text().unwrap_or_default());
        import.note(file, option.at, message, hint);
    }
    let hints = [
        ("retry", "a failed apply is tried again by itself"),
        ("managedNamespaceMetadata", "write the Namespace object"),
    ];
    import.rest(file, "syncPolicy", Some(policy), &["automated", "syncOptions"], &hints);
}

/// Steps of a rolling sync: they go by labels of Applications, which are those of clusters when the template says so.
fn waves(
    import: &mut Import<'_>,
    file: &str,
    steps: &[Node],
    metadata: Option<&Node>,
    scope: &Scope,
    draft: &mut Draft,
) {
    let given = metadata.and_then(|m| m.get("labels")).map(strings).unwrap_or_default();
    for (index, step) in steps.iter().enumerate() {
        let mut parts = Vec::new();
        for expression in list(step.get("matchExpressions")) {
            let key = text(expression, &["key"]).unwrap_or_default();
            let template = given.get(key).and_then(|value| filled(value, scope).ok());
            let label =
                template.as_deref().and_then(|t| t.strip_prefix("${labels.")?.strip_suffix('}'));
            let values = list(expression.get("values")).iter().filter_map(Node::text);
            let values = values.map(labels::quoted).collect::<Vec<_>>().join(", ");
            match (label, text(expression, &["operator"])) {
                (Some(label), Some("In")) => {
                    parts.push(format!("{} in [{values}]", labels::label(label)));
                }
                (Some(label), Some("NotIn")) => {
                    parts.push(format!("!({} in [{values}])", labels::label(label)));
                }
                _ => return lost(import, file, expression.at, draft),
            }
        }
        if parts.is_empty() {
            return lost(import, file, step.at, draft);
        }
        let mut wave = json!({ "name": format!("step-{}", index + 1), "select": parts.join(" && "), "allowEmpty": true });
        if let Some(most) = step.get("maxUpdate") {
            wave["maxInFlight"] = canonical::json(most);
        }
        draft.waves.push(wave);
    }
    if !draft.waves.is_empty() {
        draft.waves.push(json!({ "name": "rest", "rest": true, "allowEmpty": true }));
    }
}

fn lost(import: &mut Import<'_>, file: &str, at: Position, draft: &mut Draft) {
    draft.waves.clear();
    let message = "a step of the rolling sync goes by a label that does not come from a cluster";
    import.note(file, at, message, "write `rollout.waves` with a `select` over labels of clusters");
}
