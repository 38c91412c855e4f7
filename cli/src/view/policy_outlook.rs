//! What would follow from a decision about a policy, counted before the question.

use std::time::Duration;

use flota_model::Timestamp;
use flota_proto::v1::{DiffPoliciesResponse, PolicyRequest};

use super::policy_change::{against_active, warning};
use super::policy_loosening::{in_short, loosened};
use super::policy_show::rules;
use super::policy_words::{Known, applies_to, author, change, label};
use crate::confirm::Danger;
use crate::output::text::{clean, count};
use crate::output::{Format, Style, time};

/// Said of changes that ask less of hosts.
const SECOND_PERSON: &str = "it is done when a second person agrees: flota policy approve";

/// A policy as it stands before the decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outlook<'a> {
    /// The one that is decided on.
    pub(crate) this: Known<'a>,
    /// The active version of the same name.
    pub(crate) active: Option<Known<'a>>,
    /// ` in context prod`, or nothing.
    pub(crate) place: &'a str,
    /// The present.
    pub(crate) now: Timestamp,
}

impl Outlook<'_> {
    /// Before an approval: all that changes, or all that it asks.
    pub(crate) fn approval(&self, diff: Option<&DiffPoliciesResponse>, style: Style) -> String {
        let policy = self.this.policy;
        let mut lines = vec![format!("{} by {}, for {}", label(policy), author(policy), applies_to(policy))];
        if !policy.note.is_empty() {
            lines.push(format!("note: {}", clean(&policy.note)));
        }
        lines.push(format!("sha256 {}\n", clean(&policy.digest)));
        if diff.is_none() {
            lines.push(rules(self.this.document, Format::Table, style) + "\n");
        }
        lines.extend(against_active(diff, style));
        lines.extend(self.warning(style));
        lines.push("No host is held to it before it is staged or activated.".to_owned());
        lines.join("\n")
    }

    /// Before a window in which it is accepted too. More is accepted in it, always.
    pub(crate) fn staging(&self, [from, until]: [Timestamp; 2], style: Style) -> (Danger, String) {
        let policy = self.this.policy;
        let begins = if from > self.now {
            format!("from {} on", time::stamp(&from.to_string()))
        } else {
            "from now on".to_owned()
        };
        let ends = format!("until {} ({})", time::stamp(&until.to_string()), time::span(until.since(from)));
        let mut lines = vec![style.point(&format!("{begins}, {ends}"))];
        lines.extend(self.nobody(style));
        let head = if let Some(active) = &self.active {
            lines.extend(self.loosened().map(|less| style.alarm(&format!("meanwhile less is asked: {less}"))));
            format!("This accepts {} beside {}", label(policy), label(active.policy))
        } else {
            let name = clean(&policy.name);
            lines.push(style.alarm(&format!("no version of {name} is active: until one is, this changes nothing")));
            format!("This accepts {}", label(policy))
        };
        lines.push(style.point(&format!("undo: flota policy retire {}", label(policy))));
        (Danger::Severe, self.text(&head, &lines))
    }

    /// Before it becomes what hosts are held to.
    pub(crate) fn activation(&self, grace: Duration, style: Style) -> (Danger, String) {
        let policy = self.this.policy;
        let whom = format!("This holds {}{} to {}", self.whom(), self.place, label(policy));
        let mut lines = vec![if policy.state == "staged" {
            style.point(&format!("{} of {} met it since it was staged", policy.hosts_met, hosts(policy.hosts)))
        } else {
            style.alarm("it was not staged: how many of them meet it is not known")
        }];
        lines.extend(self.nobody(style));
        let Some(active) = &self.active else {
            lines.push(style.point(&format!("now no version of {} is active", clean(&policy.name))));
            lines.push(style.alarm("a host that does not meet it drifts, and gets no new work"));
            return (Danger::Severe, listed(&whom, &lines));
        };
        let before = label(active.policy);
        lines.push(if grace.is_zero() {
            let met = hosts(active.policy.hosts_met);
            style.alarm(&format!(
                "{before}, which {met} meet now, is not accepted any more; for a while longer: --keep-previous 7d"
            ))
        } else {
            let until = self.now.plus(grace).to_string();
            style.point(&format!("{before} stays accepted until {} ({})", time::stamp(&until), time::span(grace)))
        });
        let less = self.warning(style);
        let danger = if less.is_some() { Danger::Severe } else { Danger::Moderate };
        lines.extend(less.map(|less| format!("  {less}")));
        lines.push(style.point(&format!("undo: flota policy rollback {}", clean(&policy.name))));
        (danger, listed(&format!("{whom}, in place of {before}"), &lines))
    }

    /// Before it is taken out of use.
    pub(crate) fn retirement(&self, grace: Duration, style: Style) -> (Danger, String) {
        let policy = self.this.policy;
        let (name, met) = (label(policy), hosts(policy.hosts_met));
        match policy.state.as_str() {
            "active" => {
                let lines = [
                    style.alarm("nothing takes its place: hosts are held to their own first quote again"),
                    style.alarm("where the controller demands a policy, they drift and get no new work"),
                    style.point(SECOND_PERSON),
                    style.point(&format!("undo: flota policy rollback {}", clean(&policy.name))),
                ];
                (Danger::Severe, self.text(&format!("This ends {name}, the active version,"), &lines))
            }
            "staged" | "retiring" if grace.is_zero() => {
                let lines = [style.alarm(&format!("{met} meet it now; those that meet no other version drift"))];
                (Danger::Moderate, self.text(&format!("This ends {name} at once"), &lines))
            }
            "staged" | "retiring" => {
                let until = time::stamp(&self.now.plus(grace).to_string());
                let lines = [style.point(&format!("{met} meet it now; it stays accepted until {until}"))];
                (Danger::Moderate, self.text(&format!("This ends {name} in {}", time::span(grace)), &lines))
            }
            _ => (Danger::Mild, String::new()),
        }
    }

    /// Before the version that was active before becomes active again. Which one that is, the controller knows; that
    /// it asks no less cannot be said.
    pub(crate) fn rollback(&self, style: Style) -> (Danger, String) {
        let name = clean(&self.this.policy.name);
        let Some(active) = &self.active else {
            let lines = [style.point("no version of it is active now")];
            return (Danger::Severe, self.text(&format!("This brings back the last version of {name}"), &lines));
        };
        let (before, met) = (label(active.policy), hosts(active.policy.hosts_met));
        let lines = [
            style.alarm(&format!("{before}, which {met} meet now, is not accepted any more")),
            style.point(SECOND_PERSON),
            style.point(&format!("its versions: flota policy list {name}")),
            style.point(&format!("undo: flota policy rollback {name}, once more")),
        ];
        (Danger::Severe, self.text(&format!("This brings back the version of {name} before {before}"), &lines))
    }

    /// Before somebody agrees to a change that another person asked for.
    pub(crate) fn agreement(&self, request: &PolicyRequest, style: Style) -> String {
        let grace = Duration::from_secs(request.after_seconds.into());
        let (_, consequences) =
            if request.change == "rollback" { self.rollback(style) } else { self.retirement(grace, style) };
        let kept = if grace.is_zero() { String::new() } else { format!(", accepted for {} more", time::span(grace)) };
        let why = if request.reason.is_empty() { String::new() } else { format!(": {}", clean(&request.reason)) };
        let asked = format!("{} asks for the {}{kept}{why}", clean(&request.author), change(request));
        format!("{asked}\n{consequences}")
    }

    fn loosened(&self) -> Option<String> {
        let less = loosened(self.active?.document, self.this.document);
        (!less.is_empty()).then(|| in_short(&less))
    }

    fn warning(&self, style: Style) -> Option<String> {
        let active = self.active?;
        warning(&loosened(active.document, self.this.document), &label(active.policy), style)
    }

    /// A label that no host has is more often a slip than a plan.
    fn nobody(&self, style: Style) -> Option<String> {
        let policy = self.this.policy;
        (policy.hosts == 0).then(|| style.alarm(&format!("no host is meant by {}", applies_to(policy))))
    }

    /// The hosts that it is about.
    fn whom(&self) -> String {
        let policy = self.this.policy;
        format!("{} ({})", hosts(policy.hosts), applies_to(policy))
    }

    fn text(&self, head: &str, lines: &[String]) -> String {
        listed(&format!("{head} for {}{}", self.whom(), self.place), lines)
    }
}

fn listed(head: &str, lines: &[String]) -> String {
    format!("{head}.\n\n{}\n", lines.join("\n"))
}

fn hosts(number: u32) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "host")
}

#[cfg(test)]
mod tests;
