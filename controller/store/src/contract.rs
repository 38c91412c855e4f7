//! What must hold of every store. A backend mounts it with [`contract_suite!`](crate::contract_suite).
//!
//! Each case gets a store of its own, new and empty. After each, the audit chain is verified from its beginning, so
//! that whatever the case did was logged in order. Behind the feature `contract`; never part of a program.

#![expect(clippy::unwrap_used, reason = "these are tests; a panic is how they fail")]

pub mod attestation;
pub mod audit;
pub mod enrolment;
pub mod exports;
pub mod fixtures;
pub mod hosts;
pub mod operators;
pub mod releases;
pub mod rollouts;
pub mod tasks;
pub mod tokens;

/// Makes one test of each case. `make` is the name of an async function, in scope where the macro is called, that
/// returns a new store and whatever must live as long as it: `async fn make() -> (MyStore, TempDir)`.
#[macro_export]
macro_rules! contract_suite {
    ($make:ident) => {
        $crate::contract_suite! { @mount $make;
            operators: [
                an_operator_is_found_by_its_certificate,
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
                an_id_of_another_tpm_is_refused,
                a_name_of_another_host_is_refused,
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
                trust_changes_from_the_states_named,
                attestations_are_listed_newest_first,
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
            ];
            exports: [
                a_task_brings_its_export,
                the_same_blob_is_the_same_export,
                an_export_is_stored_once_for_each_host,
                exports_are_listed_newest_first,
            ];
            releases: [
                a_release_is_published_once,
                a_version_names_one_package,
                releases_are_listed_newest_first,
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
