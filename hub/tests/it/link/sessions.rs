//! Who may hold a session, for how long, and how it ends.

use std::time::Duration;

use hub::grpc::Limits;
use hub::registry::ClusterState;
use proto::v1::{self, agent_message};
use tonic::Code;

use super::rig::{Keys, Rig, Talk, grant, hello, reason, soon};

#[tokio::test]
async fn of_two_sessions_of_one_cluster_the_newest_is_served() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let mut older = identity.synced().await;
    let mut newer = identity.synced().await;
    assert!(newer.epoch > older.epoch);
    assert_eq!(older.hear_goodbye().await, "AGT-710");
    rig.serve(&identity.uid, "web", grant(1, &rig.stock(&["{}"])));
    assert_eq!(newer.hear_directive().await.0, "web");
    assert_eq!(rig.fleet.connected(), 1);
}

#[tokio::test]
async fn a_session_epoch_is_never_given_twice_not_even_by_a_restarted_hub() {
    let rig = Rig::start().await;
    let mut identity = rig.joined("eu-1").await;
    let first = identity.session().await.epoch;
    rig.shutdown.cancel();
    rig.running.join.await.unwrap();
    let rig = Rig::on(rig.store, Limits::default()).await;
    identity.addr = rig.addr;
    assert!(identity.session().await.epoch > first);
}

#[tokio::test]
async fn a_deleted_cluster_is_cut_and_stays_out() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let mut talk = identity.synced().await;
    rig.registry.delete_cluster(&identity.uid).unwrap();
    assert_eq!(talk.hear_goodbye().await, "JOI-807");
    let status = Talk::open(identity.client().await).await.err().unwrap();
    assert_eq!(reason(&status), (Code::PermissionDenied, "JOI-807"));
    // The same name again is another cluster: the old certificate does not fit it.
    rig.joined("eu-1").await.synced().await;
    let status = Talk::open(identity.client().await).await.err().unwrap();
    assert_eq!(reason(&status), (Code::PermissionDenied, "JOI-807"));
}

#[tokio::test]
async fn a_revoked_cluster_is_cut_and_stays_out() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let mut talk = identity.synced().await;
    let revoke = |record: &mut hub::registry::ClusterRecord| record.state = ClusterState::Revoked;
    rig.registry.update_cluster(&identity.uid, revoke).unwrap();
    assert_eq!(talk.hear_goodbye().await, "JOI-807");
    let status = Talk::open(identity.client().await).await.err().unwrap();
    assert_eq!(reason(&status), (Code::PermissionDenied, "JOI-807"));
}

#[tokio::test]
async fn after_a_renewal_the_new_certificate_works_and_its_first_use_ends_the_old_one() {
    let rig = Rig::start().await;
    let old = rig.joined("eu-1").await;
    let mut talk = old.synced().await;
    let keys = Keys::new();
    let csr_der = keys.csr();
    let reply = old.client().await.renew(v1::RenewRequest { csr_der }).await.unwrap().into_inner();
    // Until the new one is used the old one still works: a lost reply locks nobody out.
    old.client().await.renew(v1::RenewRequest { csr_der: keys.csr() }).await.unwrap();
    let unused = keys.renewed(&old, reply);
    let status = Talk::open(unused.client().await).await.err().unwrap();
    assert_eq!(reason(&status), (Code::PermissionDenied, "JOI-808"), "replaced before its use");

    let csr_der = keys.csr();
    let reply = old.client().await.renew(v1::RenewRequest { csr_der }).await.unwrap().into_inner();
    let new = keys.renewed(&old, reply);
    new.synced().await;
    let code = talk.hear_goodbye().await;
    assert!(["JOI-808", "AGT-710"].contains(&code.as_str()), "{code}");
    let status = Talk::open(old.client().await).await.err().unwrap();
    assert_eq!(reason(&status), (Code::PermissionDenied, "JOI-808"));
    new.synced().await;
}

#[tokio::test]
async fn a_live_session_on_an_old_certificate_is_cut_when_another_connection_uses_the_new_one() {
    let rig = Rig::start().await;
    let old = rig.joined("eu-1").await;
    let mut talk = old.synced().await;
    let keys = Keys::new();
    let request = v1::RenewRequest { csr_der: keys.csr() };
    let reply = old.client().await.renew(request).await.unwrap().into_inner();
    let new = keys.renewed(&old, reply);
    // No session: a renewal is a use too.
    new.client().await.renew(v1::RenewRequest { csr_der: keys.csr() }).await.unwrap();
    assert_eq!(talk.hear_goodbye().await, "JOI-808");
}

