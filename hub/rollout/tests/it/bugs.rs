//! Each seeded bug turns the property test red: what cannot fail proves nothing.

use rollout::Bug;

use crate::property;

/// Stories within which a bug must show.
const RUNS_MAX: u64 = 300;

#[track_caller]
fn caught(bug: Bug, by: &[&str]) {
    for seed in 0..RUNS_MAX {
        if let Err(fault) = property::tell(seed, Some(bug)) {
            let first = fault.lines().next().unwrap_or_default();
            assert!(by.iter().any(|code| first.starts_with(code)), "{bug:?} shows as {first}");
            return;
        }
    }
    panic!("{bug:?} was not noticed in {RUNS_MAX} stories");
}

#[test]
fn health_on_an_old_release_taken_for_success_is_noticed() {
    caught(Bug::StaleSuccess, &["I7", "I16"]);
}

#[test]
fn a_recall_believed_without_a_promise_is_noticed() {
    caught(Bug::NoFence, &["P3"]);
}

#[test]
fn one_cluster_too_many_in_flight_is_noticed() {
    caught(Bug::Overgrant, &["I2", "I25"]);
}

#[test]
fn grants_that_leave_during_a_pause_are_noticed() {
    caught(Bug::PauseLeaks, &["I17"]);
}

#[test]
fn two_rollouts_at_once_are_noticed() {
    caught(Bug::DoubleActive, &["I6"]);
}

#[test]
fn condemned_content_that_goes_out_again_is_noticed() {
    caught(Bug::RegrantCondemned, &["I11"]);
}

#[test]
fn a_first_exposure_of_more_than_the_probe_is_noticed() {
    caught(Bug::NoProbe, &["I25"]);
}

#[test]
fn a_slot_given_back_before_the_fence_is_noticed() {
    caught(Bug::RecallFreesSlot, &["I2", "I25"]);
}
