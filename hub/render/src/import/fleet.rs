//! `fleet.yaml` and `GitRepo` of Rancher Fleet.

use serde_json::{Value as Json, json};

use super::{
    Import, Object, at,
    draft::{Draft, merge, plain, wrapper},
    from_app, is, labels, list, text,
};
use crate::{canonical, yaml::Node};

/// Fields that choose clusters, in a target, a customization or a partition.
const CHOICE: [&str; 5] =
    ["name", "clusterSelector", "clusterName", "clusterGroup", "clusterGroupSelector"];

/// A `GitRepo`: which folders go to which clusters.
struct Repository<'a> {
    file: &'a str,
    paths: Vec<String>,
    targets: &'a [Node],
    paused: bool,
    corrects: bool,
    labels: Option<&'a Node>,
}

pub(super) fn read(import: &mut Import<'_>, objects: &[Object]) {
    let mut repositories = Vec::new();
    for (file, object) in objects {
        let group = text(object, &["apiVersion"]).unwrap_or_default();
        if !group.starts_with("fleet.cattle.io/") {
            continue;
        }
        import.out.read += 1;
        let Some(spec) = object.get("spec") else { continue };
        if text(object, &["kind"]) != Some("GitRepo") {
            let kind = text(object, &["kind"]).unwrap_or("object").to_owned();
            let hint = "clusters are grouped by labels: `tidegate cluster label NAME KEY=VALUE`";
            import.note(file, object.at, format!("a `{kind}` is not imported"), hint);
            continue;
        }
        let paths = list(spec.get("paths")).iter().filter_map(Node::text);
        repositories.push(Repository {
            file,
            paths: paths
                .map(|path| path.trim_start_matches("./").trim_matches('/').to_owned())
                .collect(),
            targets: list(spec.get("targets")),
            paused: is(spec, &["paused"], true),
            corrects: is(spec, &["correctDrift", "enabled"], true),
            labels: at(object, &["metadata", "labels"]),
        });
        let hints = [
            ("helmSecretName", "give it to `tidegate source add --credentials`"),
            ("clientSecretName", "give it to `tidegate source add --credentials`"),
            ("serviceAccount", "write a tenant into the hub's policy file"),
            ("imageScanCommit", "images are not scanned"),
        ];
        let known = [
            "repo",
            "branch",
            "revision",
            "paths",
            "targets",
            "paused",
            "correctDrift",
            "pollingInterval",
        ];
        import.rest(file, "spec", Some(spec), &known, &hints);
    }
    for (file, object) in
        objects.iter().filter(|(file, _)| file.rsplit('/').next() == Some("fleet.yaml"))
    {
        import.out.read += 1;
        bundle(import, file, object, &repositories);
    }
}

fn bundle(import: &mut Import<'_>, file: &str, object: &Node, repositories: &[Repository<'_>]) {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let shown = if folder.is_empty() { "bundle" } else { folder };
    let shown = text(object, &["name"]).unwrap_or(shown);
    let Some(name) = import.name(file, object.at, shown) else { return };
    let mut draft = Draft::new(name, format!("fleet.yaml of {shown}"));
    let below = |path: &String| {
        path.is_empty() || folder == path || folder.starts_with(&format!("{path}/"))
    };
    let of = repositories.iter().find(|one| one.paths.is_empty() || one.paths.iter().any(below));
    draft.path = from_app(folder);
    draft.manual = is(object, &["paused"], true) || of.is_some_and(|of| of.paused);
    let corrects = at(object, &["correctDrift", "enabled"])
        .map(|_| is(object, &["correctDrift", "enabled"], true));
    draft.report_drift = !corrects.unwrap_or(of.is_some_and(|of| of.corrects));
    if let Some(labels) = object.get("labels").or(of.and_then(|of| of.labels)) {
        let labels = canonical::json(labels);
        let texts = labels.as_object().into_iter().flatten();
        draft.labels =
            texts.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect();
    }
    select(import, file, of, &mut draft);
    form(import, file, object, folder, &mut draft);
    customizations(import, file, object, &mut draft);
    rollout(import, file, object, &mut draft);
    for on in list(object.get("dependsOn")) {
        let named = text(on, &["name"]).map(str::to_owned);
        if let Some(app) = named.and_then(|name| import.name(file, on.at, &name)) {
            draft.depends_on.push(app.to_string());
        } else {
            let hint = "write `before: {dependsOn: [{app: NAME}]}` into the waves";
            import.note(file, on.at, "`dependsOn` by labels is not imported", hint);
        }
    }
    let hints = [
        ("diff", "name the fields in the annotation `tidegate.dev/ignore-fields`"),
        ("keepResources", "annotate what must stay with `tidegate.dev/prune: disabled`"),
        ("deleteNamespace", "a Namespace is deleted only when it stands among the manifests"),
        ("namespace", "write the namespace into the manifests, or `namespace` below `helm`"),
        ("namespaceLabels", "put a Namespace object beside the manifests"),
        ("yaml", "write `spec.overrides` with `when` and `patches`"),
        ("imageScans", "images are not scanned"),
        ("overrideTargets", "write `targets.select`"),
        ("overwrites", "an object belongs to one App"),
    ];
    let mut known = vec![
        "name",
        "labels",
        "defaultNamespace",
        "helm",
        "kustomize",
        "targetCustomizations",
        "targets",
        "dependsOn",
        "rolloutStrategy",
        "paused",
        "correctDrift",
    ];
    if draft.form.as_ref().is_some_and(|(form, _)| *form == "helm") {
        known.push("namespace");
    }
    import.rest(file, "fleet.yaml", Some(object), &known, &hints);
    import.add(file, object.at, draft);
}

