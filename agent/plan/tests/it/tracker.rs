//! From what was seen to what is reported.

use std::time::Duration;

use model::{Digest, Epoch, Grant, Health, ObjectKey, Phase, Reason, Report};
use plan::{FightDetector, Observation, Sync, Tracker, Verdict};

use super::world::key;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn grant(epoch: u64) -> Grant {
    Grant { epoch: Epoch(epoch), digest: Digest::of(&epoch.to_be_bytes()) }
}

fn web() -> ObjectKey {
    key("apps/Deployment/shop/web")
}

fn seen(verdict: Verdict) -> Observation {
    Observation::new(Sync::Done, [(web(), verdict)], 0)
}

fn well() -> Observation {
    seen(Verdict::healthy())
}

fn ill() -> Observation {
    seen(Verdict::new(Health::Degraded, Reason::CrashLoop, "app crashes"))
}

fn moving() -> Observation {
    seen(Verdict::new(Health::Progressing, Reason::Progressing, "1 of 3"))
}

fn tracker() -> Tracker {
    let mut tracker = Tracker::new();
    tracker.begin(grant(1), secs(0));
    tracker
}

fn report(tracker: &mut Tracker, at: u64) -> Report {
    tracker.report(secs(at), 1, at, Epoch::NONE)
}

#[test]
fn without_a_grant_there_is_nothing_to_tell() {
    let report = Tracker::new().report(secs(9), 1, 1, Epoch(4));
    assert_eq!((report.epoch, report.digest, report.fence), (Epoch::NONE, None, Epoch(4)));
    assert_eq!((report.phase, report.applying_for), (Phase::Applying, secs(0)));
}

#[test]
fn healthy_time_counts_from_the_first_moment_without_a_fault() {
    let mut tracker = tracker();
    tracker.observe(moving(), secs(1));
    assert_eq!(report(&mut tracker, 5).phase, Phase::Applying);
    tracker.observe(well(), secs(10));
    tracker.observe(well(), secs(20));
    let report = report(&mut tracker, 25);
    assert_eq!(report.phase, Phase::Healthy);
    assert_eq!(
        (report.healthy_for, report.bad_for, report.applying_for),
        (secs(15), secs(0), secs(25))
    );
    assert_eq!((report.objects_total, report.objects_healthy), (1, 1));
}

#[test]
fn a_sync_that_is_not_through_is_not_healthy() {
    let mut tracker = tracker();
    let early = Observation::new(Sync::Underway, [(web(), Verdict::healthy())], 0);
    tracker.observe(early, secs(1));
    assert_eq!(report(&mut tracker, 60).phase, Phase::Applying);
}

#[test]
fn a_flap_under_a_second_is_not_shown_and_still_ends_the_healthy_time() {
    let mut tracker = tracker();
    tracker.observe(well(), secs(0));
    tracker.observe(ill(), secs(100));
    let shown = tracker.report(secs(100) + Duration::from_millis(500), 1, 1, Epoch::NONE);
    assert_eq!((shown.phase, shown.healthy_for), (Phase::Healthy, secs(0)));
    tracker.observe(well(), secs(100) + Duration::from_millis(600));
    let after = report(&mut tracker, 102);
    assert_eq!(after.phase, Phase::Healthy);
    assert_eq!(after.healthy_for, Duration::from_millis(1400));
}

#[test]
fn a_fault_is_shown_after_a_second_and_gone_after_five() {
    let mut tracker = tracker();
    tracker.observe(well(), secs(0));
    tracker.observe(ill(), secs(10));
    assert_eq!(tracker.wake_in(secs(10)), Some(secs(1)));
    let bad = report(&mut tracker, 12);
    let Phase::Degraded { reason, message } = &bad.phase else { panic!("{bad:?}") };
    assert_eq!(*reason, Reason::CrashLoop);
    assert_eq!(message, "Deployment shop/web: app crashes");
    assert_eq!((bad.bad_for, bad.unhealthy.len()), (secs(2), 1));
    tracker.observe(well(), secs(20));
    assert_eq!(tracker.wake_in(secs(21)), Some(secs(4)));
    assert!(matches!(report(&mut tracker, 24).phase, Phase::Degraded { .. }));
    assert_eq!(report(&mut tracker, 24).healthy_for, secs(0));
    let good = report(&mut tracker, 25);
    assert_eq!((good.phase, good.healthy_for, good.bad_for), (Phase::Healthy, secs(5), secs(0)));
}

#[test]
fn what_was_healthy_and_moves_again_is_degraded() {
    let mut tracker = tracker();
    tracker.observe(well(), secs(0));
    tracker.observe(moving(), secs(10));
    let report = report(&mut tracker, 13);
    assert!(
        matches!(report.phase, Phase::Degraded { reason: Reason::Progressing, .. }),
        "{report:?}"
    );
    assert_eq!(report.bad_for, secs(3));
}

