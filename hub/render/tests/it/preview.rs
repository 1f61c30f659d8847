//! What a change would do, before it is merged.

use render::{ChangeKind, Preview, preview};

use super::*;

fn fleet(size: usize) -> Vec<FleetCluster> {
    let one = |n: usize| {
        let (uid, name) = cluster(n);
        let env = ["dev", "prod"][n % 2];
        FleetCluster { uid, name, labels: labels(&[("env", env)]), facts: Facts::Null }
    };
    (0..size).map(one).collect()
}

fn map(name: &str, data: &str) -> String {
    format!("{}data: {{{data}}}\n", config_map(name))
}

fn repository() -> MemoryTree {
    MemoryTree::new()
        .file("apps/web/app.yaml", app_yaml("${labels.env}"))
        .file("apps/web/dev/a.yaml", map("a", "x: '1', env: dev"))
        .file("apps/web/prod/a.yaml", map("a", "x: '1', env: prod"))
        .file("apps/db/app.yaml", app_yaml("m").replace("name: web", "name: db"))
        .file("apps/db/m/b.yaml", map("b", "y: '1'"))
}

fn compare(head: &MemoryTree) -> Preview {
    preview(&Kit::plain(), &repository(), head, &fleet(10), None)
}

#[test]
fn no_change_is_nothing() {
    assert!(compare(&repository()).is_empty());
    let comment = repository().file("apps/db/m/b.yaml", format!("# hello\n{}", map("b", "y: '1'")));
    assert!(compare(&comment).is_empty(), "equal objects are equal");
}

/// A tool that counts how often it is asked, and answers with what it was given.
#[derive(Default)]
struct Counted(std::sync::atomic::AtomicUsize);

impl render::Tools for Counted {
    fn run(&self, job: &render::Job) -> Result<render::Output, render::ToolError> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(job.files.iter().find(|(path, _)| path.ends_with("a.yaml")).unwrap().1.clone())
    }

    fn version(&self, _: render::Tool) -> Result<String, render::ToolError> {
        Ok("v5".to_owned())
    }
}

#[test]
fn a_tool_is_run_only_for_what_the_change_reaches() {
    let mut base = MemoryTree::new();
    for n in 0..50 {
        let app = app_yaml("m").replace("name: web", &format!("name: app-{n}"));
        base.insert_file(&format!("apps/app-{n}/app.yaml"), app);
        base.insert_file(&format!("apps/app-{n}/m/kustomization.yaml"), "resources: [a.yaml]\n");
        base.insert_file(&format!("apps/app-{n}/m/a.yaml"), map("a", &format!("n: '{n}'")));
    }
    let compare = |head: &MemoryTree| {
        let tools = Counted::default();
        let kit = Kit { tools: &tools, ..Kit::plain() };
        let found = preview(&kit, &base, head, &fleet(1_000), None);
        (tools.0.into_inner(), found.apps.len())
    };
    assert_eq!(compare(&base), (0, 0));
    let head = base.clone().file("apps/app-7/m/a.yaml", map("a", "n: changed"));
    assert_eq!(compare(&head), (2, 1), "once before and once after");
    let broken = base.clone().file("apps/app-7/m/kustomization.yaml", "resources: [b.yaml]\n");
    assert_eq!(compare(&broken).1, 1);
}

#[test]
fn the_same_change_of_different_variants_is_one_group() {
    let head = repository()
        .file("apps/web/dev/a.yaml", map("a", "x: '2', env: dev"))
        .file("apps/web/prod/b.yaml", map("b", "z: '1'"));
    let found = compare(&head);
    let [web] = found.apps.as_slice() else { panic!("{found:?}") };
    let groups: Vec<_> = web.groups.iter().map(|g| (g.clusters.len(), g.changes.len())).collect();
    assert_eq!(groups, [(5, 1), (5, 1)]);
    let one = |kind| web.groups.iter().flat_map(|g| &g.changes).find(|c| c.kind == kind).unwrap();
    assert!(
        one(ChangeKind::Changed).diff.contains("-  x: \"1\"\n+  x: \"2\""),
        "{}",
        one(ChangeKind::Changed).diff
    );
    assert_eq!(one(ChangeKind::Added).object.to_string(), "ConfigMap shop/b");
    let both = repository()
        .file("apps/web/dev/c.yaml", map("c", "z: '1'"))
        .file("apps/web/prod/c.yaml", map("c", "z: '1'"));
    assert_eq!(compare(&both).apps[0].groups.len(), 1);
    assert_eq!(compare(&both).apps[0].groups[0].clusters.len(), 10);
}

