//! `manifest.json`: what a package says it is and what it says it holds (manual §2).

use flota_seal::json::Json;

use super::path::{PackagePath, PathError};

/// A manifest that is well-formed. Whether its signature and its files are good is for [`super::check`] to say.
///
/// Three layouts of one family are read: update packages, release archives and `.dudzianpkg`.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    document: Json,
    layout: Layout,
    id: Option<String>,
    version: String,
    platform: Option<String>,
    runtime: Option<String>,
    artifacts: Vec<Artifact>,
    metadata: Option<Json>,
    allowed_profiles: Vec<String>,
    required_modules: Vec<String>,
    min_edition: Option<String>,
    fingerprint: Option<String>,
}

/// Which member of the family a manifest belongs to; it decides which fields must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// An update package: `version`, `platform` and `runtime` are required.
    Update,
    /// A release archive: `version` and `generated_at`, no platform.
    Release,
    /// A `.dudzianpkg`: `package_id` and `version`.
    Dudzianpkg,
}

/// One file that the manifest promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    given_path: String,
    path: Result<PackagePath, PathError>,
    size: Option<u64>,
    sha256: Option<[u8; 32]>,
    sha384: Option<[u8; 48]>,
    kind: Option<String>,
    base_id: Option<String>,
}

/// Why a document is not a manifest. Whoever built the package has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The document is not an object.
    #[error("the manifest is not a JSON object")]
    NotAnObject,
    /// A required field is absent or empty.
    #[error("the manifest has no `{0}`")]
    Missing(&'static str),
    /// A field has another type than the format says.
    #[error("`{field}` of the manifest is not {expected}")]
    WrongType {
        /// The field, as it is spelt in the manifest.
        field: &'static str,
        /// What it should have been.
        expected: &'static str,
    },
    /// An entry of `artifacts` is malformed.
    #[error("artifact {number} of the manifest ({path}) {problem}")]
    Artifact {
        /// Its place in the list, counted from 1.
        number: usize,
        /// Its path, or `no path`.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Manifest {
    /// Reads a manifest. The document is kept as it stands: the signature covers fields that nobody here knows.
    ///
    /// # Errors
    /// [`ManifestError`]. A path that breaks the rules is not one of them: it is a finding about that file, see [`Artifact::path`].
    pub fn parse(document: &Json) -> Result<Self, ManifestError> {
        document.as_object().ok_or(ManifestError::NotAnObject)?;
        let layout = Layout::of(document);
        let required = |field| required_text(document, field);
        let optional = |field| optional_text(document, field);
        let (id, platform, runtime) = match layout {
            Layout::Update => (optional("id")?, Some(required("platform")?), Some(required("runtime")?)),
            Layout::Release => (optional("id")?, optional("platform")?, optional("runtime")?),
            Layout::Dudzianpkg => (Some(required("package_id")?), optional("platform")?, optional("runtime")?),
        };
        let metadata = match document.member("metadata") {
            None | Some(Json::Null) => None,
            Some(object @ Json::Object(_)) => Some(object.clone()),
            Some(_) => return Err(ManifestError::WrongType { field: "metadata", expected: "an object" }),
        };
        // A demand that cannot be read must not count as none: the package would install where it may not.
        let demands = metadata.as_ref().unwrap_or(&Json::Null);
        let required_modules = texts(demands, "required_modules")?;
        let min_edition = optional_text(demands, "min_edition")?;
        let fingerprint =
            optional("fingerprint")?.map_or_else(|| optional_text(demands, "fingerprint"), |own| Ok(Some(own)))?;
        Ok(Self {
            layout,
            id,
            version: required("version")?,
            platform,
            runtime,
            artifacts: artifacts(document)?,
            metadata,
            allowed_profiles: texts(document, "allowed_profiles")?,
            required_modules,
            min_edition,
            fingerprint,
            document: document.clone(),
        })
    }

    /// The manifest as it stands, signature included.
    pub fn document(&self) -> &Json {
        &self.document
    }

    /// What the signature covers: the document without its `signature` key.
    pub fn signed_payload(&self) -> Json {
        let members = self.document.as_object().into_iter().flatten();
        Json::object(
            members.filter(|(name, _)| *name != "signature").map(|(name, value)| (name.clone(), value.clone())),
        )
    }

    /// The signature inside the manifest, not looked at yet. `null` counts as none.
    pub fn embedded_signature(&self) -> Option<&Json> {
        self.document.member("signature").filter(|signature| !matches!(signature, Json::Null))
    }

    /// The layout, told by the fields present.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// `id`, or `package_id` of a `.dudzianpkg`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// `version`; never empty.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `platform`, such as `linux-x86_64`; always there in an update package.
    pub fn platform(&self) -> Option<&str> {
        self.platform.as_deref()
    }

    /// `runtime`, such as `python3.11`; always there in an update package.
    pub fn runtime(&self) -> Option<&str> {
        self.runtime.as_deref()
    }

    /// The files promised, in the order of the manifest; `integrity_manifest`, if any, is the last one.
    pub fn artifacts(&self) -> &[Artifact] {
        &self.artifacts
    }

    /// `metadata`, if it is an object.
    pub fn metadata(&self) -> Option<&Json> {
        self.metadata.as_ref()
    }

    /// The licence profiles that may install the package; empty means any.
    pub fn allowed_profiles(&self) -> &[String] {
        &self.allowed_profiles
    }

    /// `metadata.required_modules`: what a licence must unlock; empty means nothing.
    pub fn required_modules(&self) -> &[String] {
        &self.required_modules
    }

    /// `metadata.min_edition`: the least edition of a licence that may install the package.
    pub fn min_edition(&self) -> Option<&str> {
        self.min_edition.as_deref()
    }

    /// The fingerprint of the one host the package is meant for, if it is meant for one.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }
}

impl Layout {
    fn of(document: &Json) -> Self {
        let has = |field| document.member(field).is_some();
        if has("package_id") && !has("id") {
            Self::Dudzianpkg
        } else if has("generated_at") && !has("platform") && !has("runtime") {
            Self::Release
        } else {
            Self::Update
        }
    }
}

impl Artifact {
    /// The path as the manifest spells it; fit for a report, not for opening.
    pub fn given_path(&self) -> &str {
        &self.given_path
    }

    /// The path, if it is one that may be opened inside a package.
    ///
    /// # Errors
    /// The rule of manual §2 that it breaks.
    pub fn path(&self) -> Result<&PackagePath, PathError> {
        self.path.as_ref().map_err(|error| *error)
    }

    /// Size in bytes, if the manifest promises one.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// SHA-256; at least one of the two digests is there.
    pub fn sha256(&self) -> Option<&[u8; 32]> {
        self.sha256.as_ref()
    }

    /// SHA-384; at least one of the two digests is there.
    pub fn sha384(&self) -> Option<&[u8; 48]> {
        self.sha384.as_ref()
    }

    /// `type`, in lower case: `full`, `diff`, …
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// `base_id` (or `baseId`): the package, `<id>@<version>`, that a `diff` applies to. Empty counts as none.
    pub fn base_id(&self) -> Option<&str> {
        self.base_id.as_deref()
    }

    fn parse(entry: &Json) -> Result<Self, &'static str> {
        entry.as_object().ok_or("is not an object")?;
        let text = |field: &str, problem| match entry.member(field) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(problem),
        };
        let given_path = text("path", "has a path that is not a string")?.ok_or("has no path")?;
        let size = match entry.member("size") {
            None | Some(Json::Null) => None,
            Some(size @ Json::Integer(_)) => Some(size.as_u64().ok_or("has a size below zero or beyond 64 bits")?),
            Some(_) => return Err("has a size that is not an integer"),
        };
        let sha256 = text("sha256", "has a sha256 that is not a string")?.map(digest).transpose();
        let sha384 = text("sha384", "has a sha384 that is not a string")?.map(digest).transpose();
        let artifact = Self {
            path: PackagePath::parse(given_path),
            given_path: given_path.to_owned(),
            size,
            sha256: sha256.map_err(|()| "has a sha256 that is not 64 hexadecimal digits")?,
            sha384: sha384.map_err(|()| "has a sha384 that is not 96 hexadecimal digits")?,
            kind: text("type", "has a type that is not a string")?.map(str::to_lowercase),
            base_id: match text("base_id", "has a base_id that is not a string")? {
                Some(base) => Some(base.to_owned()),
                None => text("baseId", "has a baseId that is not a string")?.map(str::to_owned),
            },
        };
        if artifact.sha256.is_none() && artifact.sha384.is_none() {
            return Err("has neither sha384 nor sha256");
        }
        Ok(artifact)
    }
}

