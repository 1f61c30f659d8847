//! People at the hub's API: who may do what, what is refused and why, and that a refusal changes nothing.

use std::time::Duration;

use axum::routing::post;
use hub::{clock::Clock, config::Serve, run};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::source::repository::Repository;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Pause between two looks at what no event announces.
const LOOK: Duration = Duration::from_millis(50);

/// A hub with one App whose second wave waits for approval, and two clusters whose agents never came.
struct World {
    hub: run::Running,
    repository: Repository,
    admin: String,
    client: reqwest::Client,
    _dir: TempDir,
}

/// An App with these waves.
fn app(waves: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: web}}\nspec:\n  source: {{path: manifests}}\n  \
         targets: {{select: \"true\"}}\n  rollout:\n    waves: {waves}\n"
    )
}

const GATED: &str =
    "[{name: all, rest: true, before: {approval: {groups: [sre]}, blockers: [incident]}}]";

impl World {
    async fn new() -> World {
        rustls::crypto::ring::default_provider().install_default().ok();
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::new(&dir.path().join("repository"));
        repository.write("apps/web/app.yaml", app(GATED));
        let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: shop}\n";
        repository.write("apps/web/manifests/all.yaml", object);
        repository.commit_all("One app");
        let data = dir.path().join("hub");
        let mut config = Serve::on_loopback(data.clone());
        config.poll = Duration::from_millis(200);
        let hub = run::start(&config, Clock::system()).await.unwrap();
        let admin = std::fs::read_to_string(data.join("admin.token")).unwrap().trim().to_owned();
        let client = reqwest::Client::new();
        let world = World { hub, repository, admin, client, _dir: dir };
        for name in ["east", "west"] {
            world.done(Method::POST, "clusters", json!({ "name": name })).await;
        }
        let url = world.repository.url();
        let source = json!({ "name": "fleet", "url": url, "ref": "main" });
        world.done(Method::POST, "sources", source).await;
        let begun = |rollouts: &Value| rollouts["items"].as_array().is_some_and(|i| !i.is_empty());
        world.until("a rollout to begin", "rollouts", begun).await;
        world
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("http://{}/api/v1/{path}", self.hub.http);
        let mut request = self.client.request(method, url).bearer_auth(token);
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(&self.admin, Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer:#}");
        answer
    }

    /// As admin, and it works.
    async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(&self.admin, method, path, body).await;
        assert_eq!(status, 200, "{path}: {answer:#}");
        answer
    }

    /// The token of somebody new.
    async fn person(&self, name: &str, role: &str, groups: &[&str]) -> String {
        let body = json!({ "name": name, "role": role, "groups": groups });
        let made = self.done(Method::POST, "tokens", body).await;
        made["token"].as_str().unwrap().to_owned()
    }

    async fn act(&self, token: &str, action: Value) -> (u16, Value) {
        self.ask(token, Method::POST, "rollouts/web/actions", action).await
    }

    /// Looks again and again until an answer is enough.
    async fn until(&self, what: &str, path: &str, enough: impl Fn(&Value) -> bool) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let answer = self.get(path).await;
            if enough(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} did not happen: {answer:#}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Events of the App so far.
    async fn events(&self) -> usize {
        self.get("rollouts/web/log").await["events"].as_array().unwrap().len()
    }

    async fn rollout(&self) -> Value {
        self.get("rollouts?app=web").await["items"][0].clone()
    }
}

