//! What a session carries: reports up, directives down, content on request.

use std::time::Duration;

use hub::registry::{ClusterRecord, ClusterState};
use model::{AppName, Digest, Directive, Epoch, Manifest, Phase, Reason, Report};
use proto::convert::{Held, Reported, held_digest, options_mark};
use proto::limits::CHUNK_BYTES_MAX;
use proto::v1::agent_client::AgentClient;
use proto::v1::{self, agent_message, hub_message};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::rig::{Identity, Rig, Talk, grant, hello, reason, soon};

fn app(name: &str) -> AppName {
    AppName::parse(name).unwrap()
}

fn report(epoch: u64, digest: Option<Digest>, fence: u64, seq: u64) -> Report {
    Report {
        boot: 1,
        seq,
        epoch: Epoch(epoch),
        digest,
        fence: Epoch(fence),
        phase: Phase::Healthy,
        healthy_for: Duration::from_secs(5),
        bad_for: Duration::ZERO,
        applying_for: Duration::from_secs(7),
        objects_total: 1,
        objects_healthy: 1,
        drifted: 0,
        unhealthy: Vec::new(),
    }
}

async fn say_report(talk: &Talk, name: &str, report: Report) {
    say_reported(talk, Reported { app: app(name), report, trace: None, options: None }).await;
}

async fn say_reported(talk: &Talk, reported: Reported) {
    talk.say(agent_message::Message::Report(reported.into())).await;
}

async fn say_synced(talk: &Talk) {
    talk.say(agent_message::Message::Synced(v1::Synced { apps: 1 })).await;
}

/// Waits until the fleet has heard something.
async fn heard(rig: &Rig, what: &str, mut seen: impl FnMut(&Rig) -> bool) {
    let mut moved = rig.fleet.moved();
    soon(what, async {
        while !seen(rig) {
            moved.changed().await.unwrap();
        }
    })
    .await;
}

/// Shows that nothing was sent: what is said afterwards arrives first.
async fn nothing_but(rig: &Rig, identity: &Identity, talk: &mut Talk) {
    rig.serve(&identity.uid, "zz-marker", Directive::Fence(Epoch(1)));
    assert_eq!(talk.hear_directive().await.0, "zz-marker");
}

#[tokio::test]
async fn a_grant_reaches_the_agent_and_its_report_reaches_the_fleet() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let mut talk = identity.synced().await;
    let manifest = rig.stock(&["{}"]);
    rig.serve(&identity.uid, "web", grant(1, &manifest));
    let Some(hub_message::Message::Directive(wire)) = talk.hear().await else {
        panic!("directive")
    };
    let directed = proto::convert::Directed::try_from(wire).unwrap();
    assert_eq!(directed.directive, grant(1, &manifest));
    assert_eq!(directed.options.start_within, Duration::from_hours(1));
    assert_eq!(directed.options.drift, "correct");
    assert_eq!(directed.options.revision, "main@sha1:1f3c9a2");

    let sent = report(1, Some(manifest.digest()), 0, 1);
    say_report(&talk, "web", sent.clone()).await;
    let uid = identity.uid.clone();
    heard(&rig, "the report", |rig| rig.fleet.view(&uid).reports.contains_key(&app("web"))).await;
    let view = rig.fleet.view(&identity.uid);
    assert_eq!(view.reports[&app("web")].report, sent);
    assert_eq!(view.agent_version.as_deref(), Some("0.1.0-test"));
}

#[tokio::test]
async fn a_reconnect_with_nothing_changed_is_sent_nothing() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let manifest = rig.stock(&["{}"]);
    rig.serve(&identity.uid, "web", grant(3, &manifest));
    let mut talk = identity.session().await;
    say_report(&talk, "web", report(3, Some(manifest.digest()), 0, 1)).await;
    say_synced(&talk).await;
    nothing_but(&rig, &identity, &mut talk).await;
}

#[tokio::test]
async fn equal_digests_in_the_greeting_say_that_all_is_known() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let manifest = rig.stock(&["{}"]);
    rig.serve(&identity.uid, "web", grant(3, &manifest));
    let held = Held::from([(app("web"), (Epoch(3), Some(manifest.digest()), Epoch::NONE))]);
    let held_digest = held_digest(&held).as_bytes().to_vec();
    let mut talk = Talk::open(identity.client().await).await.unwrap();
    let greeting = v1::Hello { held_digest: held_digest.clone(), held_apps: 1, ..hello() };
    talk.say(agent_message::Message::Hello(greeting)).await;
    assert_eq!(talk.hear_welcome().await.served_digest, held_digest);
    // Without a single report.
    nothing_but(&rig, &identity, &mut talk).await;
}

