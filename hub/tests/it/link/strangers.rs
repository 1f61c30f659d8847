//! Whoever is no agent of this fleet, is slow, or asks for too much.

use std::io;
use std::time::Duration;

use hub::grpc::{EnrolRate, Limits};
use model::{Directive, Epoch};
use proto::v1;
use proto::v1::agent_client::AgentClient;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::Code;

use super::rig::{Door, Keys, Rig, Talk, reason, soon};

#[tokio::test]
async fn a_token_with_another_pin_ends_before_the_secret_is_sent() {
    let rig = Rig::start().await;
    let (_, mut token) = rig.add("eu-1");
    token.pins = vec![[7; 32]];
    let error = Door::open(&token).await.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
}

#[tokio::test]
async fn without_a_certificate_there_is_nothing_but_joining() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let channel = Door::open(&token).await.unwrap().channel;
    let mut client = AgentClient::new(channel.clone());
    let status = Talk::open(client.clone()).await.err().unwrap();
    assert_eq!(reason(&status), (Code::Unauthenticated, "JOI-808"));
    let status = client.pull(v1::PullRequest::default()).await.unwrap_err();
    assert_eq!(reason(&status), (Code::Unauthenticated, "JOI-808"));
    let status = client.renew(v1::RenewRequest::default()).await.unwrap_err();
    assert_eq!(reason(&status), (Code::Unauthenticated, "JOI-808"));
}

/// Whether a session can be opened, whatever stands in the way.
async fn gets_in(identity: &super::rig::Identity) -> bool {
    match identity.connect().await {
        Ok(client) => Talk::open(client).await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn the_certificate_of_another_fleet_is_refused_by_tls() {
    let (ours, theirs) = (Rig::start().await, Rig::start().await);
    let own = ours.joined("eu-1").await;
    let mut stranger = theirs.joined("eu-1").await;
    assert!(gets_in(&stranger).await, "at home it works");
    // Knows our address, root and fleet, and has a certificate by its own authority.
    stranger.addr = own.addr;
    stranger.roots = own.roots.clone();
    stranger.fleet_id = own.fleet_id.clone();
    assert!(!gets_in(&stranger).await);
    assert!(gets_in(&own).await);
}

#[tokio::test]
async fn an_agents_certificate_cannot_stand_in_for_the_hub() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let (_, issuer) = x509_parser::parse_x509_certificate(&identity.chain[1]).unwrap();
    let usage = issuer.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth);
    let constraints = issuer.basic_constraints().unwrap().unwrap().value;
    assert_eq!((constraints.ca, constraints.path_len_constraint), (true, Some(0)));
}

/// Reads until the hub closes.
async fn is_closed(mut tcp: TcpStream) {
    soon("the end of the connection", async {
        let mut buffer = [0; 64];
        while !matches!(tcp.read(&mut buffer).await, Ok(0) | Err(_)) {}
    })
    .await;
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_cut_and_blocks_nobody() {
    let limits =
        Limits { handshake: Duration::from_millis(300), handshakes: 2, ..Limits::default() };
    let rig = Rig::with(limits).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        slow.push(TcpStream::connect(rig.addr).await.unwrap());
    }
    rig.joined("eu-1").await.session().await;
    for tcp in slow {
        is_closed(tcp).await;
    }
}

#[tokio::test]
async fn a_connection_without_a_certificate_does_not_stay() {
    // No limit on challenges, so that only the end of the connection ends them.
    let enrol = EnrolRate { burst: u32::MAX, per_minute: 1 };
    let anonymous_life = Duration::from_secs(2);
    let limits = Limits { anonymous_life, enrol, ..Limits::default() };
    let rig = Rig::with(limits).await;
    let identity = rig.joined("eu-1").await;
    let mut talk = identity.synced().await;
    let (_, token) = rig.add("eu-2");
    let mut door = Door::open(&token).await.unwrap();
    let challenge = || v1::ChallengeRequest { token_id: token.token_id.to_vec() };
    soon("the end of the connection", async {
        while door.client.challenge(challenge()).await.is_ok() {}
    })
    .await;
    // One with a certificate is older and still there.
    rig.serve(&identity.uid, "web", Directive::Fence(Epoch(1)));
    assert_eq!(talk.hear_directive().await.0, "web");
}

#[tokio::test]
async fn one_address_holds_only_so_many_connections_without_a_certificate() {
    let limits = Limits { anonymous_per_address: 2, ..Limits::default() };
    let rig = Rig::with(limits).await;
    let (_, token) = rig.add("eu-1");
    let challenge = || v1::ChallengeRequest { token_id: token.token_id.to_vec() };
    let mut held = vec![Door::open(&token).await.unwrap(), Door::open(&token).await.unwrap()];
    for door in &mut held {
        door.client.challenge(challenge()).await.unwrap();
    }
    // The hub closes after the handshake: the other end sees it at its first use at the latest.
    let answers = async || match Door::open(&token).await {
        Ok(mut door) => door.client.challenge(challenge()).await.is_ok(),
        Err(_) => false,
    };
    assert!(!answers().await);
    drop(held.pop());
    soon("a free place", async { while !answers().await {} }).await;
}

#[tokio::test]
async fn an_enrolment_message_over_16_kib_is_refused() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let mut door = Door::open(&token).await.unwrap();
    let mut request = door.request(&Keys::new(), &token).await.unwrap();
    request.csr_der = vec![0; 16 * 1024];
    let status = door.client.enrol(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
}

#[tokio::test]
async fn one_cluster_holds_only_so_many_connections() {
    let limits = Limits { connections_per_cluster: 1, ..Limits::default() };
    let rig = Rig::with(limits).await;
    let (first, second) = (rig.joined("eu-1").await, rig.joined("eu-2").await);
    let mut talk = first.synced().await;
    let request = v1::RenewRequest { csr_der: Keys::new().csr() };
    let again = match first.connect().await {
        Ok(mut client) => client.renew(request).await.is_ok(),
        Err(_) => false,
    };
    assert!(!again);
    // Others are not touched, and the first still talks.
    second.synced().await;
    rig.serve(&first.uid, "web", Directive::Fence(Epoch(1)));
    assert_eq!(talk.hear_directive().await.0, "web");
}
