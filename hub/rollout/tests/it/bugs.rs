//! Each seeded bug turns the property test red: what cannot fail proves nothing.

use rollout::Bug;

use crate::property;

/// Stories within which a bug must show.
const RUNS_MAX: u64 = 2_000;

#[track_caller]
fn caught(bug: Bug, by: &[&str]) {
    for seed in 0..RUNS_MAX {
        if let Err(fault) = property::tell(seed, Some(bug)) {
            let first = fault.lines().next().unwrap_or_default();
            let code = first.split(':').next().unwrap_or_default();
            assert!(by.contains(&code), "{bug:?} shows in story {seed} as {first}");
            return;
        }
    }
    panic!("{bug:?} was not noticed in {RUNS_MAX} stories");
}

/// One test a bug.
macro_rules! noticed {
    ($($name:ident: $bug:ident by $($code:literal),+;)*) => {
        $(#[test]
        fn $name() {
            caught(Bug::$bug, &[$($code),+]);
        })*
    };
}

noticed! {
    health_on_an_old_release_taken_for_success: StaleSuccess by "I7", "I16";
    a_recall_believed_without_a_promise: NoFence by "P3";
    one_cluster_too_many_in_flight: Overgrant by "I2", "I25";
    grants_that_leave_during_a_pause: PauseLeaks by "I17";
    two_rollouts_at_once: DoubleActive by "I6";
    condemned_content_that_goes_out_again: RegrantCondemned by "I11";
    a_first_exposure_of_more_than_the_probe: NoProbe by "I25";
    a_slot_given_back_before_the_fence: RecallFreesSlot by "I2", "I25";
    a_relabelled_cluster_that_moves: RelabelMoves by "I19", "I20", "I23";
    a_budget_that_is_not_kept: SkipBudget by "I9";
    a_soak_on_the_clock_of_the_hub: SoakByWallClock by "I16";
    a_dark_cluster_taken_for_a_healthy_one: DarkIsHealthy by "I7", "I16";
    an_approval_of_another_release: AnyApproval by "I10";
    a_forward_grant_during_a_rollback: ForwardInRollback by "I1", "I5", "I21";
    a_rollout_that_goes_on_after_its_end: Resurrect by "I5", "I13";
    a_wave_that_passes_without_a_proof: EvidenceZero by "I7b";
    a_recall_confirmed_by_any_word: RecallBelieved by "P3";
    a_rollback_that_condemns_later: CondemnLater by "I11";
    a_repair_that_brings_the_newest_release: DriftToLatest by "I18";
    a_freeze_that_is_not_looked_at: FreezeIgnored by "I1", "I21";
    a_window_that_is_looked_at_once: WindowOnce by "I1";
    a_blocker_that_is_not_looked_at: BlockerIgnored by "I1";
    a_dependency_that_is_not_looked_at: DependencyIgnored by "I1";
    failure_domains_that_are_not_counted: SpreadIgnored by "I1";
    a_pair_in_flight_together: PairIgnored by "I1";
    a_lane_that_hands_out_what_is_not_proven: LaneUnproven by "I1";
    an_approval_that_never_expires: ApprovalForEver by "I10";
    a_silent_cluster_that_is_removed: AbsenceRemoves by "I12";
    an_author_who_approves: AuthorApproves by "I10";
    a_pace_that_is_not_kept: PaceIgnored by "I1";
    a_release_that_is_overtaken_for_ever: Overtakes by "L4";
}