fn artifacts(document: &Json) -> Result<Vec<Artifact>, ManifestError> {
    let list = document.member("artifacts").ok_or(ManifestError::Missing("artifacts"))?;
    let list = list.as_array().ok_or(ManifestError::WrongType { field: "artifacts", expected: "a list" })?;
    let mut artifacts = Vec::with_capacity(list.len());
    for (index, entry) in list.iter().enumerate() {
        artifacts.push(Artifact::parse(entry).map_err(|problem| ManifestError::Artifact {
            number: index + 1,
            path: entry.member("path").and_then(Json::as_str).unwrap_or("no path").to_owned(),
            problem,
        })?);
    }
    match document.member("integrity_manifest") {
        None | Some(Json::Null) => {}
        Some(entry) => {
            let wrong = |expected| ManifestError::WrongType { field: "integrity_manifest", expected };
            let extra = Artifact::parse(entry).map_err(|_| wrong("an object of `path` and `sha256`"))?;
            // Often it is an artifact as well; then it is one promise, not a duplicate.
            if !artifacts.iter().any(|artifact| artifact.path == extra.path && artifact.sha256 == extra.sha256) {
                artifacts.push(extra);
            }
        }
    }
    Ok(artifacts)
}

fn optional_text(document: &Json, field: &'static str) -> Result<Option<String>, ManifestError> {
    match document.member(field) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
        Some(_) => Err(ManifestError::WrongType { field, expected: "a string" }),
    }
}

