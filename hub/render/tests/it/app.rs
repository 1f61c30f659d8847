//! What a good `app.yaml` means.

use std::time::Duration;

use render::DriftMode;
use rollout::{
    Amount, Members, OnFailure, OnNewRelease, OnUntarget, Order, StartMode, Strategy, WaveSettings,
};

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn parse(spec: &str) -> App {
    let text = format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {{name: web, labels: {{team: shop}}}}\n{spec}"
    );
    render::parse_app("apps/web/app.yaml", &text)
        .unwrap_or_else(|faults| panic!("{:?}", texts(&faults)))
}

#[test]
fn the_least_app_takes_its_own_folder_and_the_documented_defaults() {
    let app = parse("spec: {targets: {select: true}}\n");
    assert_eq!(app.name.as_str(), "web");
    assert_eq!(app.labels, labels(&[("team", "shop")]));
    assert_eq!(app.folder(), "apps/web");
    assert_eq!(app.path.as_str(), ".");
    assert_eq!(app.reference, None);
    assert_eq!(app.targets.select.as_str(), "true");
    assert_eq!(app.targets.on_untarget, OnUntarget::Retain);
    assert_eq!(app.strategy, Strategy::default());
    assert_eq!(app.drift, DriftMode::Correct);
    let [canary, rest] = app.strategy.waves.as_slice() else { panic!("two waves") };
    let take = Members::Take { select: None, count: Amount::Count(1), min: 0, largest: 0 };
    assert_eq!((&canary.members, canary.settings.soak), (&take, 10 * MINUTE));
    assert_eq!(rest.members, Members::Rest);
    assert_eq!(rest.settings.max_in_flight, Amount::Percent(25));
}

#[test]
fn every_supported_field_is_read() {
    let app = parse(
        r#"
spec:
  source: {ref: main, path: "overlays/${labels.env}"}
  targets:
    select: "labels.app_web == 'yes'"
    exclude: "labels.lifecycle == 'draining'"
    expect: {min: 3, maxChange: 20%}
    onUntarget: retain
  rollout:
    onNewRelease: queue
    onFailure: rollback
    start: manual
    probe: 2
    assign: {order: "label:rank", seed: x}
    defaults:
      maxInFlight: 5
      maxFailures: 1
      minHealthy: 30s
      progressDeadline: 1h30m
      offline: {grace: 5m, staleAfter: 45s}
      evidence: {min: 50%}
      timeout: 48h
      retry: {limit: 0, backoff: 1m}
    waves:
      - {name: canary, select: "labels.ring == 'canary'", maxInFlight: 1, after: {soak: 30m}}
      - {name: early, select: "labels.tier == 'prod'", take: {count: 5%, min: 2}, maxFailures: 0}
      - {name: prod, rest: true, allowEmpty: true, timeout: 72h}
    rollback: {maxInFlight: 50%}
  drift: {mode: report}
"#,
    );
    assert_eq!(app.reference.as_deref(), Some("main"));
    assert_eq!(app.path.labels().collect::<Vec<_>>(), ["env"]);
    assert_eq!(app.targets.exclude.unwrap().as_str(), "labels.lifecycle == 'draining'");
    assert_eq!(app.targets.expect.min, Some(3));
    assert_eq!(app.targets.expect.max_change, Some(Amount::Percent(20)));
    assert_eq!(app.drift, DriftMode::Report);
    let s = app.strategy;
    assert_eq!(s.on_new_release, OnNewRelease::Queue);
    assert_eq!(s.on_failure, OnFailure::Rollback);
    assert_eq!((s.start, s.probe), (StartMode::Manual, 2));
    assert_eq!((s.assign.order, s.assign.seed.as_str()), (Order::Label("rank".to_owned()), "x"));
    // What healthy means, and how long it may take, a rollback takes from the defaults.
    let rollback = WaveSettings {
        max_in_flight: Amount::Percent(50),
        min_healthy: Duration::from_secs(30),
        progress_deadline: Duration::from_mins(90),
        offline: s.rollback.offline,
        ..WaveSettings::rollback()
    };
    assert_eq!(s.rollback.offline.stale_after, Duration::from_secs(45));
    assert_eq!(s.rollback, rollback);
    let [canary, early, prod] = s.waves.as_slice() else { panic!("three waves") };
    let c = canary.settings;
    assert_eq!((c.max_in_flight, c.max_failures), (Amount::Count(1), Amount::Count(1)));
    assert_eq!((c.min_healthy, c.progress_deadline), (MINUTE / 2, 90 * MINUTE));
    assert_eq!((c.offline.grace, c.offline.stale_after), (5 * MINUTE, 45 * MINUTE / 60));
    assert_eq!((c.evidence_min, c.timeout), (Amount::Percent(50), 48 * 60 * MINUTE));
    assert_eq!((c.retry.limit, c.retry.backoff, c.soak), (0, MINUTE, 30 * MINUTE));
    let Members::Take { select: Some(select), count, min, .. } = &early.members else {
        panic!("take")
    };
    assert_eq!((select.as_str(), *count, *min), ("labels.tier == 'prod'", Amount::Percent(5), 2));
    assert_eq!(
        (early.settings.max_failures, early.settings.soak),
        (Amount::Count(0), Duration::ZERO)
    );
    assert_eq!((&prod.members, prod.allow_empty), (&Members::Rest, true));
    assert_eq!(prod.settings.timeout, 72 * 60 * MINUTE);
    assert_eq!(prod.settings.max_in_flight, Amount::Count(5));
}

