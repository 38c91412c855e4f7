//! What must hold of a log that replays: types, data, separators, Secure Boot.

use flota_attest::event_log::{DataStanding, Event, EventKind as K, LogFinding, MAX_FINDINGS, describe};

use crate::built::{Built, GLOBAL, Log, boot, boot_option, debian, sha256, utf16, variable};

/// Every boot PCR of the built log with another type, in turn, its digests untouched.
fn relabelled(kind: K) -> impl Iterator<Item = (Log, u32, usize)> {
    (0..debian().events.len()).filter(|at| debian().events[*at].pcr < 8).map(move |at| {
        let mut log = debian();
        log.events[at].kind = kind;
        let pcr = log.events[at].pcr;
        (log, pcr, at)
    })
}

fn codes(log: &Log) -> Vec<&'static str> {
    log.parse().check(&log.pcrs()).iter().map(LogFinding::code).collect()
}

#[test]
fn case_60_a_type_that_no_boot_pcr_has_is_a_finding_though_the_log_replays() {
    // EV_UNUSED, an unknown one, and a disguise that belongs elsewhere.
    for kind in [K::from_number(2), K::from_number(0x8001_0000)] {
        for (log, pcr, at) in relabelled(kind) {
            let findings = log.parse().check(&log.pcrs());
            let event = u32::try_from(at).unwrap() + 1;
            let expected = LogFinding::EventType { pcr: u8::try_from(pcr).unwrap(), event, kind };
            assert!(findings.contains(&expected), "event {event} as {kind}: {findings:?}");
            assert!(findings.iter().all(|finding| finding.code() != "log_replay"));
        }
    }
}

#[test]
fn case_60_no_type_hides_an_event_of_pcr_4_or_7() {
    let (held, genuine) = (debian().pcrs(), debian().parse());
    for number in (0..0x20).chain(0x8000_0000..0x8000_0020).chain(0x8000_00e0..0x8000_00f0) {
        let kind = K::from_number(number);
        for (log, pcr, at) in relabelled(kind).filter(|(_, pcr, _)| matches!(pcr, 4 | 7)) {
            // What hashes to its digest is what was measured, whatever it is called. A loader does not.
            let harmless = kind == genuine.events()[at].kind() || log.parse().events()[at].measured_data().is_some();
            assert!(!log.parse().check(&held).is_empty() || harmless, "event {at} of PCR {pcr} as {kind}");
        }
    }
}

#[test]
fn case_60_a_loader_behind_the_type_of_a_bios_boot_is_noticed() {
    let mut log = debian();
    let shim = log.find(4, K::EFI_BOOT_SERVICES_APPLICATION);
    log.events[shim].kind = K::IPL;
    assert_eq!(codes(&log), ["event_type"]);
    // In a BIOS boot it is the type to have.
    let mut bios = Log::empty();
    bios.separators(0..=7).named(4, K::IPL, b"boot sector", b"MBR\0").named(5, K::IPL_PARTITION_DATA, b"table", b"");
    assert_eq!(codes(&bios), [""; 0]);
}

#[test]
fn case_60_a_separator_of_loaders_or_secure_boot_behind_another_type_is_noticed() {
    for pcr in [4, 7] {
        for value in [[0; 4], [0xff; 4], [1, 0, 0, 0]] {
            let mut log = debian();
            let at = log.find(pcr, K::SEPARATOR);
            let (digest, data) = (sha256(&value), value.to_vec());
            log.events[at] = Built { pcr, kind: K::EFI_ACTION, digest, data };
            // The second one, which the host extended itself.
            log.separators([pcr]);
            assert_eq!(codes(&log), ["event_type"], "PCR {pcr}");
        }
    }
    // Genuine: Intel's code that measures the firmware has nothing to say of an entry of its table.
    let mut log = debian();
    log.named(0, K::S_CRTM_CONTENTS, &[0; 4], b"FIT Type 0x2D Measured S-CRTM\0");
    assert_eq!(codes(&log), [""; 0]);
}

#[test]
fn case_61_event_data_altered_while_its_digest_is_intact() {
    for (at, built) in debian().events.iter().enumerate().filter(|(_, built)| built.pcr < 8) {
        let standing = debian().parse().events()[at].standing();
        let mut log = debian();
        let last = log.events[at].data.len() - 1;
        log.events[at].data[last] ^= 1;
        let parsed = log.parse();
        let event = &parsed.events()[at];
        assert_eq!(event.measured_data(), None);
        let of_variable = built.kind == K::EFI_VARIABLE_BOOT;
        if standing == DataStanding::Measured || of_variable {
            assert_eq!(codes(&log), ["event_data"], "event {at}: {}", built.kind);
            assert_eq!(event.standing(), DataStanding::Altered);
            let shown = format!("{} (data not shown: it is not what was measured)", built.kind);
            assert_eq!(describe(event), shown);
        } else {
            assert_eq!(codes(&log), [""; 0], "event {at}: {}", built.kind);
        }
    }
}