/// Which clusters: those of the `GitRepo` that the folder belongs to.
fn select(import: &mut Import<'_>, file: &str, of: Option<&Repository<'_>>, draft: &mut Draft) {
    let Some(of) = of else {
        draft.choose("CLUSTER", &[]);
        let message = "no `GitRepo` in this repository says to which clusters it goes";
        let hint =
            "give the clusters the label that the App selects by, or change `targets.select`";
        let at = crate::diagnostic::Position { line: 1, column: 1 };
        return import.note(file, at, message, hint);
    };
    let mut all = Vec::new();
    for target in of.targets {
        all.extend(choice(import, of.file, target, draft));
    }
    if !all.is_empty() {
        draft.select = labels::either(&all);
    }
}

/// The clusters that a target chooses: plainly, and in a form that may stand behind a `!`.
fn choice(
    import: &mut Import<'_>,
    file: &str,
    node: &Node,
    draft: &mut Draft,
) -> Option<(String, String)> {
    for key in ["clusterGroup", "clusterGroupSelector"] {
        if let Some(group) = node.get(key) {
            let hint = "give the clusters of the group a label and select by it";
            import.note(file, group.at, format!("`{key}` is not imported"), hint);
            return None;
        }
    }
    if let Some(name) = text(node, &["clusterName"]) {
        let label = format!("{}_{}", draft.own_label(), name.replace(['-', '.'], "_"));
        draft.commands.insert(format!("tidegate cluster label {name} {label}=yes"));
        return Some(labels::yes(&label));
    }
    let both = node.get("clusterSelector").map(labels::both);
    match both {
        None => Some(("true".to_owned(), "true".to_owned())),
        Some(Ok(both)) => Some(both),
        Some(Err(operator)) => {
            let message = format!("a selector has the operator `{operator}`");
            import.note(file, node.at, message, "use In, NotIn, Exists or DoesNotExist");
            None
        }
    }
}

fn form(import: &mut Import<'_>, file: &str, object: &Node, folder: &str, draft: &mut Draft) {
    if let Some(dir) = text(object, &["kustomize", "dir"]) {
        draft.path =
            from_app(&crate::walk::join(folder, dir.trim_start_matches("./").trim_matches('/')));
        draft.form = Some(("kustomize", json!({})));
    }
    let own = import.has(&crate::walk::join(folder, "Chart.yaml"));
    let Some(helm) = object.get("helm") else {
        let kustomize = import.has(&crate::walk::join(folder, "kustomization.yaml"));
        if draft.form.is_none() && !own && !kustomize {
            let hint = "the folder is read as plain YAML; move `fleet.yaml` away once the App is taken over";
            let at = object.at;
            import.note(file, at, "`fleet.yaml` stands among the manifests and is no object", hint);
            draft.form = Some(("raw", json!({})));
        }
        return;
    };
    let mut settings = json!({});
    let namespace = text(object, &["namespace"]).or(text(object, &["defaultNamespace"]));
    if let Some(namespace) = namespace {
        settings["namespace"] = json!(namespace);
    }
    if let Some(release) = text(helm, &["releaseName"]) {
        settings["releaseName"] = json!(release);
    }
    let files: Vec<_> = list(helm.get("valuesFiles")).iter().filter_map(Node::text).collect();
    let mut values = helm.get("values").map_or(Json::Null, |values| plain(canonical::json(values)));
    let chart = text(helm, &["chart"]).unwrap_or_default();
    if let Some(url) = text(helm, &["repo"]).or(chart.starts_with("oci://").then_some(chart)) {
        let named = chart.rsplit('/').next().unwrap_or_default();
        let url = if url == chart { url.rsplit_once('/').map_or(url, |(url, _)| url) } else { url };
        wrapper(draft, named, text(helm, &["version"]).unwrap_or("*"), url);
        values = if values.is_null() { values } else { json!({ named: values }) };
        let message = format!("chart `{named}` becomes a dependency of a chart in this repository");
        let hint = "run `helm dependency update` there once and commit `charts/`: nothing is fetched while rendering";
        import.note(file, helm.at, message, hint);
        if !files.is_empty() {
            let hint = "nest their content below the name of the chart and write it into `values`";
            import.note(file, helm.at, "`valuesFiles` of a fetched chart are not imported", hint);
        }
    } else {
        if chart.contains("://") {
            let hint = "unpack the chart into the repository";
            import.note(file, helm.at, format!("chart `{chart}` is not fetched"), hint);
        } else if !chart.is_empty() {
            let chart = chart.trim_start_matches("./").trim_matches('/');
            draft.path = from_app(&crate::walk::join(folder, chart));
        }
        if !files.is_empty() {
            settings["valuesFiles"] = json!(files);
        }
    }
    if !values.is_null() {
        settings["values"] = values;
    }
    let known =
        ["chart", "repo", "version", "releaseName", "values", "valuesFiles", "timeoutSeconds"];
    let hints = [
        ("valuesFrom", "write them into `values`; a Secret stays in its cluster"),
        ("takeOwnership", "annotate objects with `tidegate.dev/adopt: always`"),
        ("force", "annotate objects with `tidegate.dev/recreate: \"true\"`"),
        ("atomic", "`onFailure: rollback` below `spec.rollout` returns to what was good"),
        ("disablePreProcess", "nothing is processed before Helm"),
        ("templateValues", "write `${labels.NAME}` into `values`"),
    ];
    import.rest(file, "helm", Some(helm), &known, &hints);
    draft.form = Some(("helm", settings));
}

