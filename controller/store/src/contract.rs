//! What must hold of every store. A backend mounts it with [`contract_suite!`](crate::contract_suite).
//!
//! Each case gets a store of its own, new and empty. After each, the audit chain is verified from its beginning, so
//! that whatever the case did was logged in order. Behind the feature `contract`; never part of a program.

#![expect(clippy::unwrap_used, reason = "these are tests; a panic is how they fail")]

pub mod admission;
pub mod alerts;
pub mod attestation;
pub mod audit;
pub mod boot_logs;
pub mod coming_back;
pub mod enrolment;
pub mod escalations;
pub mod exports;
pub mod fixtures;
pub mod freezes;
pub mod hosts;
pub mod leases;
pub mod operators;
pub mod policies;
pub mod recoveries;
pub mod releases;
pub mod rollouts;
pub mod tasks;
pub mod tickets;
pub mod tokens;

/// Makes one test of each case. `make` is the name of an async function, in scope where the macro is called, that
/// returns a new store and whatever must live as long as it: `async fn make() -> (MyStore, TempDir)`.
#[macro_export]
macro_rules! contract_suite {
    ($make:ident) => {
        $crate::contract_suite! { @mount $make;
            operators: [
                an_operator_is_found_by_its_certificate,
                an_operator_that_is_removed_is_nobody,
                a_name_and_a_certificate_belong_to_one_operator,
            ];
            tokens: [
                a_token_reads_back_with_its_key,
                a_token_expires_by_the_time_asked_for,
                a_name_is_promised_once,
                only_an_open_token_can_be_revoked,
                tokens_are_listed_newest_first,
            ];
            enrolment: [
                a_token_makes_a_pending_host,
                a_host_that_nobody_named_has_its_id_for_a_name,
                a_token_that_is_not_open_admits_nobody,
                one_token_admits_one_of_two_hosts_at_once,
                the_same_tpm_is_renewed,
                a_token_for_another_host_renews_nobody,
                a_renewal_forgets_what_the_host_said,
                a_renewal_lifts_no_quarantine,
                a_renewal_lets_a_decommissioned_host_in_anew,
                an_id_of_another_tpm_is_refused,
                a_name_of_another_host_is_refused,
            ];
            admission: [
                a_token_says_whom_it_admits,
                a_software_key_makes_an_unattested_host,
                a_software_key_is_renewed,
                a_token_admits_its_kind_of_key_only,
                a_host_awaits_the_approval_that_its_token_asks_for,
                an_enrolment_is_approved_once,
                a_renewal_awaits_approval_as_its_token_says,
                a_software_key_takes_no_host_with_a_tpm_over,
            ];
            coming_back: [
                a_known_host_comes_back_without_a_token,
                what_a_host_brings_back_replaces_what_it_names,
                coming_back_betters_no_trust,
                a_host_that_is_not_known_does_not_come_back,
                a_host_that_was_shut_out_does_not_come_back,
                a_host_that_awaits_approval_does_not_come_back,
            ];
            hosts: [
                hosts_are_listed_by_name,
                a_host_is_last_seen_at_the_latest_time,
                a_report_is_stored_once,
                a_report_is_logged_when_something_changed,
                a_report_of_nobody_is_not_stored,
                a_report_that_counts_too_far_is_rejected,
                generations_only_grow,
                one_of_two_desired_states_at_once_wins,
                a_renewed_certificate_is_noted,
            ];
            attestation: [
                a_verdict_is_stored_with_its_consequences,
                an_inconclusive_verdict_changes_nothing_but_history,
                a_verdict_lifts_no_quarantine,
                a_batch_of_verdicts_is_stored_in_order,
                a_verdict_that_cannot_be_stored_takes_its_batch_with_it,
                the_newest_verdicts_of_a_host_are_kept,
                trust_changes_from_the_states_named,
                attestations_are_listed_newest_first,
            ];
            leases: [
                a_verdict_does_to_the_lease_what_it_says,
                a_lease_ends_with_the_trust_that_admits_work,
                a_change_of_trust_that_is_refused_ends_no_lease,
            ];
            boot_logs: [
                a_boot_log_is_stored_once_under_its_digest,
                a_boot_log_that_nothing_names_is_swept,
            ];
            policies: [
                a_policy_is_entered_as_a_draft,
                versions_count_from_one_for_each_name,
                the_same_document_is_the_same_policy,
                somebody_else_than_the_author_approves,
                only_a_draft_is_approved,
                a_policy_names_who_approved_it_in_order_of_time,
                a_policy_changes_from_the_states_named,
                a_policy_becomes_active_by_its_activation_only,
                one_policy_of_a_name_is_active,
                a_policy_that_was_active_can_be_again,
                a_change_that_was_asked_for_is_taken_once,
                a_change_of_state_ends_what_was_asked_for,
                an_activation_from_another_state_changes_nothing,
                one_of_two_activations_at_once_is_active,
            ];
            escalations: [
                an_escalation_reads_back_open_and_to_be_delivered,
                one_escalation_of_a_host_and_kind_is_open,
                one_of_two_escalations_at_once_is_opened,
                a_verdict_opens_its_escalations,
                escalations_are_listed_newest_first,
                an_escalation_is_resolved_once,
                a_delivery_is_noted,
                what_is_to_be_delivered_is_due_at_its_time,
            ];
            tasks: [
                a_task_goes_from_waiting_to_done,
                a_task_ends_once,
                one_of_two_results_at_once_is_stored,
                a_task_of_another_host_cannot_be_ended,
                tasks_are_added_all_or_none,
                tasks_are_read_in_the_order_asked_for,
                a_task_expires_at_its_deadline,
                the_newest_health_report_of_a_host_is_kept,
                the_health_check_that_was_asked_for_last_counts,
            ];
            exports: [
                a_task_brings_its_export,
                the_same_blob_is_the_same_export,
                an_export_is_stored_once_for_each_host,
                exports_are_listed_newest_first,
                a_blob_is_known_by_the_hosts_that_exported_it,
                old_exports_are_removed_and_held_ones_are_not,
                an_export_of_a_task_can_be_removed,
                a_hold_is_released_once,
            ];
            releases: [
                a_release_is_published_once,
                a_version_names_one_package,
                releases_are_listed_newest_first,
                signed_metadata_are_replaced_as_a_whole,
            ];
            rollouts: [
                a_number_is_given_once,
                specification_and_plan_read_back_as_written,
                one_of_two_plans_at_once_becomes_current,
                a_plan_needs_the_current_parent,
                a_plan_is_logged_when_the_state_changed,
                an_intent_changes_from_what_was_read,
                a_rollout_starts_once,
                a_rollout_is_active_until_its_plan_is_terminal,
                rollouts_are_listed_newest_first,
                an_approval_is_bound_to_the_specification,
                hosts_that_come_later_join_in_a_wave_of_their_own,
                auditors_are_given_the_very_texts,
            ];
            freezes: [
                a_freeze_reads_back_until_it_has_ended,
                a_freeze_is_ended_early_once,
            ];
            alerts: [
                an_alert_reads_back_as_it_was_written,
                an_alert_is_changed_by_whoever_read_it,
                what_is_told_is_logged_and_noticed,
                a_notice_is_claimed_by_one,
                what_changed_meanwhile_is_told_after_a_pause,
                a_new_receiver_is_introduced_once,
                a_receiver_that_comes_back_is_introduced_again,
                a_silence_reads_back_until_it_has_ended,
            ];
            recoveries: [
                a_recovery_of_a_host_is_open_once,
                a_recovery_is_changed_by_whoever_read_it,
            ];
            tickets: [
                a_rollout_with_a_ticket_is_noted_once_for_each_event,
                a_note_is_claimed_and_what_came_of_it_is_kept,
            ];
            audit: [
                entries_are_found_by_object_and_action,
                the_chain_is_read_in_pages,
                entries_written_at_once_make_one_chain,
                what_was_refused_is_not_logged,
            ];
        }
    };
    (@mount $make:ident; $($module:ident: [$($case:ident),* $(,)?];)*) => {
        $(mod $module {
            $(#[tokio::test]
            async fn $case() {
                let (store, _kept) = super::$make().await;
                $crate::contract::$module::$case(&store).await;
                $crate::contract::audit::the_chain_is_whole(&store).await;
            })*
        })*
    };
}
