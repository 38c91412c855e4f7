//! The one place where a refusal becomes a gRPC status.

use std::fmt::Write as _;

use flota_daemon::error_chain::chain;
use flota_proto::{CODE_HEADER, FIX_HEADER, REQUEST_ID_HEADER};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Code as GrpcCode, Status};

use crate::fault::{Code, Fault};

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let request_id = uuid::Uuid::now_v7().simple().to_string();
        let code = fault.code.as_str();
        match fault.code {
            Code::Bug | Code::Unavailable => tracing::error!(code, request_id, error = chain(&fault), "request failed"),
            _ => tracing::info!(code, request_id, error = chain(&fault), "request refused"),
        }
        let mut metadata = MetadataMap::new();
        for (header, value) in
            [(CODE_HEADER, code.to_owned()), (FIX_HEADER, percent_encode(&fault.fix)), (REQUEST_ID_HEADER, request_id)]
        {
            if let Ok(value) = AsciiMetadataValue::try_from(value) {
                metadata.insert(header, value);
            }
        }
        Self::with_metadata(grpc_code(fault.code), fault.sentence, metadata)
    }
}

const fn grpc_code(code: Code) -> GrpcCode {
    match code {
        Code::BadRequest | Code::NothingSelected => GrpcCode::InvalidArgument,
        Code::UnknownCertificate => GrpcCode::Unauthenticated,
        Code::RoleMissing | Code::TokenRefused | Code::EvidenceRefused => GrpcCode::PermissionDenied,
        Code::NotFound => GrpcCode::NotFound,
        Code::NameTaken => GrpcCode::AlreadyExists,
        Code::PackageRefused | Code::WrongState => GrpcCode::FailedPrecondition,
        Code::Changed => GrpcCode::Aborted,
        Code::TooMuch => GrpcCode::ResourceExhausted,
        Code::Unavailable => GrpcCode::Unavailable,
        Code::Bug => GrpcCode::Internal,
    }
}

/// Percent-encodes all but unreserved characters and blanks (RFC 3986 §2.3), for metadata is ASCII.
fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_graphic() && byte != b'%' || byte == b' ' {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_code_fix_and_request_id() {
        let status = Status::from(Fault::new(Code::NotFound, "there is no host `x`").fix("gdzie ż?"));
        assert_eq!(status.code(), GrpcCode::NotFound);
        assert_eq!(status.metadata().get(CODE_HEADER).unwrap(), "FLT-0301");
        assert_eq!(status.metadata().get(FIX_HEADER).unwrap(), "gdzie %C5%BC?");
        assert!(status.metadata().contains_key(REQUEST_ID_HEADER));
    }
}
