//! Two Apps, one object.

use super::*;

fn app_with(name: &str, targets: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  \
         targets: {{{targets}}}\n  rollout: {{waves: [{{name: all, rest: true}}]}}\n"
    )
}

fn two(one: &str, other: &str) -> MemoryTree {
    MemoryTree::new()
        .file("apps/one/app.yaml", app_with("one", one))
        .file("apps/one/a.yaml", config_map("same"))
        .file("apps/other/app.yaml", app_with("other", other))
        .file("apps/other/a.yaml", config_map("same"))
        .file("apps/other/b.yaml", config_map("own"))
}

fn fleet(all: &[&[(&str, &str)]]) -> Vec<FleetCluster> {
    let one = |(n, pairs): (usize, &&[(&str, &str)])| {
        let (uid, name) = cluster(n);
        let labels: Labels = labels(pairs);
        FleetCluster { uid, name, labels, facts: Facts::Null }
    };
    all.iter().enumerate().map(one).collect()
}

#[test]
fn the_same_object_on_the_same_cluster_is_a_fault_that_names_both_and_the_clusters() {
    let tree = two("select: \"true\"", "select: \"labels.env == 'prod'\"");
    let clusters = fleet(&[&[("env", "prod")], &[("env", "dev")], &[("env", "prod")]]);
    assert_eq!(
        texts(&lint_fleet(&tree, &clusters)),
        [
            "error[RND-218]: apps/other/app.yaml: App `other` and App `one` both hold ConfigMap shop/same on k0, k2; \
          remove the object from one of the two Apps, or let them select different clusters"
        ]
    );
}

#[test]
fn the_same_object_on_different_clusters_is_none() {
    let tree = two("select: \"labels.env == 'dev'\"", "select: \"labels.env == 'prod'\"");
    assert_eq!(lint_fleet(&tree, &fleet(&[&[("env", "prod")], &[("env", "dev")]])), []);
    assert_eq!(lint(&tree), []);
}

#[test]
fn without_a_fleet_the_selectors_tell() {
    let severity = |one: &str, other: &str| {
        let faults = lint(&two(one, other));
        assert!(faults.iter().all(|f| f.reason == Reason::ObjectClaimedTwice), "{faults:?}");
        faults.first().map(|f| (f.is_error(), f.message.rsplit(" on ").next().unwrap().to_owned()))
    };
    for (one, other, want) in [
        ("select: \"true\"", "select: \"true\"", Some((true, "every cluster with any labels"))),
        (
            "select: \"labels.env == 'prod'\"",
            "select: \"labels.tier in ['a', 'b']\"",
            Some((true, "every cluster with `env=prod` `tier=a`")),
        ),
        ("select: \"labels.env == 'prod'\"", "select: \"labels.env != 'prod'\"", None),
        ("select: \"has(labels.x)\"", "select: \"!has(labels.x)\"", None),
        ("select: \"true\", exclude: \"labels.env == 'a'\"", "select: \"labels.env == 'a'\"", None),
    ] {
        let want = want.map(|(error, text): (bool, &str)| (error, text.to_owned()));
        assert_eq!(severity(one, other), want, "{one} / {other}");
    }
    let open = severity("select: \"facts.gpu\"", "select: \"labels.env == 'prod'\"");
    assert!(!open.unwrap().0, "it depends on what the agents say: a warning");
}
