//! What a policy says of a host.

use flota_attest::event_log::EventKind as K;
use flota_attest::policy::{Miss, Observation, Policy, ProposedRules};
use serde_json::{Value, json};

use crate::built::{Log, boot, debian, facts, sha256};

/// A policy that names the PCRs of [`Log::facts`]: 4, 7 and 9 by event, 14 ignored, the others by value.
fn document() -> Value {
    let log = debian();
    let facts = log.facts();
    let observation = Observation { host: "web-1", pcrs: &facts.pcrs, log: Some(&log.parse()) };
    let by_value = Policy::propose("debian-12", "env=prod", &[observation], ProposedRules::Values).unwrap();
    let rules = ProposedRules::EventsWhereLogsReplay;
    let by_event = Policy::propose("debian-12", "env=prod", &[observation], rules).unwrap();
    let mut document: Value = serde_json::from_str(&by_value.policy.to_canonical_json()).unwrap();
    let events: Value = serde_json::from_str(&by_event.policy.to_canonical_json()).unwrap();
    for pcr in ["4", "7", "9"] {
        document["pcrs"][pcr] = events["pcrs"][pcr].clone();
    }
    document["pcrs"]["14"] = json!({ "ignore": "keys of the owner differ" });
    document
}

fn policy(document: &Value) -> Policy {
    Policy::parse(document.to_string().as_bytes()).unwrap()
}

fn codes(misses: &[Miss]) -> Vec<&'static str> {
    misses.iter().map(Miss::code).collect()
}

fn judge(document: &Value, log: &Log) -> Vec<Miss> {
    policy(document).judge(&log.facts(), Some(&log.parse()))
}

#[test]
fn the_host_that_it_was_made_from_is_accepted() {
    assert_eq!(judge(&document(), &debian()), []);
}

#[test]
fn case_68_a_quoted_pcr_that_the_policy_does_not_name_is_denied() {
    for pcr in debian().facts().pcrs.into_keys().filter(|pcr| !matches!(pcr, 4 | 7 | 9)) {
        let mut document = document();
        document["pcrs"].as_object_mut().unwrap().remove(&pcr.to_string());
        let value = debian().facts().pcrs[&pcr];
        assert_eq!(judge(&document, &debian()), [Miss::PcrNotNamed { pcr, value }]);
        let mut facts = debian().facts();
        facts.pcrs.remove(&pcr);
        let misses = policy(&self::document()).judge(&facts, Some(&debian().parse()));
        assert_eq!(misses, [Miss::PcrNotQuoted { pcr }]);
    }
}

#[test]
fn a_value_that_is_not_allowed_is_a_miss() {
    let mut document = document();
    let rule = json!({ "allow": [{ "digest": "11".repeat(32), "note": "BIOS 2.20" }] });
    document["pcrs"]["0"] = rule;
    let value = debian().facts().pcrs[&0];
    let misses = judge(&document, &debian());
    assert_eq!(misses, [Miss::PcrNotAllowed { pcr: 0, value }]);
    let shown = format!("PCR 0 is {}…, which the policy does not allow", hex::encode(&value[..6]));
    assert_eq!(misses[0].to_string(), shown);
    let approved = json!({ "digest": hex::encode(value) });
    document["pcrs"]["0"]["allow"].as_array_mut().unwrap().push(approved);
    assert_eq!(judge(&document, &debian()), []);
}

#[test]
fn case_70_a_kernel_update_passes_while_both_kernels_are_approved_and_misses_outside() {
    let updated = boot("on", "vmlinuz-6.1.0-20-amd64");
    let mut staged = document();
    let misses = judge(&staged, &updated);
    let digest = sha256(b"vmlinuz-6.1.0-20-amd64");
    let event = "EV_EFI_BOOT_SERVICES_APPLICATION \\boot\\vmlinuz-6.1.0-20-amd64".to_owned();
    let number = u32::try_from(updated.events.iter().position(|event| event.digest == digest).unwrap()).unwrap() + 1;
    assert!(misses.contains(&Miss::EventNotApproved { pcr: 4, number, digest, event }), "{misses:?}");
    // The kernel in PCR 4 and 9, and the command line that names it in PCR 8.
    assert_eq!(codes(&misses), ["event_not_approved", "pcr_not_allowed", "event_not_approved"]);

    for (pcr, list, digest) in
        [("4", "events", digest), ("9", "events", digest), ("8", "allow", updated.facts().pcrs[&8])]
    {
        let approved = json!({ "digest": hex::encode(digest), "note": "6.1.0-20, to be rolled out" });
        staged["pcrs"][pcr][list].as_array_mut().unwrap().push(approved);
    }
    assert_eq!(judge(&staged, &updated), []);
    assert_eq!(judge(&staged, &debian()), []);
}

#[test]
fn an_event_rule_speaks_of_digests_in_any_order_and_number() {
    let mut log = debian();
    let kernel = log.find(4, K::EFI_BOOT_SERVICES_APPLICATION);
    log.events.push(log.events[kernel].clone());
    assert_eq!(judge(&document(), &log), []);
    // Whatever the log calls it.
    log.named(4, K::EFI_BOOT_SERVICES_APPLICATION, b"rootkit", &crate::built::image("\\EFI\\debian\\shimx64.efi"));
    let misses = judge(&document(), &log);
    assert_eq!(codes(&misses), ["event_not_approved"]);
    assert_eq!(
        misses[0].to_string(),
        format!(
            "PCR 4, event {}: EV_EFI_BOOT_SERVICES_APPLICATION \\EFI\\debian\\shimx64.efi ({}…) is not approved",
            log.events.len(),
            hex::encode(&sha256(b"rootkit")[..6]),
        )
    );
}

