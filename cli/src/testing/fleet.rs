//! A host for every kind of state.

use flota_proto::v1::{AttestationRecord, AuditEntry, Export, Host, HostDetail, PcrState};

/// A digest that a test can name.
pub(crate) fn digest(seed: &str) -> String {
    flota_model::Digest::of(seed.as_bytes()).to_string()
}

fn host(name: &str, version: &str) -> Host {
    Host {
        id: digest(name)[..16].into(),
        name: name.into(),
        labels: [("env", "prod"), ("venue", "binance")].map(|(key, value)| (key.into(), value.into())).into(),
        trust: "trusted".into(),
        liveness: "connected".into(),
        last_seen: "2026-11-23T14:43:06Z".into(),
        running: digest(version),
        version: version.into(),
        attested_release: digest(version),
        wanted: digest(version),
        wanted_version: version.into(),
        phase: "committed".into(),
        generation: 31,
        health: "healthy".into(),
        health_at: "2026-11-23T14:31:07Z".into(),
        last_export_at: "2026-11-23T13:58:00Z".into(),
        attested_at: "2026-11-23T14:40:02Z".into(),
        agent_version: "0.9.1".into(),
        lease_until: "2026-11-23T14:55:02Z".into(),
        key_storage: "tpm".into(),
        policy: "prod@3".into(),
        oem_evidence: "ok".into(),
        oem_licence: "ok".into(),
        ..Host::default()
    }
}

/// A host for every kind of state.
pub(crate) fn fleet() -> Vec<Host> {
    let wants = |name: &str, phase: &str, detail: &str| Host {
        wanted: digest("4.12.0"),
        wanted_version: "4.12.0".into(),
        phase: phase.into(),
        detail: detail.into(),
        rollout: "R-214".into(),
        ..host(name, "4.11.3")
    };
    vec![
        host("fra-bot-01", "4.12.0"),
        host("fra-bot-02", "4.12.0"),
        wants("fra-bot-03", "probation", "6m left"),
        wants("fra-bot-04", "committed", "1 of 1 binance slots in use"),
        wants("fra-bot-07", "rolled_back", "private_api: 401 from api.binance.com\n\u{1b}[2J"),
        Host {
            trust: "stale".into(),
            attested_at: "2026-11-23T11:40:00Z".into(),
            lease_until: String::new(),
            ..host("fra-bot-11", "4.11.3")
        },
        Host { attested_release: digest("4.11.2"), health: "degraded".into(), ..host("fra-bot-12", "4.11.3") },
        Host {
            trust: "drifted".into(),
            trust_reason: "PCR 7 differs".into(),
            lease_until: String::new(),
            ..host("fra-bot-13", "4.11.3")
        },
        Host { oem_evidence: "expired".into(), ..host("fra-bot-14", "4.11.3") },
        Host {
            name: "waw-bot-02".into(),
            liveness: "silent".into(),
            last_seen: "2026-11-23T14:02:00Z".into(),
            ..wants("waw-bot-02", "offered", "")
        },
        Host {
            name: "waw-bot-03".into(),
            trust: "pending".into(),
            liveness: "never".into(),
            health: "unknown".into(),
            key_storage: "tpm".into(),
            ..Host::default()
        },
        Host {
            trust: "unattested".into(),
            key_storage: "file".into(),
            policy: String::new(),
            lease_until: String::new(),
            attested_at: String::new(),
            attested_release: String::new(),
            oem_evidence: String::new(),
            oem_licence: String::new(),
            ..host("waw-bot-04", "4.11.3")
        },
        awaiting("waw-bot-05"),
    ]
}

fn awaiting(name: &str) -> Host {
    Host {
        id: digest(name)[..16].into(),
        name: name.into(),
        labels: [("env".into(), "prod".into())].into(),
        trust: "pending".into(),
        liveness: "connected".into(),
        last_seen: "2026-11-23T14:43:06Z".into(),
        health: "unknown".into(),
        agent_version: "0.9.1".into(),
        key_storage: "tpm".into(),
        awaits_approval: true,
        ..Host::default()
    }
}

/// One of them.
pub(crate) fn fleet_host(name: &str) -> Host {
    fleet().into_iter().find(|host| host.name == name).unwrap()
}

/// All that is known of one of them.
pub(crate) fn host_detail(name: &str) -> HostDetail {
    let event = |at: &str, action: &str, outcome: &str| AuditEntry {
        at: at.into(),
        actor: "operator/anna".into(),
        action: action.into(),
        outcome: outcome.into(),
        ..AuditEntry::default()
    };
    let drifted = name == "fra-bot-13";
    let quoted = if drifted { "beef" } else { "cafe" };
    let reasons =
        if drifted { vec!["pcr_mismatch: PCR 7 is not what the baseline has".to_owned()] } else { Vec::new() };
    let verdict = if drifted { "fail" } else { "pass" };
    HostDetail {
        host: Some(fleet_host(name)),
        ek_fingerprint: digest("ek"),
        tpm_manufacturer: "STMicro".into(),
        enrolled_at: "2026-10-01T08:00:00Z".into(),
        certificate_expires_at: "2026-11-24T11:43:10Z".into(),
        pcrs: vec![PcrState { index: 7, baseline: "cafe".into(), quoted: quoted.into() }],
        attestations: vec![AttestationRecord { at: "2026-11-23T14:40:02Z".into(), verdict: verdict.into(), reasons }],
        events: vec![
            event("2026-11-23T14:31:52Z", "update.rolled_back", "failed"),
            event("2026-11-22T09:00:00Z", "host.enrol", "ok"),
        ],
        exports: vec![Export {
            size_bytes: 48_123,
            audit_entries: 4812,
            alert_entries: 3,
            status: "ok".into(),
            ..Export::default()
        }],
        health_report_json: "{}".into(),
        boot_log_sha256: digest("boot log"),
    }
}
