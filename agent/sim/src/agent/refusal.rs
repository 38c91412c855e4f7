//! What the controller answers when it does not do what it was asked.

use flota_proto::CODE_HEADER;
use tonic::Status;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {sentence}")]
pub struct Refusal {
    /// Stable code, as in FLT-0401; the gRPC code where the controller gave none.
    pub code: String,
    /// What was wrong.
    pub sentence: String,
}

/// Longest sentence kept, in characters: those of the controller are one line.
const MAX_SENTENCE: usize = 1000;

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let code = status.metadata().get(CODE_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            code: code.unwrap_or_else(|| format!("{:?}", status.code())),
            sentence: status.message().chars().take(MAX_SENTENCE).collect(),
        }
    }
}
