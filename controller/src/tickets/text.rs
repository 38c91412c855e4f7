//! What is written into a ticket: enough to know what happened without looking anywhere else.

use flota_model::rollout::{RolloutState, TargetState};
use flota_store::{RolloutRecord, TicketEvent, TicketNote};

use super::TicketText;

/// The note about what happened to this rollout.
pub(super) fn of(note: &TicketNote, record: &RolloutRecord) -> TicketText {
    let spec = &record.spec;
    let (id, version, digest) = (spec.id, &spec.release.version, spec.release.digest.short());
    let hosts = spec.targets.len();
    let what = format!("Flota {id}: {version} ({digest}) to {} ({hosts} hosts)", spec.selector);
    let person = |actor: &str| actor.strip_prefix("operator/").unwrap_or(actor).to_owned();
    let text = match note.event {
        TicketEvent::Started => {
            let approved = record.approvers();
            let approved =
                if approved.is_empty() { String::new() } else { format!(", approved by {}", approved.join(", ")) };
            let at = record.started_at.map(|at| at.to_string()).unwrap_or_default();
            format!("{what} was started {at}. Created by {}{approved}.", person(&spec.created_by))
        }
        TicketEvent::Ended => {
            let plan = record.plan.as_ref().map(|(_, plan)| plan);
            let state = plan.map_or(RolloutState::Draft, |plan| plan.state);
            let count = |of: fn(TargetState) -> bool| {
                plan.map_or(0, |plan| plan.targets.values().filter(|target| of(target.state)).count())
            };
            let updated = count(|state| matches!(state, TargetState::Committed));
            let failed = count(TargetState::is_failure);
            let cause = plan.map(|plan| plan.cause.trim_end_matches('.')).unwrap_or_default();
            let at = record.finished_at.map(|at| at.to_string()).unwrap_or_default();
            let word = state.as_str().replace('_', " ");
            format!(
                "{what} {word} {at}: {cause}. {updated} updated, {failed} failed, {} not changed. \
                 Evidence: flota rollout evidence {id} --to FILE.",
                hosts.saturating_sub(updated).saturating_sub(failed),
            )
        }
    };
    TicketText { ticket: note.ticket.clone(), event: note.event.as_str(), rollout: id.to_string(), text }
}
