//! What tests share of trust: policies in every state, measurements, hosts that wait, escalations.

use flota_proto::v1::{
    AttestationRecord, DiffPoliciesResponse, Escalation, ExplainPolicyResponse, HostDetail, ObserveResponse,
    ObservedPcr, ObservedValue, PcrState, PendingEnrolment, Policy, PolicyDetail, PolicyRequest,
};
use serde_json::json;

use super::{digest, fleet_host, host_detail};

/// The document of prod@3: a rule of every kind.
pub(crate) fn document() -> String {
    json!({
        "schema": "flota.attest.policy/1", "name": "prod", "bank": "sha256", "applies_to": "env=prod",
        "secure_boot": "required", "boot_log": "required", "min_firmware": 0x1_0002_0000_0000_u64,
        "pcrs": {
            "0": { "allow": [
                { "digest": digest("firmware 1.14"), "note": "seen on fra-bot-01, fra-bot-02, fra-bot-03, fra-bot-04 and 36 more" },
                { "digest": digest("firmware 1.15"), "note": "seen on waw-bot-02" },
            ] },
            "4": { "require_all": false, "events": [
                { "digest": digest("shim"), "note": "shim 15.8" },
                { "digest": digest("kernel 85"), "note": "vmlinuz 6.1.85" },
            ] },
            "7": { "allow": [{ "digest": digest("secure boot"), "note": "" }] },
            "9": { "ignore": "the initramfs is built on each host" },
        },
    })
    .to_string()
}

/// The document of prod@4: another kernel is approved too.
fn next_document() -> String {
    let mut document: serde_json::Value = serde_json::from_str(&document()).unwrap();
    let kernel = json!({ "digest": digest("kernel 90"), "note": "vmlinuz 6.1.90" });
    document["pcrs"]["4"]["events"].as_array_mut().unwrap().push(kernel);
    document.to_string()
}

/// A version of prod.
pub(crate) fn policy(version: u32, state: &str) -> Policy {
    let [from, until] = match state {
        "staged" => ["2026-11-23T14:00:00Z", "2026-11-25T15:00:00Z"],
        "retiring" => ["", "2026-11-30T14:43:10Z"],
        _ => ["", ""],
    };
    Policy {
        digest: digest(&format!("prod@{version}")),
        name: "prod".into(),
        version,
        state: state.into(),
        applies_to: "env=prod".into(),
        author: "operator/anna".into(),
        created_at: "2026-11-20T09:00:00Z".into(),
        approvers: if state == "draft" { Vec::new() } else { vec!["operator/piotr".into()] },
        note: if version == 4 { "kernel 6.1.90".into() } else { String::new() },
        valid_from: from.into(),
        valid_until: until.into(),
        hosts: 42,
        hosts_met: match state {
            "active" => 39,
            "staged" | "retiring" => 3,
            _ => 0,
        },
        request: None,
    }
}

/// A change that waits for a second person.
pub(crate) fn policy_request(change: &str) -> PolicyRequest {
    PolicyRequest {
        change: change.into(),
        after_seconds: 0,
        author: "operator/anna".into(),
        reason: "OPS-7".into(),
        at: "2026-11-23T14:43:10Z".into(),
        until: "2026-11-24T14:43:10Z".into(),
    }
}

/// One in every state.
pub(crate) fn policies() -> Vec<Policy> {
    let edge = |version, state: &str| Policy {
        name: "edge".into(),
        digest: digest(&format!("edge@{version}")),
        applies_to: String::new(),
        ..policy(version, state)
    };
    vec![
        edge(3, "approved"),
        edge(2, "retiring"),
        policy(5, "draft"),
        policy(4, "staged"),
        policy(3, "active"),
        policy(2, "retired"),
    ]
}

/// A version of prod with its document.
pub(crate) fn policy_detail(version: u32, state: &str) -> PolicyDetail {
    let draft = [
        "PCR 9 has 12 different values, of which the rule lists 12: decide whether to list them, to go by events, or to ignore it and why",
        "Secure Boot is on everywhere and not required: consider secure_boot = required",
    ];
    PolicyDetail {
        policy: Some(policy(version, state)),
        document_json: if version == 4 { next_document() } else { document() },
        notes: if state == "draft" { draft.map(String::from).to_vec() } else { Vec::new() },
    }
}

/// From prod@3 to prod@4.
pub(crate) fn policy_diff() -> DiffPoliciesResponse {
    let short = |seed: &str| format!("{}…", &digest(seed)[..12]);
    DiffPoliciesResponse {
        from: "prod@3".into(),
        to: "prod@4".into(),
        changes: vec![
            "secure_boot: any → required".into(),
            format!("PCR 0: - {} seen on waw-bot-02", short("firmware 1.15")),
            format!("PCR 4: + {} vmlinuz 6.1.90", short("kernel 90")),
        ],
    }
}

