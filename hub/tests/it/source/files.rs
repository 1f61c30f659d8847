//! Reading the files of a commit without a checkout.

use render::{EntryKind, TreeError};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_lists_files_folders_links_and_submodules() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    repository.write("x/run.sh", "#!/bin/sh\n");
    repository.write("x/deep/file.yaml", "a: 1\n");
    std::os::unix::fs::symlink("../apps/web", repository.dir.join("x/link")).unwrap();
    repository.git(&["add", "-A"]);
    repository.git(&["update-index", "--chmod=+x", "x/run.sh"]);
    let module = format!("160000,{},x/module", repository.head());
    repository.git(&["update-index", "--add", "--cacheinfo", &module]);
    repository.git(&["commit", "-q", "-m", "All kinds"]);
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &repository.head()).await;
    let tree = sources.snapshot(&name()).unwrap().tree;
    let listed: Vec<_> =
        tree.list("x").unwrap().into_iter().map(|e| (e.name, e.kind, e.bytes)).collect();
    let expected = [
        ("deep", EntryKind::Dir, 0),
        ("link", EntryKind::Link { target: "../apps/web".to_owned() }, 0),
        ("module", EntryKind::Submodule, 0),
        ("run.sh", EntryKind::File, 10),
    ];
    assert_eq!(listed, expected.map(|(name, kind, bytes)| (name.to_owned(), kind, bytes)));
    assert_eq!(tree.list("").unwrap().len(), 2);
    assert_eq!(tree.read("x/deep/file.yaml").unwrap(), b"a: 1\n");
    for absent in ["nothing", "x/nothing", "x/run.sh/below", "x/link/app.yaml"] {
        assert_eq!(tree.list(absent), Err(TreeError::NotFound(absent.to_owned())));
        assert_eq!(tree.read(absent), Err(TreeError::NotFound(absent.to_owned())));
    }
    for other in ["x", "x/link", "x/module"] {
        assert_eq!(tree.read(other), Err(TreeError::NotFound(other.to_owned())), "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_file_is_refused_only_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    repository.commit("huge.bin", vec![b'x'; (16 << 20) + 1]);
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &repository.head()).await;
    let tree = sources.snapshot(&name()).unwrap().tree;
    let sizes: Vec<_> = tree.list("").unwrap().into_iter().map(|e| e.bytes).collect();
    assert!(sizes.contains(&((16 << 20) + 1)));
    assert!(matches!(tree.read("huge.bin"), Err(TreeError::TooLarge { .. })));
    assert_eq!(read(&sources, "apps/web/app.yaml"), "name: web\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetched_commit_renders() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::new(&dir.path().join("repo"));
    let app = "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {name: web}\n\
               spec:\n  source: {path: './${labels.env}'}\n  targets: {select: 'true'}\n";
    repository.write("apps/web/app.yaml", app);
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n";
    repository.write("base/map.yaml", map);
    std::fs::create_dir_all(repository.dir.join("apps/web/prod")).unwrap();
    let link = repository.dir.join("apps/web/prod/map.yaml");
    std::os::unix::fs::symlink("../../../base/map.yaml", link).unwrap();
    repository.commit_all("Link to the base");
    let sources = start(dir.path(), limits());
    sources.add(config(&repository.url(), "main")).unwrap();
    until_at(&sources, &repository.head()).await;
    let tree = sources.snapshot(&name()).unwrap().tree;
    let kit = render::Kit::plain();
    assert_eq!(render::lint(&kit, &*tree, None), []);
    let found = render::apps(&*tree);
    let app = found.apps.into_values().next().unwrap().unwrap();
    let cluster = render::FleetCluster {
        uid: model::ClusterUid::parse("00000000-0000-4000-8000-000000000001").unwrap(),
        name: model::ClusterName::parse("eu-1").unwrap(),
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        facts: model::Facts::Null,
    };
    let rendered = render::render(&kit, &app, &*tree, (&cluster).into()).unwrap();
    assert_eq!(rendered.manifest.entries()[0].key.to_string(), "ConfigMap b/a");
}
