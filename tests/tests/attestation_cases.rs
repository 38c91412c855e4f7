//! Evidence that must not pass, and states that must not alarm: a client with a real TPM, its certificate and its own
//! ideas of the protocol, against a real controller. A number in a test's name is that of the case in the attestation
//! specification.
#![expect(clippy::unwrap_used, reason = "a test panics")]

#[path = "attestation_cases/faults.rs"]
mod faults;
#[path = "attestation_cases/limits.rs"]
mod limits;
#[path = "attestation_cases/replays.rs"]
mod replays;
#[path = "attestation_cases/states.rs"]
mod states;

use std::path::Path;

use flota_proto::v1;
use flota_tests::client::{FleetSession, Member, enrol};
use flota_tests::{Bins, Ground};
use flota_tpm::Tpm;

/// A challenge each second, so that the next one need not be waited for.
const OFTEN: u64 = 1;

/// A host that is in the fleet.
struct Host {
    name: String,
    tpm: Tpm,
    member: Member,
}

/// As rarely as in a fleet: a host that is asked to wait must not be missed meanwhile.
const USUAL: u64 = 60;

fn ground(dir: &Path, tpms: usize) -> Ground {
    ground_asking(dir, tpms, OFTEN)
}

fn ground_asking(dir: &Path, tpms: usize, attest_seconds: u64) -> Ground {
    Ground::new(&Bins::beside_this_program().unwrap(), dir, tpms, attest_seconds).unwrap()
}

async fn enrolled(ground: &Ground, tpm: usize) -> Host {
    let name = format!("host-{tpm}");
    let tpm = ground.open(tpm).unwrap();
    let member = enrol(&ground.controller, &tpm, &ground.token(&name).unwrap()).await.unwrap();
    Host { name, tpm, member }
}

impl Host {
    async fn connect(&self, ground: &Ground) -> FleetSession {
        FleetSession::connect(&ground.controller, &self.member, &self.tpm).await.unwrap()
    }
}

/// Panics unless the verdict is a failure for this reason, and the host is not trusted any more.
fn assert_fails(ground: &Ground, host: &Host, verdict: &v1::Verdict, code: &str) {
    assert_eq!(verdict.verdict, "fail", "{verdict:?}");
    assert!(verdict.reasons.iter().any(|reason| reason.starts_with(code)), "{code}: {verdict:?}");
    assert_eq!(ground.trust(&host.name).unwrap(), "untrusted");
}

fn assert_passes(verdict: &v1::Verdict) {
    assert_eq!((verdict.verdict.as_str(), &verdict.reasons), ("pass", &Vec::new()));
}
