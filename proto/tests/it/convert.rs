//! Converters: whatever goes over comes back, and whatever comes in never panics.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use model::{
    AppName, Digest, Directive, Epoch, Grant, Health, ObjectParts, ObjectStatus, Phase, Reason,
    Report,
};
use proptest::prelude::*;
use prost::Message as _;
use proto::convert::{Directed, GrantOptions, Reported, cut, held_digest, options_mark};
use proto::limits::{MESSAGE_BYTES_MAX, SESSION_MESSAGE_BYTES_MAX, UNHEALTHY_MAX};
use proto::v1;

fn app_name() -> impl Strategy<Value = AppName> {
    "[a-z]([a-z0-9-]{0,20}[a-z0-9])?".prop_map(|name| AppName::parse(&name).unwrap())
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn reason() -> impl Strategy<Value = Reason> {
    (0..Reason::ALL.len()).prop_map(|n| Reason::ALL[n])
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![
        Just(Phase::Applying),
        Just(Phase::Healthy),
        (reason(), "[a-zä ]{0,60}")
            .prop_map(|(reason, message)| Phase::Degraded { reason, message }),
        (reason(), "[a-zä ]{0,60}").prop_map(|(reason, message)| Phase::Failed { reason, message }),
    ]
}

fn object() -> impl Strategy<Value = ObjectStatus> {
    let health = prop_oneof![
        Just(Health::Suspended),
        Just(Health::Progressing),
        Just(Health::Missing),
        Just(Health::Degraded),
        Just(Health::Unknown),
    ];
    let key = ("[a-z.]{0,20}", "[A-Z][a-z]{1,12}", "[a-z]{0,12}", "[a-z]{1,40}").prop_map(
        |(group, kind, namespace, name)| ObjectParts { group, kind, namespace, name }.into(),
    );
    (key, health, prop::option::of(reason()), ".{0,60}")
        .prop_map(|(key, health, reason, message)| ObjectStatus { key, health, reason, message })
}

fn trace() -> impl Strategy<Value = Option<v1::TraceContext>> {
    prop::option::of("00-[0-9a-f]{32}-[0-9a-f]{16}-01".prop_map(|traceparent| v1::TraceContext {
        traceparent,
        tracestate: "vendor=1".to_owned(),
    }))
}

fn reported() -> impl Strategy<Value = Reported> {
    let counters = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let durations = (any::<u64>(), any::<u64>(), any::<u64>());
    let counts = (any::<u32>(), any::<u32>(), any::<u32>());
    let objects = prop::collection::vec(object(), 0..=UNHEALTHY_MAX);
    (app_name(), counters, prop::option::of(digest()), phase(), durations, counts, objects, trace())
        .prop_map(
            |(app, (boot, seq, epoch, fence), digest, phase, times, counts, unhealthy, trace)| {
                let objects_total = counts.0;
                let report = Report {
                    boot,
                    seq,
                    epoch: Epoch(epoch),
                    digest,
                    fence: Epoch(fence),
                    phase,
                    healthy_for: Duration::from_millis(times.0),
                    bad_for: Duration::from_millis(times.1),
                    applying_for: Duration::from_millis(times.2),
                    objects_total: counts.0,
                    objects_healthy: counts.1,
                    drifted: counts.2,
                    unhealthy,
                };
                let options = NonZeroU32::new(objects_total);
                Reported { app, report, trace, options }
            },
        )
}

fn directed() -> impl Strategy<Value = Directed> {
    let options = (any::<u32>(), "correct|report|ignore", ".{0,60}").prop_flat_map(
        |(seconds, drift, revision)| {
            prop::collection::vec("[a-z-]{1,30}", 0..4).prop_map(move |allow| GrantOptions {
                start_within: Duration::from_secs(seconds.into()),
                drift: drift.clone(),
                revision: revision.clone(),
                choices: allow.concat().into_bytes(),
                allow,
            })
        },
    );
    let directive = prop_oneof![
        (1..u64::MAX, digest(), options).prop_map(|(epoch, digest, options)| {
            (Directive::Grant(Grant { epoch: Epoch(epoch), digest }), options)
        }),
        Just((Directive::Hold, GrantOptions::default())),
        any::<u64>().prop_map(|e| (Directive::Fence(Epoch(e)), GrantOptions::default())),
    ];
    (app_name(), directive, trace()).prop_map(|(app, (directive, options), trace)| Directed {
        app,
        directive,
        options,
        trace,
    })
}

/// Through bytes and back.
fn over_the_wire<M: prost::Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

proptest! {
    #[test]
    fn a_report_comes_back_as_it_was(reported in reported()) {
        let wire = v1::AppReport::from(reported.clone());
        prop_assert_eq!(Reported::try_from(over_the_wire(&wire)), Ok(reported));
    }

    #[test]
    fn a_directive_comes_back_as_it_was(directed in directed()) {
        let wire = v1::Directive::from(directed.clone());
        prop_assert_eq!(Directed::try_from(over_the_wire(&wire)), Ok(directed));
    }

    #[test]
    fn no_report_is_larger_than_a_session_message(
        mut reported in reported(),
        texts in prop::collection::vec((".{0,400}", "[a-z]{1,2000}"), 0..30),
    ) {
        reported.report.unhealthy = texts.into_iter().map(|(message, name)| ObjectStatus {
            key: ObjectParts {
                group: "g".repeat(253), kind: "K".repeat(63), namespace: "n".repeat(63), name,
            }.into(),
            health: Health::Progressing,
            reason: Some(Reason::HealthUnknown),
            message,
        }).collect();
        reported.report.phase =
            Phase::Failed { reason: Reason::Degraded, message: "ä".repeat(4000) };
        let report = v1::AppReport::from(reported);
        prop_assert!(report.message.len() <= MESSAGE_BYTES_MAX);
        prop_assert!(report.unhealthy.len() <= UNHEALTHY_MAX);
        let message = v1::AgentMessage { message: Some(v1::agent_message::Message::Report(report)) };
        prop_assert!(message.encoded_len() <= SESSION_MESSAGE_BYTES_MAX);
        let bytes = message.encode_to_vec();
        prop_assert!(v1::AgentMessage::decode(bytes.as_slice()).is_ok());
    }

    #[test]
    fn no_bytes_from_the_wire_make_a_converter_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(wire) = v1::AppReport::decode(bytes.as_slice()) {
            drop(Reported::try_from(wire));
        }
        if let Ok(wire) = v1::Directive::decode(bytes.as_slice()) {
            drop(Directed::try_from(wire));
        }
    }

    #[test]
    fn a_cut_text_is_a_prefix_that_fits(text in ".{0,200}", max in 0usize..300) {
        let short = cut(&text, max);
        prop_assert!(short.len() <= max && text.starts_with(short));
        prop_assert!(short.len() + 4 > max.min(text.len()));
    }
}