#[test]
fn case_61_secure_boot_is_not_on_because_the_data_says_so() {
    let mut log = boot("off", "vmlinuz");
    assert_eq!(log.parse().secure_boot(), Some(false));
    let at = log.find(7, K::EFI_VARIABLE_DRIVER_CONFIG);
    log.events[at].data = variable(GLOBAL, "SecureBoot", &[1]);
    assert_eq!(codes(&log), ["event_data"]);
    assert_eq!(log.parse().secure_boot(), None);
}

type Attack<'a> = &'a dyn Fn(&mut Log);

#[test]
fn secure_boot_is_what_firmware_measured_and_nobody_else() {
    assert_eq!(debian().parse().secure_boot(), Some(true));
    assert_eq!(boot("off", "vmlinuz").parse().secure_boot(), Some(false));
    let on = variable(GLOBAL, "SecureBoot", &[1]);
    let off = || boot("off", "vmlinuz");
    let config = K::EFI_VARIABLE_DRIVER_CONFIG;
    let genuine = off().find(7, config);
    let attacks: &[(&str, Attack<'_>)] = &[
        ("a second one is measured", &|log| _ = log.hashed(7, config, &on)),
        ("the first one is an authority", &|log| {
            log.events[genuine].kind = K::EFI_VARIABLE_AUTHORITY;
            log.hashed(7, config, &on);
        }),
        ("the first one is unused", &|log| {
            log.events[genuine].kind = K::from_number(2);
            log.hashed(7, config, &on);
        }),
        ("the first one is an action, and so is the separator", &|log| {
            log.events[genuine].kind = K::EFI_ACTION;
            let separator = log.find(7, K::SEPARATOR);
            log.events[separator].kind = K::EFI_ACTION;
            log.hashed(7, config, &on).separators([7]);
        }),
        // Cannot be made before the separator; if it could, it would not help.
        ("the first one hides behind the extra byte of an old shim", &|log| {
            log.events[genuine].kind = K::EFI_VARIABLE_AUTHORITY;
            log.events[genuine].data.push(0);
            let second = Built { pcr: 7, kind: config, digest: sha256(&on), data: on.clone() };
            log.events.insert(genuine + 1, second);
        }),
        ("a second separator follows", &|log| _ = log.hashed(7, config, &on).separators([7])),
    ];
    for (what, attack) in attacks {
        let mut log = off();
        attack(&mut log);
        assert_ne!(log.parse().secure_boot(), Some(true), "{what}");
    }
    let off_variable = variable(GLOBAL, "SecureBoot", &[0]);
    for (what, untold) in [
        ("not measured", Log::empty().separators([7])),
        ("no separator", Log::empty().hashed(7, config, &on)),
        ("after the separator", Log::empty().separators([7]).hashed(7, config, &on)),
        ("as an authority", Log::empty().hashed(7, K::EFI_VARIABLE_AUTHORITY, &on).separators([7])),
        ("off, then on", Log::empty().hashed(7, config, &off_variable).hashed(7, config, &on).separators([7])),
    ] {
        assert_eq!(untold.parse().secure_boot(), None, "{what}");
    }
    let again = Log::empty().hashed(7, config, &on).hashed(7, config, &on).separators([7]).parse();
    assert_eq!(again.secure_boot(), Some(true));
    let told = |vendor, value: &[u8]| {
        Log::empty().hashed(7, config, variable(vendor, "SecureBoot", value)).separators([7]).parse().secure_boot()
    };
    assert_eq!(told(GLOBAL, &[1]), Some(true));
    assert_eq!(told(GLOBAL, &[]), Some(false), "a variable that is not set");
    assert_eq!((told(GLOBAL, &[2]), told(GLOBAL, &[1, 0]), told([1; 16], &[1])), (None, None, None));
}

#[test]
fn firmware_may_measure_a_boot_variable_with_or_without_its_name() {
    for kind in [K::EFI_VARIABLE_BOOT, K::EFI_VARIABLE_BOOT2] {
        let data = variable(GLOBAL, "Boot0001", &boot_option("debian"));
        let mut log = Log::empty();
        log.hashed(1, kind, &data).named(1, kind, &boot_option("debian"), &data).separators([1]);
        assert_eq!(codes(&log), [""; 0]);
        // Without it, the name is only a claim.
        let standings: Vec<DataStanding> = log.parse().events().iter().map(Event::standing).collect();
        assert_eq!(standings, [DataStanding::Measured, DataStanding::Claimed, DataStanding::Measured]);
        log.events[1].data = variable(GLOBAL, "Boot0001", &boot_option("windows"));
        assert_eq!(codes(&log), ["event_data"]);
    }
}

#[test]
fn the_extra_byte_of_an_old_shim_is_forgiven_and_nothing_more() {
    // It said six bytes too few of the value, and logged one byte that it had not measured.
    let measured = [variable([5; 16], "Shim", &[0x30; 40]), vec![1, 2, 3, 4, 5]].concat();
    let logged = [&measured[..], &[0]].concat();
    let mut log = debian();
    log.named(7, K::EFI_VARIABLE_AUTHORITY, &measured, &logged);
    assert_eq!(codes(&log), [""; 0]);
    assert_eq!(log.parse().secure_boot(), Some(true));
    log.events.last_mut().unwrap().data[0] ^= 1;
    assert_eq!(codes(&log), ["event_data"]);
    // A whole variable has no such byte.
    let whole = variable([5; 16], "Shim", &[0x30; 40]);
    let mut log = debian();
    log.named(7, K::EFI_VARIABLE_AUTHORITY, &whole[..whole.len() - 1], &whole);
    assert_eq!(codes(&log), ["event_data"]);
}

#[test]
fn a_boot_pcr_with_events_has_exactly_one_separator() {
    for pcr in 0..8 {
        let mut log = debian();
        let at = log.find(pcr, K::SEPARATOR);
        log.events.remove(at);
        let missing: &[&str] = if pcr == 3 || pcr == 6 { &[] } else { &["separator_missing"] };
        assert_eq!(codes(&log), missing, "PCR {pcr}");
        let mut log = debian();
        log.separators([pcr]);
        assert_eq!(codes(&log), ["separator_repeated"], "PCR {pcr}");
    }
    // PCRs of loaders may have any number of them.
    let mut log = debian();
    log.separators([9, 9, 14]);
    assert_eq!(codes(&log), [""; 0]);
}

#[test]
fn a_separator_has_one_of_three_values() {
    for (value, found) in [
        (&[0; 4][..], &[][..]),
        (&[0xff; 4], &[]),
        (&[1, 0, 0, 0], &[]),
        (&[0, 0, 0, 1], &["separator_data"]),
        (&[0; 8], &["separator_data"]),
        (b"WBCL", &["separator_data"]),
    ] {
        let mut log = debian();
        let at = log.find(6, K::SEPARATOR);
        log.events[at].data = value.to_vec();
        log.events[at].digest = sha256(value);
        assert_eq!(codes(&log), found, "{value:?}");
    }
}

#[test]
fn a_hostile_log_has_no_more_findings_than_anybody_reads() {
    let mut log = Log::empty();
    for _ in 0..1000 {
        log.named(7, K::EFI_ACTION, b"something", &utf16("something else"));
    }
    let findings = log.parse().check(&debian().pcrs());
    assert_eq!((findings.len(), findings[0].code()), (MAX_FINDINGS, "log_replay"));
}

#[test]
fn findings_say_where_they_are() {
    let mut log = debian();
    let at = log.find(7, K::EFI_VARIABLE_DRIVER_CONFIG);
    log.events[at].data.push(0);
    log.hashed(3, K::EFI_VARIABLE_AUTHORITY, "x").separators([5]);
    let shown: Vec<String> = log.parse().check(&debian().pcrs()).iter().map(ToString::to_string).collect();
    let event = |back: usize| log.events.len() + 1 - back;
    let pcr = |log: &Log, pcr: u8| hex::encode(&log.pcrs()[&pcr][..6]);
    assert_eq!(
        shown,
        [
            format!("PCR 3: the boot log replays to {}…, the TPM quoted {}…", pcr(&log, 3), pcr(&debian(), 3)),
            format!("PCR 5: the boot log replays to {}…, the TPM quoted {}…", pcr(&log, 5), pcr(&debian(), 5)),
            format!("PCR 5, event {}: a second separator, where there is one in a boot", event(1)),
            format!("PCR 7, event 3: the data of this {} is not what was measured", K::EFI_VARIABLE_DRIVER_CONFIG),
            format!("PCR 3, event {}: {} is not what this event can be", event(2), K::EFI_VARIABLE_AUTHORITY),
        ]
    );
}