#[test]
fn defaults_without_waves_apply_to_the_built_in_ones() {
    let app = parse(
        "spec:\n  targets: {select: 'true'}\n  rollout: {defaults: {minHealthy: 5s, maxInFlight: 7}}\n",
    );
    for (wave, ours) in app.strategy.waves.iter().zip(Strategy::default().waves) {
        assert_eq!(wave.settings.min_healthy, Duration::from_secs(5));
        assert_eq!(wave.settings.max_in_flight, ours.settings.max_in_flight);
        assert_eq!(wave.settings.soak, ours.settings.soak);
    }
}

#[test]
fn a_ref_of_its_own_is_refused_and_that_of_the_source_is_not() {
    let app = parse("spec: {source: {ref: main}, targets: {select: 'true'}}\n");
    assert_eq!(app.reference_fault("main"), None);
    let fault = app.reference_fault("stable").unwrap();
    assert_eq!(fault.reason, Reason::NotSupportedYet);
    assert_eq!(fault.position.unwrap().line, 4);
    assert_eq!(parse("spec: {targets: {select: 'true'}}\n").reference_fault("x"), None);
}

#[test]
fn a_file_of_windows_is_read_like_any_other() {
    let text = format!("\u{feff}{}", app_yaml("m").replace('\n', "\r\n"));
    assert_eq!(render::parse_app("apps/web/app.yaml", &text).unwrap(), app("m"));
}

#[test]
fn anchors_work_within_a_file() {
    let app = parse(
        "spec:\n  targets: {select: 'true'}\n  rollout:\n    waves:\n      \
         - &one {name: a, take: 1, after: {soak: 5m}}\n      - {<<: *one, name: b}\n      - {name: c, rest: true}\n",
    );
    assert_eq!(app.strategy.waves[1].settings.soak, 5 * MINUTE);
}

#[test]
fn an_app_takes_only_the_signatures_that_it_names() {
    let app =
        parse("spec: {source: {verify: {signedBy: [platform, ada]}}, targets: {select: true}}\n");
    let fault = |signers: &[&str]| {
        app.signature_fault(signers).map(|fault| (fault.reason, fault.to_string()))
    };
    assert_eq!(fault(&["ada"]), None);
    assert_eq!(fault(&["platform", "ada"]), None);
    let (reason, text) = fault(&[]).unwrap();
    assert_eq!(reason, Reason::CommitUnsigned);
    assert!(text.contains("apps/web/app.yaml:4:25") && text.contains("--signed-by"), "{text}");
    let (reason, text) = fault(&["ada", "eve"]).unwrap();
    assert_eq!(reason, Reason::SignatureRefused);
    assert!(text.contains("`eve`") && text.contains("`platform`, `ada`"), "{text}");
    let open = parse("spec: {targets: {select: true}}\n");
    assert_eq!(open.signature_fault(&[]), None);
}
