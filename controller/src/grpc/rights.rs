//! Which blobs a host may see. Operators' roles are the access table's; a host has its own exports, and packages of
//! releases.

use flota_model::{Digest, HostId};

use crate::core::Core;
use crate::fault::Fault;

/// Whether hosts may fetch this blob: packages of releases and nothing else.
pub(super) async fn may_fetch(core: &Core, blob: &Digest) -> Result<bool, Fault> {
    Ok(core.store.releases().await?.iter().any(|release| release.target.digest == *blob))
}

/// Whether a host may send this blob, ask how much of it is here, and call it its export: neither a release nor the
/// export of another host. Who knows a digest is not thereby told whether somebody has it.
pub(super) async fn may_export(core: &Core, host: &HostId, blob: &Digest) -> Result<bool, Fault> {
    let exporters = core.store.exporters(blob).await?;
    Ok(exporters.iter().all(|exporter| exporter == host) && !may_fetch(core, blob).await?)
}
