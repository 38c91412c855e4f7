//! Builds a signed package from a folder. The same folder and fields always give the same bytes.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use flota_seal::json::Json;
use flota_seal::secret::Secret;
use flota_seal::signature::{Algorithm, Signature};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::DEFAULT_MANIFEST;
use super::digest::FileFacts;
use super::folder::{Folder, FolderError};
use super::limits::Limits;
use super::manifest::{Manifest, ManifestError};
use super::path::PackagePath;
use super::source::Companions;
use crate::durable::{AtomicFile, WriteError};
use crate::iso_time;

/// Where a signature goes that is not in the manifest.
const SIGNATURE_FILE: &str = "manifest.sig";

/// zstd level of a `.tar.zst`: packages are built once and fetched by every host, so size counts more than time.
const ZSTD_LEVEL: i32 = 12;

/// The operating system field of a gzip header: unknown (RFC 1952 §2.3.1), so that every host builds the same bytes.
const GZIP_OS_UNKNOWN: u8 = 255;

/// Permissions of a package file: it holds no secrets, and hosts fetch it.
const ARCHIVE_MODE: u32 = 0o644;

/// The fields of a manifest to be.
#[derive(Clone, Debug)]
pub struct PackageBuilder {
    heading: Heading,
    key_id: Option<String>,
    metadata: Option<Json>,
    allowed_profiles: Vec<String>,
}

/// The fields that tell the layouts apart.
#[derive(Clone, Debug)]
enum Heading {
    Update { id: String, version: String, platform: String, runtime: String },
    Release { version: String, generated_at: Timestamp },
    Dudzianpkg { package_id: String, version: String, fingerprint: String, created_at: Timestamp },
}

/// A package that was built.
#[derive(Clone, Debug)]
pub struct BuiltPackage {
    /// Its manifest, signed.
    pub manifest: Manifest,
    /// Its size in bytes.
    pub size: u64,
}

