//! `tidegate targets --explain`: which line of the file decides about a cluster.

use serde_json::{Value, json};

use super::desk::Desk;

const APP: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets:
    select: \"labels.web == 'yes' && labels.env in ['prod', 'dev']\"
    exclude: \"labels.state == 'draining'\"
  rollout:
    waves:
      - name: canary
        select: \"labels.ring == 'canary'\"
      - {name: some, take: 1}
      - {name: prod, rest: true, ramp: [50%, 100%]}
";

/// A repository with one App, and five clusters.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.file("apps/web/app.yaml", APP);
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: shop}\n";
    desk.file("apps/web/manifests/web.yaml", object);
    let cluster = |name: &str, labels: Value| json!({"name": name, "labels": labels});
    let fleet = json!({"items": [
        cluster("c1", json!({"web": "yes", "env": "prod", "ring": "canary"})),
        cluster("p1", json!({"web": "yes", "env": "prod"})),
        cluster("p2", json!({"web": "yes", "env": "dev"})),
        cluster("d1", json!({"web": "yes", "env": "prod", "state": "draining"})),
        cluster("x1", json!({"env": "prod"})),
    ]});
    desk.file("fleet.json", &fleet.to_string());
    desk
}

fn explained(desk: &Desk, cluster: &str) -> (i32, Value) {
    desk.json(&["targets", "app/web", "--fleet", "fleet.json", "--explain", cluster], "")
}

/// `rule`, wave, clause, what it says, line.
fn clauses(document: &Value) -> Vec<(String, bool, u64)> {
    let clauses = document["clauses"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |c: &Value| {
        let rule = format!("{} {}: {}", text(&c["rule"]), text(&c["wave"]), text(&c["clause"]));
        (rule, c["holds"] == true, c["line"].as_u64().unwrap())
    };
    clauses.iter().map(one).collect()
}

#[test]
fn a_canary_is_taken_by_the_first_wave_that_matches() {
    let (code, document) = explained(&desk(), "c1");
    assert_eq!((code, &document["wave"]), (0, &json!("canary")), "{document:#}");
    let expected = [
        ("select : labels.web == 'yes'", true, 7),
        ("select : labels.env in ['prod', 'dev']", true, 7),
        ("exclude : labels.state == 'draining'", false, 8),
        ("wave canary: labels.ring == 'canary'", true, 12),
    ];
    let expected: Vec<_> = expected.iter().map(|(c, h, l)| ((*c).to_owned(), *h, *l)).collect();
    assert_eq!(clauses(&document), expected);
}

#[test]
fn another_cluster_is_told_why_each_earlier_wave_did_not_take_it() {
    let desk = desk();
    let waves: Vec<_> = ["p1", "p2"].map(|name| explained(&desk, name).1).into();
    let last = waves.iter().find(|d| d["wave"] == "prod-1").unwrap();
    let of_waves: Vec<_> = clauses(last).into_iter().skip(3).collect();
    let expected = [
        ("wave canary: labels.ring == 'canary'".to_owned(), false, 12),
        ("wave some: takes 1".to_owned(), false, 13),
        ("wave prod: takes the rest".to_owned(), true, 14),
    ];
    assert_eq!(of_waves, expected);
    assert!(waves.iter().any(|d| d["wave"] == "some"), "{waves:#?}");
}

#[test]
fn who_is_left_out_is_told_by_which_line() {
    let desk = desk();
    let (code, draining) = explained(&desk, "d1");
    assert_eq!((code, &draining["selected"]), (1, &json!(false)));
    assert_eq!(clauses(&draining)[2], ("exclude : labels.state == 'draining'".to_owned(), true, 8));
    let arguments = ["targets", "app/web", "--fleet", "fleet.json", "--explain", "x1"];
    let output = desk.run(&arguments, "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("web on x1: not selected\n"), "{text}");
    let line =
        "no   select      labels.web == 'yes'   (labels.web is missing)   apps/web/app.yaml:7";
    assert!(text.contains(line), "{text}");
    let (code, _) = desk.json(&["targets", "app/web", "--fleet", "fleet.json"], "");
    assert_eq!(code, 0);
    let unknown = desk.run(&["targets", "app/web", "--fleet", "fleet.json", "--explain", "z"], "");
    assert_eq!(unknown.status.code(), Some(5));
}
