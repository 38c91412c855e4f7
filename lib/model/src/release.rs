//! A release: a package that was checked and published to the fleet.

use serde::{Deserialize, Serialize};

use crate::{Digest, Timestamp};

/// What a host needs to know of a release to fetch and check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRef {
    /// SHA-256 of the package file; also the name of its folder on the host.
    pub digest: Digest,
    /// Version as its manifest has it.
    pub version: String,
    /// Size of the package file, in bytes.
    pub size: u64,
}

/// A release as the controller lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What hosts are told.
    pub target: ReleaseRef,
    /// The manifest's `id`.
    pub id: String,
    /// The manifest's `platform`.
    pub platform: String,
    /// The manifest's `runtime`.
    pub runtime: String,
    /// When it was published.
    pub published_at: Timestamp,
    /// By which operator.
    pub published_by: String,
}
