//! What the controller answers when it does not do what it was asked.

use flota_proto::{CODE_HEADER, REQUEST_ID_HEADER};
use tonic::Status;

/// The code of a certificate that the controller does not know, or whose time is over.
pub(crate) const UNKNOWN_CERTIFICATE: &str = "FLT-0201";

/// A refusal, with the code and the request id under which the controller logged it.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {sentence} (request {request_id})")]
pub struct Refusal {
    /// Stable code, as in FLT-0401; the gRPC code where the controller gave none.
    pub code: String,
    /// What was wrong.
    pub sentence: String,
    /// The controller's log has it under this id.
    pub request_id: String,
    /// The gRPC code.
    pub grpc: tonic::Code,
}

/// Whether the controller said this itself. What was made on the way says nothing about what the controller did.
pub fn is_of_controller(status: &Status) -> bool {
    status.metadata().get(CODE_HEADER).is_some()
}

/// Reads a status.
pub fn refusal(status: &Status) -> Refusal {
    let header = |name| status.metadata().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Refusal {
        code: header(CODE_HEADER).unwrap_or_else(|| format!("{:?}", status.code())),
        sentence: status.message().chars().take(1000).collect(),
        request_id: header(REQUEST_ID_HEADER).unwrap_or_else(|| "unknown".to_owned()),
        grpc: status.code(),
    }
}
