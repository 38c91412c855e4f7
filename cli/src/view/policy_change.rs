//! What changes from one policy to another, for whoever approves it.

use flota_proto::v1::DiffPoliciesResponse;

use super::policy_loosening::in_short;
use super::policy_show::{remarks, rules};
use super::policy_words::{Known, applies_to, label};
use crate::output::signs::{Sign, Tone};
use crate::output::text::{clean, count, short, words};
use crate::output::{Format, Style};

/// Lines of one difference before the rest becomes a count, where it is not what was asked for.
const LINES: usize = 30;

/// `flota policy diff`.
pub(crate) fn diff(diff: &DiffPoliciesResponse, style: Style) -> String {
    if diff.changes.is_empty() {
        return format!("{} asks the same as {}", clean(&diff.to), clean(&diff.from));
    }
    let head = format!("{} {} {}", clean(&diff.from), style.arrow(), clean(&diff.to));
    let mut lines = vec![format!("{}  {}", style.paint(Tone::Strong, &head), count(diff.changes.len(), "difference"))];
    lines.extend(changes(&diff.changes, usize::MAX, style));
    lines.join("\n")
}

/// A draft that was just made: how it differs from what is active, and what a person has to know.
pub(crate) fn proposal(known: Known<'_>, active: Option<&DiffPoliciesResponse>, style: Style) -> String {
    let policy = known.policy;
    let state = if policy.state == "draft" { "a draft" } else { &words(&policy.state) };
    let head = style.paint(Tone::Strong, &format!("{} is {state}", label(policy)));
    let mut lines =
        vec![format!("{head}, for {} (sha256 {})", applies_to(policy), short(&policy.digest)), String::new()];
    lines.extend(against_active(active, style));
    if active.is_none() {
        lines.push(String::new());
        lines.push(rules(known.document, Format::Table, style));
    }
    let remarks = remarks(known, style);
    if !remarks.is_empty() {
        lines.push(String::new());
    }
    lines.extend(remarks);
    lines.join("\n")
}

/// The difference from the active version, cut where nobody would read on.
pub(crate) fn against_active(active: Option<&DiffPoliciesResponse>, style: Style) -> Vec<String> {
    let Some(diff) = active else {
        return vec!["Nothing is active under this name: there is nothing to compare with.".to_owned()];
    };
    if diff.changes.is_empty() {
        return vec![format!("It asks the same as {}, which is active.", clean(&diff.from))];
    }
    let head = format!("Different from {}, which is active", clean(&diff.from));
    let mut lines = vec![style.paint(Tone::Strong, &head)];
    lines.extend(changes(&diff.changes, LINES, style));
    if diff.changes.len() > LINES {
        lines.push(format!("  all of it: flota policy diff {}", clean(&diff.to)));
    }
    lines
}

/// The line that whoever approves must not miss; none if nothing more is accepted.
pub(crate) fn warning(loosened: &[String], active: &str, style: Style) -> Option<String> {
    let more = format!("it asks less than {active}: {}", in_short(loosened));
    (!loosened.is_empty()).then(|| style.say(Sign::Warning, &more))
}

fn changes(changes: &[String], most: usize, style: Style) -> Vec<String> {
    let mut lines: Vec<String> = changes.iter().take(most).map(|change| line(change, style)).collect();
    match changes.len().saturating_sub(most) {
        0 => {}
        hidden => lines.push(format!("  {}and {hidden} more", style.ellipsis())),
    }
    lines
}

/// More is accepted, or less: the two are told by sign and colour.
fn line(change: &str, style: Style) -> String {
    let change = clean(change).replace('→', style.arrow()).replace('…', style.ellipsis());
    let tone = if change.contains(": + ") {
        Some(Tone::Warn)
    } else if change.contains(": - ") {
        Some(Tone::Busy)
    } else {
        None
    };
    format!("  {}", tone.map_or_else(|| change.clone(), |tone| style.paint(tone, &change)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trust::{policy_detail, policy_diff};
    use crate::testing::{ASCII, COLOR, PLAIN, golden};

    #[test]
    fn a_difference_names_both_sides() {
        golden("policy-diff.txt", &(diff(&policy_diff(), PLAIN) + "\n"));
        golden("policy-diff-color.txt", &(diff(&policy_diff(), COLOR) + "\n"));
        golden("policy-diff-ascii.txt", &(diff(&policy_diff(), ASCII) + "\n"));
        let same = DiffPoliciesResponse { changes: Vec::new(), ..policy_diff() };
        assert_eq!(diff(&same, PLAIN), "prod@4 asks the same as prod@3");
    }

    #[test]
    fn a_proposal_comes_with_what_it_changes_and_what_it_does_not_say() {
        let detail = policy_detail(4, "draft");
        let known = Known::of(&detail).unwrap();
        golden("policy-proposal.txt", &(proposal(known, Some(&policy_diff()), PLAIN) + "\n"));
        golden("policy-proposal-first.txt", &(proposal(known, None, PLAIN) + "\n"));
    }

    #[test]
    fn a_long_difference_is_cut_before_a_question_and_nowhere_else() {
        let many = DiffPoliciesResponse { changes: vec!["PCR 8: + 1a2b".to_owned(); 100], ..policy_diff() };
        assert_eq!(against_active(Some(&many), PLAIN).len(), LINES + 3);
        assert_eq!(diff(&many, PLAIN).lines().count(), 101);
    }
}
