//! Why a host does or does not meet what it is held to.

use std::fmt::Write as _;

use flota_model::Timestamp;
use flota_proto::v1::ExplainPolicyResponse;

use super::host_show::facts;
use crate::output::signs::{Sign, Tone};
use crate::output::text::{clean, sentence, words};
use crate::output::{Style, time};

/// The whole screen.
pub(crate) fn render(why: &ExplainPolicyResponse, now: Timestamp, style: Style) -> String {
    let host = clean(&why.host_name);
    let held_to = if why.policy.is_empty() { "its own first quote".to_owned() } else { clean(&why.policy) };
    let quoted = !why.quoted_at.is_empty();
    let (sign, verdict) = match (why.met, quoted) {
        (true, _) => (Sign::Ok, format!("{host} meets {held_to}")),
        (false, true) => (Sign::Failed, format!("{host} does not meet {held_to}")),
        (false, false) => (Sign::Waiting, format!("{host} has not been quoted yet")),
    };
    let mut text = style.say(sign, &verdict) + "\n\n";
    for finding in &why.findings {
        let _infallible = writeln!(text, "  {}", sentence(finding));
    }
    if !why.findings.is_empty() {
        text.push('\n');
    }
    let when = match (quoted, why.has_boot_log) {
        (false, _) => "never".to_owned(),
        (true, true) => when(&why.quoted_at, "with its boot log", now, style),
        (true, false) => when(&why.quoted_at, "without a boot log, so that no event can be named", now, style),
    };
    let head = |name: &str| style.paint(Tone::Strong, &format!("{name:<8}"));
    let _infallible = writeln!(text, "{}{}", head("Trust"), words(&why.trust));
    let _infallible = writeln!(text, "{}{}", head("Quoted"), when);
    if !why.remedy.is_empty() {
        let _infallible = writeln!(text, "{}{}", head("Next"), clean(&why.remedy));
    }
    text
}

fn when(at: &str, log: &str, now: Timestamp, style: Style) -> String {
    facts(style, &[format!("{} ({} ago)", time::stamp(at), time::ago(at, now)), log.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trust::explanation;
    use crate::testing::{PLAIN, golden, now};

    #[test]
    fn the_first_thing_that_differs_is_named() {
        golden("policy-explain.txt", &render(&explanation(), now(), PLAIN));
        let met = ExplainPolicyResponse {
            trust: "trusted".into(),
            met: true,
            findings: Vec::new(),
            remedy: String::new(),
            ..explanation()
        };
        golden("policy-explain-met.txt", &render(&met, now(), PLAIN));
        let new = ExplainPolicyResponse {
            trust: "pending".into(),
            policy: String::new(),
            quoted_at: String::new(),
            has_boot_log: false,
            findings: Vec::new(),
            remedy: "flota attest challenge fra-bot-13".into(),
            ..explanation()
        };
        golden("policy-explain-new.txt", &render(&new, now(), PLAIN));
    }
}
