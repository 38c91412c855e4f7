//! What is a policy, and what of it changed.

use flota_attest::policy::{
    BootLogRule, MAX_DIGESTS_OF_RULE, MAX_NOTE_CHARS, MAX_POLICY_BYTES, PcrRule, Policy, PolicyError as E,
    SecureBootRule, diff,
};
use flota_attest::selection::{Bank, Selection};
use serde_json::{Value, json};

fn document() -> Value {
    json!({
        "schema": "flota.attest.policy/1",
        "name": "debian-12-r740",
        "bank": "sha256",
        "applies_to": "env=prod,model=r740",
        "pcrs": {
            "10": { "ignore": "IMA is judged elsewhere" },
            "0": { "allow": [{ "digest": "AA".repeat(32), "note": "BIOS 2.19" }] },
            "4": { "events": [{ "digest": "4a".repeat(32), "note": "shim 15.8" }, { "digest": "4b".repeat(32) }] },
        },
    })
}

fn parse(document: &Value) -> Result<Policy, E> {
    Policy::parse(document.to_string().as_bytes())
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = document();
    change(&mut document);
    document
}

#[test]
fn a_document_says_what_it_says() {
    let policy = parse(&document()).unwrap();
    assert_eq!(
        (policy.name(), policy.bank(), policy.applies_to()),
        ("debian-12-r740", Bank::Sha256, "env=prod,model=r740")
    );
    assert_eq!(policy.pcrs().keys().copied().collect::<Vec<_>>(), [0, 4, 10]);
    assert_eq!(policy.pcrs()[&0].approved()[0].digest, [0xaa; 32]);
    assert_eq!(policy.pcrs()[&10], PcrRule::Ignore("IMA is judged elsewhere".to_owned()));
    assert_eq!((policy.secure_boot(), policy.min_firmware()), (SecureBootRule::Any, None));
    assert_eq!(policy.boot_log(), BootLogRule::Required, "an events rule needs a log");
}

#[test]
fn equal_policies_have_one_form_and_one_digest() {
    let policy = parse(&document()).unwrap();
    let canonical = format!(
        concat!(
            r#"{{"applies_to":"env=prod,model=r740","bank":"sha256","boot_log":"required","name":"debian-12-r740","#,
            r#""pcrs":{{"0":{{"allow":[{{"digest":"{a}","note":"BIOS 2.19"}}]}},"#,
            r#""4":{{"events":[{{"digest":"{b}","note":"shim 15.8"}},{{"digest":"{c}","note":""}}],"#,
            r#""require_all":false}},"10":{{"ignore":"IMA is judged elsewhere"}}}},"#,
            r#""schema":"flota.attest.policy/1","secure_boot":"any"}}"#,
        ),
        a = "aa".repeat(32),
        b = "4a".repeat(32),
        c = "4b".repeat(32),
    );
    assert_eq!(policy.to_canonical_json(), canonical);
    assert_eq!(policy.digest(), crate::built::sha256(canonical.as_bytes()));
    for same in [
        canonical.clone(),
        serde_json::to_string_pretty(&document()).unwrap(),
        with(|d| d["boot_log"] = json!("if_sent")).to_string(),
        with(|d| d["secure_boot"] = json!("any")).to_string(),
        with(|d| d["min_firmware"] = Value::Null).to_string(),
    ] {
        let same = Policy::parse(same.as_bytes()).unwrap();
        assert_eq!((&same, same.digest()), (&policy, policy.digest()));
    }
    let firmware = |list: Value| parse(&with(|d| d["firmware"] = list)).unwrap();
    assert_eq!(firmware(json!([3, 1, 3])).digest(), firmware(json!([1, 3])).digest());
    for other in [
        with(|d| d["applies_to"] = json!("")),
        with(|d| d["pcrs"]["0"]["allow"][0]["note"] = json!("BIOS 2.20")),
        with(|d| d["pcrs"]["4"]["require_all"] = json!(true)),
        with(|d| d["firmware"] = json!([u64::MAX])),
    ] {
        assert_ne!(parse(&other).unwrap().digest(), policy.digest());
    }
}

