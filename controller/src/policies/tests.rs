use std::time::Duration;

use flota_model::Digest;

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

fn document(applies_to: &str, byte: u8) -> String {
    let digest = hex::encode([byte; 32]);
    format!(
        r#"{{"schema":"flota.attest.policy/1","name":"boot","bank":"sha256","applies_to":"{applies_to}","pcrs":{{"7":{{"allow":[{{"digest":"{digest}"}}]}}}}}}"#
    )
}

fn record(version: u32, state: PolicyState, document_json: String) -> PolicyRecord {
    PolicyRecord {
        digest: Digest::of(document_json.as_bytes()),
        name: "boot".into(),
        version,
        state,
        document_json,
        author: "operator/sara".into(),
        approvers: Vec::new(),
        note: String::new(),
        created_at: NOW,
        activated_at: None,
        request: None,
    }
}

fn facts(byte: u8) -> QuoteFacts {
    QuoteFacts {
        clock: 1,
        reset_count: 1,
        restart_count: 0,
        safe: true,
        firmware: 1,
        pcrs: [(7, [byte; 32])].into(),
        rebooted: false,
        unseen_reboots: 0,
        firmware_changed: false,
    }
}

/// The policy that a host of this label was held to, and whether it met it.
fn held(records: &[PolicyRecord], env: &str, byte: u8) -> Option<(String, bool)> {
    let labels = Labels::try_from(std::collections::BTreeMap::from([("env".to_owned(), env.to_owned())])).unwrap();
    let host: HostName = "bot-1".parse().unwrap();
    let held = Policies::compile(records).judge(&host, &labels, &facts(byte), None, NOW);
    held.map(|held| (held.name, held.misses.is_empty()))
}

fn staged() -> PolicyState {
    PolicyState::Staged { from: NOW, until: NOW.plus(Duration::from_mins(1)) }
}

#[test]
fn what_is_staged_for_some_hosts_is_not_accepted_from_others() {
    let records = [record(2, staged(), document("env=canary", 2)), record(1, PolicyState::Active, document("", 1))];
    assert_eq!(held(&records, "canary", 2), Some(("boot@2".into(), true)));
    assert_eq!(held(&records, "prod", 2), Some(("boot@1".into(), false)));
    assert_eq!(held(&records, "prod", 1), Some(("boot@1".into(), true)));
}

#[test]
fn a_staged_policy_alone_holds_nobody_and_a_retiring_one_still_does() {
    assert_eq!(held(&[record(1, staged(), document("", 1))], "prod", 9), None);
    let retiring =
        |seconds: i64| PolicyState::Retiring { until: Timestamp::from_micros(NOW.as_micros() + seconds * 1_000_000) };
    assert_eq!(held(&[record(1, retiring(60), document("", 1))], "prod", 9), Some(("boot@1".into(), false)));
    assert_eq!(held(&[record(1, retiring(0), document("", 1))], "prod", 9), None, "its time is over");
}

#[test]
fn a_policy_that_cannot_be_read_is_met_by_nobody() {
    let records = [record(1, PolicyState::Active, "{}".into())];
    assert_eq!(held(&records, "prod", 1), Some(("boot@1".into(), false)));
}
