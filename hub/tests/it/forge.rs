//! What forges are told about commits, what becomes of it when they do not listen, and that no token leaks.

use std::sync::{Arc, Mutex};

use hub::store::{Store, Table};
use model::source::{CommitStatus, Forge};
use serde_json::Value;

use crate::{
    flow::{Flow, app_yaml, config_map, name, source},
    source::{repository::Repository, server::Server},
};

/// Recognised wherever it leaks.
const TOKEN: &str = "hunter2hunter2hunter2";

/// A forge that answers what it is told to, and a repository whose source tells it.
struct World {
    flow: Flow,
    repository: Repository,
    server: Server,
    paths: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<(u16, String)>>,
    record: hub::registry::SourceRecord,
    dir: tempfile::TempDir,
}

impl World {
    async fn new(forge: Forge, clusters: usize) -> World {
        rustls::crypto::ring::default_provider().install_default().ok();
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::new(&dir.path().join("repo"));
        repository.write("apps/web/app.yaml", app_yaml("web", ""));
        repository.write("apps/web/a.yaml", config_map("a", "1"));
        repository.commit_all("One app");
        let (paths, answer) =
            (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new((201, String::new()))));
        let (seen, says) = (paths.clone(), answer.clone());
        let server = Server::start_answering(move |head| {
            let given = head.headers["authorization"].to_str().unwrap().to_owned();
            seen.lock().unwrap().push(format!("{} {} {given}", head.method, head.uri.path()));
            let (code, words) = says.lock().unwrap().clone();
            // A careless forge repeats what it was given.
            (code, words.replace("GIVEN", &given).into_bytes())
        })
        .await;
        let (ca, token) = (dir.path().join("ca.pem"), dir.path().join("token"));
        std::fs::write(&ca, &server.root).unwrap();
        std::fs::write(&token, TOKEN).unwrap();
        let mut record = source("fleet", &repository.url());
        record.commit_status = Some(CommitStatus {
            forge,
            credentials: Some(format!("file:{}", token.display())),
            api: Some(format!("https://127.0.0.1:{}/api", server.port)),
            repository: Some("acme/fleet".to_owned()),
            ca: Some(format!("file:{}", ca.display())),
        });
        let flow = Flow::start(vec![record.clone()], clusters).await;
        World { flow, repository, server, paths, answer, record, dir }
    }

    fn says(&self, code: u16, words: &str) {
        *self.answer.lock().unwrap() = (code, words.to_owned());
    }

    /// What the forge was told, in order: state and text.
    fn heard(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let bodies = self.server.bodies().into_iter();
        let bodies = bodies.map(|body| serde_json::from_str::<Value>(&body).unwrap());
        bodies.map(|body| (text(&body["state"]), text(&body["description"]))).collect()
    }

    async fn until_heard(&self, state: &str, words: &str) {
        let heard = || self.heard().iter().any(|(s, w)| s == state && w.contains(words));
        self.flow.until(&format!("`{state}`: {words}"), |_| heard()).await;
    }

    /// Nothing that the hub keeps or says holds the token.
    fn assert_no_leak(&self) {
        for table in Table::ALL {
            for (key, value) in self.flow.store.scan(table, b"").unwrap() {
                let row = format!(
                    "{} {}",
                    String::from_utf8_lossy(&key),
                    String::from_utf8_lossy(&value)
                );
                assert!(!row.contains(TOKEN), "{row}");
            }
        }
        let shown = format!("{:?}", self.flow.told.trouble(&name("web")));
        assert!(!shown.contains(TOKEN), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_hears_how_a_commit_fares_in_its_own_words() {
    for (forge, path, pending, success) in [
        (Forge::Github, "/api/repos/acme/fleet/statuses/", "pending", "success"),
        (Forge::Gitea, "/api/repos/acme/fleet/statuses/", "pending", "success"),
        (Forge::Gitlab, "/api/projects/acme%2Ffleet/statuses/", "pending", "success"),
        (Forge::Bitbucket, "/api/repositories/acme/fleet/commit/", "INPROGRESS", "SUCCESSFUL"),
    ] {
        let world = World::new(forge, 2).await;
        let commit = world.repository.head();
        world.until_heard(pending, "wave 1/1, 0/2 ready").await;
        world.flow.healthy("web", 0).await;
        world.until_heard(pending, "wave 1/1, 1/2 ready").await;
        world.flow.healthy("web", 1).await;
        world.until_heard(success, "2/2 ready").await;
        for line in world.paths.lock().unwrap().iter() {
            assert!(line.starts_with(&format!("POST {path}{commit}")), "{line}");
            let bearer = if forge == Forge::Gitea { "token" } else { "Bearer" };
            assert!(line.ends_with(&format!("{bearer} {TOKEN}")), "{line}");
        }
        assert!(world.flow.told.trouble(&name("web")).is_none());
        world.assert_no_leak();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_cannot_go_out_is_a_failure_and_another_app_is_none() {
    let world = World::new(Forge::Github, 1).await;
    world.until_heard("pending", "0/1 ready").await;
    world.flow.healthy("web", 0).await;
    world.until_heard("success", "1/1 ready").await;
    let before = world.heard().len();
    world.repository.write("apps/web/a.yaml", "kind: [\n");
    let broken = world.repository.commit_all("Broken");
    world.until_heard("failure", "cannot go out: error[RND-201]: apps/web/a.yaml").await;
    assert_eq!(world.heard().len(), before + 1);
    assert!(world.paths.lock().unwrap().last().unwrap().contains(broken.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_is_away_is_told_later_also_by_the_next_hub() {
    let world = World::new(Forge::Github, 1).await;
    world.says(503, "down for maintenance");
    world.flow.until("trouble", |flow| flow.told.trouble(&name("web")).is_some()).await;
    let (subject, status) = world.flow.told.trouble(&name("web")).unwrap();
    assert!(subject.contains(world.repository.head().short()), "{subject}");
    assert_eq!(status.reason(), Some(model::Reason::StatusNotTold));
    assert!(status.message().contains("503 down for maintenance"), "{status:?}");
    world.flow.healthy("web", 0).await;
    let arrived = |flow: &Flow| {
        flow.app("web").is_some_and(|app| app.state.active.is_none() && app.state.stable.is_some())
    };
    world.flow.until("the commit to arrive", arrived).await;
    let World { flow, repository, server, paths, answer, record, dir } = world;
    let store = flow.stop().await;
    *answer.lock().unwrap() = (201, String::new());
    let flow = Flow::on(store, vec![record.clone()], 1).await;
    let world = World { flow, repository, server, paths, answer, record, dir };
    world.until_heard("success", "1/1 ready").await;
    world.flow.until("no trouble", |flow| flow.told.trouble(&name("web")).is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_refuses_is_given_up_until_there_is_something_else_to_say_and_nothing_leaks() {
    let world = World::new(Forge::Gitea, 1).await;
    world.says(401, "{\"message\":\"who is GIVEN?\"}");
    let given_up = |flow: &Flow| {
        let trouble = flow.told.trouble(&name("web"));
        trouble.is_some_and(|(_, status)| status.message().contains("given up after 3 tries: 401"))
    };
    world.flow.until("giving up", given_up).await;
    assert_eq!(world.heard().len(), 3);
    let (_, status) = world.flow.told.trouble(&name("web")).unwrap();
    assert!(status.message().contains("«redacted»"), "{status:?}");
    world.assert_no_leak();
    world.says(201, "");
    world.flow.healthy("web", 0).await;
    world.until_heard("success", "1/1 ready").await;
    world.flow.until("no trouble", |flow| flow.told.trouble(&name("web")).is_none()).await;
    assert!(world.dir.path().exists());
}