#[test]
fn what_takes_data_with_it_is_marked() {
    let claim =
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: shop}\n";
    let base = repository().file("apps/db/m/pvc.yaml", claim);
    let found = preview(&Kit::plain(), &base, &repository(), &fleet(4), None);
    let change = &found.apps[0].groups[0].changes[0];
    assert_eq!((change.kind, change.grave), (ChangeKind::Removed, true));
}

/// What is said about one object of `db` that changes from `before` to `after`.
fn undone(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let with = |text: &str| match text {
        "" => repository(),
        text => repository().file("apps/db/m/x.yaml", text),
    };
    let found = preview(&Kit::plain(), &with(before), &with(after), &fleet(2), None);
    let change = found.apps[0].groups[0].changes[0].clone();
    (change.hard_to_undo, change.immutable)
}

#[test]
fn what_cannot_simply_be_undone_is_said_in_words() {
    let claim = |size: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: data, namespace: shop}}\n\
             spec: {{storageClassName: fast, resources: {{requests: {{storage: {size}}}}}}}\n"
        )
    };
    let definition = |versions: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: a.b.c}}\n\
             spec: {{versions: [{versions}]}}\n"
        )
    };
    let set = |deleted: &str| {
        format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: s, namespace: shop}}\n\
             spec: {{persistentVolumeClaimRetentionPolicy: {{whenDeleted: {deleted}}}}}\n"
        )
    };
    let (one, two) = ("{name: v1, storage: true}", "{name: v1}, {name: v2, storage: true}");
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    let kept = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, annotations: {tidegate.dev/prune: disabled}}\n";
    for (before, after, said) in [
        (
            claim("1Gi"),
            String::new(),
            "PersistentVolumeClaim shop/data is removed, and what it holds with it",
        ),
        (
            claim("1Gi"),
            claim("2Gi"),
            "PersistentVolumeClaim shop/data changes its size from 1Gi to 2Gi; a volume never shrinks",
        ),
        (
            namespace.to_owned(),
            String::new(),
            "Namespace shop is removed, and all that is in it with it",
        ),
        (
            definition(one),
            String::new(),
            "CustomResourceDefinition a.b.c is removed, and all objects of its kind with it",
        ),
        (
            definition(one),
            definition(two),
            "CustomResourceDefinition a.b.c stores version v2 instead of v1",
        ),
        (
            set("Delete"),
            String::new(),
            "StatefulSet shop/s is removed, and the claims that its retention policy gives up with it",
        ),
        (
            config_map("x"),
            format!("{}immutable: true\n", config_map("x")),
            "ConfigMap shop/x becomes immutable for good",
        ),
    ] {
        assert_eq!(undone(&before, &after).0, [said]);
    }
    for (before, after) in [
        (String::new(), claim("1Gi")),
        (kept.to_owned(), String::new()),
        (set("Retain"), String::new()),
        (config_map("x"), String::new()),
    ] {
        assert_eq!(undone(&before, &after).0, [""; 0], "{before} -> {after}");
    }
    let versions = undone(&definition(two), &definition("{name: v2, storage: true}")).0;
    assert_eq!(versions, ["CustomResourceDefinition a.b.c gives up version v1"]);
}

