//! What a host brings along: its keys and its first measurements.

use flota_store::{Enrolment, HostKeys, HostMeasurements, StoreError};

use crate::attestation::put_measurements;
use crate::transaction::Writing;

/// Enters it, or replaces all of it.
pub(super) async fn put(writing: &mut Writing, enrolment: &Enrolment) -> Result<(), StoreError> {
    let Enrolment { host, keys, measurements, certificate_expires_at, .. } = enrolment;
    let HostKeys { ek_spki_sha256, ek_public, ak_public, tls_public, tpm_manufacturer } = keys;
    let upsert = "insert into host_keys (host, ek_spki_sha256, ek_public, ak_public, tls_public, tpm_manufacturer, \
                  certificate_expires_at) values ($1, $2, $3, $4, $5, $6, $7) \
                  on conflict (host) do update set ek_spki_sha256 = excluded.ek_spki_sha256, \
                  ek_public = excluded.ek_public, ak_public = excluded.ak_public, tls_public = excluded.tls_public, \
                  tpm_manufacturer = excluded.tpm_manufacturer, \
                  certificate_expires_at = excluded.certificate_expires_at";
    let query = sqlx::query(upsert)
        .bind(host.as_str())
        .bind(ek_spki_sha256.to_string())
        .bind(ek_public.as_slice())
        .bind(ak_public.as_slice())
        .bind(tls_public.as_slice())
        .bind(tpm_manufacturer)
        .bind(certificate_expires_at.as_micros());
    writing.run(query).await?;
    put_measurements(writing, &[(host, measurements)]).await
}

/// Replaces the keys that a host makes; its endorsement key is the one it had. An empty document leaves the stored one
/// and its log as they are: a host that could choose a new baseline by coming back would never drift.
pub(super) async fn replace(writing: &mut Writing, enrolment: &Enrolment) -> Result<(), StoreError> {
    let Enrolment { host, keys, measurements, certificate_expires_at, .. } = enrolment;
    let update = "update host_keys set ak_public = $2, tls_public = $3, certificate_expires_at = $4 where host = $1";
    let query = sqlx::query(update)
        .bind(host.as_str())
        .bind(keys.ak_public.as_slice())
        .bind(keys.tls_public.as_slice())
        .bind(certificate_expires_at.as_micros());
    writing.run(query).await?;

    let HostMeasurements { baseline_json, clock_json, quoted_json, baseline_log, quoted_log } = measurements;
    let update = "update host_measurements set baseline = iif($2 = '', baseline, $2), \
                  baseline_log = iif($2 = '', baseline_log, $3), clock = iif($4 = '', clock, $4), \
                  quoted = iif($5 = '', quoted, $5), quoted_log = iif($5 = '', quoted_log, $6) where host = $1";
    let query = sqlx::query(update)
        .bind(host.as_str())
        .bind(baseline_json)
        .bind(baseline_log.map(|digest| digest.to_string()))
        .bind(clock_json)
        .bind(quoted_json)
        .bind(quoted_log.map(|digest| digest.to_string()));
    writing.run(query).await.map(drop)
}
