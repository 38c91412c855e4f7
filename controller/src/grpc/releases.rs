//! Releases over the wire.

use std::sync::Arc;

use flota_proto::v1;
use flota_proto::v1::releases_server::Releases;
use flota_release::Catalogue;
use tonic::{Request, Response, Status};

use super::{access, view};
use crate::core::Core;
use crate::fault::Fault;
use crate::releases;

/// The service.
pub struct ReleasesService(pub Arc<Core>);

#[tonic::async_trait]
impl Releases for ReleasesService {
    async fn publish(&self, request: Request<v1::PublishRequest>) -> Result<Response<v1::PublishResponse>, Status> {
        let actor = access::principal(&request)?.actor();
        let files = request.into_inner().metadata.into_iter().map(|file| (file.name, file.contents)).collect();
        let releases::Published { catalogue, published, withdrawn } = releases::publish(&self.0, &actor, files).await?;
        let (expires_at, expires_role) = first_expiry(&catalogue);
        let shown = |releases: &[_]| releases.iter().map(|release| view::release(release, Some(&catalogue))).collect();
        Ok(Response::new(v1::PublishResponse {
            published: shown(&published),
            withdrawn: shown(&withdrawn),
            expires_at,
            expires_role,
        }))
    }

    async fn list(&self, _: Request<v1::ListReleasesRequest>) -> Result<Response<v1::ListReleasesResponse>, Status> {
        let releases = self.0.store.releases().await.map_err(Fault::from)?;
        // A list that is not believed is an answer too: at such a time it is asked for.
        let (catalogue, problem) = match releases::signed(&self.0).await {
            Ok(catalogue) => (Some(catalogue), String::new()),
            Err(fault) => (None, fault.sentence),
        };
        let (expires_at, expires_role) = catalogue.as_ref().map(first_expiry).unwrap_or_default();
        let releases = releases.iter().map(|release| view::release(release, catalogue.as_ref())).collect();
        Ok(Response::new(v1::ListReleasesResponse { releases, expires_at, expires_role, problem }))
    }

    async fn metadata(&self, request: Request<v1::MetadataRequest>) -> Result<Response<v1::MetadataFile>, Status> {
        let name = request.into_inner().name;
        let found = self.0.store.release_metadata_file(&name).await.map_err(Fault::from)?;
        let contents = found.ok_or_else(|| Fault::not_found("metadata file", &name))?;
        Ok(Response::new(v1::MetadataFile { name, contents }))
    }
}

fn first_expiry(catalogue: &Catalogue) -> (String, String) {
    catalogue.first_expiry().map(|expiry| (expiry.at.to_string(), expiry.role.to_string())).unwrap_or_default()
}