fn required_text(document: &Json, field: &'static str) -> Result<String, ManifestError> {
    optional_text(document, field)?.ok_or(ManifestError::Missing(field))
}

fn texts(document: &Json, field: &'static str) -> Result<Vec<String>, ManifestError> {
    let wrong = ManifestError::WrongType { field, expected: "a list of strings" };
    match document.member(field) {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::Array(list)) => {
            list.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(|| wrong.clone())).collect()
        }
        Some(_) => Err(wrong),
    }
}

fn digest<const BYTES: usize>(text: &str) -> Result<[u8; BYTES], ()> {
    let mut bytes = [0; BYTES];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| ())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest, ManifestError> {
        Manifest::parse(&Json::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn the_three_layouts_are_told_apart() {
        let update = parse(r#"{"version":"1","platform":"p","runtime":"r","artifacts":[]}"#).unwrap();
        assert_eq!((update.layout(), update.platform(), update.id()), (Layout::Update, Some("p"), None));
        let release = parse(r#"{"version":"1","generated_at":"2026-01-01T00:00:00Z","artifacts":[]}"#).unwrap();
        assert_eq!(release.layout(), Layout::Release);
        let dudzian =
            parse(r#"{"package_id":"x","version":"1","fingerprint":"F","created_at":"","artifacts":[]}"#).unwrap();
        assert_eq!((dudzian.id(), dudzian.fingerprint()), (Some("x"), Some("F")));
        assert_eq!(parse(r#"{"version":"1","runtime":"r","artifacts":[]}"#), Err(ManifestError::Missing("platform")));
        assert_eq!(parse(r#"{"version":"1","platform":"p","runtime":"r"}"#), Err(ManifestError::Missing("artifacts")));
    }

    #[test]
    fn the_integrity_manifest_is_one_more_promise() {
        let sha = "ab".repeat(32);
        let with = |artifacts: &str| {
            format!(
                r#"{{"version":"1","platform":"p","runtime":"r","artifacts":[{artifacts}],
                "integrity_manifest":{{"path":"integrity.json","sha256":"{sha}"}}}}"#
            )
        };
        assert_eq!(parse(&with("")).unwrap().artifacts().len(), 1);
        let listed = format!(r#"{{"path":"./integrity.json","sha256":"{sha}","size":1}}"#);
        assert_eq!(parse(&with(&listed)).unwrap().artifacts().len(), 1);
    }

    #[test]
    fn a_malformed_artifact_is_named() {
        let with =
            |artifact: &str| format!(r#"{{"version":"1","platform":"p","runtime":"r","artifacts":[{artifact}]}}"#);
        for (artifact, problem) in [
            (r#"{"path":"a"}"#, "has neither sha384 nor sha256"),
            (r#"{"path":"a","sha256":"zz"}"#, "has a sha256 that is not 64 hexadecimal digits"),
            (r#"{"path":"a","size":true,"sha256":""}"#, "has a size that is not an integer"),
            (r#"{"path":"a","size":-1}"#, "has a size below zero or beyond 64 bits"),
        ] {
            let expected = ManifestError::Artifact { number: 1, path: "a".to_owned(), problem };
            assert_eq!(parse(&with(artifact)), Err(expected), "{artifact}");
        }
    }
}
