//! Eight things that people get wrong. Each is refused with the reason, the place and the way out, and
//! nothing is changed by it: no event in the log, no rollout, no object in the cluster.

use std::path::PathBuf;

use integration::stage::Answer;
use serde_json::Value;

use crate::{
    fleet::Fleet,
    world::{SOON, config_map},
};

/// An App that waits for one approval before anything happens.
const GATED: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets: {select: \"true\"}
  rollout:
    defaults: {minHealthy: 1s}
    waves:
      - name: all
        rest: true
        before: {approval: {count: 1}}
";

/// The fleet, and how it stood before anybody did anything wrong.
struct Scene {
    fleet: Fleet,
    rollout: Value,
    events: u64,
}

impl Scene {
    async fn new() -> Scene {
        let mut fleet = Fleet::empty(&["k1"]).await;
        fleet.join_all(&[("k1", &[])]).await;
        fleet.first(GATED).await;
        fleet.until_why(&["app/web"], &["GAT-601"]).await;
        let (rollout, events) = (fleet.rollout().await, fleet.events().await);
        Scene { fleet, rollout, events }
    }

    /// Everything is as it was.
    async fn is_untouched(&self, after: &str) {
        assert_eq!(self.fleet.events().await, self.events, "the log grew after {after}");
        let now = self.fleet.rollout().await;
        for field in ["id", "state", "revision", "stamp"] {
            assert_eq!(now[field], self.rollout[field], "{field} changed after {after}");
        }
        assert_eq!(self.fleet.all(), "k1=nothing", "after {after}");
    }

    /// A command is refused with an exit code, a reason, words about what is wrong, and a way out.
    async fn refuses(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let answer = self.fleet.refuses(arguments, code, words).await;
        assert!(answer.stderr.contains("hint: "), "no way out: {answer:?}");
        self.is_untouched(&arguments.join(" ")).await;
    }

    /// A file is refused by lint, with its place.
    async fn lint(&self, more: &[&str], words: &[&str]) -> Answer {
        let root = self.fleet.stage.repository().path().display().to_string();
        let arguments = [&["lint", root.as_str()], more].concat();
        let answer = self.fleet.refuses(&arguments, 1, words).await;
        assert!(answer.stdout.contains("apps/web/app.yaml"), "no place: {answer:?}");
        answer
    }

    /// The file is refused by the hub too when somebody commits it all the same.
    async fn commit(&self, what: &str, words: &[&str]) {
        let commit = self.fleet.stage.repository().commit(what).unwrap();
        let look = || async {
            let apps = self.fleet.stage.items("apps").await?;
            let web = apps.into_iter().find(|app| app["name"] == "web").unwrap_or_default();
            let head = web["head"].as_str().is_some_and(|head| head.ends_with(&commit));
            Ok(if head && web["state"] == "Failed" { Ok(web) } else { Err(format!("{web:#}")) })
        };
        let web = self.fleet.stage.wait(what, SOON, look).await.unwrap();
        let message = web["message"].as_str().unwrap();
        for word in ["apps/web/app.yaml"].iter().chain(words) {
            assert!(message.contains(word), "{what}: no `{word}` in {message}");
        }
        self.is_untouched(what).await;
    }

    /// Writes `app.yaml` of an App.
    fn write(&self, name: &str, text: &str) {
        let repository = self.fleet.stage.repository();
        repository.write(&format!("apps/{name}/app.yaml"), text).unwrap();
    }

    /// A token of somebody with a role.
    async fn token(&self, name: &str, role: &str) -> PathBuf {
        let make = ["token", "create", name, "--role", role, "--quiet"];
        let token = self.fleet.stage.ok(&make).await.unwrap();
        let file = self.fleet.stage.folder().join(format!("{name}.token"));
        std::fs::write(&file, token).unwrap();
        file
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_get_wrong_is_refused_with_the_way_out_and_changes_nothing() {
    let scene = Scene::new().await;

    // 1. A cluster that is not there.
    let skip = ["rollout", "skip", "web", "--cluster", "k2", "--reason", "it is down"];
    scene.refuses(&skip, 5, &["API-004", "no cluster named `k2`", "tidegate get"]).await;

    // 2. A verb that does not fit the state.
    let resume = ["rollout", "resume", "web", "--reason", "go on"];
    scene.refuses(&resume, 1, &["API-003", "rollout `web#1`"]).await;

    // 3. A person decides on what is not so any more.
    let old = format!("sha256:{}", "0".repeat(64));
    let approve = ["approve", "web", "--seen", &old];
    scene.refuses(&approve, 1, &["API-006", "it changed since you looked", "why app/web"]).await;

    // 4. A person may look and not touch.
    let token = scene.token("vic", "viewer").await;
    let token = token.to_str().unwrap();
    let pause = ["--token-file", token, "rollout", "pause", "web", "--reason", "lunch"];
    scene.refuses(&pause, 4, &["API-009", "vic has the role viewer", "role operator"]).await;

    // 5. More than all of them.
    scene.write("web", &GATED.replace("rest: true", "rest: true\n        maxFailures: 150%"));
    let words = ["RND-202", "maxFailures", "0% to 100%", "`150%`"];
    scene.lint(&[], &words).await;
    scene.commit("a share of more than all", &words[1..]).await;

    // 6. A window that never opens.
    let window = "before: {windows: [{days: Mon, hours: 09-09, tz: Europe/Berlin}], approval";
    scene.write("web", &GATED.replace("before: {approval", window));
    let words = ["RND-202", "`hours` cannot be `09-09`"];
    scene.lint(&[], &words).await;
    scene.commit("a window that never opens", &words[1..]).await;

    // 7. Two Apps that wait for one another.
    let waits = |on: &str| {
        let before = format!("before: {{dependsOn: [{{app: {on}}}], approval");
        GATED.replace("before: {approval", &before)
    };
    scene.write("web", &waits("zoo"));
    scene.write("zoo", &waits("web").replace("name: web}", "name: zoo}"));
    let repository = scene.fleet.stage.repository();
    repository.write("apps/zoo/manifests/zoo.yaml", &config_map("zoo", "1")).unwrap();
    let words = ["RND-202", "`web` waits for `zoo` waits for `web`", "`dependsOn`"];
    scene.lint(&[], &words).await;
    scene.commit("a circle", &words[1..2]).await;
    let rollouts = scene.fleet.stage.items("rollouts").await.unwrap();
    assert!(rollouts.iter().all(|r| r["app"] == "web"), "zoo began: {rollouts:#?}");
    repository.remove("apps/zoo").unwrap();

    // 8. A gate that nobody lifts.
    scene.write("web", &GATED.replace("before: {", "before: {blockers: [sev1-open], "));
    let file = scene.fleet.stage.folder().join("blockers.json");
    let known = scene.fleet.stage.ok(&["blocker", "list", "-o", "json"]).await.unwrap();
    std::fs::write(&file, known).unwrap();
    let blockers = ["--blockers", file.to_str().unwrap()];
    let words =
        ["GAT-615", "wave `all` waits for the blocker `sev1-open`", "tidegate blocker clear"];
    scene.lint(&blockers, &words).await;
    scene.is_untouched("a gate that nobody lifts").await;

    // The file as it was is fine, the person who may approves what is there, and the release goes out.
    scene.write("web", GATED);
    let commit = repository.commit("as it was").unwrap();
    let root = repository.path().display().to_string();
    scene.fleet.does(&["lint", &root]).await;
    scene.fleet.until_why(&["app/web"], &["GAT-601"]).await;
    scene.fleet.does(&["approve", "web"]).await;
    scene.fleet.all_run("1").await;
    scene.fleet.until("it to complete", |r| r["state"] == "Completed").await;
    let app = scene.fleet.stage.items("apps").await.unwrap().remove(0);
    assert!(app["head"].as_str().is_some_and(|head| head.ends_with(&commit)), "{app:#}");
    scene.fleet.end().await;
}
