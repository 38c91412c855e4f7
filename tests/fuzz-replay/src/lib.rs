//! The entry functions of the fuzz targets, one for each parser that reads what somebody else wrote.
//!
//! Each takes any bytes whatsoever, panics if the parser breaks one of its promises, and says how far the bytes came.
//! `fuzz/` calls them with what a fuzzer makes up; the tests of this crate call them with the corpora that are checked
//! in below `fuzz/corpus`, and with many small changes of those.
//!
//! A target must never reach the network, need anything on the machine but a temporary folder, or depend on the time.
//!
//! Start with [`TARGETS`]; `fuzz/README.md` says how to run a fuzzer.

mod agent;
mod attest;
mod fixed;
mod package;
mod procedures;
mod release;
mod scratch;
mod seal;
mod wire;

pub use wire::MESSAGES;

/// How far an input came. A corpus needs both kinds: one that is only ever refused tests nothing behind the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is not what the parser reads.
    Refused,
    /// It was read, and all that is promised of such an input holds.
    Accepted,
}

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name; also of its file in `fuzz/fuzz_targets` and its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Its entry function.
    pub run: fn(&[u8]) -> Reach,
}

/// All of them, by name.
pub const TARGETS: &[Target] = &[
    Target { name: "agent_journal", run: agent::journal },
    Target { name: "agent_settings", run: agent::settings },
    Target { name: "attest_attest", run: attest::attest },
    Target { name: "attest_ek_certificate", run: attest::ek_certificate },
    Target { name: "attest_event_log", run: attest::event_log },
    Target { name: "attest_policy", run: attest::policy },
    Target { name: "attest_public", run: attest::public },
    Target { name: "attest_signature", run: attest::signature },
    Target { name: "bundle_verify", run: procedures::bundle_verify },
    Target { name: "credentials_json", run: procedures::credentials_json },
    Target { name: "credentials_toml", run: procedures::credentials_toml },
    Target { name: "iso_time", run: package::iso_time },
    Target { name: "licence", run: package::licence },
    Target { name: "licence_keys", run: package::licence_keys },
    Target { name: "licence_state", run: procedures::licence_state },
    Target { name: "package_archive", run: package::archive },
    Target { name: "package_manifest", run: package::manifest },
    Target { name: "procedure_records", run: procedures::records },
    Target { name: "proto_messages", run: wire::messages },
    Target { name: "release_list", run: release::list },
    Target { name: "revocation", run: package::revocation },
    Target { name: "seal_json", run: seal::json },
    Target { name: "seal_secret", run: seal::secret },
    Target { name: "seal_signature", run: seal::signature },
    Target { name: "tpm_evidence", run: procedures::evidence },
    Target { name: "tpm_keyring", run: procedures::keyring },
];

/// Runs the target of that name: what a fuzz target does with each input.
///
/// # Panics
/// If there is no such target, or the parser breaks a promise.
pub fn run(name: &str, input: &[u8]) -> Reach {
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        panic!("there is no fuzz target {name}");
    };
    (target.run)(input)
}
