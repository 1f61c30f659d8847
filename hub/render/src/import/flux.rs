//! `Kustomization` and `HelmRelease` of Flux.
//!
//! Each cluster has a folder of its own there. Objects of one name that differ in one folder of their path become one App
//! with a variant per label; all others are told apart by the folder that they stand in.

use std::collections::BTreeMap;

use model::AppName;
use serde_json::{Value as Json, json};

use super::{
    Import, Object, at,
    draft::{Draft, merge, plain, wrapper},
    from_app, is, list, text,
};
use crate::{
    canonical,
    yaml::{self, Node},
};

/// The label that tells variants apart.
const VARIANT: &str = "env";

pub(super) fn read(import: &mut Import<'_>, objects: &[Object]) {
    let of = |kind: &'static str, group: &'static str| {
        objects.iter().filter(move |(_, object)| {
            let version = text(object, &["apiVersion"]).unwrap_or_default();
            version.starts_with(group) && text(object, &["kind"]) == Some(kind)
        })
    };
    let mut named: BTreeMap<&str, Vec<&Object>> = BTreeMap::new();
    for object in of("Kustomization", "kustomize.toolkit.fluxcd.io/") {
        import.out.read += 1;
        named
            .entry(text(&object.1, &["metadata", "name"]).unwrap_or_default())
            .or_default()
            .push(object);
    }
    for (name, all) in named {
        let paths: Vec<_> = all.iter().map(|(_, object)| path_of(object)).collect();
        match (all.as_slice(), variants(&paths)) {
            ([(file, object), ..], Some((path, values))) => {
                let about = (file.as_str(), object, name);
                let Some(mut draft) = kustomization(import, about, &path) else { continue };
                for ((file, _), value) in all.iter().zip(&values) {
                    draft.commands.insert(format!(
                        "tidegate cluster label {} {VARIANT}={value}",
                        cluster(file)
                    ));
                }
                draft.select = format!("labels.{VARIANT} in {}", one_of(&values));
                import.add(file, object.at, draft);
            }
            (many, _) => {
                for (file, object) in many {
                    let unique = if many.len() == 1 {
                        name.to_owned()
                    } else {
                        format!("{name}-{}", cluster(file))
                    };
                    let about = (file.as_str(), object, unique.as_str());
                    let Some(mut draft) = kustomization(import, about, &path_of(object)) else {
                        continue;
                    };
                    draft.choose(&cluster(file), &[]);
                    import.add(file, object.at, draft);
                }
            }
        }
    }
    for (file, object) in of("HelmRelease", "helm.toolkit.fluxcd.io/") {
        import.out.read += 1;
        release(import, file, object, objects);
    }
}

fn one_of(values: &[String]) -> String {
    format!("[{}]", values.iter().map(|v| super::labels::quoted(v)).collect::<Vec<_>>().join(", "))
}

fn path_of(object: &Node) -> String {
    let path = text(object, &["spec", "path"]).unwrap_or("./");
    path.trim_start_matches("./").trim_matches('/').to_owned()
}

/// The cluster whose folder a file stands in: `clusters/NAME/…`, or else the folder itself.
fn cluster(file: &str) -> String {
    let folders: Vec<_> = file.split('/').collect();
    let folders = folders.get(..folders.len().saturating_sub(1)).unwrap_or_default();
    let after =
        folders.iter().position(|part| *part == "clusters").and_then(|n| folders.get(n + 1));
    after.or(folders.last()).map_or_else(|| "CLUSTER".to_owned(), |name| (*name).to_owned())
}

/// One path for all of these, when they differ in one folder's whole name; and that name for each.
fn variants(paths: &[String]) -> Option<(String, Vec<String>)> {
    let split: Vec<Vec<&str>> = paths.iter().map(|path| path.split('/').collect()).collect();
    let first = split.first().filter(|_| split.len() > 1)?;
    if split.iter().any(|parts| parts.len() != first.len()) {
        return None;
    }
    let differs = |n: &usize| split.iter().any(|parts| parts[*n] != first[*n]);
    let mut places = (0..first.len()).filter(differs);
    let (place, None) = (places.next()?, places.next()) else { return None };
    let values: Vec<String> = split.iter().map(|parts| parts[place].to_owned()).collect();
    let mut path: Vec<String> = first.iter().map(|part| (*part).to_owned()).collect();
    path[place] = format!("${{labels.{VARIANT}}}");
    Some((path.join("/"), values))
}