/// Why no package was built; nothing is left behind under its name.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The name of the output says no known kind of archive.
    #[error("{} is not a name for a package: use .dudzianpkg, .tar.gz, .tgz, .tar.zst or .tar", .0.display())]
    UnknownKind(PathBuf),
    /// The folder cannot be opened.
    #[error("opening the folder {} failed", path.display())]
    OpenFolder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The folder cannot be read to its end.
    #[error("reading the folder failed")]
    Folder(#[from] FolderError),
    /// The folder has a manifest or a signature, which building would silently replace: it may be an unpacked package.
    #[error("the folder already has {0}: remove it, or build from another folder")]
    AlreadyPackaged(PackagePath),
    /// The folder has something that no package may hold.
    #[error("{path}: {problem}")]
    Forbidden {
        /// Its name.
        path: String,
        /// The rule it breaks.
        problem: String,
    },
    /// A field of the manifest is empty or of the wrong shape.
    #[error("the manifest would not be valid")]
    Manifest(#[from] ManifestError),
    /// A file could not be read, or was changed while the package was built.
    #[error("reading {path} failed")]
    Read {
        /// The file, relative to the folder.
        path: PackagePath,
        /// The cause.
        source: io::Error,
    },
    /// The archive could not be put in its place.
    #[error("cannot write the package")]
    Place(#[from] WriteError),
    /// The archive could not be written.
    #[error("writing {} failed", path.display())]
    Write {
        /// The archive.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl PackageBuilder {
    /// An update package of these four; none may be empty. Its signature is in the manifest.
    pub fn new(
        id: impl Into<String>,
        version: impl Into<String>,
        platform: impl Into<String>,
        runtime: impl Into<String>,
    ) -> Self {
        Self::of(Heading::Update {
            id: id.into(),
            version: version.into(),
            platform: platform.into(),
            runtime: runtime.into(),
        })
    }

    /// A release archive, whose signature is in `manifest.sig`. The same instant gives the same bytes.
    pub fn release(version: impl Into<String>, generated_at: Timestamp) -> Self {
        Self::of(Heading::Release { version: version.into(), generated_at })
    }

    /// A `.dudzianpkg` for the host of that fingerprint, whose signature is in `manifest.sig`.
    pub fn dudzianpkg(
        package_id: impl Into<String>,
        version: impl Into<String>,
        fingerprint: impl Into<String>,
        created_at: Timestamp,
    ) -> Self {
        Self::of(Heading::Dudzianpkg {
            package_id: package_id.into(),
            version: version.into(),
            fingerprint: fingerprint.into(),
            created_at,
        })
    }

    fn of(heading: Heading) -> Self {
        Self { heading, key_id: None, metadata: None, allowed_profiles: Vec::new() }
    }

    /// Names the key in the signature.
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// Adds `metadata`, an object.
    #[must_use]
    pub fn metadata(mut self, metadata: Json) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Restricts the package to licences of these profiles.
    #[must_use]
    pub fn allowed_profiles(mut self, profiles: impl IntoIterator<Item = String>) -> Self {
        self.allowed_profiles = profiles.into_iter().collect();
        self
    }

    /// Builds `output` from every file of `folder`, signed with HMAC-SHA256.
    ///
    /// The kind of archive follows the name of `output`. It appears under that name whole and durable, or not at all.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(&self, folder: &Path, key: &Secret, output: &Path) -> Result<BuiltPackage, BuildError> {
        let kind = ArchiveKind::of(output)?;
        let source =
            Folder::open(folder).map_err(|source| BuildError::OpenFolder { path: folder.to_owned(), source })?;
        let files = take_stock(&source)?;
        let Signed { manifest, signature } = self.sign(&files, key)?;

        let mut archive = AtomicFile::create(output, ARCHIVE_MODE)?;
        Contents { folder: &source, files: &files, manifest: &manifest, signature: signature.as_ref(), output }
            .write(kind, &mut archive)?;
        archive.commit()?;
        let size = fs::metadata(output).map_err(|source| BuildError::Write { path: output.to_owned(), source })?.len();
        Ok(BuiltPackage { manifest, size })
    }

    fn sign(&self, files: &[(PackagePath, FileFacts)], key: &Secret) -> Result<Signed, BuildError> {
        let artifacts = files.iter().map(|(path, facts)| self.heading.artifact(path, facts)).collect();
        let profiles = || Json::Array(self.allowed_profiles.iter().map(|profile| profile.as_str().into()).collect());
        let profiles = (!self.allowed_profiles.is_empty()).then(|| ("allowed_profiles", profiles()));
        let metadata = self.metadata.clone().map(|metadata| ("metadata", metadata));
        let fields = self.heading.fields().into_iter().chain([("artifacts", Json::Array(artifacts))]);
        let payload: Vec<_> = fields.chain(metadata).chain(profiles).collect();
        let signature =
            Signature::sign(&Json::object(payload.clone()), key, Algorithm::HmacSha256, self.key_id.as_deref())
                .to_json();
        match self.heading {
            Heading::Update { .. } => {
                let document = Json::object(payload.into_iter().chain([("signature", signature)]));
                Ok(Signed { manifest: Manifest::parse(&document)?, signature: None })
            }
            Heading::Release { .. } | Heading::Dudzianpkg { .. } => {
                let manifest = Manifest::parse(&Json::object(payload))?;
                Ok(Signed { manifest, signature: Some(signature) })
            }
        }
    }
}

/// A manifest, and its signature where that is beside it.
struct Signed {
    manifest: Manifest,
    signature: Option<Json>,
}

impl Heading {
    fn fields(&self) -> Vec<(&'static str, Json)> {
        let text = |text: &String| Json::from(text.as_str());
        let time = |instant: &Timestamp| Json::from(iso_time::format(*instant).as_str());
        match self {
            Self::Update { id, version, platform, runtime } => vec![
                ("id", text(id)),
                ("version", text(version)),
                ("platform", text(platform)),
                ("runtime", text(runtime)),
            ],
            Self::Release { version, generated_at } => {
                vec![("version", text(version)), ("generated_at", time(generated_at))]
            }
            Self::Dudzianpkg { package_id, version, fingerprint, created_at } => vec![
                ("package_id", text(package_id)),
                ("version", text(version)),
                ("fingerprint", text(fingerprint)),
                ("created_at", time(created_at)),
            ],
        }
    }

    /// The entry of one file, with the digests that the layout has.
    fn artifact(&self, path: &PackagePath, facts: &FileFacts) -> Json {
        let hex = |digest: Option<&[u8]>| Json::from(hex::encode(digest.unwrap_or_default()).as_str());
        let sha384 = || ("sha384", hex(facts.sha384.as_ref().map(<[u8; 48]>::as_slice)));
        let sha256 = || ("sha256", hex(facts.sha256.as_ref().map(<[u8; 32]>::as_slice)));
        let named = [("path", Json::from(path.as_str())), ("size", Json::from(facts.size))];
        match self {
            Self::Update { .. } => {
                Json::object(named.into_iter().chain([sha384(), sha256(), ("type", Json::from("full"))]))
            }
            Self::Release { .. } => Json::object(named.into_iter().chain([sha384()])),
            Self::Dudzianpkg { .. } => Json::object(named.into_iter().chain([sha256()])),
        }
    }
}

/// Every file of the folder with its digests, in the order of their names.
fn take_stock(source: &Folder) -> Result<Vec<(PackagePath, FileFacts)>, BuildError> {
    let companions = Companions::of(DEFAULT_MANIFEST)
        .map_err(|error| BuildError::Forbidden { path: DEFAULT_MANIFEST.to_owned(), problem: error.to_string() })?;
    let inventory = source.list(&companions, Limits::default())?;
    if inventory.manifest.is_some() {
        return Err(BuildError::AlreadyPackaged(companions.manifest));
    }
    if let Some((path, _)) = inventory.signature {
        return Err(BuildError::AlreadyPackaged(path));
    }
    if let Some(fault) = inventory.faults.into_iter().next() {
        return Err(BuildError::Forbidden { path: fault.name, problem: fault.message });
    }
    let mut files = Vec::with_capacity(inventory.files.len());
    for (path, result) in source.hash_files(&inventory.files) {
        match result {
            Ok(facts) => files.push((path, facts)),
            Err(source) => return Err(BuildError::Read { path, source }),
        }
    }
    files.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(files)
}

#[derive(Clone, Copy)]
enum ArchiveKind {
    Tar,
    Gzip,
    Zstd,
}

impl ArchiveKind {
    fn of(output: &Path) -> Result<Self, BuildError> {
        let name = output.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        if ends(&[".dudzianpkg", ".tar.gz", ".tgz"]) {
            Ok(Self::Gzip)
        } else if ends(&[".tar.zst"]) {
            Ok(Self::Zstd)
        } else if ends(&[".tar"]) {
            Ok(Self::Tar)
        } else {
            Err(BuildError::UnknownKind(output.to_owned()))
        }
    }
}

/// What goes into the archive.
struct Contents<'a> {
    folder: &'a Folder,
    files: &'a [(PackagePath, FileFacts)],
    manifest: &'a Manifest,
    /// The signature, if it goes into a file of its own.
    signature: Option<&'a Json>,
    output: &'a Path,
}

impl Contents<'_> {
    fn write(&self, kind: ArchiveKind, out: &mut AtomicFile) -> Result<(), BuildError> {
        let failed = |source| BuildError::Write { path: self.output.to_owned(), source };
        match kind {
            ArchiveKind::Tar => self.write_tar(out)?,
            ArchiveKind::Gzip => {
                let gzip = GzBuilder::new().mtime(0).operating_system(GZIP_OS_UNKNOWN);
                self.write_tar(gzip.write(out, Compression::default()))?.finish().map_err(failed)?
            }
            ArchiveKind::Zstd => {
                let zstd = zstd::Encoder::new(out, ZSTD_LEVEL).map_err(failed)?;
                self.write_tar(zstd)?.finish().map_err(failed)?
            }
        };
        Ok(())
    }

    /// The manifest first, so that a reader of the stream knows what to expect.
    fn write_tar<W: Write>(&self, out: W) -> Result<W, BuildError> {
        let failed = |source| BuildError::Write { path: self.output.to_owned(), source };
        let mut tar = tar::Builder::new(out);
        let signature = self.signature.map(|signature| (SIGNATURE_FILE, signature));
        for (name, document) in [(DEFAULT_MANIFEST, self.manifest.document())].into_iter().chain(signature) {
            let text = document.pretty() + "\n";
            tar.append_data(&mut header(text.len() as u64, 0o644), name, text.as_bytes()).map_err(failed)?;
        }
        for (path, facts) in self.files {
            let unreadable = |source| BuildError::Read { path: path.clone(), source };
            let file = self.folder.open_file(path).map_err(unreadable)?;
            let metadata = file.metadata().map_err(unreadable)?;
            let mode = if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            let mut hashing = Hashing { inner: file.take(facts.size), sha256: Sha256::new() };
            tar.append_data(&mut header(facts.size, mode), path.as_str(), &mut hashing).map_err(failed)?;
            let sha256: [u8; 32] = hashing.sha256.finalize().into();
            if metadata.len() != facts.size || facts.sha256 != Some(sha256) {
                return Err(unreadable(io::Error::other("it was changed while the package was built: build again")));
            }
        }
        tar.into_inner().map_err(failed)
    }
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(mode);
    // Whose files they were and when says nothing about the package, and would make two builds differ.
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Hashes what passes through.
struct Hashing<R> {
    inner: R,
    sha256: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sha256.update(&buffer[..read]);
        Ok(read)
    }
}
