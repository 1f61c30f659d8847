//! Bad days of agents and of people at the command line.

use proto::token::JoinToken;
use simcluster::Partition;

use crate::world::{SOON, World, cluster, config_map};

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_is_named_and_the_others_go_on() {
    let world = World::start().await;
    world.clusters[0].faults().partition(Partition::Reset);
    let repository = world.stage.repository();
    repository.write("apps/web/manifests/web.yaml", &config_map("web", "2")).unwrap();
    let commit = repository.commit("while east is away").unwrap();
    let stage = &world.stage;
    let look = || async {
        let text = stage.ok(&["why", "app/web", "--cluster", "east"]).await?;
        let named = text.contains("APL-324");
        Ok(if named { Ok(()) } else { Err(text) })
    };
    stage.wait("`why` to name the API server", SOON, look).await.unwrap();
    world.clusters[0].faults().heal();
    stage.wait_for_rollout("web", &commit, "Completed", SOON).await.unwrap();
    assert_eq!(world.values("web"), vec![Some("2".to_owned()); 2]);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_used_unknown_damaged_or_pinned_elsewhere_end_the_agent_with_a_reason() {
    let mut world = World::start().await;
    let access = world.server.kubeconfig("east");
    let folder = world.stage.folder().to_owned();
    let join = |name: &str| folder.join(format!("{name}.join"));
    let used = std::fs::read_to_string(join("east")).unwrap();
    world.stage.ok(&["cluster", "add", "north", "--quiet"]).await.unwrap();
    let fresh = world.stage.ok(&["cluster", "token", "north"]).await.unwrap();
    let mut elsewhere = JoinToken::parse(&fresh).unwrap();
    elsewhere.pins = vec![[7; 32]];
    let mut unknown = JoinToken::parse(&fresh).unwrap();
    unknown.token_id = [7; 16];
    let cases = [
        ("used", used.clone(), "JOI-802"),
        ("unknown", unknown.encode(), "JOI-801"),
        ("damaged", used[..used.len() / 2].to_owned(), "JOI-805"),
        ("elsewhere", elsewhere.encode(), "JOI-804"),
    ];
    for (name, token, reason) in cases {
        std::fs::write(join(name), token).unwrap();
        world.stage.start_agent(name, &access).unwrap();
        let code = world.stage.agent_ended(name).await.unwrap();
        let log = world.stage.log(name);
        assert_ne!(code, Some(0), "{name}:\n{log}");
        assert!(log.contains(reason), "{name} does not say {reason}:\n{log}");
    }
    assert_eq!(world.values("web"), vec![Some("1".to_owned()); 2]);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_are_wrong_get_the_exit_code_and_the_way_out() {
    let world = World::start().await;
    let stage = &world.stage;
    let check = |arguments: &'static [&'static str], code: i32, words: &'static [&'static str]| async move {
        let answer = stage.tidegate(arguments).await.unwrap();
        assert_eq!(answer.code, code, "{arguments:?}: {answer:?}");
        for word in words {
            assert!(answer.stderr.contains(word), "{arguments:?} lacks {word}: {}", answer.stderr);
        }
    };
    check(&["get", "clusters", "esat"], 5, &["API-004", "did you mean `east`?"]).await;
    check(&["why", "app/nothing"], 5, &["API-004", "hint:"]).await;
    check(&["rollout", "pause", "web", "--reason", "nothing to pause"], 1, &["error[", "hint:"])
        .await;
    check(&["rollout", "pause", "web"], 2, &["--reason"]).await;
    check(&["cluster", "add", "East_1"], 2, &["API-001", "lower-case"]).await;
    check(&["cluster", "add", "east"], 1, &["API-005"]).await;
    check(&["source", "add", "x", "--url", "ftp://example.invalid/x"], 2, &["API-001"]).await;
    check(&["--token-file", "/dev/null", "get", "clusters"], 4, &["token"]).await;
    check(&["--hub", "http://127.0.0.1:1", "get", "clusters"], 6, &["reach the hub", "hint:"])
        .await;
    check(&["get", "nonsense"], 2, &["possible values"]).await;
    assert_eq!(cluster(stage, "east").await["connected"], true);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_shown_twice_suspends_the_cluster_until_a_person_resumes_it() {
    let mut world = World::start().await;
    let folder = world.stage.folder().to_owned();
    let used = std::fs::read_to_string(folder.join("east.join")).unwrap();
    std::fs::write(folder.join("thief.join"), used).unwrap();
    let access = world.server.kubeconfig("east");
    world.stage.start_agent("thief", &access).unwrap();
    assert_ne!(world.stage.agent_ended("thief").await.unwrap(), Some(0));
    let stage = &world.stage;
    let suspended = || async {
        let east = cluster(stage, "east").await;
        Ok(if east["reason"] == "AGT-713" { Ok(()) } else { Err(format!("{east:#}")) })
    };
    stage.wait("east to be suspended", SOON, suspended).await.unwrap();
    let repository = stage.repository();
    repository.write("apps/web/manifests/web.yaml", &config_map("web", "2")).unwrap();
    repository.commit("while east is suspended").unwrap();
    let west_only = || async {
        let values = world.values("web");
        Ok(if values[1].as_deref() == Some("2") { Ok(values) } else { Err(format!("{values:?}")) })
    };
    let values = stage.wait("west to go on without east", 2 * SOON, west_only).await.unwrap();
    assert_eq!(values[0].as_deref(), Some("1"), "a suspended cluster receives nothing");
    stage.ok(&["cluster", "resume", "east", "--reason", "it was a drill"]).await.unwrap();
    let both = || async {
        let values = world.values("web");
        let done = values.iter().all(|v| v.as_deref() == Some("2"));
        let why = stage.tidegate(&["why", "web"]).await?.stdout;
        Ok(if done { Ok(()) } else { Err(format!("{values:?}\n{why}")) })
    };
    stage.wait("east to catch up", 2 * SOON, both).await.unwrap();
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_deleted_and_added_again_goes_on_with_its_old_state() {
    let mut world = World::start().await;
    world.stage.ok(&["cluster", "delete", "east"]).await.unwrap();
    world.stage.kill_agent("east").await.unwrap();
    world.stage.add_cluster("east", &[("side", "east")]).await.unwrap();
    let access = world.server.kubeconfig("east");
    world.stage.start_agent("east", &access).unwrap();
    let repository = world.stage.repository();
    repository.write("apps/web/manifests/web.yaml", &config_map("web", "2")).unwrap();
    repository.commit("after east came back").unwrap();
    let stage = &world.stage;
    let both = || async {
        let values = world.values("web");
        let done = values.iter().all(|v| v.as_deref() == Some("2"));
        let why = stage.tidegate(&["why", "web", "--cluster", "east"]).await?.stdout;
        Ok(if done { Ok(()) } else { Err(format!("{values:?}\n{why}\n{}", stage.log("east"))) })
    };
    stage.wait("both to run the new release", 2 * SOON, both).await.unwrap();
    world.server.stop().await;
}