fn report_wire() -> v1::AppReport {
    v1::AppReport { app: "web".to_owned(), phase: "Applying".to_owned(), ..Default::default() }
}

#[test]
fn a_fault_names_its_field() {
    let fault = |change: fn(&mut v1::AppReport)| {
        let mut wire = report_wire();
        change(&mut wire);
        Reported::try_from(wire).unwrap_err().to_string()
    };
    assert!(fault(|w| w.app = "Web!".to_owned()).starts_with("field `report.app`: `Web!`"));
    assert_eq!(
        fault(|w| w.digest = vec![1; 31]),
        "field `report.digest`: a digest has 32 bytes, this one 31"
    );
    assert_eq!(
        fault(|w| w.phase = "Ready".to_owned()),
        "field `report.phase`: `Ready` is no phase that we know"
    );
    assert_eq!(
        fault(|w| w.unhealthy.push(v1::ObjectStatus::default())),
        "field `report.unhealthy.key`: it is missing"
    );
    let empty = v1::Directive { app: "web".to_owned(), directive: None, trace: None };
    assert_eq!(Directed::try_from(empty).unwrap_err().field, "directive.directive");
    let zero = v1::Directive {
        app: "web".to_owned(),
        directive: Some(v1::directive::Directive::Grant(v1::Grant::default())),
        trace: None,
    };
    assert_eq!(Directed::try_from(zero).unwrap_err().field, "grant.epoch");
}

