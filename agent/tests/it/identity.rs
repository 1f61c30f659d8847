//! Joining: once, whatever happens on the way.

use std::time::Duration;

use agent::clock::Clock;
use agent::{Deps, Error};
use model::Reason;

use crate::hub::{Authority, Hub};
use crate::world::{World, config_map, namespace};

async fn reason_of_end(world: &World) -> String {
    let agent = world.agent().await;
    let fault = tokio::time::timeout(Duration::from_secs(30), agent.join()).await.unwrap();
    let fault: Error = fault.unwrap_err();
    let mut text = fault.to_string();
    let mut at: &dyn std::error::Error = &fault;
    while let Some(cause) = at.source() {
        text = format!("{text}: {cause}");
        at = cause;
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_asked_for_again_with_the_same_key() {
    let world = World::new().await;
    world.hub.book.lock().unwrap().lose_replies = 2;
    let agent = world.agent().await;
    world.hub.until("a session", |b| b.hellos.first().cloned()).await;
    world.until("both sides to know of it", |_| agent.is_connected()).await;
    assert_eq!(world.hub.book.lock().unwrap().enrolled.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_during_joining_ends_with_the_same_key() {
    let world = World::new().await;
    world.hub.book.lock().unwrap().lose_replies = u32::MAX;
    let agent = world.agent().await;
    world.hub.until("a first try", |b| (!b.enrolled.is_empty()).then_some(())).await;
    agent.stop().await.unwrap();
    world.hub.book.lock().unwrap().lose_replies = 0;
    let _agent = world.agent().await;
    world.hub.until("a session", |b| b.hellos.first().cloned()).await;
    assert_eq!(world.hub.book.lock().unwrap().enrolled.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn used_expired_and_unknown_tokens_end_the_agent_with_the_reason() {
    for reason in [Reason::TokenUsed, Reason::TokenExpired, Reason::TokenUnknown] {
        let world = World::new().await;
        world.hub.book.lock().unwrap().refuse_enrolment = Some(reason);
        let text = reason_of_end(&world).await;
        assert!(text.contains(reason.code()) && text.contains(reason.next_step()), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_with_another_root_is_not_trusted() {
    let world = World::new().await;
    let mut token = world.hub.token(1);
    token.pins = vec![Authority::new().pin()];
    std::fs::write(world.path("join"), token.encode()).unwrap();
    let text = reason_of_end(&world).await;
    assert!(text.contains(Reason::PinMismatch.next_step()), "{text}");
    assert!(world.hub.book.lock().unwrap().enrolled.is_empty(), "nothing was told to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_right_root_for_another_name_is_not_trusted() {
    let world = World::new().await;
    let other = Hub::with(Authority::new(), "hub.somebody-else.internal").await;
    std::fs::write(world.path("join"), other.token(1).encode()).unwrap();
    let text = reason_of_end(&world).await;
    assert!(text.contains(Reason::PinMismatch.next_step()), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_missing_join_file_says_what_to_do() {
    let world = World::new().await;
    let token = world.hub.token(1).encode();
    std::fs::write(world.path("join"), &token[..token.len() - 4]).unwrap();
    let text = reason_of_end(&world).await;
    assert!(text.contains("JOI-805"), "{text}");
    assert!(!text.contains(&token[..40]), "the token is not shown");
    std::fs::remove_file(world.path("join")).unwrap();
    let text = reason_of_end(&world).await;
    assert!(text.contains("join file"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_join_file_is_not_needed_once_there_is_an_identity() {
    let world = World::new().await;
    let agent = world.agent().await;
    world.hub.until("a session", |b| b.hellos.first().cloned()).await;
    agent.stop().await.unwrap();
    std::fs::remove_file(world.path("join")).unwrap();
    let _agent = world.agent().await;
    world.hub.until("a second session", |b| b.hellos.get(1).cloned()).await;
    assert_eq!(world.hub.book.lock().unwrap().enrolled.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ten_minutes_off_does_not_matter() {
    for minutes in [-10, 10] {
        let world = World::new().await;
        let clock = Clock::skewed(jiff::SignedDuration::from_mins(minutes));
        let _agent = agent::start(world.config(), Deps { clock }).await.unwrap();
        world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
        world.hub.healthy("web", 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_before_it_ends_and_used_at_once() {
    let world = World::new().await;
    // half of its life has passed when it is issued: renewal is due at once
    world.hub.book.lock().unwrap().life = Duration::from_mins(30);
    let agent = world.agent().await;
    world.hub.until("the renewal", |b| (b.renewals == 1).then_some(())).await;
    world.hub.until("a session with it", |b| b.hellos.get(1).cloned()).await;
    agent.stop().await.unwrap();
    let _agent = world.agent().await;
    world.hub.until("a session after a restart", |b| b.hellos.get(2).cloned()).await;
    assert_eq!(world.hub.book.lock().unwrap().renewals, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ran_out_is_replaced_by_the_recovery_key_also_when_a_reply_is_lost() {
    let world = World::new().await;
    {
        let mut book = world.hub.book.lock().unwrap();
        // It has ended when it arrives, as after three days without a hub.
        book.life = Duration::ZERO;
        book.lose_recoveries = 1;
    }
    let agent = world.agent().await;
    world.hub.until("a session", |b| b.hellos.first().cloned()).await;
    agent.stop().await.unwrap();
    let recoveries = world.hub.book.lock().unwrap().recoveries.clone();
    assert_eq!(recoveries.len(), 2, "{recoveries:?}");
    let key = |request: &proto::v1::RecoverRequest| {
        let csr = request.csr_der.as_slice().into();
        let csr = rcgen::CertificateSigningRequestParams::from_der(&csr).unwrap();
        rcgen::PublicKeyData::der_bytes(&csr.public_key).to_vec()
    };
    assert_eq!(key(&recoveries[0]), key(&recoveries[1]), "the key that the lost reply was for");
    assert!(recoveries.iter().all(|request| request.join_state == [1; 32]));
    // What was got is kept, and what it gave is shown the next time.
    let _agent = world.agent().await;
    world.hub.until("a session after a restart", |b| b.hellos.get(1).cloned()).await;
    assert_eq!(world.hub.book.lock().unwrap().recoveries.len(), 2);
}
