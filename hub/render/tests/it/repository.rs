//! Finding Apps, and checking a whole repository.

use render::apps;

use super::*;

fn named(name: &str) -> String {
    app_yaml("m").replace("name: web", &format!("name: {name}"))
}

fn two_apps() -> MemoryTree {
    MemoryTree::new()
        .file("apps/web/app.yaml", app_yaml("m"))
        .file("apps/web/m/a.yaml", config_map("a"))
        .file("apps/db/app.yaml", named("db"))
        .file("apps/db/m/a.yaml", config_map("b"))
}

#[test]
fn a_broken_app_does_not_hide_the_others() {
    let tree = two_apps()
        .file("apps/broken/app.yaml", "a: [\n")
        .file("apps/latin/app.yaml", vec![0xff, 0xfe])
        .file("apps/_notes/README.md", "no App")
        .file("apps/file.yaml", "not a folder");
    let found = apps(&tree);
    let expected = [("broken", "RND-201"), ("db", "ok"), ("latin", "RND-201"), ("web", "ok")];
    assert_eq!(overview(&found.apps), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert!(found.diagnostics.is_empty() && !found.refused);
}

#[test]
fn a_repository_without_apps_is_no_fault_of_the_commit_and_is_told() {
    for tree in [MemoryTree::new(), MemoryTree::new().file("apps", "a file")] {
        let found = apps(&tree);
        assert!(found.apps.is_empty() && !found.refused);
        assert_eq!(reasons(&found.diagnostics), [Reason::PathMissing]);
        assert!(!found.diagnostics[0].is_error());
    }
}

#[test]
fn what_looks_like_an_app_and_is_none_is_told() {
    let tree = two_apps()
        .file("apps/other/app.yml", named("other"))
        .file("apps/Bad_Name/app.yaml", named("Bad_Name"));
    let found = apps(&tree);
    assert_eq!(found.apps.len(), 2);
    assert_eq!(
        texts(&found.diagnostics),
        [
            "error[RND-202]: apps/Bad_Name/app.yaml: `Bad_Name` is no app name: it has a character that is \
             not allowed; use lower-case letters, digits and `-`, at most 63 characters; rename the folder; \
             until then this App is not read",
            "error[RND-202]: apps/other/app.yml: it is not read: the file of an App is called `app.yaml`; \
             rename it",
        ]
    );
}

#[test]
fn settings_that_cannot_be_met_refuse_the_whole_commit() {
    for (text, reason) in [
        ("requiredVersion: '>=99'\n", Some(Reason::NotSupportedYet)),
        ("requiredVersion: soon\n", Some(Reason::AppInvalid)),
        ("requiredversion: '>=0.1'\n", Some(Reason::AppInvalid)),
        ("sources: []\n", Some(Reason::NotSupportedYet)),
        ("a: [\n", Some(Reason::YamlInvalid)),
        ("", Some(Reason::AppInvalid)),
        ("requiredVersion: '>=0.1'\n", None),
    ] {
        let found = apps(&two_apps().file("tidegate.yaml", text));
        assert_eq!(found.diagnostics.first().map(|f| f.reason), reason, "{text}");
        assert_eq!(found.refused, reason.is_some(), "{text}");
    }
}

#[test]
fn lint_is_silent_about_a_good_repository() {
    assert_eq!(lint(&two_apps()), []);
}

#[test]
fn lint_renders_every_variant_that_a_path_can_lead_to() {
    let tree = MemoryTree::new()
        .file("apps/web/app.yaml", app_yaml("overlays/${labels.region}-${labels.env}"))
        .file("apps/web/overlays/eu-prod/a.yaml", config_map("a"))
        .file("apps/web/overlays/us-prod/a.yaml", "kind: x\n")
        .file("apps/web/overlays/us-dev/a.yaml", "# nothing\n")
        .file("apps/web/overlays/unrelated/a.yaml", "a: [\n");
    let faults = lint(&tree);
    let found: Vec<_> = faults.iter().map(|f| (f.reason, f.file.as_str())).collect();
    assert_eq!(
        found,
        [
            (Reason::RenderEmpty, "apps/web/app.yaml"),
            (Reason::ObjectInvalid, "apps/web/overlays/us-prod/a.yaml"),
            (Reason::ObjectInvalid, "apps/web/overlays/us-prod/a.yaml"),
        ]
    );
    let none = MemoryTree::new().file("apps/web/app.yaml", app_yaml("overlays/${labels.env}"));
    assert_eq!(reasons(&lint(&none)), [Reason::VariantMissing]);
}

#[test]
fn lint_against_a_fleet_finds_what_only_a_fleet_can_tell() {
    let fleet = |labels: &[&[(&str, &str)]]| -> Vec<FleetCluster> {
        let one = |(n, l): (usize, &&[(&str, &str)])| {
            let (uid, name) = cluster(n);
            FleetCluster { uid, name, labels: super::labels(l), facts: serde_json::json!({}) }
        };
        labels.iter().enumerate().map(one).collect()
    };
    let app = "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {name: web}\nspec:\n  \
               source: {path: \"${labels.env}\"}\n  targets: {select: \"labels.app == 'web'\"}\n  \
               rollout: {waves: [{name: canary, select: \"labels.ring == 'canary'\"}]}\n";
    let tree = MemoryTree::new()
        .file("apps/web/app.yaml", app)
        .file("apps/web/prod/a.yaml", config_map("a"));
    assert_eq!(lint(&tree), []);
    let canary = &[("app", "web"), ("env", "prod"), ("ring", "canary")][..];
    let check = |labels: &[&[(&str, &str)]]| reasons(&lint_fleet(&tree, &fleet(labels)));
    assert_eq!(check(&[canary]), []);
    assert_eq!(check(&[canary, &[("app", "other")]]), []);
    assert_eq!(check(&[canary, &[("app", "web"), ("env", "prod")]]), [Reason::TargetInNoWave]);
    assert_eq!(check(&[canary, &[("app", "web")]]), [Reason::LabelMissing]);
    assert_eq!(check(&[canary, &[("app", "web"), ("env", "dev")]]), [Reason::VariantMissing]);
    assert_eq!(check(&[])[0], Reason::NoTargets);
}

#[test]
fn lint_is_sorted_and_without_repetition() {
    let tree = two_apps()
        .file("apps/web/m/b.yaml", "kind: x\n")
        .file("apps/db/m/b.yaml", "kind: x\n")
        .file("apps/other/app.yml", "");
    let faults = lint(&tree);
    assert!(faults.is_sorted());
    assert!(faults.first().unwrap().file.starts_with("apps/db"));
    assert!(faults.last().unwrap().file.starts_with("apps/web"));
}

#[test]
fn a_folder_of_apps_that_holds_no_app_is_told() {
    let tree = two_apps()
        .file("apps/lost/deployment.yaml", config_map("a"))
        .file("apps/team/shop/app.yaml", named("shop"))
        .file("apps/_shared/a.yaml", config_map("a"));
    assert_eq!(
        texts(&lint(&tree)),
        [
            "error[RND-202]: apps/lost: there is no `app.yaml` in this folder, so nothing of it is deployed; add \
             one, or begin the folder's name with `_` when Apps share it",
            "error[RND-202]: apps/team: there is no `app.yaml` in this folder, so nothing of it is deployed; \
             move `shop` up, below `apps`: Apps do not nest",
        ]
    );
    let found = apps(&tree);
    assert!(!found.refused, "the other Apps go on");
    assert_eq!(found.apps.len(), 2);
}

#[test]
fn a_diagnostic_is_one_json_object() {
    let fault = render::parse_app("apps/web/app.yaml", "- x\n").unwrap_err().remove(0);
    let json = serde_json::to_value(&fault).unwrap();
    assert_eq!(json["severity"], "error");
    assert_eq!((json["line"].as_u64(), json["column"].as_u64()), (Some(1), Some(1)));
    assert_eq!(json["reason"], "RND-202");
    let back: Diagnostic = serde_json::from_value(json).unwrap();
    assert_eq!(back, fault);
}
