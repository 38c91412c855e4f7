//! Releases over the wire.

use std::path::Path;
use std::sync::Arc;

use flota_model::Digest;
use flota_model::release::{Release, ReleaseRef};
use flota_package::{CheckRequest, Manifest};
use flota_proto::v1;
use flota_proto::v1::releases_server::Releases;
use flota_store::Publish;
use serde_json::json;
use tonic::{Request, Response, Status};

use super::{access, view};
use crate::blobs::Presence;
use crate::core::Core;
use crate::fault::{Code, Fault};

/// The service.
pub struct ReleasesService(pub Arc<Core>);

#[tonic::async_trait]
impl Releases for ReleasesService {
    async fn publish(&self, request: Request<v1::PublishRequest>) -> Result<Response<v1::Release>, Status> {
        let core = &self.0;
        let actor = access::principal(&request)?.actor();
        let digest: Digest = request.into_inner().digest.parse().map_err(Fault::bad)?;
        let Presence::Whole { size } = core.blobs.presence(&digest) else {
            return Err(Fault::not_found("blob", &digest.to_string()).fix("upload the package first").into());
        };
        let (path, now) = (core.blobs.path(&digest), core.now());
        let work = tokio::task::spawn_blocking(move || inspect(&path, now.as_micros()));
        let package = work.await.map_err(|error| Fault::new(Code::Bug, "the check ended early").because(error))??;
        let release = Release {
            target: ReleaseRef { digest, version: package.version, size },
            id: package.id,
            platform: package.platform,
            runtime: package.runtime,
            published_at: now,
            published_by: actor.clone(),
        };
        let details = json!({ "id": release.id, "version": release.target.version });
        let audit = core.audit_by(&actor, "release.publish", format!("release/{digest}"), "ok", &details);
        match core.store.publish(&release, &audit).await.map_err(Fault::from)? {
            Publish::Published => Ok(Response::new(view::release(&release, false))),
            Publish::AlreadyThere => Ok(Response::new(view::release(&release, true))),
            Publish::VersionTaken(other) => Err(Fault::new(
                Code::PackageRefused,
                format!("version {} is published already, as package {}", release.target.version, other.short()),
            )
            .fix("build the package with a new version: a version means one package for ever")
            .into()),
        }
    }

    async fn list(&self, _: Request<v1::ListReleasesRequest>) -> Result<Response<v1::ListReleasesResponse>, Status> {
        let releases = self.0.store.releases().await.map_err(Fault::from)?;
        let releases = releases.iter().map(|release| view::release(release, false)).collect();
        Ok(Response::new(v1::ListReleasesResponse { releases }))
    }
}

struct Inspected {
    id: String,
    version: String,
    platform: String,
    runtime: String,
}

/// Whether the package is whole. Whether it is authentic only the hosts decide, with keys that are not here.
fn inspect(path: &Path, now_micros: i64) -> Result<Inspected, Fault> {
    let refused = |sentence: String| {
        Fault::new(Code::PackageRefused, sentence)
            .fix("check it where it was built: flota-agent check-update-integrity")
    };
    let now = jiff::Timestamp::from_microsecond(now_micros)
        .map_err(|error| Fault::new(Code::Bug, "the clock is out of range").because(error))?;
    let report = flota_package::check(&CheckRequest::new(path, now)).map_err(|error| {
        refused(format!("the package cannot be checked: {}", flota_daemon::error_chain::chain(&error)))
    })?;
    if !report.is_ok() {
        return Err(refused(format!("the package is not whole: {}", report.errors().join("; "))));
    }
    let manifest: &Manifest = report.manifest();
    let required = |name: &str, value: Option<&str>| {
        value.map(str::to_owned).ok_or_else(|| refused(format!("the package's manifest has no `{name}`")))
    };
    Ok(Inspected {
        id: manifest.id().unwrap_or("bot").to_owned(),
        version: manifest.version().to_owned(),
        platform: required("platform", manifest.platform())?,
        runtime: required("runtime", manifest.runtime())?,
    })
}
