//! Values, overrides, patches and hooks: what clusters get from one chart.

use super::{
    equal::{Tree, app_and_files, target},
    *,
};
use model::Reason;
use render::{FleetCluster, Kit, Tools as _};
use serde_json::Value as Json;

const CHART: &str = "apiVersion: v2\nname: web\nversion: 0.1.0\n";
const TEMPLATE: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  \
    replicas: {{ .Values.replicas }}\n  template: {spec: {containers: [{name: web, image: \"{{ .Values.region }}/web\"}]}}\n";

fn tree(files: &[(&str, &str)], settings: &str) -> Tree {
    let mut tree = Tree::default();
    tree.files =
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    settings.clone_into(&mut tree.settings);
    tree
}

fn fleet(size: usize) -> Vec<FleetCluster> {
    let one = |n: usize| {
        let mut cluster = target();
        cluster.uid =
            model::ClusterUid::parse(&format!("00000000-0000-4000-8000-{n:012}")).unwrap();
        cluster.name = model::ClusterName::parse(&format!("k{n}")).unwrap();
        let region = ["eu", "us", "ap"][n % 3];
        cluster.labels = [("region".to_owned(), region.to_owned())].into();
        cluster.facts = serde_json::json!({"nodes": 3});
        cluster
    };
    (0..size).map(one).collect()
}

#[test]
fn a_thousand_clusters_with_three_values_are_three_runs_of_helm() {
    let files = [
        ("chart/Chart.yaml", CHART),
        ("chart/values.yaml", "replicas: 1\n"),
        ("chart/templates/a.yaml", TEMPLATE),
    ];
    let settings = "path: chart, helm: {values: {region: \"${labels.region}\", replicas: \"${facts.nodes}\"}}}, \
        overrides: [{when: \"labels.region == 'ap'\", values: {replicas: 9}, \
        patches: [{patch: \"{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {paused: true}}\"}]}], \
        drift: {mode: correct";
    let tree = tree(&files, settings);
    let (app, files) = app_and_files(&tree, &tree.settings).unwrap();
    let tools = renderers();
    let kit = Kit { tools: &tools, ..Kit::plain() };
    let fleet = fleet(1000);
    let variants = render::render_all(&kit, &app, &files, fleet.iter().map(Into::into));
    assert_eq!(variants.faults, []);
    assert_eq!(
        (variants.renders, variants.rendered.len(), variants.by_cluster.len()),
        (3, 3, 1000)
    );
    assert_eq!(tools.runs(), 4, "three of helm, and one of kustomize for the patch");
    let of = |n: usize| -> Json {
        let rendered = variants.of(&fleet[n].uid).unwrap();
        serde_json::from_slice(rendered.objects.values().next().unwrap()).unwrap()
    };
    assert_eq!(of(0)["spec"]["replicas"], 3);
    assert_eq!(of(0)["spec"]["template"]["spec"]["containers"][0]["image"], "eu/web");
    assert_eq!((&of(2)["spec"]["replicas"], &of(2)["spec"]["paused"]), (&9.into(), &true.into()));
    render::render_all(&kit, &app, &files, fleet.iter().map(Into::into));
    assert_eq!(tools.runs(), 4, "a second look costs nothing");
    let touched = files.clone().file("apps/other/a.yaml", "x");
    render::render_all(&kit, &app, &touched, fleet.iter().map(Into::into));
    assert_eq!(tools.runs(), 4, "a file that the chart does not reach changes nothing");
}

#[test]
fn hooks_become_hooks_of_the_agent_and_the_rest_is_told() {
    let hook = |name: &str, kind: &str, hook: &str, more: &str| {
        format!(
            "---\napiVersion: batch/v1\nkind: {kind}\nmetadata: {{name: {name}, annotations: {{\"helm.sh/hook\": \"{hook}\"{more}}}}}\n"
        )
    };
    let template = [
        hook("migrate", "Job", "pre-install,pre-upgrade", ", \"helm.sh/hook-weight\": \"-5\", \"helm.sh/hook-delete-policy\": \"before-hook-creation,hook-succeeded\""),
        hook("warm", "Job", "post-upgrade", ""),
        hook("bye", "Job", "pre-delete", ""),
        hook("test", "Pod", "test", ""),
        hook("after", "Job", "post-delete", ""),
        hook("account", "ServiceAccount", "pre-install", ""),
    ]
    .concat();
    let files = [("chart/Chart.yaml", CHART), ("chart/templates/a.yaml", template.as_str())];
    let tree = tree(&files, "path: chart, helm: {namespace: shop}");
    let (app, files) = app_and_files(&tree, &tree.settings).unwrap();
    let tools = renderers();
    let cluster = target();
    let kit = Kit { tools: &tools, ..Kit::plain() };
    let rendered = render::render(&kit, &app, &files, (&cluster).into()).unwrap();
    let mut lines: Vec<String> = Vec::new();
    for bytes in rendered.objects.values() {
        let object: Json = serde_json::from_slice(bytes).unwrap();
        let own = |key: &str| {
            object["metadata"]["annotations"][format!("tidegate.dev/{key}")]
                .as_str()
                .unwrap_or("-")
                .to_owned()
        };
        let meta = &object["metadata"];
        lines.push(format!(
            "{} {} {} {} {}",
            meta["namespace"].as_str().unwrap(),
            meta["name"].as_str().unwrap(),
            own("hook"),
            own("wave"),
            own("hook-delete")
        ));
    }
    lines.sort();
    assert_eq!(
        lines,
        [
            "shop account - -1000 -",
            "shop bye pre-delete - -",
            "shop migrate pre-apply -5 before-creation,on-success",
            "shop warm post-apply - -",
        ]
    );
    let notes: Vec<_> = rendered.notes.iter().map(|note| note.message.as_str()).collect();
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(rendered.notes.iter().all(|note| !note.is_error()));
}

#[test]
fn a_tool_that_is_missing_stops_its_app_only_and_says_so() {
    let files = [("chart/Chart.yaml", CHART), ("chart/templates/a.yaml", TEMPLATE)];
    let tree = tree(&files, "path: chart");
    let (app, files) = app_and_files(&tree, &tree.settings).unwrap();
    let places = Places {
        helm: Some("/nowhere/helm".into()),
        launcher: Some(launcher()),
        ..Places::default()
    };
    let tools = Renderers::new(places);
    let kit = Kit { tools: &tools, ..Kit::plain() };
    let cluster = target();
    let faults = render::render(&kit, &app, &files, (&cluster).into()).unwrap_err();
    assert_eq!(faults[0].reason, Reason::ToolMissing);
    assert_eq!(
        faults[0].to_string(),
        "error[RND-211]: apps/web/chart/Chart.yaml: the folder is for helm: `helm` is not installed: it was looked \
         for `/nowhere/helm`, which was named; install `helm` beside Tidegate or on its PATH, or name it with `--helm`"
    );
    assert!(renderers().version(render::Tool::Helm).is_ok());
}

#[test]
fn an_encrypted_secret_passes_as_it_is() {
    let sealed = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: \"ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\"}\n\
        sops: {mac: \"ENC[AES256_GCM,data:m,type:str]\", version: 3.9.0}\n";
    let files = [("k/kustomization.yaml", "resources: [a.yaml]\n"), ("k/a.yaml", sealed)];
    let tree = tree(&files, "path: k");
    let (app, files) = app_and_files(&tree, &tree.settings).unwrap();
    let tools = renderers();
    let kit = Kit { tools: &tools, ..Kit::plain() };
    let cluster = target();
    let rendered = render::render(&kit, &app, &files, (&cluster).into()).unwrap();
    let text = String::from_utf8_lossy(rendered.objects.values().next().unwrap()).into_owned();
    assert!(text.contains("ENC[AES256_GCM,data:x") && text.contains("sops"), "{text}");
    // With the order of its values, which SOPS's code depends on and sorted keys forget.
    let order = "\"order\":[\"/apiVersion\",\"/kind\",\"/metadata/name\",\"/stringData/password\"]";
    assert!(text.contains(order), "{text}");
    // And it is told that no agent opens it, for it is encrypted for no age key.
    assert_eq!(rendered.notes[0].reason, Reason::SecretSealed);
    assert!(
        rendered.notes[0].to_string().contains("Secret db is encrypted with SOPS"),
        "{:?}",
        rendered.notes
    );
}
