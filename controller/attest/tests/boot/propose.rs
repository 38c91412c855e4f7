//! Policies out of what hosts report.

use std::collections::BTreeMap;

use flota_attest::event_log::{EventKind as K, EventLog};
use flota_attest::policy::{
    MAX_DIGESTS_OF_RULE, Observation, PcrRule, Policy, PolicyError, Presence, Proposal, ProposalNote, ProposedRules,
};
use flota_attest::quote::QuoteFacts;

use crate::built::{Log, boot, debian};

struct Host {
    name: String,
    facts: QuoteFacts,
    log: Option<EventLog>,
}

fn host(name: &str, log: &Log) -> Host {
    Host { name: name.to_owned(), facts: log.facts(), log: Some(log.parse()) }
}

fn propose(hosts: &[Host], rules: ProposedRules) -> Proposal {
    let observations: Vec<Observation<'_>> = hosts
        .iter()
        .map(|host| Observation { host: &host.name, pcrs: &host.facts.pcrs, log: host.log.as_ref() })
        .collect();
    Policy::propose("draft", "env=prod", &observations, rules).unwrap()
}

fn shown(proposal: &Proposal) -> Vec<String> {
    proposal.notes.iter().map(ToString::to_string).collect()
}

fn kernels() -> [Host; 3] {
    [host("web-1", &debian()), host("web-2", &boot("on", "vmlinuz-6.1.0-20-amd64")), host("db-1", &debian())]
}

#[test]
fn a_draft_accepts_the_hosts_that_it_was_made_from() {
    for rules in [ProposedRules::Values, ProposedRules::EventsWhereLogsReplay] {
        let policy = propose(&kernels(), rules).policy;
        for host in kernels() {
            assert_eq!(policy.judge(&host.facts, host.log.as_ref()), [], "{} by {rules:?}", host.name);
        }
        let other = host("web-3", &boot("on", "vmlinuz-6.6"));
        assert_ne!(policy.judge(&other.facts, other.log.as_ref()), []);
        assert_eq!(Policy::parse(policy.to_canonical_json().as_bytes()).unwrap(), policy);
    }
}

#[test]
fn values_name_the_hosts_they_were_seen_on() {
    let policy = propose(&kernels(), ProposedRules::Values).policy;
    let notes = |pcr: u8| -> Vec<String> {
        let mut notes: Vec<String> = policy.pcrs()[&pcr].approved().iter().map(|one| one.note.clone()).collect();
        notes.sort();
        notes
    };
    assert_eq!(notes(0), ["seen on web-1, web-2, db-1"]);
    assert_eq!(notes(4), ["seen on web-1, db-1", "seen on web-2"]);
    assert!(policy.pcrs().values().all(|rule| matches!(rule, PcrRule::Allow(_))));
    let many: Vec<Host> = (0..9).map(|n| host(&format!("web-{n}"), &debian())).collect();
    let policy = propose(&many, ProposedRules::Values).policy;
    assert_eq!(policy.pcrs()[&0].approved()[0].note, "seen on web-0, web-1, web-2, web-3 and 5 more");
}

#[test]
fn events_come_in_the_order_of_the_boot_with_what_they_are() {
    let policy = propose(&kernels(), ProposedRules::EventsWhereLogsReplay).policy;
    let PcrRule::Events { events, presence: Presence::Optional } = &policy.pcrs()[&4] else { panic!("no events rule") };
    let notes: Vec<&str> = events.iter().map(|one| one.note.as_str()).collect();
    assert_eq!(
        notes,
        [
            "EV_EFI_ACTION Calling EFI Application from Boot Option, first seen on web-1",
            "EV_SEPARATOR, first seen on web-1",
            "EV_EFI_BOOT_SERVICES_APPLICATION \\EFI\\debian\\shimx64.efi, first seen on web-1",
            "EV_EFI_BOOT_SERVICES_APPLICATION \\EFI\\debian\\grubx64.efi, first seen on web-1",
            "EV_EFI_BOOT_SERVICES_APPLICATION \\boot\\vmlinuz-6.1.0-18-amd64, first seen on web-1",
            "EV_EFI_BOOT_SERVICES_APPLICATION \\boot\\vmlinuz-6.1.0-20-amd64, first seen on web-2",
        ]
    );
}

