//! What a value of the agent's own sections may be. A refusal says what it should have been, and never what it was.

use flota_procedures::health::{BaseUrl, ExchangeId, Mode};
use flota_tpm::{AttestationKind, EndorsementKind, Tcti};
use flota_updater::settings::values::text;
use toml::de::DeValue;

/// Whether the host has a TPM.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TpmMode {
    Required,
    None,
}

pub(super) fn endpoint(value: &DeValue<'_>) -> Result<String, &'static str> {
    const PROBLEM: &str = "must be https://host:port";
    let text = text(value).map_err(|_| PROBLEM)?;
    let uri: tonic::transport::Uri = text.parse().map_err(|_| PROBLEM)?;
    let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    match (uri.scheme_str(), uri.host(), uri.port_u16()) {
        (Some("https"), Some(host), Some(_)) if is_bare && !host.is_empty() => Ok(text),
        _ => Err(PROBLEM),
    }
}

pub(super) fn tcti(value: &DeValue<'_>) -> Result<Tcti, &'static str> {
    const PROBLEM: &str = "must be device:/dev/tpmrm0 or swtpm:host=HOST,port=PORT";
    text(value).ok().and_then(|text| text.parse().ok()).ok_or(PROBLEM)
}

pub(super) fn tpm_mode(value: &DeValue<'_>) -> Result<TpmMode, &'static str> {
    match value.as_str() {
        Some("required") => Ok(TpmMode::Required),
        Some("none") => Ok(TpmMode::None),
        _ => Err("must be required or none"),
    }
}

/// `auto` is `None`: the agent chooses.
pub(super) fn endorsement_key(value: &DeValue<'_>) -> Result<Option<EndorsementKind>, &'static str> {
    const PROBLEM: &str = "must be auto, rsa2048, p256, p384, high-p256, rsa3072, rsa4096 or high-rsa2048";
    choice(value, &EndorsementKind::PREFERENCE, EndorsementKind::as_str, PROBLEM)
}

/// `auto` is `None`: the agent chooses.
pub(super) fn attestation_key(value: &DeValue<'_>) -> Result<Option<AttestationKind>, &'static str> {
    let kinds = [AttestationKind::P256, AttestationKind::Rsa2048];
    choice(value, &kinds, AttestationKind::as_str, "must be auto, p256 or rsa2048")
}

fn choice<T: Copy>(
    value: &DeValue<'_>,
    kinds: &[T],
    name: fn(T) -> &'static str,
    problem: &'static str,
) -> Result<Option<T>, &'static str> {
    match value.as_str().ok_or(problem)? {
        "auto" => Ok(None),
        chosen => kinds.iter().copied().find(|kind| name(*kind) == chosen).map(Some).ok_or(problem),
    }
}

pub(super) fn exchange(value: &DeValue<'_>) -> Result<ExchangeId, &'static str> {
    text(value).ok().and_then(|text| text.parse().ok()).ok_or("must name an exchange that the health checks know")
}

pub(super) fn base_url(value: &DeValue<'_>) -> Result<BaseUrl, &'static str> {
    text(value).ok().and_then(|text| text.parse().ok()).ok_or("must be https://host[:port] without user or query")
}

pub(super) fn trading_mode(value: &DeValue<'_>) -> Result<Mode, &'static str> {
    text(value).ok().and_then(|text| text.parse().ok()).ok_or("must be spot, margin, futures or paper")
}
