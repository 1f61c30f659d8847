//! The conformance scenarios, each a story that runs on a simulated cluster and, word for word, on a real API server:
//! `agent/tests` plays them on the first, `integration/tests/real` on the second. Stories that need a fault which no
//! real server makes on demand stand beside this folder.

pub(crate) mod drift;
pub(crate) mod health;
pub(crate) mod order;
pub(crate) mod ownership;
pub(crate) mod prune;
pub(crate) mod tenancy;

pub(crate) mod scene;

pub(crate) mod outside;

/// Makes a test of each story, on the scenes that `$scene` gives.
macro_rules! play {
    ($scene:path; $($module:ident: $($story:ident)+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                let name = stringify!($story).split('_').next().expect("the number of the story");
                let scene = $scene(name).await;
                crate::scenarios::$module::$story(&scene).await;
            }
        )+)+
    };
}
pub(crate) use play;

/// All stories.
macro_rules! play_all {
    ($scene:path) => {
        crate::scenarios::play! { $scene;
            order:
                s01_a_whole_set_comes_in_order_and_nothing_is_asked_for_too_early
                s02_the_same_grant_a_hundred_times_costs_no_request
                s03_a_restart_with_a_thousand_objects_lists_and_reads_none_of_them
                s04_a_definition_on_its_way_out_is_waited_for_and_made_again
                s05_a_namespace_on_its_way_out_names_what_holds_it_and_work_resumes
                s07_one_invalid_object_of_fifty_stops_only_what_depends_on_it
                s09_duplicate_list_keys_are_found_before_the_server_is_asked
                s10_a_dead_webhook_is_named_and_the_others_go_on
                s11_a_key_removed_from_string_data_is_removed_from_the_secret
                s12_an_autoscaler_keeps_its_replicas;
            ownership:
                s13_a_second_app_gets_a_conflict_that_names_the_first
                s14_of_two_apps_that_race_for_200_objects_each_object_has_one_owner
                s15_what_client_side_apply_left_goes_with_the_release_that_drops_it
                s16_only_what_is_identical_is_adopted_when_the_app_wants_it_so
                s17_immutable_fields_are_named_and_nothing_is_deleted
                s18_a_typo_never_leads_to_a_replacement
                s19_a_replacement_that_was_cut_short_is_finished_and_nothing_else
                s20_the_pods_of_a_replaced_stateful_set_stay
                s21_an_object_changes_hands_without_changing_its_uid
                s22_a_released_app_leaves_its_data_and_takes_its_marks;
            prune:
                s23_what_a_failed_release_wrote_is_pruned_with_it
                s24_a_denied_prune_is_made_up_for_once_it_is_allowed
                s25_what_somebody_made_again_is_left_alone
                s26_a_child_with_copied_labels_survives_a_lost_inventory
                s27_a_live_wish_to_stay_is_kept
                s30_a_definition_with_foreign_instances_stays
                s31_what_was_removed_by_hand_is_forgotten_and_a_silent_group_is_waited_for
                s32_a_namespace_with_foreign_objects_stays_and_they_are_named;
            tenancy:
                s06_a_role_comes_before_its_binding_under_a_limited_account
                s33_without_its_account_nothing_of_an_app_is_deleted_and_what_stays_is_listed
                s53_rights_that_an_account_does_not_hold_are_named_and_not_bound;
            drift:
                s34_an_edited_field_is_corrected_within_two_seconds
                s35_a_thousand_changes_of_what_is_not_ours_cost_no_request
                s36_a_removed_label_is_put_back_on_the_same_object
                s37_a_deleted_object_is_back_within_two_seconds;
            health:
                s43_an_old_truth_is_never_called_healthy
                s44_an_image_that_cannot_be_pulled_is_named_within_seconds
                s45_a_quota_that_blocks_pods_is_named_and_waited_for
                s46_a_hook_runs_once_also_when_its_job_is_cleaned_up_and_the_agent_restarts;
        }
    };
}
pub(crate) use play_all;
