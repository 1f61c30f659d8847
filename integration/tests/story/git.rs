//! A bad day in Git: each fault gives a reason with what to do, nothing is deleted, the other App goes on.

use crate::world::{World, app, config_map};

const KEPT: &str = "1";

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_day_in_git_deletes_nothing_and_says_what_to_do() {
    let world = World::start().await;
    let repository = world.stage.repository();
    let manifest = "apps/web/manifests/web.yaml";
    let kept =
        || assert_eq!(world.values("web"), vec![Some(KEPT.to_owned()); 2], "web was touched");

    // YAML that does not parse.
    repository.write(manifest, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web\n").unwrap();
    repository.commit("a missing brace").unwrap();
    let message = world.shows("web", "RND-201").await;
    assert!(message.contains("apps/web/manifests/web.yaml:"), "no file and line: {message}");
    world.other_goes_on("2").await;
    world.why_says("app/web", &["RND-201"]).await;
    kept();

    // A folder without any object.
    repository.write(manifest, "# nothing here\n").unwrap();
    repository.commit("an empty file").unwrap();
    world.shows("web", "RND-204").await;
    world.other_goes_on("3").await;
    kept();

    // The folder is gone.
    repository.remove("apps/web/manifests").unwrap();
    repository.commit("the folder is gone").unwrap();
    world.shows("web", "RND-203").await;
    world.why_says("app/web", &["RND-203"]).await;
    kept();

    // A field that nobody knows.
    repository.write(manifest, &config_map("web", "1")).unwrap();
    repository
        .write("apps/web/app.yaml", &app("web", "true").replace("targets:", "target:"))
        .unwrap();
    repository.commit("a typo in app.yaml").unwrap();
    let message = world.shows("web", "RND-202").await;
    assert!(message.contains("apps/web/app.yaml:"), "no file and line: {message}");
    world.other_goes_on("4").await;
    kept();

    // A selector that matches nothing.
    repository.write("apps/web/app.yaml", &app("web", "labels.side == 'north'")).unwrap();
    repository.commit("a selector for nobody").unwrap();
    world.shows("web", "ROL-601").await;
    world.why_says("app/web", &["ROL-601"]).await;
    kept();

    // The App itself is gone from Git.
    repository.remove("apps/web").unwrap();
    repository.commit("web is gone").unwrap();
    world.shows("web", "RND-210").await;
    world.other_goes_on("5").await;
    kept();

    // It comes back and goes on.
    repository.write("apps/web/app.yaml", &app("web", "true")).unwrap();
    repository.write(manifest, &config_map("web", "7")).unwrap();
    let commit = repository.commit("web is back").unwrap();
    world.stage.wait_for_rollout("web", &commit, "Completed", crate::world::SOON).await.unwrap();
    assert_eq!(world.values("web"), vec![Some("7".to_owned()); 2]);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_git_server_that_is_gone_is_named_and_what_runs_keeps_running() {
    let world = World::start().await;
    let path = world.stage.repository().path().to_owned();
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    let stage = &world.stage;
    let look = || async {
        let source = stage.items("sources").await?.remove(0);
        Ok(if source["state"] == "Failed" { Ok(source) } else { Err(format!("{source:#}")) })
    };
    let source = stage.wait("the source to fail", crate::world::SOON, look).await.unwrap();
    assert!(source["reason"].as_str().unwrap().starts_with("GIT-"), "{source:#}");
    world.why_says("source/fleet", &["GIT-"]).await;
    assert_eq!(world.values("web"), vec![Some("1".to_owned()); 2]);

    std::fs::rename(&away, &path).unwrap();
    world.other_goes_on("2").await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_deleted_leaves_its_apps_running() {
    let world = World::start().await;
    world.stage.ok(&["source", "delete", "fleet"]).await.unwrap();
    world.shows("web", "RND-210").await;
    assert_eq!(world.values("web"), vec![Some("1".to_owned()); 2]);
    assert_eq!(world.values("other"), vec![Some("1".to_owned()); 2]);
    world.server.stop().await;
}
