//! A cluster that joins while a newer release waits at a gate: it gets the proven one meanwhile, rendered for it.

use integration::stage::Error;
use simcluster::{Cluster, Options, Server};

use crate::world::{SOON, World, app, config_map};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_joins_in_mid_rollout_runs_the_proven_release_until_its_wave_opens() {
    let mut world = World::start().await;
    let repository = world.stage.repository();
    let waves = "[{name: first, select: \"labels.side == 'east'\"}, {name: others, rest: true, before: {approval: {}}}]";
    let gated = app("web", "true")
        .replace("waves: [{name: all, rest: true, maxInFlight: 2}]", &format!("waves: {waves}"));
    assert!(gated.contains(waves), "the App is written otherwise now: {gated}");
    repository.write("apps/web/app.yaml", &gated).unwrap();
    repository.write("apps/web/manifests/web.yaml", &config_map("web", "2")).unwrap();
    repository.commit("two, first in the east").unwrap();
    let first = || async {
        let now = world.values("web");
        Ok(if now[0].as_deref() == Some("2") { Ok(()) } else { Err(format!("{now:?}")) })
    };
    world.stage.wait("the east to have two", SOON, first).await.unwrap();

    let north = Cluster::new(Options { name: "north".to_owned(), ..Options::default() });
    let server = Server::start(vec![north.clone()]).await.unwrap();
    world.stage.add_cluster("north", &[("side", "north")]).await.unwrap();
    world.stage.start_agent("north", &server.kubeconfig("north")).unwrap();
    world.clusters.push(north);
    let runs = |wanted: [&'static str; 3]| {
        let world = &world;
        move || async move {
            let now = world.values("web");
            let so = now.iter().map(|v| v.as_deref()).eq(wanted.map(Some));
            Ok::<_, Error>(if so { Ok(()) } else { Err(format!("{now:?}")) })
        }
    };
    let stage = &world.stage;
    stage.wait("the north to have the proven release", SOON, runs(["2", "1", "1"])).await.unwrap();
    stage.ok(&["approve", "web", "--wave", "others"]).await.unwrap();
    stage.wait("everybody to have two", SOON, runs(["2", "2", "2"])).await.unwrap();
}
