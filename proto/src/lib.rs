//! The wire: generated messages and services of `flota.v1`, and the conversions between them and the model.
//!
//! Prost types stop at the edges: the agent's session, the controller's `grpc` modules, and the CLI, whose read
//! models they are. Everything inside works with `flota_model`. To add an RPC, see CONTRIBUTING.md.

mod codec;
mod convert;

pub use convert::InvalidMessage;

/// Generated from `flota/v1/*.proto`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    missing_docs,
    unused_qualifications,
    reason = "generated code; its documentation is in the .proto files"
)]
pub mod v1 {
    tonic::include_proto!("flota.v1");
}

/// Encoded `FileDescriptorSet` of every service, for gRPC reflection and for the tests that enumerate RPCs.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/flota.v1.bin"));

/// Largest gRPC message either side accepts, in bytes: a boot log of 1 MiB with its quote; everything else fits many times.
pub const MAX_MESSAGE_BYTES: usize = 1280 * 1024;

/// Bytes of data in one blob chunk: large enough to keep TLS busy, small enough that a thousand transfers fit in memory.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// gRPC metadata in which errors carry their stable code (`FLT-0101`).
pub const CODE_HEADER: &str = "flota-code";
/// gRPC metadata in which errors carry what to do about them, percent-encoded UTF-8.
pub const FIX_HEADER: &str = "flota-fix";
/// gRPC metadata in which every answer carries the id under which the controller logged the request.
pub const REQUEST_ID_HEADER: &str = "flota-request-id";

// The token is a bearer secret until it is used: it must not reach a log through `{:?}`.
impl std::fmt::Debug for v1::CreateTokenResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateTokenResponse").field("id", &self.id).finish_non_exhaustive()
    }
}