/// What 42 hosts measure.
pub(crate) fn observation() -> ObserveResponse {
    let names = |from: u32, to: u32| (from..to).map(|number| format!("fra-bot-{number:02}")).collect::<Vec<_>>();
    let value = |seed: &str, hosts: Vec<String>, events: &[&str]| ObservedValue {
        digest: digest(seed),
        hosts,
        events: events.iter().map(|event| (*event).to_owned()).collect(),
    };
    let waw = vec!["waw-bot-02".to_owned()];
    let boot = ["boot services application: shimx64.efi", "boot services application: grubx64.efi"];
    ObserveResponse {
        pcrs: vec![
            ObservedPcr {
                index: 0,
                values: vec![
                    value("firmware 1.14", names(1, 42), &["firmware version: 1.14", "separator"]),
                    value("firmware 1.15", waw.clone(), &[]),
                ],
            },
            ObservedPcr {
                index: 4,
                values: vec![value("boot 85", names(1, 39), &boot), value("boot 90", names(39, 42), &boot[..1])],
            },
            ObservedPcr {
                index: 7,
                values: vec![value("secure boot", [names(1, 42), waw].concat(), &["Secure Boot: on"])],
            },
        ],
        hosts: 42,
        hosts_with_log: 40,
    }
}

/// Why fra-bot-13 drifted.
pub(crate) fn explanation() -> ExplainPolicyResponse {
    ExplainPolicyResponse {
        host_name: "fra-bot-13".into(),
        trust: "drifted".into(),
        policy: "prod@3".into(),
        met: false,
        findings: vec![
            "event_not_approved: PCR 4, event 17: boot services application: vmlinuz-6.1.90 (1a2b3c4d5e6f…) is not approved".into(),
            "since the host's first quote: PCR 4, event 17 is another one".into(),
        ],
        quoted_at: "2026-11-23T14:40:02Z".into(),
        has_boot_log: true,
        remedy: "if the change was planned: flota policy propose prod --from fra-bot-13, then approve and stage it".into(),
    }
}

/// One of the fleet, with the registers that prod@3 is about.
pub(crate) fn measured_detail(name: &str) -> HostDetail {
    let pcr =
        |index, baseline: &str, quoted: &str| PcrState { index, baseline: digest(baseline), quoted: digest(quoted) };
    let secure_boot = if name == "fra-bot-13" { "secure boot off" } else { "secure boot" };
    let record = |at: &str, verdict: &str, reasons: &[&str]| AttestationRecord {
        at: at.into(),
        verdict: verdict.into(),
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
    };
    let newest = match name {
        "fra-bot-13" => record(
            "2026-11-23T14:40:02Z",
            "fail",
            &["pcr_not_allowed: PCR 7 is 9f0c1a2b3c4d…, which the policy does not allow"],
        ),
        _ => record("2026-11-23T14:40:02Z", "pass", &[]),
    };
    let detail = host_detail(name);
    if detail.host.as_ref().is_some_and(|host| host.attested_at.is_empty()) {
        let (pcrs, attestations, boot_log_sha256) = (Vec::new(), Vec::new(), String::new());
        return HostDetail { pcrs, attestations, boot_log_sha256, ..detail };
    }
    let earlier = record("2026-11-23T14:35:02Z", "retry", &["too_early: the TPM's clock is not safe yet"]);
    HostDetail {
        pcrs: vec![
            pcr(0, "firmware 1.13", "firmware 1.14"),
            pcr(4, "boot 85", "boot 85"),
            pcr(7, "secure boot", secure_boot),
            pcr(9, "initrd", "initrd"),
        ],
        attestations: vec![newest, earlier],
        ..detail
    }
}

/// A host with a TPM and one without.
pub(crate) fn enrolments() -> Vec<PendingEnrolment> {
    let mut by_file = fleet_host("waw-bot-05");
    by_file.name = "lab-bot-01".into();
    by_file.id = digest("lab-bot-01")[..16].into();
    by_file.key_storage = "file".into();
    vec![
        PendingEnrolment {
            host: Some(fleet_host("waw-bot-05")),
            ek_fingerprint: digest("ek"),
            tpm_manufacturer: "STMicro".into(),
            token: "t-7f3a".into(),
            token_created_by: "operator/anna".into(),
        },
        PendingEnrolment {
            host: Some(by_file),
            ek_fingerprint: digest("key"),
            token: "t-9c01".into(),
            token_created_by: "operator/piotr".into(),
            ..PendingEnrolment::default()
        },
    ]
}

/// Open and resolved, told and not.
pub(crate) fn escalations() -> Vec<Escalation> {
    let one = |id: &str, kind: &str, host: &str, summary: &str, delivery: &str| Escalation {
        id: id.into(),
        kind: kind.into(),
        host_id: digest(host)[..16].into(),
        host_name: host.into(),
        summary: summary.into(),
        opened_at: "2026-11-23T13:20:00Z".into(),
        state: "open".into(),
        delivery: delivery.into(),
        ..Escalation::default()
    };
    vec![
        one(
            "1526a99a-untrusted-17",
            "untrusted",
            "fra-bot-13",
            "fra-bot-13 is untrusted and shut out; revoke its exchange keys",
            "waiting: 3 attempts failed, the next is at 2026-11-23T14:45:00Z",
        ),
        one(
            "93a0f1c2-oem_licence-12",
            "oem_licence",
            "fra-bot-14",
            "the licence of fra-bot-14 is invalid",
            "failed: no webhook is configured (webhook_url in controller.toml)",
        ),
        Escalation {
            state: "resolved".into(),
            resolved_at: "2026-11-23T13:40:00Z".into(),
            resolved_by: "operator/ola".into(),
            resolution: "evidence exported again, OPS-913".into(),
            ..one(
                "93a0f1c2-oem_evidence-9",
                "oem_evidence",
                "fra-bot-14",
                "the evidence of fra-bot-14 is missing",
                "delivered at 2026-11-23T13:20:02Z",
            )
        },
    ]
}
