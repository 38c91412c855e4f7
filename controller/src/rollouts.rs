//! Carries rollouts out: plans, makes the plan current by compare-and-set, and gives hosts their desired states.
//!
//! One attempt, safe to repeat, with no choices of its own: kill the controller anywhere, and the next attempt goes on
//! from what is stored.

pub mod amend;
pub mod back;
pub mod checks;
pub mod create;
pub mod foresee;
pub mod halted;
pub mod join;
pub(crate) mod pacing;

use std::collections::BTreeMap;
use std::time::Duration;

use flota_model::host::{Host, Trust};
use flota_model::rollout::{
    HealthGate, PlanId, RAN_ALREADY, RolloutApproval, RolloutPlan, RolloutSpec, RolloutState, TargetPlan, TargetState,
};
use flota_model::update::{DesiredState, Goal};
use flota_model::{HostId, RolloutId, Timestamp};
use flota_planner::{Contact, FleetSnapshot, HealthFact, HealthFinding, HostFacts, PlanInput, Planned};
use flota_store::{EndedCheck, RolloutRecord, SetDesired, SetPlan};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::sessions::Command;

/// Plans are looked at this often even when nobody says that something changed: deadlines and bake times pass silently.
const INTERVAL: Duration = Duration::from_secs(1);
/// Plans in a row that one step may make; a planner that never rests must not fill the disk.
const MAX_PLANS_A_STEP: usize = 16;
/// An approval that is older does not let a rollout begin: who looked at the fleet last week has not seen that of today.
const APPROVAL_LASTS: Duration = Duration::from_hours(7 * 24);