#[tokio::test]
async fn a_drift_mode_that_changed_while_the_agent_was_away_is_told_when_it_is_back() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let manifest = rig.stock(&["{}"]);
    rig.serve(&identity.uid, "web", grant(3, &manifest));
    let held = Held::from([(app("web"), (Epoch(3), Some(manifest.digest()), Epoch::NONE))]);
    let held_digest = held_digest(&held).as_bytes().to_vec();
    // Both when the greeting says that all is known, and when only the report does.
    for held_digest in [held_digest, Vec::new()] {
        let mut talk = Talk::open(identity.client().await).await.unwrap();
        let greeting = v1::Hello { held_digest, held_apps: 1, ..hello() };
        talk.say(agent_message::Message::Hello(greeting)).await;
        talk.hear_welcome().await;
        for (seq, drift) in [(1, "report"), (2, "correct")] {
            let reported = Reported {
                app: app("web"),
                report: report(3, Some(manifest.digest()), 0, seq),
                trace: None,
                options: Some(options_mark(drift, [], b"")),
            };
            say_reported(&talk, reported).await;
            if seq == 1 {
                say_synced(&talk).await;
                assert_eq!(talk.hear_directive().await, ("web".to_owned(), grant(3, &manifest)));
            }
        }
        nothing_but(&rig, &identity, &mut talk).await;
    }
}

#[tokio::test]
async fn an_agent_that_lost_its_state_is_told_all_of_it_again() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let manifest = rig.stock(&["{}"]);
    rig.serve(&identity.uid, "web", grant(3, &manifest));
    rig.serve(&identity.uid, "api", Directive::Fence(Epoch(2)));
    let mut talk = identity.synced().await;
    assert_eq!(talk.hear_directive().await, ("api".to_owned(), Directive::Fence(Epoch(2))));
    assert_eq!(talk.hear_directive().await, ("web".to_owned(), grant(3, &manifest)));
}

#[tokio::test]
async fn nothing_is_sent_before_the_first_round_of_reports_is_over() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let manifest = rig.stock(&["{}"]);
    rig.serve(&identity.uid, "web", grant(2, &manifest));
    let mut talk = identity.session().await;
    rig.serve(&identity.uid, "web", grant(3, &manifest));
    say_report(&talk, "web", report(3, Some(manifest.digest()), 0, 1)).await;
    say_synced(&talk).await;
    // Grant 2 was never said, and grant 3 is known.
    nothing_but(&rig, &identity, &mut talk).await;
}

#[tokio::test]
async fn facts_and_refusals_reach_the_fleet() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let talk = identity.synced().await;
    let facts = v1::Facts { json: br#"{"kubernetes":"1.36"}"#.to_vec() };
    talk.say(agent_message::Message::Facts(facts)).await;
    let refused = v1::Refused {
        app: "web".to_owned(),
        epoch: 4,
        reason: "AGT-705".to_owned(),
        message: "disk full".to_owned(),
    };
    talk.say(agent_message::Message::Refused(refused)).await;
    let uid = identity.uid.clone();
    heard(&rig, "the refusal", |rig| rig.fleet.view(&uid).refusals.contains_key(&app("web"))).await;
    let view = rig.fleet.view(&identity.uid);
    assert_eq!(view.facts.unwrap()["kubernetes"], "1.36");
    let refusal = &view.refusals[&app("web")];
    assert_eq!((refusal.epoch, refusal.reason), (Epoch(4), Reason::AgentStateUnwritable));
}

#[tokio::test]
async fn a_report_that_cannot_be_read_spoils_only_itself() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let talk = identity.synced().await;
    let damaged =
        v1::AppReport { app: "web".to_owned(), phase: "Ready".to_owned(), ..Default::default() };
    talk.say(agent_message::Message::Report(damaged)).await;
    say_report(&talk, "api", report(1, Some(Digest::of(b"x")), 0, 1)).await;
    let uid = identity.uid.clone();
    heard(&rig, "the report", |rig| rig.fleet.view(&uid).reports.contains_key(&app("api"))).await;
    assert!(!rig.fleet.view(&identity.uid).reports.contains_key(&app("web")));
}

#[tokio::test]
async fn a_suspended_cluster_may_report_and_receives_nothing_until_it_is_resumed() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let manifest = rig.stock(&["{}"]);
    let mut talk = identity.synced().await;
    let set = |state: ClusterState| {
        let change = |record: &mut ClusterRecord| record.state = state.clone();
        rig.registry.update_cluster(&identity.uid, change).unwrap();
    };
    set(ClusterState::Suspended { why: "two agents".to_owned() });
    rig.serve(&identity.uid, "web", grant(1, &manifest));
    say_report(&talk, "api", report(1, Some(manifest.digest()), 0, 1)).await;
    let uid = identity.uid.clone();
    heard(&rig, "the report", |rig| rig.fleet.view(&uid).reports.contains_key(&app("api"))).await;
    let status = pull(&identity, "web", &manifest, &[]).await.unwrap_err();
    assert_eq!(reason(&status), (Code::PermissionDenied, "AGT-713"));
    rig.serve(&identity.uid, "web", grant(2, &manifest));
    set(ClusterState::Active);
    // The first directive that arrives is the newest: nothing came before.
    assert_eq!(talk.hear_directive().await, ("web".to_owned(), grant(2, &manifest)));
}

