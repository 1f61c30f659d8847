//! What an App asks of its agents: read with the place of every fault, and part of its release.

use model::{Adopt, Choices, Digest, SourceName};
use render::{Policy, Variants, apps, render_all};
use serde_json::Value as Json;

use super::*;

const APP: &str = r#"
spec:
  targets: {select: "true"}
  source: {path: m}
"#;

const CERTIFICATE: &str =
    "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: tls, namespace: shop}\n";

fn repository(more: &str, settings: &str) -> MemoryTree {
    let head = "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {name: web}";
    MemoryTree::new()
        .file("tidegate.yaml", settings)
        .file("apps/web/app.yaml", format!("{head}{APP}{more}"))
        .file("apps/web/m/a.yaml", config_map("a"))
        .file("apps/web/m/tls.yaml", CERTIFICATE)
}

fn read(more: &str) -> Result<App, Vec<String>> {
    read_with(more, "requiredVersion: '>=0.0.1'")
}

fn read_with(more: &str, settings: &str) -> Result<App, Vec<String>> {
    let found = apps(&repository(more, settings));
    if found.refused {
        return Err(texts(&found.diagnostics));
    }
    let app = found.apps.into_values().next().unwrap();
    app.map_err(|faults| texts(&faults))
}

fn released(app: &App, kit: &Kit<'_>) -> Variants {
    let (uid, name) = cluster(1);
    let one = FleetCluster { uid, name, labels: labels(&[]), facts: Facts::Null };
    render_all(kit, app, &repository("", ""), [(&one).into()])
}

/// The choices in the one release of an App.
fn chosen(app: &App) -> Option<Choices> {
    let variants = released(app, &Kit::plain());
    assert_eq!(texts(&variants.faults), [""; 0]);
    let (_, rendered) = variants.rendered.first_key_value().unwrap();
    let entry = rendered.manifest.entries().iter().find(|e| Choices::is_key(&e.key))?;
    let bytes = &rendered.objects[&entry.digest];
    assert_eq!(Digest::of(bytes), entry.digest);
    let document: Json = serde_json::from_slice(bytes).unwrap();
    Some(Choices::read_document(&document).unwrap())
}

#[test]
fn an_app_that_asks_for_nothing_has_a_release_of_objects_alone() {
    let app = read("").unwrap();
    assert_eq!(chosen(&app), None);
    assert_eq!(chosen(&read("  apply: {adopt: if-unowned, onRemove: delete}\n").unwrap()), None);
}

#[test]
fn everything_that_is_asked_for_is_in_the_release() {
    let app = read(
        r#"  apply: {adopt: if-identical, recreate: true, serviceAccount: shop/deployer, onRemove: orphan}
  drift:
    ignore:
      - {group: apps, kind: Deployment, path: /spec/replicas}
      - {kind: Deployment, namespace: shop, name: web, paths: ["/spec/template/spec/containers/*/image"]}
"#,
    );
    let chosen = chosen(&app.unwrap()).unwrap();
    assert_eq!((chosen.adopt, chosen.recreate, chosen.orphan), (Adopt::IfIdentical, true, true));
    assert_eq!(chosen.service_account, "shop/deployer");
    let [first, second] = chosen.ignore.as_slice() else { panic!("two") };
    assert_eq!(
        (first.group.as_deref(), first.paths.as_slice()),
        (Some("apps"), &["/spec/replicas".to_owned()][..])
    );
    assert_eq!((second.group.as_deref(), second.name.as_str()), (None, "web"));
}

#[test]
fn a_change_of_what_is_asked_for_is_a_change_of_the_release() {
    let digest = |more: &str| {
        let variants = released(&read(more).unwrap(), &Kit::plain());
        *variants.rendered.first_key_value().unwrap().0
    };
    assert_eq!(digest(""), digest("  drift: {mode: report}\n"), "the mode is the App's, at once");
    assert_ne!(digest(""), digest("  apply: {recreate: true}\n"));
    assert_eq!(digest("  apply: {recreate: true}\n"), digest("\n\n  apply: {recreate: true}\n"));
}

