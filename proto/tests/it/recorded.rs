//! Messages as version 0.1 wrote them, byte for byte. They must be read the same for ever; a change of a
//! field number or type turns these red. The files in `tests/recorded` are never written again.

use std::path::PathBuf;

use model::{Directive, Epoch, Health, Phase, Reason};
use prost::Message;
use proto::convert::{Directed, Reported};
use proto::v1;

/// The bytes of a recorded message: hexadecimal digits, white space ignored.
fn recorded<M: Message + Default>(name: &str) -> M {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let message = M::decode(bytes.as_slice()).unwrap();
    assert_eq!(message.encode_to_vec(), bytes, "{name} is written as it is read");
    message
}

#[test]
fn the_recorded_report_is_still_read() {
    let message: v1::AgentMessage = recorded("report.hex");
    let Some(v1::agent_message::Message::Report(wire)) = message.message else {
        panic!("a report: {message:?}")
    };
    let reported = Reported::try_from(wire).unwrap();
    assert_eq!(reported.app.as_str(), "web");
    assert!(reported.trace.is_some());
    let report = reported.report;
    assert_eq!((report.boot, report.seq), (3, 41));
    assert_eq!((report.epoch, report.fence), (Epoch(7), Epoch(5)));
    assert_eq!(report.digest, Some(model::Digest::of(b"manifest")));
    let Phase::Degraded { reason, message } = report.phase else { panic!("degraded") };
    assert_eq!(reason, Reason::CrashLoop);
    assert_eq!(message, "pod web-1 restarts");
    assert_eq!(report.bad_for.as_millis(), 2500);
    assert_eq!(report.applying_for.as_millis(), 60_000);
    assert_eq!((report.objects_total, report.objects_healthy, report.drifted), (4, 3, 1));
    assert_eq!(report.unhealthy.len(), 1);
    assert_eq!(report.unhealthy[0].key.id(), "apps/Deployment/shop/web");
    assert_eq!(report.unhealthy[0].health, Health::Degraded);
}

#[test]
fn the_recorded_grant_and_fence_are_still_read() {
    let message: v1::HubMessage = recorded("grant.hex");
    assert_eq!((message.hub_term, message.session_epoch), (12, 9));
    let Some(v1::hub_message::Message::Directive(wire)) = message.message else { panic!("grant") };
    let directed = Directed::try_from(wire).unwrap();
    let Directive::Grant(grant) = directed.directive else { panic!("grant") };
    assert_eq!((grant.epoch, grant.digest), (Epoch(7), model::Digest::of(b"manifest")));
    assert_eq!(directed.options.start_within.as_secs(), 3600);
    assert_eq!(directed.options.drift, "correct");
    assert_eq!(directed.options.allow, ["empty-release"]);

    let message: v1::HubMessage = recorded("fence.hex");
    let Some(v1::hub_message::Message::Directive(wire)) = message.message else { panic!("fence") };
    assert_eq!(Directed::try_from(wire).unwrap().directive, Directive::Fence(Epoch(6)));
}

#[test]
fn the_recorded_greetings_are_still_read() {
    let message: v1::AgentMessage = recorded("hello.hex");
    let Some(v1::agent_message::Message::Hello(hello)) = message.message else { panic!("hello") };
    assert_eq!((hello.protocol_min, hello.protocol_max, hello.boot), (1, 1, 3));
    assert_eq!(hello.agent_version, "0.1.0");
    assert_eq!(hello.held_digest.len(), 32);

    let message: v1::HubMessage = recorded("welcome.hex");
    let Some(v1::hub_message::Message::Welcome(welcome)) = message.message else {
        panic!("welcome")
    };
    assert_eq!((welcome.protocol, welcome.heartbeat_seconds), (1, 20));
    assert_eq!(welcome.cluster_name, "eu-1");

    let request: v1::EnrolRequest = recorded("enrol.hex");
    assert_eq!((request.token_id.len(), request.secret.len()), (16, 32));
    assert_eq!(request.facts_json, b"{}");
}
