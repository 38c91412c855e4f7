//! Evidence that this host makes of itself, with its TPM (manual §3), in the bot's format.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use flota_net::tls;
use flota_procedures::evidence::{EvidenceKey, LivePayload, LiveProof};
use flota_procedures::{durable, iso_time};
use flota_seal::json::Json;
use flota_tpm::Tpm;
use jiff::SignedDuration;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::Config;
use super::output::{Answer, Failure, or_exit};
use crate::endorsement;
use crate::host_key::{HostKeyError, open_tpm};
use crate::procedures::present;
use crate::settings::{EXIT_BAD_SETTINGS, Settings, TpmSettings};

/// There is no evidence.
const EXIT_FAILED: u8 = 1;
/// The key that signs evidence, in the state folder.
const KEY_FILE: &str = "evidence-key";
/// Permissions of the evidence: it holds nothing secret, and the bot reads it.
const EVIDENCE_MODE: u32 = 0o644;
/// What is quoted: firmware, its configuration, boot loader and secure boot, as the controller asks by default.
const PCRS: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
/// Bytes of a nonce that is made here, and the most that one given may have.
const NONCE_BYTES: usize = 32;
/// How long evidence counts at least: less, and it has expired before anybody looks.
const SHORTEST_LIFE: SignedDuration = SignedDuration::from_mins(1);
/// And at most: it says how the machine was when it was made.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(31 * 24);

#[derive(Args)]
pub(super) struct Export {
    #[command(flatten)]
    config: Config,
    /// The file for the evidence
    #[arg(long, value_name = "FILE", required_unless_present = "public_key")]
    output: Option<PathBuf>,
    /// The challenge that the evidence answers [default: a random one]
    #[arg(long, value_name = "HEX", value_parser = nonce, conflicts_with = "public_key")]
    nonce: Option<String>,
    /// How long the evidence counts, as 90m or 24h
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = life, conflicts_with = "public_key")]
    expires_in: SignedDuration,
    /// Print the keyring entry that this host's evidence is verified with, and write nothing else
    #[arg(long, conflicts_with = "output")]
    public_key: bool,
}

impl Export {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let settings = Settings::load(&self.config.config).map_err(or_exit(EXIT_BAD_SETTINGS))?;
        if matches!(settings.tpm, TpmSettings::Absent) {
            return Err(Failure::of(&HostKeyError::NoTpm, EXIT_FAILED));
        }
        let key_file = settings.state_dir.join(KEY_FILE);
        let key = EvidenceKey::open(&key_file, random).map_err(or_exit(EXIT_FAILED))?;
        let Some(output) = self.output else { return Ok(Answer::json(&key.keyring_entry(), 0)) };
        let runtime = Runtime::new().map_err(or_exit(EXIT_FAILED))?;
        let tpm = runtime.block_on(open_tpm(&settings)).map_err(or_exit(EXIT_FAILED))?;
        let nonce = match self.nonce {
            Some(nonce) => nonce,
            None => hex::encode(*random().map_err(or_exit(EXIT_FAILED))?),
        };
        write(&output, &tpm, &key, nonce, self.expires_in)
    }
}

fn write(
    output: &Path,
    tpm: &Tpm,
    key: &EvidenceKey,
    nonce: String,
    expires_in: SignedDuration,
) -> Result<Answer, Failure> {
    let identity = tpm.identity();
    let fingerprint = endorsement::fingerprint(&identity.ek_certificate)
        .ok_or_else(|| Failure::because("the TPM's endorsement certificate cannot be read", EXIT_FAILED))?;
    let attested_at = present();
    let payload = LivePayload {
        fingerprint: fingerprint.to_string(),
        nonce,
        attested_at,
        expires_at: attested_at.checked_add(expires_in).map_err(or_exit(EXIT_FAILED))?,
        vendor: identity.manufacturer.clone(),
    };
    let quote = tpm.quote(payload.qualifying(), &PCRS).map_err(or_exit(EXIT_FAILED))?;
    let proof = LiveProof {
        attest: &quote.attest,
        signature: &quote.signature,
        pcr_values: &quote.pcr_values,
        ak_public: &identity.ak_public,
        ek_public: &identity.ek_public,
        ek_certificate: &identity.ek_certificate,
    };
    let text = payload.sealed(&proof, key).pretty() + "\n";
    durable::write_file(output, EVIDENCE_MODE, text.as_bytes()).map_err(or_exit(EXIT_FAILED))?;
    let answer = Json::object([
        ("status", Json::from("ok")),
        ("evidence_path", output.display().to_string().into()),
        ("fingerprint", payload.fingerprint.as_str().into()),
        ("nonce", payload.nonce.as_str().into()),
        ("attested_at", iso_time::format(payload.attested_at).into()),
        ("expires_at", iso_time::format(payload.expires_at).into()),
        ("signature_key", key.id().into()),
    ]);
    Ok(Answer::json(&answer, 0))
}

fn random() -> io::Result<Zeroizing<[u8; NONCE_BYTES]>> {
    let mut bytes = Zeroizing::new([0; NONCE_BYTES]);
    let filled = tls::provider().secure_random.fill(&mut *bytes);
    filled.map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(bytes)
}

fn nonce(text: &str) -> Result<String, &'static str> {
    let bytes = hex::decode(text).ok().filter(|bytes| (1..=NONCE_BYTES * 2).contains(&bytes.len()));
    bytes.map(hex::encode).ok_or("expected 1 to 64 bytes in hexadecimal")
}

fn life(text: &str) -> Result<SignedDuration, &'static str> {
    let life = text.parse::<SignedDuration>().ok();
    life.filter(|life| (SHORTEST_LIFE..=LONGEST_LIFE).contains(life)).ok_or("expected 1m to 744h, as 90m or 24h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_hexadecimal_and_short() {
        assert_eq!(nonce("00FF").unwrap(), "00ff");
        for bad in ["", "0", "xy", &"00".repeat(65)] {
            assert!(nonce(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn evidence_counts_for_minutes_to_a_month() {
        assert_eq!(life("24h").unwrap(), SignedDuration::from_hours(24));
        assert_eq!(life("1h 30m").unwrap(), SignedDuration::from_mins(90));
        for bad in ["", "24", "59s", "745h", "-24h", "1 month"] {
            assert!(life(bad).is_err(), "{bad}");
        }
    }
}
