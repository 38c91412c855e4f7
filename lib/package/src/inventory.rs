//! What a package holds, whether it is a folder or an archive. Nothing here knows what it ought to hold.

use std::collections::BTreeMap;

use super::digest::FileFacts;
use super::path::{Clash, Names, PackagePath};

/// The contents of a package.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// The manifest as it stands.
    pub(super) manifest: Option<Vec<u8>>,
    /// `manifest.sig` or `manifest.json.sig`, with its name.
    pub(super) signature: Option<(PackagePath, Vec<u8>)>,
    /// Every other regular file. Digests are there as far as they were worth computing.
    pub(super) files: BTreeMap<PackagePath, FileFacts>,
    /// What no package may hold, and what could not be read.
    pub(super) faults: Vec<Fault>,
    names: Names,
}

/// Something wrong with one name in the package.
#[derive(Debug)]
pub(super) struct Fault {
    /// The name as the package spells it; not UTF-8 becomes U+FFFD.
    pub(super) name: String,
    /// The name, if it is a valid one: then the fault belongs to the artifact of that name.
    pub(super) path: Option<PackagePath>,
    pub(super) code: FaultCode,
    /// What is wrong, to follow the name and a colon.
    pub(super) message: String,
}

/// The kind of fault, as the `code` of a report spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCode {
    /// The name breaks a path rule.
    Path,
    /// The name occurs twice.
    Duplicate,
    /// The name occurs twice but for letter case.
    CaseClash,
    /// The name is a file and a folder.
    FileAndFolder,
    /// A symbolic or hard link.
    Link,
    /// A device, a pipe, a socket, a sparse file; in a zip also what readers understand differently, or not without a password.
    SpecialFile,
    /// Listed, and not there.
    Missing,
    /// There, and reading it failed.
    Unreadable,
    /// Another size than the manifest says.
    Size,
    /// Another SHA-384 than the manifest says.
    Sha384,
    /// Another SHA-256 than the manifest says.
    Sha256,
    /// There, and not listed.
    Unlisted,
}

impl FaultCode {
    /// The spelling in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Duplicate => "duplicate",
            Self::CaseClash => "case_clash",
            Self::FileAndFolder => "file_and_folder",
            Self::Link => "link",
            Self::SpecialFile => "special_file",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Size => "size_mismatch",
            Self::Sha384 => "sha384_mismatch",
            Self::Sha256 => "sha256_mismatch",
            Self::Unlisted => "unlisted",
        }
    }
}

impl Clash {
    pub(super) fn code(self) -> FaultCode {
        match self {
            Self::Duplicate => FaultCode::Duplicate,
            Self::LetterCase => FaultCode::CaseClash,
            Self::FileAndFolder => FaultCode::FileAndFolder,
        }
    }

    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Duplicate => "the path occurs twice",
            Self::LetterCase => "the path differs from another one only by letter case",
            Self::FileAndFolder => "the path is both a file and a folder",
        }
    }
}

impl Inventory {
    /// Takes a file name in, or notes why it cannot be one.
    pub(super) fn admit(&mut self, name: &[u8]) -> Option<PackagePath> {
        let path = match PackagePath::parse_bytes(name) {
            Ok(path) => path,
            Err(error) => {
                self.fault(name, FaultCode::Path, error.to_string());
                return None;
            }
        };
        match self.names.insert(&path) {
            Ok(()) => Some(path),
            Err(clash) => {
                self.fault(name, clash.code(), clash.message().to_owned());
                None
            }
        }
    }

    /// Takes a folder of an archive in, or notes why it cannot be one. It needs no entry of its own, but one with a hostile
    /// name still tells what the archive is.
    pub(super) fn admit_folder(&mut self, name: &[u8]) {
        let mut trimmed = name;
        while let Some(shorter) = trimmed.strip_suffix(b"/") {
            trimmed = shorter;
        }
        // `tar c .` writes `./` first; `/` alone is absolute.
        if trimmed == b"." {
            return;
        }
        match PackagePath::parse_bytes(if trimmed.is_empty() { name } else { trimmed }) {
            Ok(path) => {
                if let Err(clash) = self.names.insert_folder(&path) {
                    self.fault(trimmed, clash.code(), clash.message().to_owned());
                }
            }
            Err(error) => self.fault(name, FaultCode::Path, error.to_string()),
        }
    }

    /// Notes that the package holds `kind`, named with its article, under `name`.
    pub(super) fn forbid(&mut self, name: &[u8], kind: &str) {
        let code = if kind.ends_with("link") { FaultCode::Link } else { FaultCode::SpecialFile };
        self.fault(name, code, format!("a package may not hold {kind}"));
    }

    pub(super) fn fault(&mut self, name: &[u8], code: FaultCode, message: String) {
        let path = PackagePath::parse_bytes(name).ok();
        self.faults.push(Fault { name: String::from_utf8_lossy(name).into_owned(), path, code, message });
    }
}
