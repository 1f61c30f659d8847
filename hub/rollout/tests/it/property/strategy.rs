//! Random strategies: every gate, every limit, every way to choose.

use std::{collections::BTreeSet, time::Duration};

use model::{AppName, Selector, WaveName};
use rollout::{
    After, Amount, Analysis, ApprovalRule, Ask, Before, CatchUp, DependsOn, Expectation, Members,
    Offline, OnFailure, OnNewRelease, Retry, RollbackPolicy, Scope, Spread, StartMode, Strategy,
    WaveSettings, WaveSpec, Window, Zone, sim::Rng,
};

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn strategy(rng: &mut Rng) -> Strategy {
    let canaries = Selector::parse("labels.ring == 'canary'").unwrap();
    let largest = u32::try_from(rng.below(2)).unwrap();
    let early = Members::Take { select: None, count: Amount::Percent(30), min: 1, largest };
    let mut waves = vec![
        wave(rng, "canary", Members::Select(canaries)),
        wave(rng, "early", early),
        wave(rng, "rest", Members::Rest),
    ];
    if rng.chance(30) {
        waves.remove(1);
    }
    let last = waves.last_mut().unwrap();
    if rng.chance(25) {
        last.ramp = vec![Amount::Percent(50), Amount::Percent(100)];
    }
    let new =
        [OnNewRelease::Auto, OnNewRelease::Auto, OnNewRelease::Supersede, OnNewRelease::Queue];
    Strategy {
        on_new_release: *rng.pick(&new),
        on_failure: *rng.pick(&[OnFailure::Halt, OnFailure::Rollback]),
        start: *rng.pick(&[StartMode::Auto, StartMode::Auto, StartMode::Auto, StartMode::Manual]),
        probe: u32::try_from(*rng.pick(&[1, 1, 1, 2, 0])).unwrap(),
        waves,
        rollback: WaveSettings {
            min_healthy: SECOND * 20,
            progress_deadline: SECOND * 240,
            offline: Offline { grace: SECOND * 120, stale_after: SECOND * 60 },
            timeout: SECOND * 2400,
            retry: Retry { limit: 0, backoff: SECOND },
            ..WaveSettings::rollback()
        },
        rollback_policy: RollbackPolicy { strict: rng.chance(15), ignore_unsafe: rng.chance(50) },
        catch_up: CatchUp { max_in_flight: 1 + u32::try_from(rng.below(3)).unwrap() },
        grants_per_minute: rng.chance(20).then(|| 1 + u32::try_from(rng.below(3)).unwrap()),
        ..Strategy::default()
    }
}

fn settings(rng: &mut Rng) -> WaveSettings {
    WaveSettings {
        max_in_flight: *rng.pick(&[Amount::Count(1), Amount::Count(2), Amount::Percent(50)]),
        max_failures: *rng.pick(&[Amount::Count(0), Amount::Count(1), Amount::Percent(40)]),
        min_healthy: SECOND * 20,
        progress_deadline: SECOND * 240,
        offline: Offline { grace: SECOND * 120, stale_after: SECOND * 60 },
        evidence_min: *rng.pick(&[Amount::Count(1), Amount::Percent(50)]),
        timeout: SECOND * 2400,
        retry: Retry { limit: u32::try_from(rng.below(2)).unwrap(), backoff: SECOND * 30 },
        soak: SECOND * *rng.pick(&[0, 60]),
    }
}

fn wave(rng: &mut Rng, name: &str, members: Members) -> WaveSpec {
    let settings = settings(rng);
    let spec = WaveSpec::new(WaveName::parse(name).unwrap(), members, settings);
    let key = "zone".to_owned();
    WaveSpec {
        allow_empty: true,
        spread: rng.chance(20).then_some(Spread { key, max: 1 }),
        separate: rng.chance(20).then(|| "pair".to_owned()),
        before: before(rng),
        after: after(rng),
        ..spec
    }
}

fn approval(rng: &mut Rng) -> ApprovalRule {
    ApprovalRule {
        groups: if rng.chance(50) { BTreeSet::from(["sre".to_owned()]) } else { BTreeSet::new() },
        count: 1 + u32::try_from(rng.below(2)).unwrap(),
        not_author: rng.chance(50),
        ttl: SECOND * *rng.pick(&[120, 3600]),
    }
}

fn before(rng: &mut Rng) -> Before {
    let database = AppName::parse("db").unwrap();
    let scope = *rng.pick(&[Scope::SameCluster, Scope::Fleet]);
    let zone = rng.pick(&["UTC", "Europe/Berlin"]);
    let zone = match rng.below(2) {
        0 => Zone::Named((*zone).to_owned()),
        _ => Zone::Label("tz".to_owned()),
    };
    // Open most of the time: a story lasts about an hour of a Tuesday evening.
    let from = u16::try_from(rng.below(24)).unwrap() * 60;
    let window = Window { days: [true; 7], from, to: (from + 20 * 60) % (24 * 60), zone };
    Before {
        approval: rng.chance(15).then(|| approval(rng)),
        windows: if rng.chance(15) { vec![window] } else { Vec::new() },
        blockers: if rng.chance(15) { vec!["sev1".to_owned()] } else { Vec::new() },
        depends_on: if rng.chance(12) {
            vec![DependsOn { app: database, scope }]
        } else {
            Vec::new()
        },
        max_unhealthy: rng.chance(8).then_some(Amount::Percent(60)),
    }
}

fn after(rng: &mut Rng) -> After {
    let analysis = Analysis {
        ask: Ask::Prometheus("errors{cluster=~\"${clusters}\"}".to_owned()),
        expect: Some(Expectation::parse("< 0.01").unwrap()),
        compare: rng.chance(30),
        every: SECOND * 30,
        failures: 1 + u32::try_from(rng.below(3)).unwrap(),
        min_samples: 1 + u32::try_from(rng.below(3)).unwrap(),
        pass_after: rng.chance(30).then_some(SECOND * 300),
    };
    After {
        approval: rng.chance(8).then(|| approval(rng)),
        analysis: rng.chance(15).then_some(analysis),
    }
}
