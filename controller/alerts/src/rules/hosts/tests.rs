use flota_model::rollout::RolloutState;

use super::*;
use crate::facts::{Metadata, RolloutFact};
use crate::life::Observed;
use crate::rules::testing::{answer, at, fleet, found, host};

fn silent_host(name: &str) -> HostFact {
    HostFact { silent_for: Some(Duration::from_mins(1)), ..host(name, "") }
}

fn subjects(rule: &str, facts: &FleetFacts) -> Vec<String> {
    found(rule, facts, at(0)).into_iter().map(|(subject, _)| subject).collect()
}

#[test]
fn one_silent_host_is_a_host_and_many_are_not() {
    let mut hosts: Vec<_> = (1..=50).map(|n| host(&format!("bot-{n:02}"), "")).collect();
    hosts[0] = silent_host("bot-01");
    hosts[1] = silent_host("bot-02");
    let facts = fleet(hosts.clone());
    assert_eq!(subjects("FlotaHostSilent", &facts), ["host=bot-01", "host=bot-02"]);
    assert!(subjects("FlotaHostsSilent", &facts).is_empty());
    hosts[2] = silent_host("bot-03");
    let facts = fleet(hosts);
    assert!(subjects("FlotaHostSilent", &facts).is_empty());
    assert_eq!(answer("FlotaHostSilent", &[("host", "bot-01")], &facts, at(0)), Observed::Unknown);
    let [(_, finding)] = found("FlotaHostsSilent", &facts, at(0)).try_into().unwrap();
    assert_eq!((finding.summary.as_str(), finding.host_count), ("3 of 50 hosts are silent", 3));
}

#[test]
fn a_controller_that_just_began_to_listen_says_nothing_of_silence() {
    let mut facts = fleet(vec![silent_host("a")]);
    facts.listening_for = Duration::from_secs(30);
    assert!(subjects("FlotaHostSilent", &facts).is_empty());
    assert_eq!(answer("FlotaHostSilent", &[("host", "a")], &facts, at(0)), Observed::Unknown);
    assert_eq!(answer("FlotaHostsSilent", &[], &facts, at(0)), Observed::Unknown);
}

#[test]
fn a_host_that_was_shut_out_is_told_as_that_and_as_nothing_else() {
    let untrusted = HostFact {
        trust: (Trust::Untrusted, "its quote is forged".into()),
        shut_out: true,
        export_age: Duration::from_hours(99),
        ..silent_host("a")
    };
    let mut facts = fleet(vec![untrusted]);
    facts.exports = Some(ExportPace { late_after: Duration::from_hours(30), grace: Duration::ZERO });
    assert_eq!(subjects("FlotaAttestationFailed", &facts), ["host=a"]);
    for rule in ["FlotaHostSilent", "FlotaExportOverdue"] {
        assert_eq!(answer(rule, &[("host", "a")], &facts, at(0)), Observed::Unknown, "{rule}");
    }
}

#[test]
fn trust_safe_hold_and_exports_are_told() {
    let mut facts = fleet(vec![
        HostFact { trust: (Trust::Drifted, "PCR 7 differs".into()), ..host("a", "") },
        HostFact { safe_hold: Some("4.12.0 and 4.11.3 crash".into()), ..host("b", "") },
        HostFact { export_age: Duration::from_hours(40), ..host("c", "") },
        HostFact { trust: (Trust::Quarantined, "by anna".into()), ..host("d", "") },
    ]);
    assert_eq!(subjects("FlotaAttestationFailed", &facts), ["host=a"]);
    assert_eq!(subjects("FlotaHostSafeHold", &facts), ["host=b"]);
    assert!(subjects("FlotaExportOverdue", &facts).is_empty(), "there is no schedule");
    facts.exports = Some(ExportPace { late_after: Duration::from_hours(30), grace: Duration::from_hours(8) });
    assert_eq!(subjects("FlotaExportOverdue", &facts), ["host=c"]);
    facts.listening_for = Duration::from_hours(7);
    assert_eq!(answer("FlotaExportOverdue", &[("host", "c")], &facts, at(0)), Observed::Unknown, "nobody asked it");
}

#[test]
fn rollouts_that_need_a_person_and_metadata_that_expire_are_told() {
    let mut facts = fleet(Vec::new());
    let rollout = |id, state| RolloutFact { id: flota_model::RolloutId::new(id), state, cause: "2 of 2 failed".into() };
    facts.rollouts = vec![
        rollout(1, RolloutState::Halted),
        rollout(2, RolloutState::Running),
        rollout(3, RolloutState::AwaitingApproval),
        rollout(4, RolloutState::Inconclusive),
    ];
    assert_eq!(subjects("FlotaRolloutStopped", &facts), ["rollout=R-1"]);
    assert_eq!(subjects("FlotaRolloutWaits", &facts), ["rollout=R-3", "rollout=R-4"]);
    let mut summaries = |metadata| {
        facts.metadata = Some(metadata);
        found("FlotaReleasesExpire", &facts, at(0)).into_iter().map(|(_, finding)| finding.summary).collect::<Vec<_>>()
    };
    let day = |days: u64| at(days * 24 * 3600);
    assert!(summaries(Metadata::Until(day(15), "root".into())).is_empty());
    assert_eq!(summaries(Metadata::Until(day(13), "root".into())).len(), 1);
    assert!(summaries(Metadata::Until(day(3), "timestamp".into())).is_empty(), "it is renewed by the week");
    assert_eq!(summaries(Metadata::Until(day(1), "timestamp".into())).len(), 1);
    let expired = Metadata::NotBelieved("the timestamp metadata have expired".into());
    assert_eq!(summaries(expired), ["release metadata are not believed"]);
}