fn reason(answer: &Value) -> &str {
    answer["reason"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_lets_a_person_do_so_much_and_a_refusal_changes_nothing() {
    let world = World::new().await;
    let viewer = world.person("vic", "viewer", &[]).await;
    let operator = world.person("olga", "operator", &["sre"]).await;
    let before = (world.events().await, world.get("audit").await);
    let pause = json!({ "verb": "pause", "reason": "lunch" });
    let (status, answer) = world.act(&viewer, pause).await;
    assert_eq!((status, reason(&answer)), (403, "API-009"), "{answer:#}");
    assert!(answer["hint"].as_str().unwrap().contains("role operator"), "{answer:#}");
    for (path, body) in [
        ("freezes", json!({ "verb": "freeze", "scope": "fleet", "reason": "x" })),
        ("clusters/east/hold", json!({ "verb": "cordon", "reason": "x" })),
        ("blockers/incident", json!({ "verb": "set", "message": "x" })),
        ("tokens", json!({ "name": "me", "role": "admin" })),
    ] {
        let (status, answer) = world.ask(&viewer, Method::POST, path, body).await;
        assert_eq!((status, reason(&answer)), (403, "API-009"), "{path}: {answer:#}");
    }
    for (path, body) in [
        ("clusters", json!({ "name": "north" })),
        ("sources", json!({ "name": "x", "url": "file:///x", "ref": "main" })),
        ("tokens", json!({ "name": "me", "role": "admin" })),
        ("blockers/incident", json!({ "verb": "watch", "url": "https://example.org" })),
        ("rollouts/web/actions", json!({ "verb": "override", "gate": "approval", "reason": "x" })),
    ] {
        let (status, answer) = world.ask(&operator, Method::POST, path, body).await;
        assert_eq!((status, reason(&answer)), (403, "API-009"), "{path}: {answer:#}");
    }
    assert_eq!((world.events().await, world.get("audit").await), before);
    let (status, me) = world.ask(&viewer, Method::GET, "me", Value::Null).await;
    assert_eq!((status, &me["name"], &me["role"]), (200, &json!("vic"), &json!("viewer")));
    let (status, answer) = world.ask(&viewer, Method::GET, "tokens", Value::Null).await;
    assert_eq!(status, 403, "{answer:#}");
    world.done(Method::DELETE, "tokens/vic", Value::Null).await;
    let (status, _) = world.ask(&viewer, Method::GET, "me", Value::Null).await;
    assert_eq!(status, 401, "a token that was taken back lets nobody in");
    world.hub.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verb_that_cannot_be_says_why_and_the_way_out_and_changes_nothing() {
    let world = World::new().await;
    let before = world.events().await;
    let cases = [
        (json!({ "verb": "skip", "cluster": "nowhere", "reason": "x" }), 404, "API-004"),
        (json!({ "verb": "skip", "reason": "x" }), 400, "API-001"),
        (json!({ "verb": "dance" }), 400, "API-001"),
        (json!({ "verb": "pause", "wave": "all" }), 400, "API-001"),
        (json!({ "verb": "approve", "wave": "nothing" }), 404, "API-004"),
        (json!({ "verb": "resume", "reason": "x" }), 422, "API-003"),
        (json!({ "verb": "override", "gate": "door", "reason": "x" }), 400, "API-001"),
        (json!({ "verb": "override", "gate": "blocker/incident" }), 422, "API-003"),
        (json!({ "verb": "expedite", "divisor": 1, "reason": "x" }), 422, "API-003"),
        (json!({ "verb": "pause", "seen": format!("sha256:{}", "0".repeat(64)) }), 412, "API-006"),
        (json!({ "verb": "pause", "seen": "yesterday" }), 400, "API-001"),
    ];
    for (action, status, code) in cases {
        let (got, answer) = world.act(&world.admin, action.clone()).await;
        assert_eq!((got, reason(&answer)), (status, code), "{action}: {answer:#}");
        assert!(!answer["detail"].as_str().unwrap().is_empty(), "{action}: {answer:#}");
        assert!(!answer["hint"].as_str().unwrap().is_empty(), "{action}: {answer:#}");
    }
    // The admin is in no group, and the wave wants one.
    let (status, answer) = world.act(&world.admin, json!({ "verb": "approve" })).await;
    assert_eq!((status, reason(&answer)), (403, "API-009"), "{answer:#}");
    assert_eq!(world.events().await, before, "nothing was decided");
    world.hub.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_of_the_right_group_approves_what_they_saw() {
    let world = World::new().await;
    let olga = world.person("olga", "operator", &["sre"]).await;
    let why = world.get("why/app/web").await;
    let codes: Vec<_> = why["chain"].as_array().unwrap().iter().map(|s| &s["reason"]).collect();
    assert!(codes.contains(&&json!("GAT-601")), "approval: {why:#}");
    assert!(codes.contains(&&json!("GAT-615")), "nobody produces the blocker: {why:#}");
    assert!(!why["path"].as_array().unwrap().is_empty(), "{why:#}");
    let stamp = world.rollout().await["stamp"].clone();
    assert!(stamp.is_string());
    let (status, answer) = world.act(&olga, json!({ "verb": "approve", "seen": stamp })).await;
    assert_eq!(status, 200, "{answer:#}");
    assert_eq!(answer["done"], json!("rollout.approve web#1"));
    let (status, answer) = world.act(&olga, json!({ "verb": "pause", "reason": "lunch" })).await;
    assert_eq!((status, &answer["state"]), (200, &json!("Paused")), "{answer:#}");
    let late = json!({ "verb": "resume", "reason": "eaten", "seen": stamp });
    let (status, answer) = world.act(&olga, late).await;
    assert_eq!((status, reason(&answer)), (412, "API-006"), "it was paused since: {answer:#}");
    let log = world.get("rollouts/web/log").await;
    let last = log["events"].as_array().unwrap().iter().rev();
    assert!(last.take(3).any(|row| row["event"]["by"]["name"] == "olga"), "{log:#}");
    let none = world.get("rollouts/web/log?until=2001-01-01T00:00:00Z").await;
    assert_eq!(none["events"], json!([]));
    let steps = world.get("rollouts/web/path").await;
    assert!(steps["items"][0]["what"].as_str().unwrap().contains("resumes"), "{steps:#}");
    world.hub.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_hold_back_is_shown_and_lets_go() {
    let world = World::new().await;
    let freeze = |verb: &str, seconds: Value| json!({ "verb": verb, "scope": "app/web", "reason": "release party", "forSeconds": seconds });
    for (body, code) in [
        (json!({ "verb": "freeze", "scope": "fleet" }), "API-001"),
        (json!({ "verb": "freeze", "scope": "west", "reason": "x" }), "API-001"),
        (json!({ "verb": "freeze", "scope": "app/nothing", "reason": "x" }), "API-004"),
        (freeze("freeze", json!(0)), "API-001"),
        (freeze("unfreeze", Value::Null), "API-004"),
    ] {
        let (_, answer) = world.ask(&world.admin, Method::POST, "freezes", body.clone()).await;
        assert_eq!(reason(&answer), code, "{body}: {answer:#}");
    }
    let mark = world.done(Method::POST, "freezes", freeze("freeze", json!(3_600))).await;
    assert!(mark["until"].is_string(), "{mark:#}");
    assert_eq!(world.get("freezes").await["items"][0]["by"], json!("admin"));
    world.done(Method::POST, "freezes", freeze("unfreeze", Value::Null)).await;
    assert_eq!(world.get("freezes").await["items"], json!([]));

    let hold = |verb: &str, app: Value| json!({ "verb": verb, "app": app, "reason": "disk" });
    let path = "clusters/east/hold";
    let (status, answer) =
        world.ask(&world.admin, Method::POST, path, hold("uncordon", Value::Null)).await;
    assert_eq!((status, reason(&answer)), (422, "API-003"), "{answer:#}");
    world.done(Method::POST, path, hold("cordon", Value::Null)).await;
    let east = world.done(Method::POST, path, hold("pin", json!("web"))).await;
    assert_eq!(
        (&east["cordon"]["by"], &east["pins"]["web"]["reason"]),
        (&json!("admin"), &json!("disk"))
    );
    let why = world.get("why/cluster/east").await;
    let codes: Vec<_> = why["chain"].as_array().unwrap().iter().map(|s| &s["reason"]).collect();
    assert!(codes.contains(&&json!("WAV-527")) && codes.contains(&&json!("WAV-528")), "{why:#}");
    world.done(Method::POST, path, hold("unpin", json!("web"))).await;
    let east = world.done(Method::POST, path, hold("uncordon", Value::Null)).await;
    assert_eq!((&east["cordon"], &east["pins"]), (&Value::Null, &Value::Null));

    let set = json!({ "verb": "set", "message": "P1 is open" });
    let blocker = world.done(Method::POST, "blockers/incident", set).await;
    assert_eq!(blocker["usedBy"], json!(["app/web wave all"]), "{blocker:#}");
    world
        .until("the wave to name the blocker", "why/app/web", |why| {
            why["chain"].as_array().unwrap().iter().any(|step| {
                step["message"].as_str().is_some_and(|text| text.contains("P1 is open"))
            })
        })
        .await;
    let url = json!({ "verb": "watch", "url": "https://user:pass@example.org" });
    let (status, answer) = world.ask(&world.admin, Method::POST, "blockers/incident", url).await;
    assert_eq!((status, reason(&answer)), (400, "API-001"), "credentials: {answer:#}");
    world.done(Method::POST, "blockers/incident", json!({ "verb": "clear" })).await;
    world.done(Method::DELETE, "blockers/incident", Value::Null).await;
    assert_eq!(world.get("blockers").await["items"], json!([]));
    let rows = world.get("audit").await;
    let verbs: Vec<_> = rows["items"].as_array().unwrap().iter().map(|r| &r["verb"]).collect();
    for verb in
        ["freeze", "unfreeze", "cordon", "pin", "unpin", "uncordon", "set", "clear", "forget"]
    {
        assert!(verbs.contains(&&json!(verb)), "{verb}: {verbs:?}");
    }
    world.hub.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_decides_about_a_blocker_and_only_its_pass_lets_go() {
    let world = World::new().await;
    let answers =
        axum::Router::new()
            .route("/fail", post(|| async { r#"{"answer": "fail", "message": "P1 is open"}"# }))
            .route("/hold", post(|| async { r#"{"answer": "hold"}"# }))
            .route("/garbage", post(|| async { "all is well" }))
            .route("/broken", post(|| async { (axum::http::StatusCode::BAD_GATEWAY, "") }))
            .route(
                "/asked",
                post(|body: String| async move {
                    format!(r#"{{"answer": "pass", "message": {body:?}}}"#)
                }),
            );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, answers).await });
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (place, set, words) in [
        (format!("{at}/fail"), true, "P1 is open"),
        (format!("{at}/asked"), false, r#""blocker":"incident""#),
        (format!("{at}/hold"), true, "hold"),
        (format!("{at}/asked?2"), false, "check.tidegate/v1"),
        (format!("{at}/garbage"), true, "something else than its JSON"),
        (format!("{at}/asked?3"), false, "incident"),
        (format!("{at}/broken"), true, "502"),
        (format!("{at}/asked?4"), false, "incident"),
        (format!("{nobody}/"), true, "cannot be reached"),
    ] {
        // Another place is asked at once.
        let watch = json!({ "verb": "watch", "url": format!("http://{place}") });
        world.done(Method::POST, "blockers/incident", watch).await;
        let answered = |list: &Value| {
            let item = &list["items"][0];
            let said = item["message"].as_str().is_some_and(|text| text.contains(words));
            said && item["set"] == json!(set) && item["by"] == json!("hub")
        };
        world.until(&format!("{place} to be heard"), "blockers", answered).await;
    }
    serving.abort();
    world.hub.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_cannot_be_is_refused_with_its_place_and_the_old_one_stands() {
    let world = World::new().await;
    let before = world.rollout().await["id"].clone();
    for waves in [
        "[{name: all, rest: true, maxFailures: 150%}]",
        "[{name: all, rest: true, before: {windows: [{days: Mon, hours: 09-09, tz: Europe/Berlin}]}}]",
    ] {
        world.repository.write("apps/web/app.yaml", app(waves));
        let commit = world.repository.commit_all("A plan that cannot be");
        let apps = world
            .until("the fault to show", "apps", |apps| {
                let web = &apps["items"][0];
                let head = web["head"].as_str().is_some_and(|head| head.contains(commit.as_str()));
                head && web["state"] == "Failed"
            })
            .await;
        let message = apps["items"][0]["message"].as_str().unwrap();
        assert!(message.contains("app.yaml"), "the place: {message}");
        assert_eq!(world.rollout().await["id"], before, "{waves}");
    }
    world.hub.stop().await.unwrap();
}
