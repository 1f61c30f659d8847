//! Joining the fleet by token.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hub::grpc::{EnrolRate, Limits};
use hub::registry::{ClusterState, TokenState};
use proto::token::Secret;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tonic::Code;
use x509_parser::prelude::GeneralName;

use super::rig::{Door, Keys, Rig, reason};

#[tokio::test]
async fn an_agent_joins_with_its_token_and_is_active_from_its_first_call() {
    let rig = Rig::start().await;
    let (cluster, token) = rig.add("eu-1");
    let identity = Keys::new().join(&token).await.unwrap();
    assert_eq!(identity.uid, cluster.uid);
    assert_eq!(identity.fleet_id, rig.authority.fleet_id());
    let joined = rig.registry.cluster(&cluster.uid).unwrap();
    assert_eq!((joined.state, joined.active_serial), (ClusterState::Pending, None));

    let talk = identity.session().await;
    assert_eq!(talk.welcome.cluster_name, "eu-1");
    let active = rig.registry.cluster(&cluster.uid).unwrap();
    assert_eq!(active.state, ClusterState::Active);
    assert_eq!(active.active_serial, joined.pending_serial);
    assert_eq!(active.pending_serial, None);
    let token = rig.registry.token(&token.token_id).unwrap();
    assert!(matches!(token.state, TokenState::Used { .. }));
}

#[tokio::test]
async fn the_certificate_says_who_by_one_name_and_nothing_else() {
    let rig = Rig::start().await;
    let (cluster, token) = rig.add("eu-1");
    let mut keys = Keys::new();
    keys.claims = vec!["spiffe://other/cluster/6f1b8d0e-53a5-4a1e-9d57-1c2f3a4b5c6d", "admin"];
    let identity = keys.join(&token).await.unwrap();
    let (_, leaf) = x509_parser::parse_x509_certificate(&identity.chain[0]).unwrap();
    assert_eq!(leaf.subject().iter().count(), 0);
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    let expected = format!("spiffe://{}/cluster/{}", rig.authority.fleet_id(), cluster.uid);
    assert_eq!(names.value.general_names, [GeneralName::URI(&expected)]);
    assert!(names.critical);
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    assert!(leaf.key_usage().unwrap().unwrap().value.digital_signature());
    assert!(!leaf.is_ca());
    assert_eq!(leaf.raw_serial().len(), 16);
    let now = rig.clock.now().as_second();
    assert_eq!(now - leaf.validity().not_before.timestamp(), 3600);
    assert_eq!(leaf.validity().not_after.timestamp() - now, 72 * 3600);
}

#[tokio::test]
async fn a_lost_reply_costs_nothing_because_the_same_keys_get_the_same_answer() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let keys = Keys::new();
    let first = keys.join(&token).await.unwrap();
    let second = keys.join(&token).await.unwrap();
    assert_eq!(first.chain, second.chain);
    second.session().await;
}

#[tokio::test]
async fn after_a_restart_of_the_hub_the_same_keys_still_get_in() {
    let rig = Rig::start().await;
    let (_, mut token) = rig.add("eu-1");
    let keys = Keys::new();
    keys.join(&token).await.unwrap();
    rig.shutdown.cancel();
    rig.running.join.await.unwrap();

    let rig = Rig::on(rig.store, Limits::default()).await;
    token.endpoints = vec![rig.addr.to_string()];
    keys.join(&token).await.unwrap().session().await;
}

#[tokio::test]
async fn of_64_agents_that_race_with_one_token_exactly_one_gets_in() {
    let rig = Rig::start().await;
    let (cluster, token) = rig.add("eu-1");
    let start = Arc::new(Barrier::new(64));
    let mut racers = JoinSet::new();
    for _ in 0..64 {
        let (token, start) = (token.clone(), start.clone());
        racers.spawn(async move {
            let keys = Keys::new();
            let mut door = Door::open(&token).await.unwrap();
            let request = door.request(&keys, &token).await.unwrap();
            start.wait().await;
            let reply = door.client.enrol(request).await?.into_inner();
            Ok::<_, tonic::Status>(reply.chain_der)
        });
    }
    let outcomes = racers.join_all().await;
    let won: BTreeSet<_> = outcomes.iter().flatten().collect();
    assert_eq!(won.len(), 1, "one certificate");
    assert_eq!(outcomes.iter().flatten().count(), 1, "one winner");
    for status in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(reason(status), (Code::PermissionDenied, "JOI-802"));
    }
    let cluster = rig.registry.cluster(&cluster.uid).unwrap();
    assert!(matches!(cluster.state, ClusterState::Suspended { .. }), "two bearers are an alarm");
}

#[tokio::test]
async fn a_used_token_is_refused_to_another_key() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    Keys::new().join(&token).await.unwrap().session().await;
    let status = Keys::new().join(&token).await.err().unwrap();
    assert_eq!(reason(&status), (Code::PermissionDenied, "JOI-802"));
}

