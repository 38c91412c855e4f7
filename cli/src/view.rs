//! What people see: pure functions of a read model and a [`Style`](crate::output::Style), each held by a golden file.

pub(crate) mod attest_show;
pub(crate) mod attest_status;
pub(crate) mod enrolment;
pub(crate) mod escalation;
pub(crate) mod host_end;
pub(crate) mod host_facts;
pub(crate) mod host_list;
pub(crate) mod host_show;
pub(crate) mod host_state;
pub(crate) mod pcr;
pub(crate) mod policy_change;
pub(crate) mod policy_document;
pub(crate) mod policy_explain;
pub(crate) mod policy_list;
pub(crate) mod policy_loosening;
pub(crate) mod policy_observe;
pub(crate) mod policy_outlook;
pub(crate) mod policy_show;
pub(crate) mod policy_words;
pub(crate) mod rollout_events;
pub(crate) mod rollout_explain;
pub(crate) mod rollout_frame;
pub(crate) mod rollout_plan;
pub(crate) mod rollout_words;
pub(crate) mod tasks;