fn kustomization(
    import: &mut Import<'_>,
    (file, object, name): (&str, &Node, &str),
    path: &str,
) -> Option<Draft> {
    let spec = object.get("spec")?;
    let app = import.name(file, object.at, name)?;
    let mut draft = Draft::new(app, format!("Flux Kustomization {name}"));
    draft.path = from_app(path);
    // Flux makes a kustomization for a folder that has none: all of its YAML.
    let some = path_of(object);
    let known = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
    if import.has(&some) && !known.iter().any(|file| import.has(&crate::walk::join(&some, file))) {
        draft.form = Some(("raw", json!({})));
    }
    common(import, file, spec, &mut draft);
    let patches: Vec<Json> =
        list(spec.get("patches")).iter().map(|patch| plain(canonical::json(patch))).collect();
    if !patches.is_empty() {
        draft.overrides.push(json!({ "patches": patches }));
    }
    if let Some(prune) = spec.get("prune").filter(|_| is(spec, &["prune"], false)) {
        let message =
            "`prune` is off there; here objects that leave Git are deleted, behind brakes";
        let hint = "annotate what must stay with `tidegate.dev/prune: disabled`";
        import.note(file, prune.at, message, hint);
    }
    if let Some(source) =
        at(spec, &["sourceRef", "kind"]).filter(|kind| kind.text() != Some("GitRepository"))
    {
        let message = "the source is no Git repository";
        import.note(
            file,
            source.at,
            message,
            "add it with `tidegate source add`, and move the App there",
        );
    }
    let known = [
        "path",
        "sourceRef",
        "interval",
        "retryInterval",
        "prune",
        "wait",
        "timeout",
        "suspend",
        "dependsOn",
        "patches",
        "force",
        "healthChecks",
    ];
    let write = "write it into the `kustomization.yaml`";
    let hints = [
        ("postBuild", "use Helm values or patches with `${labels.NAME}`"),
        ("targetNamespace", "write `namespace:` into the `kustomization.yaml`"),
        ("images", write),
        ("components", write),
        ("namePrefix", write),
        ("nameSuffix", write),
        ("commonMetadata", write),
        ("decryption", "encrypted Secrets are refused where there is no key; see `spec.secrets`"),
        ("kubeConfig", "run an agent in that cluster and select it by its labels"),
        ("serviceAccountName", "write a tenant into the hub's policy file"),
        ("healthCheckExprs", "health rules are given to the agents, for all Apps"),
    ];
    import.rest(file, "spec", Some(spec), &known, &hints);
    Some(draft)
}

/// What both kinds have.
fn common(import: &mut Import<'_>, file: &str, spec: &Node, draft: &mut Draft) {
    draft.manual = is(spec, &["suspend"], true);
    for on in list(spec.get("dependsOn")) {
        let name = text(on, &["name"]).unwrap_or_default();
        if AppName::parse(name).is_ok() {
            draft.depends_on.push(name.to_owned());
        } else {
            import.note(file, on.at, "what it depends on is no name of an App", "rename it");
        }
        if let Some(ready) = on.get("readyExpr") {
            let hint = "an App waits until the other is `Ready` there";
            import.note(file, ready.at, "`readyExpr` is not imported", hint);
        }
    }
}

/// Fields of a `HelmRelease` that are read, or mean nothing here.
const RELEASE: [&str; 12] = [
    "chart",
    "interval",
    "timeout",
    "suspend",
    "dependsOn",
    "releaseName",
    "targetNamespace",
    "values",
    "valuesFrom",
    "maxHistory",
    "driftDetection",
    "storageNamespace",
];

/// What to do about others.
const RELEASE_HINTS: &[(&str, &str)] = &[
    ("install", "definitions in `crds/` belong to the App; failed applies are tried again"),
    ("upgrade", "`onFailure: rollback` below `spec.rollout` returns to what was good"),
    ("rollback", "`onFailure: rollback` below `spec.rollout` returns to what was good"),
    ("postRenderers", "write the patches as `spec.overrides`"),
    ("test", "hooks for tests are left out"),
    ("serviceAccountName", "write a tenant into the hub's policy file"),
    ("kubeConfig", "run an agent in that cluster and select it by its labels"),
];