#[tokio::test]
async fn a_cluster_renews_six_times_and_then_once_in_ten_minutes() {
    let rig = Rig::start().await;
    let mut client = rig.joined("eu-1").await.client().await;
    let keys = Keys::new();
    let request = || v1::RenewRequest { csr_der: keys.csr() };
    for _ in 0..6 {
        client.renew(request()).await.unwrap();
    }
    let status = client.renew(request()).await.unwrap_err();
    assert_eq!(reason(&status), (Code::ResourceExhausted, "JOI-811"));
    rig.clock.advance(Duration::from_mins(10));
    client.renew(request()).await.unwrap();
}

#[tokio::test]
async fn an_expired_certificate_opens_nothing() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let mut client = identity.client().await;
    rig.clock.advance(Duration::from_hours(72));
    // On a connection that TLS let in while it was valid.
    let status = client.renew(v1::RenewRequest::default()).await.unwrap_err();
    assert_eq!(reason(&status), (Code::PermissionDenied, "JOI-810"));
    // And on a new one already by TLS.
    let refused = match identity.connect().await {
        Ok(client) => Talk::open(client).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
}

#[tokio::test]
async fn a_hub_whose_clock_is_ten_minutes_behind_still_takes_a_fresh_certificate() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    rig.clock.jump(rig.clock.now() - Duration::from_mins(10));
    identity.session().await;
}

#[tokio::test]
async fn a_session_ends_at_its_set_age() {
    let life = Duration::from_millis(200);
    let rig = Rig::with(Limits { session_life: life, ..Limits::default() }).await;
    let mut talk = rig.joined("eu-1").await.synced().await;
    assert_eq!(talk.hear_goodbye().await, "AGT-711");
}

#[tokio::test]
async fn a_hub_that_stops_says_goodbye_and_closes_its_port() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let mut talk = identity.synced().await;
    rig.shutdown.cancel();
    assert_eq!(talk.hear_goodbye().await, "AGT-711");
    drop(talk);
    soon("the end of the server", rig.running.join).await.unwrap();
    assert!(identity.connect().await.is_err());
}

/// The code with which a session ends that begins with `message`.
async fn goodbye_to(rig: &Rig, message: Option<agent_message::Message>) -> String {
    let mut talk = Talk::open(rig.joined("eu-1").await.client().await).await.unwrap();
    talk.up.send(v1::AgentMessage { message }).await.unwrap();
    talk.hear_goodbye().await
}

#[tokio::test]
async fn an_agent_without_a_protocol_in_common_is_told_so() {
    let newer = v1::Hello { protocol_min: 2, protocol_max: 9, ..hello() };
    let code = goodbye_to(&Rig::start().await, Some(agent_message::Message::Hello(newer))).await;
    assert_eq!(code, "AGT-706");
}

#[tokio::test]
async fn an_agent_of_a_newer_version_is_served_in_the_protocol_we_know() {
    let rig = Rig::start().await;
    let mut talk = Talk::open(rig.joined("eu-1").await.client().await).await.unwrap();
    let newer = v1::Hello { protocol_min: 1, protocol_max: 9, ..hello() };
    talk.say(agent_message::Message::Hello(newer)).await;
    assert_eq!(talk.hear_welcome().await.protocol, 1);
}

#[tokio::test]
async fn an_agent_that_has_followed_a_newer_hub_is_not_served_by_an_older_one() {
    let ahead = v1::Hello { hub_term_seen: 99, ..hello() };
    let code = goodbye_to(&Rig::start().await, Some(agent_message::Message::Hello(ahead))).await;
    assert_eq!(code, "AGT-709");
}

#[tokio::test]
async fn whoever_does_not_begin_with_hello_is_sent_away() {
    let heartbeat = agent_message::Message::Heartbeat(v1::Heartbeat {});
    assert_eq!(goodbye_to(&Rig::start().await, Some(heartbeat)).await, "AGT-712");
}

#[tokio::test]
async fn a_second_hello_ends_the_session() {
    let rig = Rig::start().await;
    let mut talk = rig.joined("eu-1").await.synced().await;
    talk.say(agent_message::Message::Hello(hello())).await;
    assert_eq!(talk.hear_goodbye().await, "AGT-712");
}

#[tokio::test]
async fn a_message_over_8_kib_ends_the_session() {
    let rig = Rig::start().await;
    let mut talk = rig.joined("eu-1").await.synced().await;
    talk.say(agent_message::Message::Facts(v1::Facts { json: vec![b' '; 8 * 1024] })).await;
    assert_eq!(talk.hear_goodbye().await, "AGT-712");
}
