//! One App, many clusters.

use std::cell::Cell;

use render::{TreeEntry, TreeError, render_all};

use super::*;

/// Counts what is read.
struct Counted {
    tree: MemoryTree,
    reads: Cell<usize>,
}

impl Tree for Counted {
    fn list(&self, dir: &str) -> Result<Vec<TreeEntry>, TreeError> {
        self.tree.list(dir)
    }
    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        self.reads.set(self.reads.get() + 1);
        self.tree.read(path)
    }
}

fn overlays(envs: &[&str]) -> MemoryTree {
    let tree = MemoryTree::new().file("apps/web/app.yaml", app_yaml("overlays/${labels.env}"));
    envs.iter().fold(tree, |tree, env| {
        tree.file(&format!("apps/web/overlays/{env}/a.yaml"), config_map(env))
    })
}

type Fleet = Vec<FleetCluster>;

fn fleet(size: usize, env: impl Fn(usize) -> Option<String>) -> Fleet {
    let one = |n| {
        let (uid, name) = cluster(n);
        let labels = env(n).map(|env| ("env".to_owned(), env)).into_iter().collect();
        FleetCluster { uid, name, labels, facts: Facts::Null }
    };
    (0..size).map(one).collect()
}

fn all(app: &App, tree: &dyn Tree, fleet: &Fleet) -> render::Variants {
    render_all(&Kit::plain(), app, tree, fleet.iter().map(Into::into))
}

#[test]
fn a_thousand_clusters_with_three_variants_are_three_renders() {
    let envs = ["dev", "stage", "prod"];
    let tree = Counted { tree: overlays(&envs), reads: Cell::new(0) };
    let fleet = fleet(1000, |n| Some(envs[n % 3].to_owned()));
    let variants = all(&app("overlays/${labels.env}"), &tree, &fleet);
    assert_eq!((variants.renders, tree.reads.get()), (3, 3));
    assert_eq!((variants.by_cluster.len(), variants.rendered.len()), (1000, 3));
    assert!(variants.faults.is_empty());
    for cluster in &fleet {
        let rendered = variants.of(&cluster.uid).unwrap();
        assert_eq!(rendered.manifest.entries()[0].key.name, cluster.labels["env"]);
    }
}

#[test]
fn variants_with_equal_content_are_one_release() {
    let tree = overlays(&["a", "b"]).file("apps/web/overlays/b/a.yaml", config_map("a"));
    let variants =
        all(&app("overlays/${labels.env}"), &tree, &fleet(2, |n| Some(["a", "b"][n].to_owned())));
    assert_eq!((variants.renders, variants.rendered.len(), variants.by_cluster.len()), (2, 1, 2));
}

#[test]
fn a_cluster_without_the_label_is_named_and_counted() {
    let fleet = fleet(9, |n| (n == 0).then(|| "prod".to_owned()));
    let variants = all(&app("overlays/${labels.env}"), &overlays(&["prod"]), &fleet);
    assert_eq!(reasons(&variants.faults), [Reason::LabelMissing]);
    assert_eq!(
        variants.faults[0].to_string(),
        "error[RND-209]: apps/web/app.yaml:5:18: `spec.source.path` is `overlays/${labels.env}`, and label \
         `env` is missing on clusters k1, k2, k3, k4, k5 and 3 more; set it with `tidegate cluster label`, \
         or narrow `targets.select` with `has(labels.env)`"
    );
    assert_eq!(variants.by_cluster.len(), 1);
}

#[test]
fn a_cluster_without_a_variant_is_a_fault_and_never_an_empty_set() {
    let variants = all(
        &app("overlays/${labels.env}"),
        &overlays(&["prod"]),
        &fleet(2, |n| Some(["prod", "edge"][n].to_owned())),
    );
    assert_eq!(
        texts(&variants.faults),
        [
            "error[RND-205]: apps/web/app.yaml:5:18: folder `apps/web/overlays/edge` does not exist in this \
          commit (for cluster k1); add the folder for that cluster, or narrow `targets.select`"
        ]
    );
    assert_eq!(variants.by_cluster.len(), 1);
}

#[test]
fn a_label_cannot_lead_out_of_the_folder() {
    for env in ["..", "../..", "/etc", "a/b", ""] {
        let variants = all(
            &app("overlays/${labels.env}"),
            &overlays(&["prod"]),
            &fleet(1, |_| Some(env.to_owned())),
        );
        assert_eq!(reasons(&variants.faults), [Reason::LabelMissing], "{env}");
        assert!(variants.by_cluster.is_empty());
    }
}

#[test]
fn no_targets_are_no_variants_and_no_fault() {
    let variants = all(&app("m"), &tree(&[]), &Vec::new());
    assert_eq!(variants, render::Variants::default());
    assert_eq!(variants.by_cluster, BTreeMap::new());
}