/// Values, and those of ConfigMaps that stand in the repository.
fn values(import: &mut Import<'_>, file: &str, spec: &Node, objects: &[Object]) -> Json {
    let mut values = spec.get("values").map_or(Json::Null, |values| plain(canonical::json(values)));
    for from in list(spec.get("valuesFrom")) {
        let message = format!(
            "values from the {} `{}` are not imported",
            text(from, &["kind"]).unwrap_or("object"),
            text(from, &["name"]).unwrap_or_default()
        );
        match config_map(objects, from) {
            // What stands in the HelmRelease wins.
            Some(mut found) => {
                merge(&mut found, values);
                values = found;
            }
            None => import.note(
                file,
                from.at,
                message,
                "write them into `values`; a Secret stays in its cluster",
            ),
        }
    }
    values
}

fn release(import: &mut Import<'_>, file: &str, object: &Node, objects: &[Object]) {
    let own = text(object, &["metadata", "name"]).unwrap_or_default();
    let (Some(spec), Some(name)) = (object.get("spec"), import.name(file, object.at, own)) else {
        return;
    };
    let mut draft = Draft::new(name, format!("Flux HelmRelease {own}"));
    draft.choose(&cluster(file), &[]);
    common(import, file, spec, &mut draft);
    let mut helm = json!({});
    let here = text(object, &["metadata", "namespace"]);
    let namespace = text(spec, &["targetNamespace"]).or(here);
    // What Flux names a release that goes into another namespace.
    let usual =
        text(spec, &["targetNamespace"]).map_or(own.to_owned(), |target| format!("{target}-{own}"));
    helm["releaseName"] = json!(text(spec, &["releaseName"]).unwrap_or(&usual));
    if let Some(namespace) = namespace {
        helm["namespace"] = json!(namespace);
    }
    let values = values(import, file, spec, objects);
    let chart = spec.get("chart").and_then(|chart| chart.get("spec"));
    let Some(chart) = chart else {
        let hint = "add the chart with `tidegate source add oci://…`, or as a dependency of a chart in Git";
        return import.note(file, spec.at, "a HelmRelease with `chartRef` is not imported", hint);
    };
    let (named, version) = (text(chart, &["chart"]).unwrap_or_default(), text(chart, &["version"]));
    let reference = text(chart, &["sourceRef", "name"]).unwrap_or_default();
    if text(chart, &["sourceRef", "kind"]) == Some("GitRepository") {
        draft.path = from_app(named);
        if !values.is_null() {
            helm["values"] = values;
        }
    } else {
        let url = objects.iter().find_map(|(_, one)| {
            let fits = text(one, &["kind"]) == Some("HelmRepository")
                && text(one, &["metadata", "name"]) == Some(reference);
            text(one, &["spec", "url"]).filter(|_| fits)
        });
        let Some(url) = url else {
            let message = format!("HelmRepository `{reference}` is not in this repository");
            return import.note(file, chart.at, message, "put the chart into `apps/NAME/chart`");
        };
        wrapper(&mut draft, named, version.unwrap_or("*"), url);
        if !values.is_null() {
            helm["values"] = json!({ named: values });
        }
        let message = format!("chart `{named}` becomes a dependency of a chart in this repository");
        let hint = "run `helm dependency update` there once and commit `charts/`: nothing is fetched while rendering";
        import.note(file, chart.at, message, hint);
    }
    draft.form = Some(("helm", helm));
    import.rest(file, "spec", Some(spec), &RELEASE, RELEASE_HINTS);
    import.add(file, object.at, draft);
}

/// Values of a ConfigMap that stands in the repository too.
fn config_map(objects: &[Object], from: &Node) -> Option<Json> {
    let name = text(from, &["name"]).filter(|_| text(from, &["kind"]) == Some("ConfigMap"))?;
    let key = text(from, &["valuesKey"]).unwrap_or("values.yaml");
    let (file, found) = objects.iter().find(|(_, one)| {
        text(one, &["kind"]) == Some("ConfigMap") && text(one, &["metadata", "name"]) == Some(name)
    })?;
    let given = found.get("data")?.get(key)?.text()?;
    let node = yaml::documents(file, given.as_bytes()).ok()?.pop()?;
    Some(plain(canonical::json(&node)))
}