#[test]
fn rules_of_the_fleet_come_before_those_of_the_app_and_only_for_kinds_that_are_there() {
    let fleet = r#"
health:
  - {apiVersion: cert-manager.io/v1, kind: Certificate, ready: "has(status.fleet)"}
  - {apiVersion: example.com/v1, kind: Widget, ready: "true"}
"#;
    let own = r#"  health:
    - {apiVersion: cert-manager.io/v1, kind: Certificate, ready: "has(status.own)", failed: "has(status.bad)"}
"#;
    let chosen = chosen(&read_with(own, fleet).unwrap()).unwrap();
    let ready: Vec<_> = chosen.health.iter().map(|rule| rule["ready"].as_str().unwrap()).collect();
    assert_eq!(ready, ["has(status.fleet)", "has(status.own)"]);
    let names: Vec<_> = chosen.health.iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["tidegate.yaml Certificate", "apps/web/app.yaml Certificate"]);
}

#[test]
fn every_fault_is_told_with_its_place() {
    let faults = read(
        r#"  apply: {adopt: maybe, recreated: true, serviceAccount: deployer}
  drift:
    ignore:
      - {kind: Deployment, path: spec.replicas}
      - {kind: Deployment}
      - {kind: Deployment, path: /spec/replicas, if: "true"}
  health:
    - {apiVersion: v1, kind: ConfigMap, ready: "status.("}
    - {apiVersion: v1, kind: ConfigMap, ready: "true", sometimes: "true"}
    - {apiVersion: v1, kind: ConfigMap, ready: "unheard(status)"}
"#,
    );
    let faults = faults.unwrap_err();
    let has = |place: &str, what: &str| {
        let found = faults.iter().any(|fault| fault.contains(place) && fault.contains(what));
        assert!(found, "{place} {what}: {faults:#?}");
    };
    has("app.yaml:7:18", "`spec.apply.adopt` cannot be `maybe`");
    has("app.yaml:7:25", "unknown field `recreated`");
    has("app.yaml:7:", "`spec.apply.serviceAccount` cannot be `deployer`");
    has("app.yaml:10:", "no JSON pointer");
    has("app.yaml:11:", "names no field");
    has("app.yaml:12:", "`spec.drift.ignore[2].if` is not supported yet");
    has("app.yaml:14:", "`spec.health`");
    has("app.yaml:15:", "sometimes");
    has("app.yaml:16:", "function `unheard` is unknown");
}

#[test]
fn a_wrong_rule_of_the_fleet_refuses_the_commit() {
    let faults = read_with("", "health:\n  - {apiVersion: v1, kind: ConfigMap, ready: \"1 +\"}\n");
    let faults = faults.unwrap_err();
    assert!(faults[0].contains("tidegate.yaml:2:"), "{faults:?}");
}

#[test]
fn an_object_cannot_pass_for_what_is_asked_of_agents() {
    let forged =
        "apiVersion: tidegate.dev/v1alpha1\nkind: AppChoices\nmetadata: {name: web}\nspec: {}\n";
    let (uid, name) = cluster(1);
    let one = FleetCluster { uid, name, labels: labels(&[]), facts: Facts::Null };
    let tree = repository("", "").file("apps/web/m/forged.yaml", forged);
    let app = read("").unwrap();
    let variants = render_all(&Kit::plain(), &app, &tree, [(&one).into()]);
    assert!(texts(&variants.faults)[0].contains("is no object of a cluster"));
}

#[test]
fn a_tenant_uses_accounts_of_its_own_namespaces_only() {
    let policy = "apiVersion: tidegate.dev/v1alpha1\nkind: Policy\ntenants: [{name: shop, sources: [team-shop], namespaces: [shop]}]\n";
    let policy = Policy::parse("policy.yaml", policy).unwrap();
    let source = SourceName::parse("team-shop").unwrap();
    let refused = |account: &str| {
        let app = read(&format!("  apply: {{serviceAccount: {account}}}\n")).unwrap();
        let kit = Kit { policy: Some(&policy), source: Some(&source), ..Kit::plain() };
        let faults = texts(&released(&app, &kit).faults);
        faults.into_iter().any(|fault| fault.contains("service account"))
    };
    assert!(refused("kube-system/root"));
    assert!(!refused("shop/deployer"));
}