#[test]
fn many_unapproved_events_are_counted() {
    let mut log = debian();
    for number in 0..100 {
        log.named(4, K::EFI_BOOT_SERVICES_APPLICATION, &[number, 9], &[]);
    }
    let misses = judge(&document(), &log);
    assert_eq!((misses.len(), &misses[16]), (17, &Miss::MoreEventsNotApproved { pcr: 4, count: 84 }));
    assert!(codes(&misses).iter().all(|code| *code == "event_not_approved"));
}

#[test]
fn events_may_be_required_to_be_there() {
    let mut document = document();
    let absent = json!({ "digest": "77".repeat(32), "note": "lockdown module" });
    document["pcrs"]["9"]["events"].as_array_mut().unwrap().push(absent);
    assert_eq!(judge(&document, &debian()), []);
    document["pcrs"]["9"]["require_all"] = json!(true);
    let misses = judge(&document, &debian());
    assert_eq!(misses, [Miss::EventMissing { pcr: 9, digest: [0x77; 32], note: "lockdown module".to_owned() }]);
    assert_eq!(misses[0].to_string(), "PCR 9: lockdown module (777777777777…) must have been measured and was not");
}

#[test]
fn nothing_measured_is_not_everything_approved() {
    let mut log = debian();
    log.events.retain(|event| event.pcr != 4);
    assert_eq!(judge(&document(), &log), [Miss::PcrWithoutEvents { pcr: 4 }]);
}

#[test]
fn a_log_that_is_not_to_be_believed_is_never_accepted() {
    // Left out what was measured: the events that are left are all approved.
    let mut evil = debian();
    evil.named(4, K::EFI_BOOT_SERVICES_APPLICATION, b"rootkit", b"");
    let misses = policy(&document()).judge(&evil.facts(), Some(&debian().parse()));
    assert_eq!(codes(&misses), ["log_replay"]);
    // Not even where no rule asks for it.
    let pcrs = debian().facts().pcrs;
    let observation = Observation { host: "web-1", pcrs: &pcrs, log: None };
    let proposed = Policy::propose("values", "", &[observation], ProposedRules::Values).unwrap().policy;
    assert_eq!(proposed.judge(&debian().facts(), None), []);
    let mut altered = debian();
    let at = altered.find(7, K::EFI_VARIABLE_DRIVER_CONFIG);
    altered.events[at].data.push(0);
    let misses = proposed.judge(&debian().facts(), Some(&altered.parse()));
    assert_eq!(codes(&misses), ["event_data"]);
}

#[test]
fn a_pcr_that_the_system_extends_later_cannot_go_by_its_events() {
    let mut facts = debian().facts();
    facts.pcrs.insert(9, [9; 32]);
    let misses = policy(&document()).judge(&facts, Some(&debian().parse()));
    assert_eq!(misses, [Miss::PcrBeyondLog { pcr: 9 }]);
}

#[test]
fn a_boot_log_is_missed_where_a_rule_needs_it() {
    assert_eq!(policy(&document()).judge(&debian().facts(), None), [Miss::LogMissing]);
    let mut values = document();
    for pcr in ["4", "7", "9"] {
        values["pcrs"][pcr] = json!({ "ignore": "not looked at" });
    }
    values["boot_log"] = json!("if_sent");
    assert_eq!(policy(&values).judge(&debian().facts(), None), []);
    values["boot_log"] = json!("required");
    assert_eq!(policy(&values).judge(&debian().facts(), None), [Miss::LogMissing]);
    values["boot_log"] = json!("if_sent");
    values["secure_boot"] = json!("required");
    assert_eq!(policy(&values).judge(&debian().facts(), None), [Miss::LogMissing]);
}

#[test]
fn secure_boot_can_be_required() {
    let mut document = document();
    document["pcrs"]["7"] = json!({ "ignore": "keys differ by vendor" });
    document["secure_boot"] = json!("required");
    assert_eq!(judge(&document, &debian()), []);
    let kernel = "vmlinuz-6.1.0-18-amd64";
    assert_eq!(judge(&document, &boot("off", kernel)), [Miss::SecureBootOff]);
    let mut untold = debian();
    let at = untold.find(7, K::EFI_VARIABLE_DRIVER_CONFIG);
    untold.events.remove(at);
    assert_eq!(judge(&document, &untold), [Miss::SecureBootUnknown]);
    // A log that says on, and a TPM that does not.
    let misses = policy(&document).judge(&boot("off", kernel).facts(), Some(&debian().parse()));
    assert_eq!(codes(&misses), ["log_replay", "secure_boot_unknown"]);
}

#[test]
fn firmware_has_a_minimum_and_an_approved_set() {
    let mut document = document();
    let found = debian().facts().firmware;
    document["min_firmware"] = json!(found);
    document["firmware"] = json!([1, found]);
    assert_eq!(judge(&document, &debian()), []);
    document["min_firmware"] = json!(found + 1);
    document["firmware"] = json!([found + 1, u64::MAX]);
    let misses = judge(&document, &debian());
    assert_eq!(codes(&misses), ["firmware_below_minimum", "firmware_not_approved"]);
    assert_eq!(misses[0].to_string(), "the TPM's firmware is 0x70002, the policy wants 0x70003 or newer");
}

#[test]
fn every_miss_is_a_sentence_without_its_values_in_full() {
    let other = facts([(0, [1; 32]), (23, [2; 32])].into());
    let misses = policy(&document()).judge(&other, Some(&Log::empty().hashed(4, K::IPL, "x").parse()));
    assert!(misses.len() > 8);
    for miss in misses {
        let shown = miss.to_string();
        assert!(shown.chars().count() < 400 && !shown.contains(&"01".repeat(8)) && !shown.ends_with('.'), "{shown}");
    }
}