#[test]
fn case_68_every_pcr_that_the_fleet_quotes_is_named_at_upload() {
    let policy = parse(&document()).unwrap();
    let select = |pcrs: &[u8]| policy.check_selection(&Selection::new(Bank::Sha256, pcrs.iter().copied()).unwrap());
    assert!(select(&[10, 4, 0]).is_ok());
    assert!(matches!(select(&[0, 4, 7, 10]), Err(E::PcrNotNamed { pcr: 7 })));
    assert!(matches!(select(&[0, 4]), Err(E::PcrNotSelected { pcr: 10 })));
}

#[test]
fn case_69_a_policy_that_names_no_pcr_is_refused() {
    assert!(matches!(parse(&with(|d| d["pcrs"] = json!({}))), Err(E::NoPcrs)));
    for empty in ["", "{}", "null", "[]"] {
        assert!(matches!(Policy::parse(empty.as_bytes()), Err(E::Json(_))), "{empty}");
    }
    let missing = with(|d| drop(d.as_object_mut().unwrap().remove("pcrs")));
    assert!(matches!(parse(&missing), Err(E::Json(_))));
}

#[test]
fn what_nobody_reads_in_it_is_refused() {
    for unknown in [
        with(|d| d["ignore_all"] = json!(true)),
        with(|d| d["pcrs"]["0"]["deny"] = json!([])),
        with(|d| d["pcrs"]["0"]["allow"][0]["from"] = json!("web-1")),
        with(|d| d["bank"] = json!("sha1")),
        with(|d| d["secure_boot"] = json!("on")),
        with(|d| d["boot_log"] = json!("never")),
        with(|d| d["min_firmware"] = json!(-1)),
        with(|d| d["min_firmware"] = json!(1.0)),
        with(|d| d["pcrs"]["-1"] = json!({ "ignore": "x" })),
        with(|d| d["pcrs"]["00"] = json!({ "ignore": "x" })),
        with(|d| d["pcrs"]["256"] = json!({ "ignore": "x" })),
    ] {
        assert!(matches!(parse(&unknown), Err(E::Json(_))), "{unknown}");
    }
    let trailing = format!("{} x", document());
    assert!(matches!(Policy::parse(trailing.as_bytes()), Err(E::Json(_))));
    let twice = document().to_string().replace(r#""4":"#, r#""10":{"ignore":"x"},"4":"#);
    assert!(matches!(Policy::parse(twice.as_bytes()), Err(E::Json(_))), "PCR 10 is there twice");
}

type Fault = fn(&E) -> bool;

#[test]
fn each_fault_is_called_by_its_name() {
    let digest = |byte: &str| json!({ "digest": byte.repeat(32) });
    let many: Vec<Value> = (0..=MAX_DIGESTS_OF_RULE).map(|n| json!({ "digest": format!("{n:064x}") })).collect();
    let long = "x".repeat(MAX_NOTE_CHARS + 1);
    let rule = |rule: Value| with(|d| d["pcrs"]["0"] = rule);
    let faults: Vec<(Value, Fault)> = vec![
        (with(|d| d["schema"] = json!("flota.attest.policy/2")), |e| matches!(e, E::Schema)),
        (with(|d| d["name"] = json!("")), |e| matches!(e, E::Name)),
        (with(|d| d["name"] = json!("Debian 12")), |e| matches!(e, E::Name)),
        (with(|d| d["name"] = json!("x".repeat(65))), |e| matches!(e, E::Name)),
        (with(|d| d["applies_to"] = json!(long)), |e| matches!(e, E::Text { field: "applies_to" })),
        (with(|d| d["pcrs"]["24"] = json!({ "ignore": "x" })), |e| matches!(e, E::NoSuchPcr { pcr: 24 })),
        (with(|d| d["firmware"] = json!([])), |e| matches!(e, E::NoFirmware)),
        (with(|d| d["secure_boot"] = json!("required")), |e| matches!(e, E::SecureBootPcr)),
        (rule(json!({})), |e| matches!(e, E::RuleShape { pcr: 0 })),
        (rule(json!({ "allow": [digest("aa")], "ignore": "x" })), |e| matches!(e, E::RuleShape { pcr: 0 })),
        (rule(json!({ "allow": [digest("aa")], "events": [digest("aa")] })), |e| matches!(e, E::RuleShape { pcr: 0 })),
        (rule(json!({ "allow": [digest("aa")], "require_all": true })), |e| matches!(e, E::RequireAll { pcr: 0 })),
        (rule(json!({ "allow": [] })), |e| matches!(e, E::EmptyRule { pcr: 0 })),
        (rule(json!({ "events": [] })), |e| matches!(e, E::EmptyRule { pcr: 0 })),
        (rule(json!({ "ignore": " " })), |e| matches!(e, E::NoReason { pcr: 0 })),
        (rule(json!({ "ignore": "a\u{1b}[2J" })), |e| matches!(e, E::Text { .. })),
        (rule(json!({ "allow": [{ "digest": "aa".repeat(32), "note": long }] })), |e| matches!(e, E::Text { .. })),
        (rule(json!({ "allow": [{ "digest": "aa".repeat(32), "note": "\u{202e}" }] })), |e| {
            matches!(e, E::Text { .. })
        }),
        (rule(json!({ "allow": [{ "digest": "aa".repeat(31) }] })), |e| matches!(e, E::Digest { pcr: 0 })),
        (rule(json!({ "allow": [{ "digest": "xx".repeat(32) }] })), |e| matches!(e, E::Digest { pcr: 0 })),
        (rule(json!({ "allow": [digest("aa"), digest("AA")] })), |e| matches!(e, E::DigestRepeated { pcr: 0, .. })),
        (rule(json!({ "events": many })), |e| matches!(e, E::LongRule { pcr: 0 })),
    ];
    for (document, is_it) in faults {
        let error = parse(&document).unwrap_err();
        assert!(is_it(&error), "{error:?}");
        assert!(error.to_string().starts_with("reading a policy: ") && !error.to_string().ends_with('.'));
    }
    let padded = format!("{}{}", document(), " ".repeat(MAX_POLICY_BYTES));
    assert!(matches!(Policy::parse(padded.as_bytes()), Err(E::TooLarge { .. })));
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(matches!(Policy::parse(deep.as_bytes()), Err(E::Json(_))));
}

#[test]
fn a_diff_says_what_changes_for_hosts() {
    let old = parse(&document()).unwrap();
    assert_eq!(diff(&old, &old), []);
    let new = with(|d| {
        d["applies_to"] = json!("");
        d["secure_boot"] = json!("required");
        d["min_firmware"] = json!(0x70002);
        d["firmware"] = json!([0x70002, 0x70003]);
        d["pcrs"] = json!({
            "0": { "ignore": "differs by network card" },
            "4": { "events": [
                { "digest": "4a".repeat(32), "note": "shim 15.8 of Debian" },
                { "digest": "4c".repeat(32), "note": "grub 2.06-13" },
            ], "require_all": true },
            "7": { "allow": [{ "digest": "77".repeat(32) }] },
        });
    });
    let lines: Vec<String> = diff(&old, &parse(&new).unwrap()).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "applies_to: env=prod,model=r740 → every host",
            "secure_boot: any → required",
            "min_firmware: none → 0x70002",
            "firmware: any → 0x70002, 0x70003",
            "PCR 0: allow → ignore (differs by network card)",
            "PCR 4: events → events (all required)",
            "PCR 4: - 4b4b4b4b4b4b…",
            "PCR 4: ~ 4a4a4a4a4a4a… shim 15.8 of Debian",
            "PCR 4: + 4c4c4c4c4c4c… grub 2.06-13",
            "PCR 7: not named → allow",
            "PCR 7: + 777777777777…",
            "PCR 10: ignore (IMA is judged elsewhere) → not named",
        ]
    );
}

#[test]
fn another_kind_of_rule_takes_its_digests_along_and_approves_its_own() {
    let old = parse(&document()).unwrap();
    let new = with(|d| d["pcrs"]["0"] = json!({ "events": [{ "digest": "aa".repeat(32), "note": "BIOS 2.19" }] }));
    let lines: Vec<String> = diff(&old, &parse(&new).unwrap()).iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["PCR 0: allow → events", "PCR 0: + aaaaaaaaaaaa… BIOS 2.19"]);
}