/// Steps all active rollouts, whenever something changed and at least every second.
pub async fn keep_stepping(core: std::sync::Arc<Core>, stopping: CancellationToken) {
    loop {
        step_all(&core).await;
        tokio::select! {
            () = stopping.cancelled() => return,
            () = core.fleet_changed.notified() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// One rollout that cannot be stepped does not keep the others from it.
async fn step_all(core: &Core) {
    let active = match core.store.active_rollouts().await {
        Ok(active) => active,
        Err(error) => {
            return tracing::error!(
                error = flota_daemon::error_chain::chain(&error),
                "no rollouts to step; trying again"
            );
        }
    };
    for record in active {
        let id = record.spec.id;
        if let Err(fault) = step(core, id).await {
            let error = flota_daemon::error_chain::chain(&fault);
            tracing::error!(rollout = %id, error, "stepping a rollout failed; trying again");
        }
    }
}

/// Plans one rollout until its plan says all there is to say, and carries the plan out.
pub async fn step(core: &Core, id: RolloutId) -> Result<(), Fault> {
    let _one_at_a_time = core.planning.lock().await;
    for _ in 0..MAX_PLANS_A_STEP {
        let record = core.store.rollout(id).await?.ok_or_else(|| Fault::not_found("rollout", &id.to_string()))?;
        let hosts = core.store.hosts().await?;
        if join::join(core, &record, &hosts).await > 0 {
            continue;
        }
        let fleet = snapshot(core, &record.spec, hosts).await?;
        let parent = record.plan.as_ref().map(|(id, plan)| (*id, plan));
        let approvers = approvers(&record, core.now());
        let (spec, intent, now) = (&record.spec, &record.intent, core.now());
        match flota_planner::plan(PlanInput { spec, intent, approvers: &approvers, parent, fleet: &fleet, now }) {
            Planned::New(plan) => {
                if make_current(core, &record, &plan).await? == Current::Yes {
                    carry_out(core, &record, &plan).await?;
                }
            }
            Planned::Unchanged => {
                // Again, in case the last attempt was cut between the plan and its execution.
                return match &record.plan {
                    Some((_, plan)) => carry_out(core, &record, plan).await,
                    None => Ok(()),
                };
            }
        }
    }
    tracing::warn!(rollout = %id, "the planner did not come to rest; going on later");
    Ok(())
}

/// Who has approved a rollout as it is now. Approvals age until the first host is started, not after.
pub fn approvers(record: &RolloutRecord, now: Timestamp) -> Vec<&str> {
    approvals(record, now).map(|approval| approval.by.as_str()).collect()
}

/// Their approvals, oldest first.
pub fn approvals(record: &RolloutRecord, now: Timestamp) -> impl Iterator<Item = &RolloutApproval> {
    // Who ran it already, or was left out, was not started.
    let untouched = |target: &TargetPlan| {
        target.state.is_waiting() || target.state == TargetState::Skipped || target.reason.text.starts_with(RAN_ALREADY)
    };
    let plan = record.plan.as_ref().map(|(_, plan)| plan);
    let begun = plan.is_some_and(|plan| !plan.targets.values().all(untouched));
    let holds = move |approval: &&RolloutApproval| begun || now.since(approval.at) < APPROVAL_LASTS;
    record.approvals.iter().filter(|approval| approval.spec == record.digest).filter(holds)
}

/// The fleet as a rollout's plan looks at it.
pub(crate) async fn snapshot(core: &Core, spec: &RolloutSpec, hosts: Vec<Host>) -> Result<FleetSnapshot, Fault> {
    let health = if spec.gates.health == HealthGate::Asked { health(core).await? } else { BTreeMap::new() };
    // A host that was retired is gone, though its records are kept.
    let facts = hosts.into_iter().filter(|host| host.trust != Trust::Retired).map(|host| {
        let contact = if core.sessions.is_connected(&host.id) { Contact::Connected } else { Contact::Silent };
        let health = health.get(&host.id).cloned();
        HostFacts { host, contact, health }
    });
    let freezes = core.store.freezes(Some(core.now())).await?;
    Ok(FleetSnapshot::new(facts, core.listening_since).with_freezes(freezes))
}

/// What came of the health check that each host was asked for last: its report, or why it could not be made.
async fn health(core: &Core) -> Result<BTreeMap<HostId, HealthFact>, Fault> {
    let checks = core.store.newest_checks().await?.into_iter();
    Ok(checks
        .map(|EndedCheck { host, asked_at, outcome }| {
            let finding = match outcome {
                Ok(word) if word == "unavailable" => HealthFinding::CannotTrade,
                Ok(_) => HealthFinding::CanTrade,
                Err(why) => HealthFinding::NotKnown(why),
            };
            (host, HealthFact { finding, asked_at })
        })
        .collect())
}

/// Whether a plan became the current one. Only then may it be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Current {
    Yes,
    /// Somebody planned at the same moment; the next round starts from their plan.
    No,
}

async fn make_current(core: &Core, record: &RolloutRecord, plan: &RolloutPlan) -> Result<Current, Fault> {
    let notes = flota_planner::lint(&record.spec, plan);
    if !notes.is_empty() {
        let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
        return Err(Fault::new(Code::Bug, format!("a plan that breaks rules was not used: {}", notes.join("; "))));
    }
    let document = serde_json::to_vec(plan)
        .map_err(|error| Fault::new(Code::Bug, "a plan could not be written").because(error))?;
    let id = PlanId(flota_model::Digest::of(&document));
    let before = record.plan.as_ref().map_or(RolloutState::Draft, |(_, plan)| plan.state);
    let details = json!({ "from": before, "to": plan.state, "cause": plan.cause, "plan": id, "wave": plan.wave });
    let object = format!("rollout/{}", plan.rollout);
    let audit = core.audit(&format!("rollout.{}", plan.state), object, "ok", &details);
    match core.store.set_plan(id, plan, &audit).await? {
        SetPlan::Done => {
            if plan.state != before {
                tracing::info!(rollout = %plan.rollout, state = %plan.state, cause = %plan.cause, "rollout state changed");
            }
            core.note_rollout_change();
            Ok(Current::Yes)
        }
        SetPlan::ParentMoved => Ok(Current::No),
        SetPlan::NoSuchRollout(id) => Err(Fault::not_found("rollout", &id.to_string())),
    }
}

/// Carries out what the plan says: of hosts, of health checks, and of other rollouts.
async fn carry_out(core: &Core, record: &RolloutRecord, plan: &RolloutPlan) -> Result<(), Fault> {
    let spec = &record.spec;
    desire(core, spec, plan).await?;
    checks::ask(core, plan).await?;
    halted::take_the_place(core, spec, plan).await?;
    halted::go_back(core, record, plan).await
}

/// Gives every host of the plan the generation that the plan names. Hosts that have it already are left alone.
async fn desire(core: &Core, spec: &RolloutSpec, plan: &RolloutPlan) -> Result<(), Fault> {
    for (host, target) in &plan.targets {
        let goal = match (target.state, spec.targets.get(host)) {
            (TargetState::Offered { .. }, Some(wanted)) => {
                Goal::Install { release: wanted.release.clone(), intent: spec.direction }
            }
            (TargetState::Withdrawing { .. }, _) => Goal::Stay,
            _ => continue,
        };
        let Some(generation) = target.state.generation() else { continue };
        let desired = DesiredState { generation, goal, rollout: plan.rollout };
        let details = json!({ "generation": generation, "goal": desired.goal, "rollout": plan.rollout });
        let audit = core.audit("host.desire", format!("host/{host}"), "ok", &details);
        match core.store.set_desired(host, &desired, &audit).await? {
            // Asked again until the host has accepted it, in case it missed the first time. A host without a session
            // reads its desired state when it connects.
            SetDesired::Done | SetDesired::AlreadyThere => {
                let _connected = core.sessions.ask(host, Command::Look);
            }
            SetDesired::NoSuchHost => {}
            SetDesired::Superseded { newest } => {
                tracing::warn!(host.id = %host, rollout = %plan.rollout, %generation, %newest, "a newer desired state is there");
            }
        }
    }
    Ok(())
}