/// All items of a pull, each with its digest.
async fn pull(
    identity: &Identity,
    name: &str,
    manifest: &Manifest,
    objects: &[Digest],
) -> Result<Vec<(Digest, Vec<u8>)>, Status> {
    let mut client: AgentClient<Channel> = identity.client().await;
    let request = v1::PullRequest {
        app: name.to_owned(),
        manifest: manifest.digest().as_bytes().to_vec(),
        objects: objects.iter().map(|digest| digest.as_bytes().to_vec()).collect(),
        ..Default::default()
    };
    let mut chunks = client.pull(request).await?.into_inner();
    let mut items: Vec<(Digest, Vec<u8>)> = Vec::new();
    while let Some(chunk) = soon("a chunk", chunks.message()).await? {
        assert!(chunk.data.len() <= CHUNK_BYTES_MAX);
        let digest = Digest::from_bytes(chunk.digest.try_into().unwrap());
        match items.last_mut() {
            Some((last, bytes)) if *last == digest => bytes.extend(chunk.data),
            Some(_) | None => items.push((digest, chunk.data.to_vec())),
        }
    }
    Ok(items)
}

#[tokio::test]
async fn content_comes_by_digest_in_chunks_and_in_order() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let large = "x".repeat(3 * CHUNK_BYTES_MAX + 1);
    let exact = "y".repeat(CHUNK_BYTES_MAX);
    let manifest = rig.stock(&[&large, "{}", &exact]);
    rig.serve(&identity.uid, "web", grant(1, &manifest));
    let got = pull(&identity, "web", &manifest, &[]).await.unwrap();
    assert_eq!(got, [(manifest.digest(), manifest.canonical())]);
    let digests: Vec<_> = manifest.entries().iter().map(|entry| entry.digest).collect();
    let got = pull(&identity, "web", &manifest, &digests).await.unwrap();
    let texts: Vec<_> = got.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert_eq!(texts, [large.as_bytes(), b"{}", exact.as_bytes()]);
    assert!(got.iter().all(|(digest, bytes)| Digest::of(bytes) == *digest));
}

#[tokio::test]
async fn an_empty_manifest_arrives_as_one_empty_chunk() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let manifest = rig.stock(&[]);
    rig.serve(&identity.uid, "web", grant(1, &manifest));
    let got = pull(&identity, "web", &manifest, &[]).await.unwrap();
    assert_eq!(got, [(manifest.digest(), Vec::new())]);
}

#[tokio::test]
async fn a_cluster_gets_only_what_it_is_granted_itself() {
    let rig = Rig::start().await;
    let (mine, theirs) = (rig.joined("eu-1").await, rig.joined("eu-2").await);
    let (own, other) = (rig.stock(&["own"]), rig.stock(&["secret"]));
    rig.serve(&mine.uid, "web", grant(1, &own));
    rig.serve(&theirs.uid, "web", grant(1, &other));
    let secret = Digest::of(b"secret");
    let absent = Manifest::new(Vec::new());
    assert_eq!(pull(&mine, "web", &own, &[Digest::of(b"own")]).await.unwrap()[0].1, b"own");
    // Another cluster's manifest, its object by way of the own one, the own one under another App.
    for (name, manifest, objects) in [
        ("web", &other, vec![]),
        ("web", &other, vec![secret]),
        ("web", &own, vec![secret]),
        ("api", &own, vec![]),
    ] {
        let status = pull(&mine, name, manifest, &objects).await.unwrap_err();
        assert_eq!(reason(&status), (Code::PermissionDenied, "API-003"));
    }
    // What exists elsewhere and what does not exist at all get the same answer.
    let elsewhere = pull(&mine, "web", &other, &[]).await.unwrap_err();
    let nowhere = pull(&mine, "web", &absent, &[]).await.unwrap_err();
    assert_eq!(elsewhere.message(), nowhere.message());
    assert_eq!(pull(&theirs, "web", &other, &[secret]).await.unwrap()[0].1, b"secret");
}

#[tokio::test]
async fn damaged_content_never_leaves_the_hub() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let manifest = rig.stock(&["one", "two"]);
    rig.serve(&identity.uid, "web", grant(1, &manifest));
    rig.damage(&Digest::of(b"two"), b"tvo");
    let both = [Digest::of(b"one"), Digest::of(b"two")];
    let status = pull(&identity, "web", &manifest, &both).await.unwrap_err();
    assert_eq!(reason(&status), (Code::DataLoss, "APL-335"));
    assert_eq!(pull(&identity, "web", &manifest, &both[..1]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_pull_of_too_many_objects_is_refused() {
    let rig = Rig::start().await;
    let identity = rig.joined("eu-1").await;
    let manifest = rig.stock(&["one"]);
    rig.serve(&identity.uid, "web", grant(1, &manifest));
    let status = pull(&identity, "web", &manifest, &[Digest::of(b"one"); 129]).await.unwrap_err();
    assert_eq!(reason(&status), (Code::InvalidArgument, "AGT-712"));
}
