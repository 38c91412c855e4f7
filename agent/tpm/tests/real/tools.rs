//! Quotes exchanged with tpm2-tools, which share no code with us above libtss2: theirs pass the controller's verifier, and
//! ours pass `tpm2_checkquote`.
//!
//! Only what is genuine is shown to `tpm2_checkquote`. It is no judge of what is not: version 5.4 accepts a quote of PCR 16
//! as one of PCR 0 (CVE-2024-29039).

use std::fs;
use std::path::Path;
use std::process::Command;

use flota_attest::public::{Public as Parsed, QualifiedName};
use flota_tpm::{AttestationKind, KeyChoice};

use crate::bench::Host;
use crate::controller::{NONCE, Record, Values, passed};
use crate::raw;

const ASKED: [u8; 3] = [0, 7, 16];
const LIST: &str = "sha256:0,7,16";

/// Runs a tool in the host's folder, on its TPM.
fn tool(host: &Host, name: &str, arguments: &[&str]) {
    let output = Command::new(name)
        .args(arguments)
        .current_dir(host.dir.path())
        .env("TPM2TOOLS_TCTI", host.swtpm.tcti())
        .env("TSS2_LOG", "all+none")
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}; install tpm2-tools, or run `cargo xtask setup`"));
    assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A quote by `tpm2_quote`, with the values that it wrote down.
fn quote(host: &Host, key: &str) -> (Vec<u8>, Vec<u8>, Values) {
    let nonce = hex::encode(NONCE);
    let files = ["-m", "message", "-s", "signature", "-o", "values", "-F", "values"];
    tool(host, "tpm2_quote", &[&["-c", key, "-l", LIST, "-q", &nonce, "-g", "sha256"][..], &files].concat());
    let read = |name: &str| fs::read(host.dir.path().join(name)).unwrap();
    let digests = read("values");
    let values = ASKED.into_iter().zip(digests.chunks_exact(32).map(|digest| digest.try_into().unwrap()));
    (read("message"), read("signature"), values.collect())
}

#[test]
fn a_quote_by_tpm2_quote_with_the_agents_key_passes() {
    for attestation in [AttestationKind::P256, AttestationKind::Rsa2048] {
        let host = Host::new();
        host.swtpm.extend_pcr(7, [3; 32]).unwrap();
        let choice = KeyChoice { endorsement: None, attestation: Some(attestation) };
        let tpm = host.open_choosing(choice).unwrap();
        let record = Record::of(&tpm);
        let handle = format!("{:#x}", raw::handle(&host.swtpm, &record.ak.to_2b()));
        let (message, signature, values) = quote(&host, &handle);
        let facts = passed(record.judge((&message, &signature), &values, &ASKED, None));
        assert_eq!(facts.pcrs[&7], host.swtpm.read_pcr(7).unwrap());
    }
}

#[test]
fn a_quote_by_tpm2_quote_with_a_key_of_its_own_passes() {
    for (algorithm, scheme) in [("ecc", "ecdsa"), ("rsa", "rsassa")] {
        let host = Host::new();
        tool(&host, "tpm2_createek", &["-c", "ek", "-G", "rsa", "-u", "ek.pub"]);
        let made = ["-C", "ek", "-c", "ak", "-G", algorithm, "-g", "sha256", "-s", scheme, "-u", "ak.pub", "-f", "tss"];
        tool(&host, "tpm2_createak", &made);
        tool(&host, "tpm2_flushcontext", &["-t"]);
        let (message, signature, values) = quote(&host, "ak");

        let read = |name: &str| Parsed::parse_2b(&fs::read(host.dir.path().join(name)).unwrap()).unwrap();
        let (ek, ak) = (read("ek.pub"), read("ak.pub"));
        let ak_name = ak.qualified_name(&ek.qualified_name(&QualifiedName::endorsement_root()));
        let record = Record { tls: ak.clone(), tls_name: ak_name.clone(), ek, ak, ak_name };
        passed(record.judge((&message, &signature), &values, &ASKED, None));
    }
}

#[test]
fn a_quote_of_ours_passes_tpm2_checkquote() {
    for attestation in [AttestationKind::P256, AttestationKind::Rsa2048] {
        let host = Host::new();
        host.swtpm.extend_pcr(16, [4; 32]).unwrap();
        let choice = KeyChoice { endorsement: None, attestation: Some(attestation) };
        let tpm = host.open_choosing(choice).unwrap();
        let quote = tpm.quote(NONCE, &ASKED).unwrap();
        let values: Vec<u8> = quote.pcr_values.iter().flat_map(|(_, value)| *value).collect();
        let write = |name: &str, content: &[u8]| fs::write(Path::new(host.dir.path()).join(name), content).unwrap();
        write("ak.pub", &tpm.identity().ak_public);
        write("message", &quote.attest);
        write("signature", &quote.signature);
        write("values", &values);
        let files = ["-u", "ak.pub", "-m", "message", "-s", "signature", "-f", "values"];
        let nonce = hex::encode(NONCE);
        tool(&host, "tpm2_checkquote", &[&files[..], &["-l", LIST, "-q", &nonce, "-g", "sha256"]].concat());
    }
}
