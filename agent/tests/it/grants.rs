//! Which directives are followed.

use model::{AppName, Directive, Epoch, Reason};
use proto::convert::{Directed, GrantOptions};
use proto::v1::hub_message::Message;

use crate::hub::Bundles;
use crate::world::{World, config_map, namespace};

fn grant(epoch: u64, digest: model::Digest) -> Directive {
    Directive::Grant(model::Grant { epoch: Epoch(epoch), digest })
}

#[tokio::test(flavor = "multi_thread")]
async fn s48_an_older_epoch_is_not_followed() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 5, &[namespace(), config_map("web", "five")]);
    world.hub.healthy("web", 5).await;
    world.cluster.reset_requests();
    world.hub.grant("web", 4, &[namespace(), config_map("web", "four")]);
    world.hub.some_reports_later().await;
    assert_eq!(world.data("web", "key").as_deref(), Some("five"));
    assert_eq!(world.cluster.requests().writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_is_promised_and_kept_also_over_a_restart() {
    let world = World::new().await;
    let agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    world.hub.say("web", Directive::Fence(Epoch(3)), GrantOptions::default());
    world
        .hub
        .until("the promise", |b| b.reports.last().filter(|r| r.1.fence == Epoch(3)).map(drop))
        .await;
    agent.stop().await.unwrap();
    let agent = world.agent().await;
    world.hub.until("the session", |b| (b.hellos.len() > 1).then_some(())).await;
    world.hub.grant("web", 3, &[namespace(), config_map("web", "three")]);
    world.hub.some_reports_later().await;
    assert_eq!(world.data("web", "key").as_deref(), Some("one"));
    world.hub.grant("web", 4, &[namespace(), config_map("web", "four")]);
    world.hub.healthy("web", 4).await;
    assert_eq!(world.data("web", "key").as_deref(), Some("four"));
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn s48_a_hub_of_an_older_term_is_not_obeyed() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.book.lock().unwrap().term = 7;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    let digest = world.hub.publish(&[namespace(), config_map("web", "two")]);
    let app = AppName::parse("web").unwrap();
    let directive = grant(2, digest);
    let directed = Directed { app, directive, options: GrantOptions::default(), trace: None };
    world.hub.send_as(6, Message::Directive(directed.into()));
    world.hub.some_reports_later().await;
    assert_eq!(world.data("web", "key").as_deref(), Some("one"));
    // and after a restart of the older hub, with a new session
    world.hub.stop();
    world.hub.book.lock().unwrap().term = 6;
    world.hub.book.lock().unwrap().directives.clear();
    world.hub.listen(&format!("hub.{}.internal", crate::hub::FLEET)).await;
    world.hub.grant("web", 2, &[namespace(), config_map("web", "two")]);
    world.hub.until("a second greeting", |b| (b.hellos.len() > 2).then_some(())).await;
    assert_eq!(world.data("web", "key").as_deref(), Some("one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_content_for_the_same_epoch_is_refused() {
    let world = World::new().await;
    let _agent = world.agent().await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "other")]);
    let refused = world.hub.until("the refusal", |b| b.refused.last().cloned()).await;
    assert_eq!(Reason::from_code(&refused.reason), Some(Reason::EpochFork));
    assert_eq!(world.data("web", "key").as_deref(), Some("one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_grant_cuts_a_waiting_one_short() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let stuck = serde_json::json!({"apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "shop"}});
    world.hub.grant("web", 1, &[namespace(), stuck]);
    world.hub.failed("web", 1).await;
    world.hub.grant("web", 2, &[namespace(), config_map("web", "two")]);
    world.hub.healthy("web", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s28_content_that_is_not_what_it_is_called_is_never_applied() {
    let world = World::new().await;
    let _agent = world.agent().await;
    let objects = [namespace(), config_map("web", "one")];
    let digest = world.hub.publish(&objects);
    let victim = model::Digest::of(&crate::hub::canonical(&objects[1]));
    let forged = crate::hub::canonical(&config_map("web", "evil"));
    let honest = world.hub.book.lock().unwrap().content.insert(victim, forged).unwrap();
    world.hub.say("web", grant(1, digest), GrantOptions::default());
    world
        .hub
        .until("two tries", |b| {
            (b.pulled.iter().filter(|d| **d == victim).count() > 1).then_some(())
        })
        .await;
    assert!(world.cluster.get("", "Namespace", None, "shop").is_none());
    world.hub.book.lock().unwrap().content.insert(victim, honest);
    world.hub.healthy("web", 1).await;
    assert_eq!(world.data("web", "key").as_deref(), Some("one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_makes_something_else_is_thrown_away_and_the_release_pulled_whole() {
    for bundles in [Bundles::Wrong, Bundles::Noise, Bundles::Never] {
        let world = World::new().await;
        let _agent = world.agent().await;
        world.hub.book.lock().unwrap().bundles = bundles;
        world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
        world.hub.healthy("web", 1).await;
        world.hub.grant("web", 2, &[namespace(), config_map("web", "two")]);
        world.hub.healthy("web", 2).await;
        assert_eq!(world.data("web", "key").as_deref(), Some("two"));
    }
}
