//! Screen 4: why a rollout is where it is. Each reason with since when, whose move it is, and what would change it.

use flota_model::Timestamp;
use flota_proto::v1::{Rollout, Target};
use serde::Serialize;

use super::rollout_words::{Group, Standing, groups, next_lines, owner, rollout_sign, standing, target_sign};
use crate::output::signs::Tone;
use crate::output::text::{clean, count, few, words};
use crate::output::{Style, time};

/// Names listed before the rest becomes a count.
const NAMES: usize = 6;

/// One reason, for machines.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    state: String,
    reason: String,
    owner: String,
    since: String,
    hosts: Vec<String>,
}

/// Reasons of every target that is not done, or of one host; the largest group first.
pub(crate) fn reasons<'a>(rollout: &'a Rollout, host: Option<&str>) -> Vec<Group<'a>> {
    let wanted = |target: &&Target| match host {
        Some(host) => target.host_name == host || target.host_id == host,
        None => !matches!(standing(&target.state), Standing::Done | Standing::Skipped),
    };
    groups(rollout.targets.iter().filter(wanted))
}

/// As data.
pub(crate) fn explained(groups: &[Group<'_>]) -> Vec<Explained> {
    let one = |group: &Group<'_>| Explained {
        state: group.sample.state.clone(),
        reason: group.sample.reason.clone(),
        owner: group.sample.owner.clone(),
        since: group.since.to_owned(),
        hosts: group.names.iter().map(|name| (*name).to_owned()).collect(),
    };
    groups.iter().map(one).collect()
}

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 5] = ["state", "reason", "owner", "since", "hosts"];

impl Explained {
    /// One row of `-o tsv`.
    pub(crate) fn row(&self) -> Vec<String> {
        let hosts = self.hosts.join(",");
        vec![self.state.clone(), self.reason.clone(), self.owner.clone(), self.since.clone(), hosts]
    }

    /// What `-o name` prints: the first host it holds for.
    pub(crate) fn name(&self) -> String {
        self.hosts.first().cloned().unwrap_or_default()
    }
}

/// The text for people.
pub(crate) fn render(rollout: &Rollout, groups: &[Group<'_>], now: Timestamp, style: Style) -> String {
    let id = clean(&rollout.id);
    let state = style.say(rollout_sign(&rollout.state), &words(&rollout.state));
    let mut lines = vec![format!("{} is {state}: {}", style.paint(Tone::Strong, &id), clean(&rollout.cause))];
    if groups.is_empty() {
        lines.push("Every host of it is done; there is nothing to explain.".to_owned());
    }
    for group in groups {
        lines.push(String::new());
        lines.extend(reason(rollout, group, now, style));
    }
    lines.push(String::new());
    lines.extend(next_lines(rollout, style));
    lines.join("\n") + "\n"
}

fn reason(rollout: &Rollout, group: &Group<'_>, now: Timestamp, style: Style) -> Vec<String> {
    let sample = group.sample;
    let who = match group.names.as_slice() {
        [name] => clean(name),
        names => count(names.len(), "host"),
    };
    let wave = usize::try_from(sample.wave).ok().and_then(|index| rollout.waves.get(index));
    let wave =
        wave.filter(|_| group.names.len() == 1).map(|wave| format!(" ({})", clean(&wave.name))).unwrap_or_default();
    let sign = target_sign(&sample.state);
    let text = if sample.reason.is_empty() { "no reason was given".to_owned() } else { clean(&sample.reason) };
    let mut lines = vec![
        format!("{}{wave} {}", style.say(sign, &who), words(&sample.state)),
        format!("    why    {text}"),
        format!("    since  {} ({} ago)", time::stamp(group.since), time::ago(group.since, now)),
        format!("    move   {}", owner(&sample.owner)),
    ];
    if group.names.len() > 1 {
        lines.push(format!("    hosts  {}", few(&group.names, NAMES, style)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden, halted, now};

    #[test]
    fn every_reason_has_an_owner_and_a_time() {
        let rollout = halted();
        golden("rollout-explain.txt", &render(&rollout, &reasons(&rollout, None), now(), PLAIN));
        let one = reasons(&rollout, Some("fra-bot-04"));
        golden("rollout-explain-host.txt", &render(&rollout, &one, now(), PLAIN));
    }

    #[test]
    fn a_target_that_is_not_done_is_always_explained() {
        let rollout = halted();
        let explained: usize = reasons(&rollout, None).iter().map(|group| group.names.len()).sum();
        let open = rollout.targets.iter().filter(|target| standing(&target.state) != Standing::Done).count();
        assert_eq!(explained, open);
    }
}
