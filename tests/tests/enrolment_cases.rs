//! Enrolments that must not succeed, by a client that has a real TPM and does not keep to the protocol, against a real
//! controller over TLS. A number in a test's name is that of the case in the attestation specification.
#![expect(clippy::unwrap_used, reason = "a test panics")]

#[path = "enrolment_cases/keys.rs"]
mod keys;
#[path = "enrolment_cases/kinds.rs"]
mod kinds;
#[path = "enrolment_cases/sessions.rs"]
mod sessions;
#[path = "enrolment_cases/tokens.rs"]
mod tokens;

use std::path::Path;

use flota_proto::v1;
use flota_seal::binding;
use flota_tests::client::{EnrolmentConnection, begin_request, prove, transcript};
use flota_tests::{Bins, Ground};
use flota_tpm::Tpm;
use tonic::Status;

/// No quote but that of the enrolment is asked for.
const NEVER: u64 = 3600;

fn ground(dir: &Path, tpms: usize) -> Ground {
    Ground::new(&Bins::beside_this_program().unwrap(), dir, tpms, NEVER).unwrap()
}

/// An enrolment that has begun honestly.
struct Begun {
    connection: EnrolmentConnection,
    request: v1::BeginRequest,
    challenge: v1::BeginResponse,
}

impl Begun {
    async fn new(ground: &Ground, request: v1::BeginRequest) -> Self {
        let mut connection = EnrolmentConnection::dial(&ground.controller).await.unwrap();
        let challenge = connection.begin(request.clone()).await.unwrap();
        Self { connection, request, challenge }
    }

    async fn honest(ground: &Ground, tpm: &Tpm, name: &str) -> Self {
        Self::new(ground, begin_request(tpm, &ground.token(name).unwrap()).unwrap()).await
    }

    fn prove(&self, tpm: &Tpm) -> v1::FinishRequest {
        prove(tpm, &self.request, &self.challenge, &self.connection.exporter).unwrap()
    }

    fn transcript(&self) -> [u8; 32] {
        transcript(&self.request, &self.challenge)
    }

    /// What only the TPM of this enrolment's EK and AK can know.
    fn secret(&self, tpm: &Tpm) -> Vec<u8> {
        let (blob, secret) = (&self.challenge.credential_blob, &self.challenge.encrypted_secret);
        tpm.activate_credential(blob, secret).unwrap().expose().to_vec()
    }

    async fn finish(&mut self, proof: v1::FinishRequest) -> Result<v1::FinishResponse, Status> {
        self.connection.finish(proof).await
    }
}

/// Panics unless the request was refused with this code and a sentence that begins so, and nobody is in the fleet.
fn assert_refused<T: std::fmt::Debug>(ground: &Ground, outcome: Result<T, Status>, code: &str, sentence: &str) {
    assert_answer(outcome, code, sentence);
    assert_eq!(ground.hosts().unwrap().len(), 0, "nobody slipped in");
    assert_eq!(ground.audit("host.enrol").unwrap().iter().filter(|entry| entry["outcome"] == "ok").count(), 0);
}

fn assert_answer<T: std::fmt::Debug>(outcome: Result<T, Status>, code: &str, sentence: &str) {
    let status = outcome.unwrap_err();
    let found = status.metadata().get(flota_proto::CODE_HEADER).map(|code| code.to_str().unwrap().to_owned());
    assert_eq!(found.as_deref(), Some(code), "{status:?}");
    assert!(status.message().starts_with(sentence), "expected `{sentence}`: {status:?}");
}

/// The M1 of a TPM, with one thing changed and the token's MAC over the change.
async fn begin_with(
    ground: &Ground,
    tpm: &Tpm,
    name: &str,
    change: impl FnOnce(&mut v1::BeginRequest),
) -> Result<v1::BeginResponse, Status> {
    let token = ground.token(name).unwrap();
    let mut request = begin_request(tpm, &token).unwrap();
    change(&mut request);
    flota_tests::client::sign_begin(&mut request, &token);
    EnrolmentConnection::dial(&ground.controller).await.unwrap().begin(request).await
}

/// A proof with a secret that was never in this enrolment's credential.
fn guess(begun: &Begun, secret: &[u8]) -> Vec<u8> {
    binding::enrol_proof(secret, &begun.transcript()).to_vec()
}
