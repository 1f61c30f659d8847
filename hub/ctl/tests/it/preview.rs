//! A pull request, from a checkout and a fleet file: what `preview`, `diff`, `render`, `targets` and `lint` say of it, and
//! how they end.

use std::process::Command;

use serde_json::{Value, json};

use super::desk::Desk;

const WEB: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: \"overlays/${labels.env}\"}
  targets: {select: \"labels.web == 'yes'\"}
  rollout:
    waves:
      - {name: canary, select: \"labels.ring == 'canary'\", maxInFlight: 1, after: {soak: 30m}}
      - {name: rest, rest: true, maxInFlight: 10%, maxFailures: 2%}
";

fn map(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web, namespace: shop}}\ndata: {{env: {value}}}\n"
    )
}

const CLAIM: &str = "\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
";

fn git(desk: &Desk, arguments: &[&str]) {
    let done = Command::new("git")
        .arg("-C")
        .arg(desk.folder())
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
        .args(arguments)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A repository with two Apps on `main`, a branch `change` over it, and 413 clusters.
fn desk() -> Desk {
    let desk = Desk::new();
    git(&desk, &["init", "-q", "-b", "main"]);
    desk.file("apps/web/app.yaml", WEB);
    for env in ["dev", "prod"] {
        desk.file(&format!("apps/web/overlays/{env}/web.yaml"), &map(env));
    }
    let db = "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {name: db}\n\
              spec: {targets: {select: \"has(labels.db)\"}}\n";
    desk.file("apps/db/app.yaml", db);
    desk.file("apps/db/db.yaml", &map("x").replace("name: web", "name: db"));
    desk.file("apps/db/claim.yaml", CLAIM);
    git(&desk, &["add", "apps"]);
    git(&desk, &["commit", "-q", "-m", "before"]);
    git(&desk, &["checkout", "-q", "-b", "change"]);
    desk.file("apps/web/overlays/prod/web.yaml", &map("production"));
    std::fs::remove_file(desk.folder().join("apps/db/claim.yaml")).unwrap();
    let broken = WEB.replace("name: web", "name: new").replace("overlays/${labels.env}", "nowhere");
    desk.file("apps/new/app.yaml", &broken);
    git(&desk, &["add", "apps"]);
    git(&desk, &["commit", "-q", "-m", "after"]);
    let mut items = Vec::new();
    for n in 0..412 {
        let ring = if n < 2 { "canary" } else { "main" };
        let mut labels = json!({"web": "yes", "env": "prod", "ring": ring});
        if n < 7 {
            labels["db"] = json!("yes");
        }
        items.push(json!({"name": format!("eu-{n}"), "labels": labels}));
    }
    items.push(json!({"name": "dev-1", "labels": {"web": "yes", "env": "dev"}}));
    desk.file("fleet.json", &json!({ "items": items }).to_string());
    desk
}

const PREVIEW: [&str; 7] =
    ["preview", "--base", "main", "--head", "change", "--fleet", "fleet.json"];

fn said(desk: &Desk, arguments: &[&str]) -> (i32, String, String) {
    let output = desk.run(arguments, "");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_pull_request_is_told_group_by_group_before_it_is_merged() {
    let desk = desk();
    let (code, text, _) = said(&desk, &PREVIEW);
    assert_eq!(code, 1, "{text}");
    let markdown = [&PREVIEW[..], &["-o", "markdown"]].concat();
    let (code, comment, _) = said(&desk, &markdown);
    assert_eq!(code, 1, "{comment}");
    insta::assert_snapshot!(format!("{text}\n\n{comment}"));
    let (code, document) = desk.json(&PREVIEW, "");
    assert_eq!(code, 1);
    let app = |name: &str| -> Value {
        let apps = document["preview"]["apps"].as_array().unwrap();
        apps.iter().find(|app| app["app"] == name).unwrap().clone()
    };
    assert_eq!(app("web")["groups"][0]["clusters"].as_array().unwrap().len(), 412);
    assert_eq!(app("web")["waves"][0]["changing"], 2);
    assert_eq!(app("db")["groups"][0]["clusters"].as_array().unwrap().len(), 7);
    let claim = &app("db")["groups"][0]["changes"][0];
    assert_eq!((&claim["grave"], &claim["kind"]), (&json!(true), &json!("removed")));
    assert_eq!(app("new")["faults"][0]["reason"], "RND-203");
    let sarif = [&PREVIEW[..], &["-o", "sarif"]].concat();
    let (_, sarif, _) = said(&desk, &sarif);
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "RND-203");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "apps/new/app.yaml");
    assert_eq!(place["region"]["startLine"], 5);
    let words = result["message"]["text"].as_str().unwrap();
    assert!(words.contains("does not exist in this commit; restore the folder"), "{words}");
    // Nothing changes between a commit and itself, and of one App at a time.
    let (code, text, _) =
        said(&desk, &["preview", "--base", "main", "--head", "main", "--fleet", "fleet.json"]);
    assert_eq!((code, text.trim()), (0, "nothing changes"));
    let diff = ["diff", "app/db", "--base", "main", "--head", "change", "--fleet", "fleet.json"];
    let (code, text, _) = said(&desk, &diff);
    assert!(
        code == 1 && text.starts_with("1 App of the repository changes, 7 (App, cluster) pairs\n"),
        "{text}"
    );
    let (code, text, _) = said(&desk, &["diff", "app/web", "--fleet", "fleet.json"]);
    assert_eq!((code, text.as_str()), (0, ""));
}

