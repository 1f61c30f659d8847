//! Where an Application's manifests are, and what makes objects of them.

use serde_json::{Value as Json, json};

use super::scope::{Scope, filled, places};
use crate::{
    canonical,
    import::{
        Import,
        draft::{Draft, merge, wrapper},
        from_app, is, list, text,
    },
    yaml::{self, Node},
};

/// Fields of `source.kustomize` that stand in a `kustomization.yaml` as well.
const KUSTOMIZE: [&str; 10] = [
    "namePrefix",
    "nameSuffix",
    "images",
    "commonLabels",
    "commonAnnotations",
    "patches",
    "namespace",
    "replicas",
    "components",
    "labelWithoutSelector",
];

pub(super) fn source(
    import: &mut Import<'_>,
    file: &str,
    node: &Node,
    scope: &Scope,
    draft: &mut Draft,
) {
    let hints = [
        ("plugin", "plugins are not run; render into the repository, or use Kustomize or Helm"),
        ("ref", "files of another repository are not read; put them beside the App"),
    ];
    let known =
        ["repoURL", "path", "targetRevision", "helm", "kustomize", "directory", "chart", "name"];
    import.rest(file, "source", Some(node), &known, &hints);
    let namespace = text(node, &["helm", "namespace"]).map(str::to_owned);
    let mut helm = json!({});
    if let Some(given) = node.get("helm") {
        helm = settings(import, file, given, scope);
    }
    if let Some(namespace) = namespace {
        helm["namespace"] = json!(namespace);
    }
    if let Some(chart) = text(node, &["chart"]) {
        let (repository, version) = (text(node, &["repoURL"]), text(node, &["targetRevision"]));
        let repository = repository.unwrap_or_default();
        let repository = if repository.contains("://") {
            repository.to_owned()
        } else {
            format!("oci://{repository}")
        };
        wrapper(draft, chart, version.unwrap_or("*"), &repository);
        if let Some(values) = helm.get_mut("values").map(Json::take) {
            helm["values"] = json!({ chart: values });
        }
        draft.form = Some(("helm", helm));
        let message = format!("chart `{chart}` becomes a dependency of a chart in this repository");
        let hint = "run `helm dependency update` there once and commit `charts/`: nothing is fetched while rendering";
        return import.note(file, node.at, message, hint);
    }
    let path = text(node, &["path"]).unwrap_or(".");
    match filled(path, scope) {
        Ok(path) => draft.path = from_app(&path),
        Err(placeholder) => {
            draft.path = from_app(path);
            let message =
                format!("`{placeholder}` in the path stands for nothing that is known here");
            import.note(
                file,
                node.at,
                message,
                "write `${labels.NAME}` and give clusters the label",
            );
        }
    }
    if helm.as_object().is_some_and(|all| !all.is_empty()) {
        draft.form = Some(("helm", helm));
    }
    if let Some(directory) = node.get("directory") {
        draft.form = Some(("raw", json!({})));
        let hints = [
            ("jsonnet", "render it into the repository"),
            ("include", "move the files"),
            ("exclude", "move the files"),
        ];
        import.rest(file, "source.directory", Some(directory), &["recurse"], &hints);
    }
    if let Some(kustomize) = node.get("kustomize") {
        let hint = "write it into the `kustomization.yaml`";
        let all = KUSTOMIZE.map(|field| (field, hint));
        import.rest(file, "source.kustomize", Some(kustomize), &["version"], &all);
        draft.form = Some(("kustomize", json!({})));
    }
}

/// Fields of `source.helm` that are read, or mean nothing here.
const HELM: [&str; 11] = [
    "releaseName",
    "valueFiles",
    "values",
    "valuesObject",
    "parameters",
    "skipCrds",
    "kubeVersion",
    "apiVersions",
    "namespace",
    "version",
    "passCredentials",
];

/// `source.helm`.
fn settings(import: &mut Import<'_>, file: &str, helm: &Node, scope: &Scope) -> Json {
    let mut out = json!({});
    let mut place = |key: &str, value: &str, import: &mut Import<'_>| match filled(value, scope) {
        Ok(value) => out[key] = json!(value),
        Err(placeholder) => {
            let message = format!("`{placeholder}` in `helm.{key}` stands for nothing known here");
            import.note(file, helm.at, message, "write `${labels.NAME}`");
        }
    };
    if let Some(release) = text(helm, &["releaseName"]) {
        place("releaseName", release, import);
    }
    let files: Vec<_> = list(helm.get("valueFiles")).iter().filter_map(Node::text).collect();
    let files: Vec<_> =
        files.into_iter().map(|f| filled(f, scope).unwrap_or_else(|_| f.to_owned())).collect();
    if !files.is_empty() {
        out["valuesFiles"] = json!(files);
    }
    let mut values = Json::Null;
    if let Some(given) = text(helm, &["values"]) {
        match yaml::documents(file, given.as_bytes()).ok().and_then(|mut all| all.pop()) {
            Some(node) => values = places(canonical::json(&node), scope),
            None => import.note(file, helm.at, "`helm.values` is no YAML", "write it as `values`"),
        }
    }
    if let Some(given) = helm.get("valuesObject") {
        merge(&mut values, places(canonical::json(given), scope));
    }
    for parameter in list(helm.get("parameters")) {
        let (name, value) =
            (text(parameter, &["name"]).unwrap_or_default(), parameter.get("value"));
        if name.contains(['[', '\\']) {
            let message = format!("parameter `{name}` is not imported");
            import.note(file, parameter.at, message, "write it into `helm.values`");
            continue;
        }
        let value =
            value.map_or(Json::Null, |node| typed(node, is(parameter, &["forceString"], true)));
        let value = places(value, scope);
        let nested = name.rsplit('.').fold(value, |inner, key| json!({ key: inner }));
        merge(&mut values, nested);
    }
    if values.as_object().is_some_and(|all| !all.is_empty()) {
        out["values"] = values;
    }
    if is(helm, &["skipCrds"], true) {
        out["includeCRDs"] = json!(false);
    }
    for key in ["kubeVersion", "apiVersions"] {
        if let Some(given) = helm.get(key) {
            out[key] = canonical::json(given);
        }
    }
    let hints = [
        ("fileParameters", "put the content into a file of the chart"),
        ("ignoreMissingValueFiles", "a file that is missing is always an error here"),
    ];
    import.rest(file, "helm", Some(helm), &HELM, &hints);
    out
}

/// A parameter as `helm --set` types it.
fn typed(node: &Node, string: bool) -> Json {
    let json = canonical::json(node);
    match json.as_str() {
        Some(text) if !string => match text {
            "true" => json!(true),
            "false" => json!(false),
            "null" => Json::Null,
            number => number.parse::<i64>().map_or_else(|_| json!(number), |number| json!(number)),
        },
        None if string => json!(json.to_string()),
        Some(_) | None => json,
    }
}
