//! What is known of a host while its session lasts: read once, so that a verdict costs one write and no reading.

use flota_attest::baseline::Baseline;
use flota_attest::event_log::EventLog;
use flota_attest::public::{Public, QualifiedName};
use flota_attest::quote::ClockState;
use flota_model::host::{Host, Trust};
use flota_model::{Digest, HostId, HostName, Labels, Timestamp};
use flota_store::HostMeasurements;
use serde::de::DeserializeOwned;

use crate::core::Core;
use crate::fault::{Code, Fault};

/// A host under attestation.
pub struct Subject {
    /// Which host.
    pub host: HostId,
    pub(super) name: HostName,
    pub(super) labels: Labels,
    /// As last read or written by this session. The store has the last word where an operator shut the host out.
    pub trust: Trust,
    /// Likewise.
    pub lease_until: Option<Timestamp>,
    pub(super) ak: Public,
    pub(super) ak_name: QualifiedName,
    /// None before the first genuine quote.
    pub(super) clock: Option<ClockState>,
    pub(super) baseline: Option<Baseline>,
    pub(super) baseline_log: Option<Digest>,
    /// The newest boot log, parsed once.
    pub(super) log: Option<(Digest, EventLog)>,
}

impl Subject {
    /// Reads what is known of a host. None: it has no TPM keys, so it is not attested.
    pub async fn load(core: &Core, host: &Host) -> Result<Option<Self>, Fault> {
        let unknown = || Fault::new(Code::UnknownCertificate, "the host is not in the fleet");
        let (keys, _) = core.store.host_keys(&host.id).await?.ok_or_else(unknown)?;
        if keys.ak_public.is_empty() {
            return Ok(None);
        }
        let known = core.store.measurements(&host.id).await?.ok_or_else(unknown)?;
        let stored = |error| Fault::new(Code::Bug, "the host's stored keys cannot be read").because(error);
        let ek = Public::parse_2b(&keys.ek_public).map_err(stored)?;
        let ak = Public::parse_2b(&keys.ak_public).map_err(stored)?;
        let ak_name = ak.qualified_name(&ek.qualified_name(&QualifiedName::endorsement_root()));
        let log = match known.quoted_log {
            Some(digest) => stored_log(core, &digest).await?.map(|log| (digest, log)),
            None => None,
        };
        Ok(Some(Self {
            host: host.id.clone(),
            name: host.name.clone(),
            labels: host.labels.clone(),
            trust: host.trust,
            lease_until: host.lease_until,
            ak,
            ak_name,
            clock: parse_stored(&known.clock_json)?,
            baseline: parse_stored(&known.baseline_json)?,
            baseline_log: known.baseline_log,
            log,
        }))
    }

    /// Takes over what an operator or the upkeep may have changed meanwhile.
    pub fn refresh(&mut self, host: &Host) {
        self.name = host.name.clone();
        self.labels = host.labels.clone();
        self.trust = host.trust;
        self.lease_until = host.lease_until;
    }

    /// SHA-256 of the boot log that the controller has; empty: none.
    pub fn known_log(&self) -> Vec<u8> {
        self.log.as_ref().map(|(digest, _)| digest.as_bytes().to_vec()).unwrap_or_default()
    }

    pub(super) fn remember(&mut self, measurements: &HostMeasurements) -> Result<(), Fault> {
        self.clock = parse_stored(&measurements.clock_json)?;
        self.baseline = parse_stored(&measurements.baseline_json)?;
        self.baseline_log = measurements.baseline_log;
        Ok(())
    }
}

/// A boot log of the store, parsed. None: it is not there, or it is no log; then there is nothing to compare with.
pub async fn stored_log(core: &Core, digest: &Digest) -> Result<Option<EventLog>, Fault> {
    let log = core.store.boot_log(digest).await?;
    Ok(log.and_then(|log| EventLog::parse(&log.bytes).ok()))
}

/// A document that this controller wrote; empty means there is none yet.
pub fn parse_stored<T: DeserializeOwned>(json: &str) -> Result<Option<T>, Fault> {
    if json.is_empty() {
        return Ok(None);
    }
    let parsed = serde_json::from_str(json);
    parsed.map(Some).map_err(|error| Fault::new(Code::Bug, "stored measurements cannot be read").because(error))
}
