//! Gates that could never open.

use super::*;

fn waits(name: &str, before: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}}}\nspec:\n  targets: {{select: \"true\"}}\n  \
         rollout: {{waves: [{{name: all, rest: true, before: {{{before}}}}}]}}\n"
    )
}

fn tree(one: &str, other: &str) -> MemoryTree {
    MemoryTree::new()
        .file("apps/one/app.yaml", waits("one", one))
        .file("apps/one/a.yaml", config_map("one"))
        .file("apps/other/app.yaml", waits("other", other))
        .file("apps/other/a.yaml", config_map("other"))
}

#[test]
fn apps_that_wait_for_one_another_in_a_circle_are_named() {
    let faults = lint(&tree("dependsOn: [{app: other}]", "dependsOn: [{app: one}]"));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].is_error() && faults[0].file == "apps/one/app.yaml", "{faults:?}");
    assert!(faults[0].message.contains("`one` waits for `other` waits for `one`"), "{faults:?}");
    assert_eq!(lint(&tree("dependsOn: [{app: other}]", "")), []);
}

#[test]
fn what_nobody_here_produces_is_a_warning_when_a_fleet_is_given() {
    let tree = tree("blockers: [incident]", "dependsOn: [{app: elsewhere}]");
    assert_eq!(lint(&tree), []);
    let faults = lint_fleet(&tree, &[]);
    let said: Vec<_> =
        faults.iter().filter(|f| !f.is_error()).map(|f| f.message.as_str()).collect();
    assert!(said.iter().any(|m| m.contains("blocker `incident`")), "{faults:?}");
    assert!(said.iter().any(|m| m.contains("`other` waits for `elsewhere`")), "{faults:?}");
}

#[test]
fn a_blocker_that_the_hub_never_heard_of_is_a_fault_when_it_was_asked() {
    let tree = tree("blockers: [incident, freeze]", "");
    let known = ["freeze".to_owned()].into();
    let faults = render::lint(&Kit::plain(), &tree, Some(&known));
    let codes: Vec<_> = faults.iter().map(|f| (f.reason.code(), f.is_error())).collect();
    assert_eq!(codes, [("GAT-615", true)], "{faults:?}");
    assert!(faults[0].message.contains("`all` waits for the blocker `incident`"), "{faults:?}");
    assert!(faults[0].next_step().contains("tidegate blocker clear incident"), "{faults:?}");
    let both = ["freeze".to_owned(), "incident".to_owned()].into();
    assert_eq!(render::lint(&Kit::plain(), &tree, Some(&both)), []);
}
