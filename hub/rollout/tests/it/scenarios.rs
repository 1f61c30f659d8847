//! The list of story files; the numbers are those of the catalogue in the README.

use crate::scenario::{play, scenarios};

scenarios! {
    s01_waves_in_order = "01-waves-in-order.txt";
    s02_old_health_proves_nothing = "02-old-health-proves-nothing.txt";
    s03_probe_of_one = "03-probe-of-one.txt";
    s04_failed_probe_one_more = "04-failed-probe-one-more.txt";
    s05_share_is_frozen = "05-share-is-frozen.txt";
    s06_tolerances = "06-tolerances.txt";
    s07_over_budget_halts = "07-over-budget-halts.txt";
    s08_halt_is_sticky = "08-halt-is-sticky.txt";
    s09_dark_before = "09-dark-before.txt";
    s10_everything_dark = "10-everything-dark.txt";
    s11_release_cuts_the_network = "11-release-cuts-the-network.txt";
    s12_flapping_link = "12-flapping-link.txt";
    s13_pause_recalls = "13-pause-recalls.txt";
    s14_late_grant = "14-late-grant.txt";
    s15a_abort_wins = "15a-abort-wins.txt";
    s15b_pass_wins = "15b-pass-wins.txt";
    s18_duplicates = "18-duplicates.txt";
    s19_hub_down_in_soak = "19-hub-down-in-soak.txt";
    s20_wall_clock_jumps = "20-wall-clock-jumps.txt";
    s21_relabelled_mid_rollout = "21-relabelled-mid-rollout.txt";
    s22_late_joiner = "22-late-joiner.txt";
    s23_the_only_canary_departs = "23-the-only-canary-departs.txt";
    s24_pause_keeps_the_old_release = "24-pause-keeps-the-old-release.txt";
    s25_commits_every_minute = "25-commits-every-minute.txt";
    s26_queue_of_one = "26-queue-of-one.txt";
    s27_fix_supersedes_halted = "27-fix-supersedes-halted.txt";
    s28_nothing_overtakes_a_rollback = "28-nothing-overtakes-a-rollback.txt";
    s29_condemned_head = "29-condemned-head.txt";
    s30_each_to_its_own_last_good = "30-each-to-its-own-last-good.txt";
    s31_crash_after_rollback = "31-crash-after-rollback.txt";
    s36_regression_in_a_passed_wave = "36-regression-in-a-passed-wave.txt";
    s37_vacuous_canary = "37-vacuous-canary.txt";
    s38_plan_brake = "38-plan-brake.txt";
    s40_manual_start_and_skip = "40-manual-start-and-skip.txt";
    s41_retry_after_a_halt = "41-retry-after-a-halt.txt";
    s42_automatic_retry = "42-automatic-retry.txt";
    s43_revert_commit = "43-revert-commit.txt";
    s44_rollback_failed = "44-rollback-failed.txt";
    s45_wiped_agent = "45-wiped-agent.txt";
    s46_first_release_fails = "46-first-release-fails.txt";
    s48_plans_that_are_refused = "48-plans-that-are-refused.txt";
    s47_abort_and_again = "47-abort-and-again.txt";
}