#[test]
fn words_of_a_newer_peer_stay_bad_news_and_are_no_error() {
    let mut wire = report_wire();
    wire.phase = "Failed".to_owned();
    wire.reason = "NEW-001".to_owned();
    wire.unhealthy.push(v1::ObjectStatus {
        key: Some(v1::ObjectKey { kind: "Pod".into(), name: "a".into(), ..Default::default() }),
        health: "Sleepy".to_owned(),
        reason: "NEW-002".to_owned(),
        message: "zzz".to_owned(),
    });
    let report = Reported::try_from(wire).unwrap().report;
    assert!(matches!(report.phase, Phase::Failed { .. }));
    assert_eq!(report.unhealthy[0].health, Health::Unknown);
    assert_eq!(report.unhealthy[0].reason, None);
}

#[test]
fn fields_of_a_newer_peer_are_passed_over() {
    let mut bytes = report_wire().encode_to_vec();
    // Field 200, a text; field 201, a number.
    bytes.extend([0xc2, 0x0c, 0x03, b'n', b'e', b'w', 0xc8, 0x0c, 0x07]);
    let reported = Reported::try_from(v1::AppReport::decode(bytes.as_slice()).unwrap()).unwrap();
    assert_eq!(reported.app.as_str(), "web");
}

#[test]
fn a_damaged_trace_context_is_dropped_and_the_report_kept() {
    let mut wire = report_wire();
    wire.trace = Some(v1::TraceContext { traceparent: "00-xyz".into(), tracestate: String::new() });
    assert_eq!(Reported::try_from(wire).unwrap().trace, None);
}

#[test]
fn the_held_digest_changes_with_every_part_of_it() {
    let app = |name: &str| AppName::parse(name).unwrap();
    let digest = Digest::of(b"manifest");
    let one = |name, epoch, digest, fence| {
        held_digest(&BTreeMap::from([(app(name), (Epoch(epoch), digest, Epoch(fence)))]))
    };
    let base = one("web", 3, Some(digest), 0);
    // A fixed form: agents and hubs of other versions compute it too.
    assert_eq!(base, Digest::of(format!("web 3 {digest} 0\n").as_bytes()));
    assert_eq!(one("web", 0, None, 2), Digest::of(b"web 0 - 2\n"));
    for other in [
        one("api", 3, Some(digest), 0),
        one("web", 4, Some(digest), 0),
        one("web", 3, None, 0),
        one("web", 3, Some(digest), 1),
        held_digest(&BTreeMap::new()),
    ] {
        assert_ne!(base, other);
    }
}

#[test]
fn a_mark_tells_options_apart_and_does_not_mind_order_or_the_word_for_the_default() {
    let mark = |drift: &str, allow: &[&str]| options_mark(drift, allow.iter().copied(), b"");
    assert_eq!(mark("", &[]), mark("correct", &[]));
    assert_eq!(mark("report", &["a", "b"]), mark("report", &["b", "a"]));
    assert_ne!(mark("report", &[]), mark("correct", &[]));
    assert_ne!(mark("report", &["a"]), mark("report", &[]));
    assert_ne!(options_mark("", [], b"{}"), mark("", &[]));
    // The two sides may be of different versions: the number is part of the wire.
    assert_eq!(mark("correct", &[]).get(), 0x60c1_1a0c);
}
