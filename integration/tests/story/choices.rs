//! What an App asks of its agents: written in Git, carried out in the clusters.

use serde_json::{Value, json};
use simcluster::Cluster;

use crate::world::{SOON, World, app, config_map};

fn live(cluster: &Cluster) -> Value {
    cluster.get("", "ConfigMap", Some("default"), "web").unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_asks_of_its_agents_is_part_of_its_release_and_outlives_the_app() {
    let world = World::start().await;
    let (stage, repository) = (&world.stage, world.stage.repository());
    let asks =
        "  drift: {ignore: [{kind: ConfigMap, path: /data/value}]}\n  apply: {onRemove: orphan}\n";
    let text = format!("{}{asks}", app("web", "true"));
    repository.write("apps/web/app.yaml", &text).unwrap();
    let commit = repository.commit("leave the value to others").unwrap();
    stage.wait_for_rollout("web", &commit, "Completed", SOON).await.unwrap();

    // In the east somebody takes the value; the next release brings another value and one more field.
    let edit = json!({"data": {"value": "theirs"}});
    let place = ("", "ConfigMap", Some("default"), "web");
    let east = &world.clusters[0];
    east.merge_patch_as("kubectl-edit", place.0, place.1, place.2, place.3, edit).unwrap();
    let more = format!(
        "{}  more: \"yes\"\n",
        config_map("web", "2").replace("{value: \"2\"}", "\n  value: \"2\"")
    );
    repository.write("apps/web/manifests/web.yaml", &more).unwrap();
    let commit = repository.commit("one more field").unwrap();
    stage.wait_for_rollout("web", &commit, "Completed", SOON).await.unwrap();
    let fields = |cluster: &Cluster| live(cluster)["data"].clone();
    assert_eq!(fields(east), json!({"value": "theirs", "more": "yes"}));
    assert_eq!(fields(&world.clusters[1]), json!({"value": "1", "more": "yes"}));

    // The west is not selected any more: the App leaves it, and its objects stay.
    let east_only =
        "targets: {select: \"labels.side == 'east'\", expect: {maxChange: 50%}, onUntarget: prune}";
    let text = text.replace("targets: {select: \"true\"}", east_only);
    assert!(text.contains(east_only), "the App is written otherwise now: {text}");
    repository.write("apps/web/app.yaml", &text).unwrap();
    repository.commit("only in the east").unwrap();
    let left = || async {
        let now = live(&world.clusters[1]);
        let unmarked = !now.to_string().contains("tidegate");
        Ok(if now.is_object() && unmarked { Ok(()) } else { Err(format!("{now:#}")) })
    };
    stage.wait("west to be left as it is", SOON, left).await.unwrap();
    assert_eq!(fields(&world.clusters[1]), json!({"value": "1", "more": "yes"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_rule_of_the_repository_holds_a_release_until_it_is_answered() {
    let world = World::start().await;
    let (stage, repository) = (&world.stage, world.stage.repository());
    let quick = app("web", "true").replace("progressDeadline: 1m", "progressDeadline: 5s");
    repository.write("apps/web/app.yaml", &quick).unwrap();
    let rule = "health:\n  - {apiVersion: v1, kind: ConfigMap, ready: \"data.value == '2'\", failed: \"data.value == 'bad'\"}\n";
    repository.write("tidegate.yaml", rule).unwrap();
    repository.write("apps/web/manifests/web.yaml", &config_map("web", "bad")).unwrap();
    repository.commit("a rule, and what it calls broken").unwrap();
    let halted = || async {
        let last = stage.rollout("web").await?.unwrap_or_default();
        Ok(if last["state"] == "Halted" { Ok(()) } else { Err(format!("{last:#}")) })
    };
    stage.wait("web to be halted by the rule", SOON, halted).await.unwrap();
    repository.write("apps/web/manifests/web.yaml", &config_map("web", "2")).unwrap();
    let commit = repository.commit("what it calls ready").unwrap();
    stage.wait_for_rollout("web", &commit, "Completed", SOON).await.unwrap();
    assert_eq!(world.values("web"), vec![Some("2".to_owned()); 2]);
}