#[test]
fn what_api_servers_refuse_to_change_is_named() {
    let job = |image: &str, more: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: j, namespace: shop{more}}}\n\
             spec: {{template: {{spec: {{containers: [{{name: a, image: {image}}}]}}}}}}\n"
        )
    };
    assert_eq!(undone(&job("a", ""), &job("b", "")).1, ["spec.template"]);
    let replaced = ", annotations: {tidegate.dev/recreate: 'true'}";
    assert_eq!(undone(&job("a", ""), &job("b", replaced)).1, [""; 0]);
    let sealed = |data: &str| format!("{}immutable: true\ndata: {{{data}}}\n", config_map("x"));
    assert_eq!(undone(&sealed("a: b"), &sealed("a: c")).1, ["data"]);
}

#[test]
fn what_cannot_be_rendered_is_a_fault_and_no_removal() {
    let head = repository().file("apps/db/m/b.yaml", "kind: [\n").without("apps/web/prod");
    let found = compare(&head);
    assert_eq!(found.apps.len(), 2);
    for app in &found.apps {
        assert!(!app.faults.is_empty(), "{app:?}");
        let removed = app.groups.iter().flat_map(|g| &g.changes);
        assert_eq!(removed.filter(|c| c.kind == ChangeKind::Removed).count(), 0);
    }
    let gone = compare(&repository().without("apps/db"));
    assert!(gone.apps[0].removed && gone.apps[0].groups.is_empty());
}

#[test]
fn joining_and_leaving_clusters_are_named() {
    let narrow = app_yaml("m")
        .replace("name: web", "name: db")
        .replace("\"true\"", "\"labels.env == 'prod'\"");
    let found = compare(&repository().file("apps/db/app.yaml", narrow));
    let [db] = found.apps.as_slice() else { panic!("{found:?}") };
    assert_eq!((db.joining.len(), db.leaving.len(), db.groups.len()), (0, 5, 0));
}

#[test]
fn values_of_secrets_never_appear() {
    let secret = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{same: keepme, other: {value}}}\n"
        )
    };
    let open = app_yaml("m").replace("name: web", "name: db") + "  secrets: plain\n";
    let base = repository()
        .file("apps/db/app.yaml", open.as_str())
        .file("apps/db/m/s.yaml", secret("hunter1"));
    let head = repository()
        .file("apps/db/app.yaml", open.as_str())
        .file("apps/db/m/s.yaml", secret("hunter2"));
    let found = preview(&Kit::plain(), &base, &head, &fleet(2), None);
    let diff = &found.apps[0].groups[0].changes[0].diff;
    assert!(diff.contains("hidden, before") && diff.contains("hidden, after"), "{diff}");
    let all = serde_json::to_string(&found).unwrap();
    assert!(!all.contains("hunter") && !all.contains("keepme"), "{all}");
    let fresh = preview(&Kit::plain(), &repository(), &head, &fleet(2), None);
    assert!(!serde_json::to_string(&fresh).unwrap().contains("hunter"));
}

/// A fleet of 1,000 clusters and 50 Apps; `cargo test -p render --release -- --ignored --nocapture fleet_of`
#[test]
#[ignore = "a measurement, not a story"]
#[expect(clippy::print_stdout, reason = "a measurement tells its figure")]
fn a_fleet_of_1000_clusters_and_50_apps() {
    let mut base = MemoryTree::new();
    for app in 0..50 {
        let text = app_yaml("${labels.env}").replace("name: web", &format!("name: app-{app}"));
        base.insert_file(&format!("apps/app-{app}/app.yaml"), text);
        for env in ["dev", "prod"] {
            for file in 0..10 {
                let path = format!("apps/app-{app}/{env}/{file}.yaml");
                base.insert_file(&path, map(&format!("a-{app}-{file}"), "x: '1'"));
            }
        }
    }
    let head = base.clone().file("apps/app-7/prod/3.yaml", map("a-7-3", "x: '2'"));
    let begin = std::time::Instant::now();
    let found = preview(&Kit::plain(), &base, &head, &fleet(1000), None);
    println!("1,000 clusters, 50 Apps: {:?}", begin.elapsed());
    assert_eq!(found.apps.len(), 1);
}
