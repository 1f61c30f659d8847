//! Files of other tools as Apps: what they become, and what is said about the rest.

use std::fmt::Write as _;

use render::{Imported, Origin, import};

use super::*;

/// Files after lines that begin with `@@ `.
fn repository(text: &str) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for part in text.split("@@ ").skip(1) {
        let (path, content) = part.split_once('\n').unwrap();
        tree.insert_file(path, content.as_bytes());
    }
    tree
}

fn shown(found: &Imported) -> String {
    let mut out = String::new();
    for (path, text) in &found.files {
        writeln!(out, "=== {path}\n{text}").unwrap();
    }
    writeln!(out, "=== report").unwrap();
    for note in &found.report {
        writeln!(out, "{note}").unwrap();
    }
    writeln!(out, "=== to do").unwrap();
    for command in &found.commands {
        writeln!(out, "{command}").unwrap();
    }
    out
}

/// Every App that was made is one that the hub takes.
fn assert_read(found: &Imported) {
    for (path, text) in found.files.iter().filter(|(path, _)| path.ends_with("app.yaml")) {
        if let Err(faults) = render::parse_app(path, text) {
            panic!("{path}: {:?}", texts(&faults));
        }
    }
}

#[test]
fn applications_of_argo_cd_become_apps() {
    let found = import(Origin::ArgoCd, &repository(include_str!("../import/argocd.txt")));
    assert_read(&found);
    insta::assert_snapshot!("argocd", shown(&found));
}

#[test]
fn kustomizations_and_releases_of_flux_become_apps() {
    let found = import(Origin::Flux, &repository(include_str!("../import/flux.txt")));
    assert_read(&found);
    insta::assert_snapshot!("flux", shown(&found));
}

#[test]
fn bundles_of_fleet_become_apps() {
    let found = import(Origin::Fleet, &repository(include_str!("../import/fleet.txt")));
    assert_read(&found);
    insta::assert_snapshot!("fleet", shown(&found));
}

#[test]
fn the_first_customization_that_fits_is_the_only_one_also_where_labels_are_missing() {
    let found = import(Origin::Fleet, &repository(include_str!("../import/fleet.txt")));
    let app = render::parse_app("apps/shop-web/app.yaml", &found.files["apps/shop-web/app.yaml"])
        .unwrap();
    let fits = |given: &[(&str, &str)]| -> Vec<bool> {
        let labels = labels(given);
        let one =
            |o: &render::Override| o.when.as_ref().unwrap().matches(&labels, &Facts::Null).unwrap();
        app.overrides.iter().map(one).collect()
    };
    assert_eq!(fits(&[("size", "big"), ("env", "prod")]), [true, false]);
    assert_eq!(fits(&[("env", "prod")]), [false, true]);
    assert_eq!(fits(&[("env", "prod"), ("web", "off")]), [false, false]);
    let selects =
        |given: &[(&str, &str)]| app.targets.selects(&labels(given), &Facts::Null).unwrap();
    assert!(selects(&[("env", "prod")]) && !selects(&[("env", "prod"), ("web", "off")]));
    assert!(!selects(&[("env", "dev")]));
    assert!(selects(&[("app_shop_web_lab_1", "yes")]), "it has no label `env`");
}

#[test]
fn what_is_there_already_stays_as_it_is() {
    let tree = repository(include_str!("../import/flux.txt")).file("apps/apps/app.yaml", "mine");
    let found = import(Origin::Flux, &tree);
    assert!(!found.files.contains_key("apps/apps/app.yaml"));
    assert!(found.report.iter().any(|note| note.message.contains("is there already")));
}

#[test]
fn a_repository_of_another_kind_gives_nothing() {
    for origin in [Origin::ArgoCd, Origin::Flux, Origin::Fleet] {
        let found = import(origin, &tree(&[("a.yaml", &config_map("a"))]));
        assert_eq!(found, Imported::default());
    }
}