/// The first customization that fits a cluster wins there; here every override that fits is taken.
fn customizations(import: &mut Import<'_>, file: &str, object: &Node, draft: &mut Draft) {
    let mut earlier: Vec<String> = Vec::new();
    let mut none = Vec::new();
    let nested = draft.path == "chart";
    let chart = at(object, &["helm", "chart"]).and_then(Node::text).unwrap_or_default();
    let chart = chart.rsplit('/').next().unwrap_or_default().to_owned();
    for node in list(object.get("targetCustomizations")) {
        let Some((plainly, guarded)) = choice(import, file, node, draft) else { continue };
        let when = labels::first(&plainly, &earlier);
        earlier.push(guarded.clone());
        if is(node, &["doNotDeploy"], true) {
            none.push(labels::first(&guarded, &earlier[..earlier.len() - 1]));
            continue;
        }
        let mut one = json!({ "when": when });
        if let Some(values) = at(node, &["helm", "values"]) {
            let values = plain(canonical::json(values));
            one["values"] = if nested { json!({ chart.as_str(): values }) } else { values };
        }
        let files: Vec<_> =
            list(at(node, &["helm", "valuesFiles"])).iter().filter_map(Node::text).collect();
        if !files.is_empty() {
            one["valuesFiles"] = json!(files);
        }
        let mut known = CHOICE.to_vec();
        known.extend(["doNotDeploy", "helm"]);
        let hints = [
            ("kustomize", "choose the folder by a label: `path: overlays/${labels.NAME}`"),
            ("yaml", "write its overlays as `patches` of the override"),
            ("namespace", "write `namespace: ${labels.NAME}` below `helm`"),
        ];
        import.rest(file, "targetCustomizations", Some(node), &known, &hints);
        import.rest(
            file,
            "targetCustomizations.helm",
            node.get("helm"),
            &["values", "valuesFiles"],
            &[],
        );
        if one.as_object().is_some_and(|all| all.len() > 1) {
            draft.overrides.push(one);
        }
    }
    if !none.is_empty() {
        let none: Vec<_> = none.into_iter().map(|one: String| (one.clone(), one)).collect();
        draft.exclude = Some(labels::either(&none));
    }
}

fn rollout(import: &mut Import<'_>, file: &str, object: &Node, draft: &mut Draft) {
    let Some(strategy) = object.get("rolloutStrategy") else { return };
    for (n, part) in list(strategy.get("partitions")).iter().enumerate() {
        let Some((select, _)) = choice(import, file, part, draft) else { continue };
        let own = text(part, &["name"]).map(str::to_owned).unwrap_or_default();
        let plain: String = own
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let name = plain.trim_matches('-');
        let name = if name.is_empty() { format!("part-{}", n + 1) } else { name.to_owned() };
        let mut wave = json!({ "name": name, "select": select, "allowEmpty": true });
        if let Some(most) = part.get("maxUnavailable") {
            wave["maxInFlight"] = canonical::json(most);
        }
        draft.waves.push(wave);
    }
    let rest = strategy.get("maxUnavailable").map(canonical::json);
    if !draft.waves.is_empty() || rest.is_some() {
        let mut wave = json!({ "name": "rest", "rest": true, "allowEmpty": true });
        if let Some(most) = rest {
            merge(&mut wave, json!({ "maxInFlight": most }));
        }
        draft.waves.push(wave);
    }
    let hints = [
        ("maxUnavailablePartitions", "a wave begins when the one before it has passed: that is 0"),
        ("autoPartitionSize", "write `ramp: [25%, 50%, 100%]` into a wave"),
        ("autoPartitionThreshold", "a wave of few clusters needs no exception"),
    ];
    import.rest(file, "rolloutStrategy", Some(strategy), &["partitions", "maxUnavailable"], &hints);
}
