//! Agents whose certificate ran out while they were away.

use std::time::Duration;

use hub::registry::ClusterState;
use tonic::Code;

use super::rig::{Door, Keys, Rig, reason};

/// The life of a certificate, and what is well beyond it.
const AWAY: Duration = Duration::from_hours(100);

#[tokio::test]
async fn an_agent_whose_certificate_ran_out_gets_another_by_its_recovery_key() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let (joined, renewed) = (Keys::new(), Keys::new());
    let old = joined.join(&token).await.unwrap();
    old.session().await;
    rig.clock.advance(AWAY);
    let new = renewed.recover(&joined, &token, &old).await.unwrap();
    assert_eq!(new.session().await.welcome.cluster_name, "eu-1");
    assert_ne!(new.join_state, old.join_state);
    let record = rig.registry.cluster(&old.uid).unwrap();
    assert_eq!((record.state, record.join_seq), (ClusterState::Active, 2));
    assert_eq!(record.recoveries, [rig.clock.now()]);
}

#[tokio::test]
async fn a_lost_reply_to_a_recovery_is_asked_for_again_with_the_same_key() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let (joined, renewed) = (Keys::new(), Keys::new());
    let old = joined.join(&token).await.unwrap();
    rig.clock.advance(AWAY);
    let lost = renewed.recover(&joined, &token, &old).await.unwrap();
    let again = renewed.recover(&joined, &token, &old).await.unwrap();
    assert_eq!(again.join_state, lost.join_state);
    again.session().await;
    assert_eq!(rig.registry.cluster(&old.uid).unwrap().recoveries.len(), 1);
}

#[tokio::test]
async fn a_state_that_was_used_means_two_agents_and_a_person_decides() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let joined = Keys::new();
    let old = joined.join(&token).await.unwrap();
    rig.clock.advance(AWAY);
    let first = Keys::new().recover(&joined, &token, &old).await.unwrap();
    let status = Keys::new().recover(&joined, &token, &old).await.err().unwrap();
    assert_eq!(reason(&status), (Code::PermissionDenied, "AGT-713"));
    let record = rig.registry.cluster(&old.uid).unwrap();
    assert!(matches!(record.state, ClusterState::Suspended { .. }));
    // Also the one that came first gets nothing more before that.
    let status = Keys::new().recover(&joined, &token, &first).await.err().unwrap();
    assert_eq!(reason(&status), (Code::PermissionDenied, "AGT-713"));
}

#[tokio::test]
async fn an_agent_that_was_away_for_more_than_ninety_days_needs_a_new_token() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let joined = Keys::new();
    let old = joined.join(&token).await.unwrap();
    rig.clock.advance(Duration::from_hours(72 + 90 * 24 + 1));
    let status = Keys::new().recover(&joined, &token, &old).await.err().unwrap();
    assert_eq!(reason(&status), (Code::PermissionDenied, "JOI-810"));
    let record = rig.registry.cluster(&old.uid).unwrap();
    assert_eq!((record.state, record.join_seq), (ClusterState::Pending, 1));
}

#[tokio::test]
async fn the_sixth_recovery_in_thirty_days_needs_a_person() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let joined = Keys::new();
    let mut identity = joined.join(&token).await.unwrap();
    for _ in 0..5 {
        rig.clock.advance(AWAY);
        identity = Keys::new().recover(&joined, &token, &identity).await.unwrap();
    }
    rig.clock.advance(AWAY);
    let status = Keys::new().recover(&joined, &token, &identity).await.err().unwrap();
    assert_eq!(reason(&status), (Code::ResourceExhausted, "JOI-811"));
    rig.clock.advance(Duration::from_hours(20 * 24));
    Keys::new().recover(&joined, &token, &identity).await.unwrap();
}

#[tokio::test]
async fn the_recovery_key_of_another_cluster_and_a_cluster_that_is_not_there_look_the_same() {
    let rig = Rig::start().await;
    let ((_, one), (_, other)) = (rig.add("eu-1"), rig.add("eu-2"));
    let (mine, theirs) = (Keys::new(), Keys::new());
    let old = mine.join(&one).await.unwrap();
    let foreign = theirs.join(&other).await.unwrap();
    let mut nobody = old.clone();
    nobody.uid = model::ClusterUid::parse("6f1b8d0e-53a5-4a1e-9d57-1c2f3a4b5c6d").unwrap();
    let mut borrowed = old.clone();
    borrowed.join_state = foreign.join_state;
    let mut texts = Vec::new();
    for (recovery, old) in [(&theirs, &old), (&mine, &nobody), (&theirs, &borrowed)] {
        let status = Keys::new().recover(recovery, &one, old).await.err().unwrap();
        assert_eq!(reason(&status), (Code::Unauthenticated, "JOI-812"));
        texts.push(status.message().to_owned());
    }
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "{texts:?}");
    // Nobody without the key can have a cluster suspended.
    let record = rig.registry.cluster(&old.uid).unwrap();
    assert_eq!((record.state, record.join_seq), (ClusterState::Pending, 1));
}

#[tokio::test]
async fn a_recovery_that_was_signed_for_another_connection_is_worth_nothing() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let joined = Keys::new();
    let old = joined.join(&token).await.unwrap();
    let (mut one, mut other) =
        (Door::open(&token).await.unwrap(), Door::open(&token).await.unwrap());
    let request = one.recovery(&Keys::new(), &joined, &old).await.unwrap();
    let elsewhere = other.client.recover(request.clone()).await.unwrap_err();
    assert_eq!(reason(&elsewhere), (Code::Unauthenticated, "JOI-812"));
    one.client.recover(request.clone()).await.unwrap();
    let twice = one.client.recover(request).await.unwrap_err();
    assert_eq!(reason(&twice), (Code::Unauthenticated, "JOI-812"));
}

#[tokio::test]
async fn a_revoked_cluster_does_not_come_back() {
    let rig = Rig::start().await;
    let (_, token) = rig.add("eu-1");
    let joined = Keys::new();
    let old = joined.join(&token).await.unwrap();
    let revoke = |record: &mut hub::registry::ClusterRecord| record.state = ClusterState::Revoked;
    rig.registry.update_cluster(&old.uid, revoke).unwrap();
    let status = Keys::new().recover(&joined, &token, &old).await.err().unwrap();
    assert_eq!(reason(&status), (Code::PermissionDenied, "JOI-807"));
}
