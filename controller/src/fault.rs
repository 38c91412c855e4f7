//! What a request can be refused with: a stable code, a sentence, and what to do.

use flota_store::StoreError;

/// Stable codes. Scripts may rely on them; `docs/errors.md` explains each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A field of the request makes no sense.
    BadRequest,
    /// The client certificate is not known, or names nobody.
    UnknownCertificate,
    /// The role does not admit this request.
    RoleMissing,
    /// No such host, release, rollout, blob, token.
    NotFound,
    /// The selector selects nothing.
    NothingSelected,
    /// The token cannot be used.
    TokenRefused,
    /// The TPM's evidence does not hold.
    EvidenceRefused,
    /// The name belongs to another host.
    NameTaken,
    /// The package is not whole, or its version is taken.
    PackageRefused,
    /// The rollout is not in a state that allows it.
    WrongState,
    /// Something changed meanwhile; read again.
    Changed,
    /// Larger than allowed, or too many at once.
    TooMuch,
    /// The database or the disk does not answer; try again.
    Unavailable,
    /// A bug of the controller.
    Bug,
}

impl Code {
    /// All of them, for the documentation's test.
    pub const ALL: [Self; 14] = [
        Self::BadRequest,
        Self::UnknownCertificate,
        Self::RoleMissing,
        Self::NotFound,
        Self::NothingSelected,
        Self::TokenRefused,
        Self::EvidenceRefused,
        Self::NameTaken,
        Self::PackageRefused,
        Self::WrongState,
        Self::Changed,
        Self::TooMuch,
        Self::Unavailable,
        Self::Bug,
    ];

    /// The code as it is printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "FLT-0101",
            Self::UnknownCertificate => "FLT-0201",
            Self::RoleMissing => "FLT-0202",
            Self::NotFound => "FLT-0301",
            Self::NothingSelected => "FLT-0302",
            Self::TokenRefused => "FLT-0401",
            Self::EvidenceRefused => "FLT-0402",
            Self::NameTaken => "FLT-0403",
            Self::PackageRefused => "FLT-0411",
            Self::WrongState => "FLT-0412",
            Self::Changed => "FLT-0413",
            Self::TooMuch => "FLT-0501",
            Self::Unavailable => "FLT-0601",
            Self::Bug => "FLT-0901",
        }
    }
}

/// A refusal.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct Fault {
    /// Which kind.
    pub code: Code,
    /// What was wrong, without a secret.
    pub sentence: String,
    /// What to do about it; empty when there is nothing to say.
    pub fix: String,
    /// What caused it, for the log alone.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Fault {
    /// A refusal with a sentence.
    pub fn new(code: Code, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), fix: String::new(), source: None }
    }

    /// With what to do about it.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }

    /// With its cause.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// A request with a field that makes no sense.
    pub fn bad(error: impl std::fmt::Display) -> Self {
        Self::new(Code::BadRequest, error.to_string())
    }

    /// Nothing of that name.
    pub fn not_found(what: &str, name: &str) -> Self {
        let name: String = name.chars().take(80).collect();
        Self::new(Code::NotFound, format!("there is no {what} `{name}`"))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } => {
                Self::new(Code::Unavailable, "the database does not answer").fix("try again; nothing was half-done")
            }
            StoreError::Rejected { .. } => {
                Self::new(Code::Bug, "the database cannot hold what it was given; nothing was changed")
            }
            StoreError::Inconsistent { .. } | StoreError::FromNewerVersion { .. } => {
                Self::new(Code::Bug, "the database holds something this controller cannot read")
            }
        }
        .because(error)
    }
}