#[test]
fn a_terminal_fault_fails_even_before_anything_was_healthy() {
    let mut tracker = tracker();
    let mut verdict = Verdict::new(Health::Degraded, Reason::ImagePullBackOff, "not found");
    verdict.terminal = true;
    tracker.observe(seen(verdict), secs(3));
    let report = report(&mut tracker, 5);
    assert!(matches!(report.phase, Phase::Failed { reason: Reason::ImagePullBackOff, .. }));
    assert_eq!((report.bad_for, report.healthy_for), (secs(2), secs(0)));
}

#[test]
fn a_sync_that_cannot_be_done_fails_whatever_the_objects_say() {
    let mut tracker = tracker();
    let sync =
        |terminal| Sync::Failed { reason: Reason::Invalid, message: "spec.x".to_owned(), terminal };
    tracker.observe(Observation::new(sync(true), [(web(), Verdict::healthy())], 0), secs(0));
    assert!(matches!(report(&mut tracker, 2).phase, Phase::Failed { .. }));
    tracker.observe(Observation::new(sync(false), [(web(), Verdict::healthy())], 0), secs(3));
    assert!(matches!(report(&mut tracker, 5).phase, Phase::Degraded { .. }));
}

#[test]
fn a_new_epoch_forgets_everything_and_the_same_one_nothing() {
    let mut tracker = tracker();
    tracker.observe(well(), secs(0));
    tracker.begin(grant(1), secs(50));
    assert_eq!(report(&mut tracker, 60).healthy_for, secs(60));
    tracker.begin(grant(2), secs(70));
    let fresh = report(&mut tracker, 80);
    assert_eq!((fresh.epoch, fresh.phase), (Epoch(2), Phase::Applying));
    assert_eq!(
        (fresh.healthy_for, fresh.bad_for, fresh.applying_for),
        (secs(0), secs(0), secs(10))
    );
}

#[test]
fn the_worst_ten_are_named_worst_first() {
    let all = (0..30).map(|n| {
        let health = if n % 2 == 0 { Health::Progressing } else { Health::Degraded };
        let verdict = Verdict::new(health, Reason::Degraded, "x");
        (key(&format!("apps/Deployment/shop/web-{n:02}")), verdict)
    });
    let mut tracker = tracker();
    tracker.observe(Observation::new(Sync::Done, all, 3), secs(0));
    let report = report(&mut tracker, 2);
    assert_eq!((report.objects_total, report.objects_healthy, report.drifted), (30, 0, 3));
    assert_eq!(report.unhealthy.len(), 10);
    assert!(report.unhealthy.iter().all(|o| o.health == Health::Degraded));
}

#[test]
fn a_plain_suspension_is_well_and_one_that_holds_a_change_back_is_not() {
    let mut held = Verdict::new(Health::Suspended, Reason::Suspended, "paused");
    assert_eq!(seen(held.clone()).objects_healthy, 1);
    held.held_back = true;
    assert_eq!(seen(held).objects_healthy, 0);
}

#[test]
fn five_corrections_in_ten_minutes_are_free_and_the_sixth_begins_a_fight() {
    let mut fights = FightDetector::new();
    for n in 0..5 {
        fights.corrected(&web(), Some("scaler"), secs(n * 10));
    }
    assert_eq!(fights.fight(&web(), secs(50)), None);
    fights.corrected(&web(), Some("scaler"), secs(60));
    let fight = fights.fight(&web(), secs(70)).unwrap();
    assert_eq!((fight.corrections, fight.wait), (6, secs(50)));
    assert_eq!(fight.manager.as_deref(), Some("scaler"));
    assert_eq!(fights.slowed(secs(70)).len(), 1);
    assert_eq!(fights.slowed(secs(120)).len(), 0);
}

#[test]
fn a_fight_slows_down_to_one_correction_an_hour_and_never_to_a_hot_loop() {
    let mut fights = FightDetector::new();
    let mut now = secs(0);
    let mut corrections = 0;
    while now < secs(24 * 3600) {
        let wait = fights.fight(&web(), now).map_or(secs(0), |fight| fight.wait);
        now += wait.max(secs(1));
        fights.corrected(&web(), None, now);
        corrections += 1;
    }
    assert!(corrections < 40, "{corrections} corrections in a day");
    assert_eq!(fights.fight(&web(), now).unwrap().wait, secs(3600));
}

#[test]
fn a_fight_ends_when_nobody_hits_back() {
    let mut fights = FightDetector::new();
    (0..6).for_each(|n| fights.corrected(&web(), None, secs(n)));
    assert!(fights.fight(&web(), secs(10)).is_some());
    assert_eq!(fights.fight(&web(), secs(60 + 601 + 6)), None);
    fights.corrected(&web(), None, secs(700));
    assert_eq!(fights.fight(&web(), secs(701)), None);
}
