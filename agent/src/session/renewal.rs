//! A new certificate before the old one ends: over the same key, in the same session.

use std::time::Duration;

use flota_daemon::error_chain::chain;
use flota_model::Timestamp;
use flota_proto::v1;
use rustls::pki_types::CertificateDer;

use crate::host_key::HostKey;
use crate::identity::Identity;
use crate::settings::Settings;

/// After a refused renewal the next one is asked for no sooner.
const SHORTEST_WAIT: Duration = Duration::from_mins(1);

/// Half of the certificate's life after its begin, or never if it cannot be read.
pub(super) fn due(identity: &Identity) -> impl Future<Output = ()> + use<> {
    let validity = identity.validity();
    async move {
        let Some(validity) = validity else { return std::future::pending().await };
        let half = validity.until.since(validity.from) / 2;
        let now = Timestamp::from_micros(flota_daemon::present());
        tokio::time::sleep(validity.from.plus(half).since(now).max(SHORTEST_WAIT)).await;
    }
}

/// Asks for it. Without a request the controller refuses, and the next attempt comes in its time.
pub(super) fn request(key: &HostKey) -> v1::RenewRequest {
    let csr = key.certificate_request().unwrap_or_else(|error| {
        tracing::warn!(error = chain(&error), "no certificate request");
        Vec::new()
    });
    v1::RenewRequest { csr }
}

/// Keeps what came, for the next connection: this one goes on with the certificate it began with.
pub(super) fn take(identity: &mut Identity, settings: &Settings, renewed: v1::RenewResponse) {
    if renewed.certificate.is_empty() {
        return tracing::warn!(reason = renewed.refusal, "the certificate was not renewed");
    }
    let next = Identity { certificate: CertificateDer::from(renewed.certificate), ..identity.clone() };
    match next.save(&settings.state_dir) {
        Ok(()) => *identity = next,
        Err(error) => tracing::error!(error = chain(&error), "the new certificate was not kept"),
    }
}