#[test]
fn a_pcr_goes_by_value_where_a_log_does_not_account_for_it() {
    let mut hosts = kernels();
    hosts[1].log = None;
    let proposal = propose(&hosts, ProposedRules::EventsWhereLogsReplay);
    assert!(proposal.policy.pcrs().values().all(|rule| matches!(rule, PcrRule::Allow(_))));
    let note = ProposalNote::NoLog { pcr: 4, hosts: "web-2".to_owned() };
    assert!(proposal.notes.contains(&note));
    assert_eq!(note.to_string(), "PCR 4 is proposed by value: no boot log accounts for it on web-2");

    // Extended at run time: only that PCR. A log with a finding: every PCR.
    let mut hosts = kernels();
    hosts[0].facts.pcrs.insert(9, [9; 32]);
    let proposal = propose(&hosts, ProposedRules::EventsWhereLogsReplay);
    let by_value: Vec<u8> =
        proposal.policy.pcrs().iter().filter(|(_, rule)| rule.word() == "allow").map(|(pcr, _)| *pcr).collect();
    assert_eq!(by_value, [9]);
    hosts[0].facts.pcrs.insert(1, [1; 32]);
    let proposal = propose(&hosts, ProposedRules::EventsWhereLogsReplay);
    assert!(proposal.policy.pcrs().values().all(|rule| rule.word() == "allow"));
}

#[test]
fn many_values_are_for_a_person_to_decide_and_nothing_is_ignored() {
    let hosts: Vec<Host> = (0..14)
        .map(|n| {
            let mut host = host(&format!("web-{n}"), &debian());
            host.facts.pcrs.insert(1, [n; 32]);
            host
        })
        .collect();
    let proposal = propose(&hosts, ProposedRules::Values);
    assert_eq!(proposal.policy.pcrs()[&1].approved().len(), 14);
    assert_eq!(proposal.notes, [ProposalNote::ManyValues { pcr: 1, values: 14, listed: 14 }]);
    assert_eq!(
        shown(&proposal),
        [
            "PCR 1 has 14 different values, of which the rule lists 14: decide whether to list them, to go by events, or \
          to ignore it and why"
        ]
    );
    assert!(proposal.policy.pcrs().values().all(|rule| rule.word() != "ignore"));
}

#[test]
fn a_rule_has_no_more_digests_than_a_policy_may() {
    let values: Vec<BTreeMap<u8, [u8; 32]>> = (0..600_u16)
        .map(|n| {
            let mut value = [0; 32];
            value[..2].copy_from_slice(&n.to_be_bytes());
            BTreeMap::from([(1, value)])
        })
        .collect();
    let observations: Vec<Observation<'_>> =
        values.iter().map(|pcrs| Observation { host: "web", pcrs, log: None }).collect();
    let proposal = Policy::propose("draft", "", &observations, ProposedRules::Values).unwrap();
    let listed = MAX_DIGESTS_OF_RULE;
    assert_eq!(proposal.notes, [ProposalNote::ManyValues { pcr: 1, values: 600, listed }]);

    let mut log = debian();
    for number in 0..600_u16 {
        log.hashed(8, K::IPL, format!("grub_cmd: echo {number}"));
    }
    let proposal = propose(&[host("web-1", &log)], ProposedRules::EventsWhereLogsReplay);
    let events = 601;
    assert!(proposal.notes.contains(&ProposalNote::ManyEvents { pcr: 8, events, listed }));
}

#[test]
fn a_host_that_quotes_less_is_told_of() {
    let mut hosts = kernels();
    hosts[2].facts.pcrs.remove(&14);
    let proposal = propose(&hosts, ProposedRules::Values);
    assert_eq!(shown(&proposal)[0], "PCR 14 was not quoted by db-1");
}

#[test]
fn secure_boot_that_is_on_everywhere_is_told_and_not_required() {
    let proposal = propose(&kernels(), ProposedRules::Values);
    assert_eq!(proposal.notes, [ProposalNote::SecureBootOn]);
    assert_eq!(proposal.policy.secure_boot(), flota_attest::policy::SecureBootRule::Any);
    let mut hosts = kernels().into_iter().collect::<Vec<_>>();
    hosts.push(host("old-1", &boot("off", "vmlinuz")));
    assert_eq!(propose(&hosts, ProposedRules::Values).notes, []);
}

#[test]
fn words_of_hosts_come_into_a_draft_escaped_and_cut() {
    let mut log = debian();
    log.hashed(8, K::IPL, format!("grub_cmd: \u{1b}[2J{}", "\u{202e}".repeat(500)));
    let name = format!("web\n{}", "1".repeat(500));
    let proposal = propose(&[host(&name, &log)], ProposedRules::EventsWhereLogsReplay);
    let note = &proposal.policy.pcrs()[&8].approved()[1].note;
    assert!(note.starts_with("EV_IPL grub_cmd: \\u{1b}[2J\\u{202e}") && note.contains("web\\n111"), "{note}");
}

#[test]
fn nothing_seen_and_a_name_that_is_none_make_no_policy() {
    assert!(matches!(Policy::propose("draft", "", &[], ProposedRules::Values), Err(PolicyError::NoPcrs)));
    let pcrs = debian().facts().pcrs;
    let observation = Observation { host: "web-1", pcrs: &pcrs, log: None };
    let named = |name: &str| Policy::propose(name, "", &[observation], ProposedRules::Values);
    assert!(named("debian-12").is_ok());
    assert!(matches!(named("Debian 12"), Err(PolicyError::Name)));
}
