//! `flota attest challenge`.

use std::time::Duration;

use clap::Args;
use flota_proto::v1::{ChallengeOutcome, ChallengeRequest};

use crate::args::Targets;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::signs::Sign;
use crate::output::table::{Cell, Table};
use crate::output::text::{count, sentence};
use crate::output::{Listing, Style, time};

/// `flota attest challenge`
#[derive(Debug, Args)]
pub(crate) struct Challenge {
    #[command(flatten)]
    targets: Targets,
    /// How long hosts may take
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration, default_value = "30s")]
    within: Duration,
}

/// How much longer than the hosts the controller may take to judge them.
const GRACE: Duration = Duration::from_secs(10);

/// Asks, waits for the verdicts, and judges them.
pub(crate) async fn run(invocation: &Invocation, args: Challenge) -> Result<Exit, Failure> {
    let chosen = args.targets.choose("flota attest challenge")?;
    let session = invocation.session().await?;
    let request = ChallengeRequest {
        selector: chosen.selector,
        all_hosts: chosen.all,
        hosts: chosen.hosts,
        timeout_seconds: u32::try_from(args.within.as_secs()).unwrap_or(u32::MAX).max(1),
    };
    let answer = session.attestation().challenge(session.ask_within(request, args.within.saturating_add(GRACE))).await;
    let outcomes = answer.map_err(|status| Failure::of_status(&status, Stake::Repeatable))?.into_inner().outcomes;
    if outcomes.is_empty() {
        return Err(Failure::new(Exit::NotFound, "no host is selected").nothing_changed().fix("flota host list"));
    }
    let listing = Listing {
        kind: "ChallengeOutcome",
        items: &outcomes,
        columns: &COLUMNS,
        row,
        name: |outcome: &ChallengeOutcome| outcome.host_name.clone(),
    };
    invocation.out.listing(&listing, |style| table(&outcomes, style))?;
    let passed = outcomes.iter().filter(|outcome| outcome.verdict == "pass").count();
    invocation.out.talk(&format!("{passed} of {} passed", count(outcomes.len(), "host")));
    Ok(judged(&outcomes))
}

fn judged(outcomes: &[ChallengeOutcome]) -> Exit {
    let any = |verdict: &str| outcomes.iter().any(|outcome| outcome.verdict == verdict);
    match outcomes.iter().all(|outcome| outcome.verdict == "pass") {
        true => Exit::Good,
        false if any("fail") => Exit::Bad,
        false => Exit::Partial,
    }
}

const COLUMNS: [&str; 5] = ["host", "verdict", "trust", "reasons", "host_id"];

fn row(outcome: &ChallengeOutcome) -> Vec<String> {
    let ChallengeOutcome { host_id, host_name, verdict, trust, reasons } = outcome.clone();
    vec![host_name, verdict, trust, reasons.join("; "), host_id]
}

fn table(outcomes: &[ChallengeOutcome], style: Style) -> String {
    let mut table = Table::new(["HOST", "VERDICT", "TRUST", "REASONS"]);
    for outcome in outcomes {
        let sign = match outcome.verdict.as_str() {
            "pass" => Sign::Ok,
            "fail" => Sign::Failed,
            "retry" => Sign::Working,
            _ => Sign::Silent,
        };
        table.row([
            Cell::from(&outcome.host_name),
            Cell::signed(sign, &outcome.verdict),
            Cell::from(&outcome.trust),
            Cell::from(outcome.reasons.iter().map(|reason| sentence(reason)).collect::<Vec<_>>().join("; ")),
        ]);
    }
    table.render(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden};

    fn outcome(host: &str, verdict: &str, reasons: &[&str]) -> ChallengeOutcome {
        let trust = if verdict == "pass" { "trusted" } else { "drifted" };
        let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        ChallengeOutcome {
            host_id: String::new(),
            host_name: host.into(),
            verdict: verdict.into(),
            trust: trust.into(),
            reasons,
        }
    }

    #[test]
    fn a_failure_weighs_more_than_silence() {
        let (pass, fail) = (outcome("a", "pass", &[]), outcome("b", "fail", &["pcr_mismatch: PCR 7 differs"]));
        let (silent, retry) = (outcome("c", "silent", &[]), outcome("d", "retry", &["reboot: the TPM was reset"]));
        assert_eq!(judged(std::slice::from_ref(&pass)), Exit::Good);
        assert_eq!(judged(&[pass.clone(), silent.clone()]), Exit::Partial);
        assert_eq!(judged(&[pass.clone(), retry.clone()]), Exit::Partial);
        let all = [pass, fail, silent, retry];
        assert_eq!(judged(&all), Exit::Bad);
        golden("attest-challenge.txt", &table(&all, PLAIN));
    }
}