#[tokio::test]
async fn an_expired_token_is_refused_by_the_hubs_clock() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    rig.clock.advance(Duration::from_hours(1));
    let status = Keys::new().join(&token).await.err().unwrap();
    assert_eq!(reason(&status), (Code::PermissionDenied, "JOI-803"));
}

#[tokio::test]
async fn an_unknown_token_and_a_wrong_secret_look_the_same() {
    let rig = Rig::start().await;
    let (cluster, token) = rig.add("eu-1");
    let mut wrong = token.clone();
    wrong.secret = Secret::new([7; 32]);
    let secret = Keys::new().join(&wrong).await.err().unwrap();
    wrong.token_id = [7; 16];
    let id = Keys::new().join(&wrong).await.err().unwrap();
    assert_eq!(reason(&secret), (Code::Unauthenticated, "JOI-801"));
    assert_eq!((reason(&secret), secret.message()), (reason(&id), id.message()));
    // Guessing does not burn the token of somebody else.
    assert_eq!(rig.registry.cluster(&cluster.uid).unwrap().state, ClusterState::Pending);
    Keys::new().join(&token).await.unwrap();
}

#[tokio::test]
async fn the_token_of_a_deleted_cluster_is_unknown() {
    let rig = Rig::start().await;
    let (cluster, token) = rig.add("eu-1");
    rig.registry.delete_cluster(&cluster.uid).unwrap();
    let status = Keys::new().join(&token).await.err().unwrap();
    assert_eq!(reason(&status), (Code::Unauthenticated, "JOI-801"));
}

#[tokio::test]
async fn a_proof_for_one_connection_is_worth_nothing_on_another() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let keys = Keys::new();
    let mut honest = Door::open(&token).await.unwrap();
    let mut thief = Door::open(&token).await.unwrap();
    let stolen = honest.request(&keys, &token).await.unwrap();
    thief.request(&keys, &token).await.unwrap();
    let status = thief.client.enrol(stolen.clone()).await.unwrap_err();
    assert_eq!(reason(&status), (Code::Unauthenticated, "JOI-812"));
    honest.client.enrol(stolen.clone()).await.unwrap();
    // A challenge is answered once.
    let status = honest.client.enrol(stolen).await.unwrap_err();
    assert_eq!(reason(&status), (Code::Unauthenticated, "JOI-812"));
}

#[tokio::test]
async fn a_proof_signed_for_another_session_fails_even_with_the_right_nonce() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let keys = Keys::new();
    let mut door = Door::open(&token).await.unwrap();
    door.exporter = [0; 32];
    let request = door.request(&keys, &token).await.unwrap();
    let status = door.client.enrol(request).await.unwrap_err();
    assert_eq!(reason(&status), (Code::Unauthenticated, "JOI-812"));
}

#[tokio::test]
async fn a_challenge_holds_for_a_minute() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let mut door = Door::open(&token).await.unwrap();
    let request = door.request(&Keys::new(), &token).await.unwrap();
    rig.clock.advance(Duration::from_secs(61));
    let status = door.client.enrol(request).await.unwrap_err();
    assert_eq!(reason(&status), (Code::Unauthenticated, "JOI-812"));
}

#[tokio::test]
async fn a_request_that_its_key_did_not_sign_binds_nothing() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let keys = Keys::new();
    let mut door = Door::open(&token).await.unwrap();
    let mut request = door.request(&keys, &token).await.unwrap();
    // The recovery key signs the damaged request, so that only its own signature is wrong.
    let last = request.csr_der.len() - 1;
    request.csr_der[last] ^= 1;
    let request = door.sign_again(&keys, &token, request);
    let status = door.client.enrol(request).await.unwrap_err();
    assert_eq!(reason(&status), (Code::InvalidArgument, "JOI-806"));
    assert_eq!(rig.registry.token(&token.token_id).unwrap().state, TokenState::New);
}

#[tokio::test]
async fn one_address_joins_only_so_often() {
    let enrol = EnrolRate { burst: 2, per_minute: 1 };
    let rig = Rig::with(Limits { enrol, ..Limits::default() }).await;
    let (_, token) = rig.add("eu-1");
    let keys = Keys::new();
    keys.join(&token).await.unwrap();
    keys.join(&token).await.unwrap();
    let status = keys.join(&token).await.err().unwrap();
    assert_eq!(reason(&status), (Code::ResourceExhausted, "JOI-811"));
    rig.clock.advance(Duration::from_mins(1));
    keys.join(&token).await.unwrap();
}

#[tokio::test]
async fn the_same_agent_that_asks_many_times_at_once_gets_one_certificate() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let keys = Arc::new(Keys::new());
    let mut asking = JoinSet::new();
    for _ in 0..16 {
        let (keys, token) = (keys.clone(), token.clone());
        asking.spawn(async move { keys.join(&token).await.unwrap().chain });
    }
    let chains: BTreeSet<_> = asking.join_all().await.into_iter().collect();
    assert_eq!(chains.len(), 1);
}