#[test]
fn what_cannot_be_answered_says_what_is_missing() {
    let desk = desk();
    desk.file("bad.json", "{\"items\": 3}");
    let with = |head: &[&str]| -> (i32, String) {
        let (code, text, talk) = said(&desk, head);
        assert!(text.is_empty(), "{text}");
        assert!(talk.contains("hint: "), "{talk}");
        (code, talk)
    };
    for (arguments, code, words) in [
        (&["preview", "nowhere", "--fleet", "fleet.json"][..], 2, "`nowhere` is not a folder"),
        (&["preview", "--base", "v9", "--fleet", "fleet.json"], 2, "`v9` is no revision of `.`"),
        (&["preview", "--fleet", "nowhere.json"], 2, "read the fleet file `nowhere.json`"),
        (&["preview", "--fleet", "bad.json"], 2, "`items` is no list"),
        (&["preview"], 2, "there are no clusters to answer about"),
        (&["render", "--app", "wep"], 5, "did you mean `web`?"),
        (&["render", "--app", "web"], 2, "App `web` differs from cluster to cluster"),
        (
            &["render", "--app", "web", "--cluster", "eu", "--fleet", "fleet.json"],
            5,
            "no cluster `eu`",
        ),
        (&["targets", "."], 2, "name the App first"),
        (&["schema", "cluster"], 5, "known are `app`, `repo` and `policy`"),
        (&["import", "flux"], 5, "no Kustomization or HelmRelease of Flux is below `.`"),
    ] {
        let (found, talk) = with(arguments);
        assert_eq!(found, code, "{arguments:?}: {talk}");
        assert!(talk.contains(words), "{arguments:?}: {talk}");
        assert!(!talk.contains("error: error"), "{talk}");
    }
    // A folder that is no repository.
    let bare = Desk::new();
    bare.file("apps/a", "");
    bare.file("fleet.json", "[]");
    let (code, _, talk) = said(&bare, &["preview", "--fleet", "fleet.json"]);
    assert!(code == 2 && talk.contains("`.` is no Git repository"), "{talk}");
}

#[test]
fn an_app_that_cannot_go_out_is_told_by_every_command_in_the_same_words() {
    let desk = desk();
    let words = "error[RND-203]: apps/new/app.yaml:5:18: folder `apps/new/nowhere` does not exist in this commit";
    for arguments in [
        &["lint"][..],
        &["render", "--app", "new"],
        &["targets", "app/new", "--fleet", "fleet.json"],
        &PREVIEW,
    ] {
        let (code, text, talk) = said(&desk, arguments);
        let all = text + &talk;
        assert_eq!(code, 1, "{arguments:?}: {all}");
        assert!(all.contains(words), "{arguments:?}: {all}");
    }
    let (code, text, talk) = said(&desk, &["schema", "app"]);
    let schema: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &schema["title"]), (0, &json!("App")));
    assert!(talk.contains("# yaml-language-server: $schema="), "{talk}");
}

/// A packed chart `redis` 1.0.0, made by Helm itself.
fn redis(desk: &Desk) {
    desk.file("made/redis/Chart.yaml", "apiVersion: v2\nname: redis\nversion: 1.0.0\n");
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cache, namespace: shop}\n";
    desk.file("made/redis/templates/a.yaml", template);
    let helm = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bin/helm");
    let done = Command::new(helm)
        .args(["package", "redis"])
        .current_dir(desk.folder().join("made"))
        .env("HOME", desk.folder())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_chart_that_is_not_committed_is_taken_from_a_folder_and_never_fetched() {
    let desk = Desk::new();
    let app = WEB.replace("\"overlays/${labels.env}\"", "chart");
    desk.file("apps/web/app.yaml", &app);
    let about = "apiVersion: v2\nname: web\nversion: 0.1.0\ndependencies:\n  \
                 - {name: redis, version: 1.0.0, repository: \"https://charts.example.org/stable\"}\n";
    desk.file("apps/web/chart/Chart.yaml", about);
    redis(&desk);
    let helm = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bin/helm");
    let render = |more: &[&str]| {
        let mut arguments = vec!["render", ".", "--label", "web=yes", "--helm", helm];
        arguments.extend(more);
        let done = desk.run(&arguments, "");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
    };
    let (code, _, said) = render(&[]);
    assert_eq!(code, 1, "{said}");
    insta::assert_snapshot!("render_without_archives", said);
    let (code, out, said) = render(&["--charts", "made"]);
    assert_eq!(code, 0, "{said}");
    assert!(out.contains("name: cache"), "{out}");
    let (code, _, said) = render(&["--charts", "apps"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!("render_with_a_folder_without_it", said);
    let (code, _, said) = render(&["--charts", "nowhere"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!("render_with_no_folder", said);
}
