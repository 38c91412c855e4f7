//! Ed25519 keys of the roles (RFC 8032), in the files that `openssl genpkey -algorithm ed25519` makes as well.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use flota_package::durable::{self, WriteError};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use tough::schema::key::Key;
use tough::sign::Sign as _;
use zeroize::Zeroizing;

/// Permissions of a private key's file.
const PRIVATE: u32 = 0o600;
/// Largest key file that is read, in bytes; an Ed25519 key in PEM has about 120.
const MAX_KEY_FILE_BYTES: u64 = 16 << 10;
/// SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410 §4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A private key of a role. Its `Debug` shows the public half alone.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

/// A public key of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: Key,
    id: Vec<u8>,
}

/// Why a key cannot be used. What the file holds is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("reading the key {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It holds no Ed25519 key in PEM.
    #[error("{} is no Ed25519 key in PEM: make one with `openssl genpkey -algorithm ed25519`", path.display())]
    NotAKey {
        /// Which.
        path: PathBuf,
    },
    /// The new key cannot be written.
    #[error("writing a new key")]
    Write(#[from] WriteError),
    /// The system gives no randomness, or a key has no identifier; a fault of the program or the machine.
    #[error("making a key: {0}")]
    Make(String),
}

impl SigningKey {
    /// Makes a key and writes it to a file that must not exist, readable by its owner alone.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| KeyError::Make("the system gave no randomness".into()))?;
        let pem = Zeroizing::new(private_pem(document.as_ref()));
        let mut file = durable::AtomicFile::create(path, PRIVATE)?;
        io::Write::write_all(&mut file, pem.as_bytes())
            .map_err(|source| WriteError::Write { path: path.to_owned(), source })?;
        file.commit_new()?;
        Self::of_pkcs8(document.as_ref()).ok_or_else(|| KeyError::Make("it cannot be read back".into()))
    }

    /// Reads a private key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = read(path)?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&text).ok();
        der.and_then(|der| Self::of_pkcs8(der.secret_pkcs8_der()))
            .ok_or_else(|| KeyError::NotAKey { path: path.to_owned() })
    }

    /// Its public half.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        PublicKey::new(self.pair.tuf_key())
    }

    /// Its public half: 32 bytes (RFC 8032 §5.1.5).
    pub fn public_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Its signature of a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    fn of_pkcs8(der: &[u8]) -> Option<Self> {
        // OpenSSL writes keys without their public half (RFC 8410 §7, version 1).
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(|pair| Self { pair })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &hex::encode(self.pair.public_key().as_ref())).finish()
    }
}

impl PublicKey {
    /// Reads a public key, or the public half of a private one.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = read(path)?;
        if let Ok(spki) = SubjectPublicKeyInfoDer::from_pem_slice(&text)
            && let Some(raw) = spki.strip_prefix(&SPKI_PREFIX[..]).and_then(|raw| <[u8; 32]>::try_from(raw).ok())
        {
            return Self::new(ed25519(&raw)?);
        }
        SigningKey::read(path)?.public()
    }

    /// Its identifier: SHA-256 of its canonical form (TUF specification §4.2), in hex.
    pub fn id(&self) -> String {
        hex::encode(&self.id)
    }

    pub(crate) fn raw_id(&self) -> &[u8] {
        &self.id
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn new(key: Key) -> Result<Self, KeyError> {
        let id = key.key_id().map_err(|error| KeyError::Make(error.to_string()))?;
        Ok(Self { key, id: id.into_vec() })
    }
}

fn ed25519(raw: &[u8; 32]) -> Result<Key, KeyError> {
    let json = serde_json::json!({
        "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": hex::encode(raw) },
    });
    serde_json::from_value(json).map_err(|error| KeyError::Make(error.to_string()))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |source| KeyError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_KEY_FILE_BYTES).unwrap_or(0)));
    io::Read::read_to_end(&mut io::Read::take(file, MAX_KEY_FILE_BYTES), &mut text).map_err(failed)?;
    Ok(text)
}

/// PEM (RFC 7468) of PKCS#8.
fn private_pem(der: &[u8]) -> String {
    let body = Zeroizing::new(base64(der));
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_key_reads_back_and_is_not_written_twice_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.pem");
        let made = SigningKey::create(&path).unwrap();
        assert_eq!(SigningKey::read(&path).unwrap().public().unwrap(), made.public().unwrap());
        assert_eq!(PublicKey::read(&path).unwrap().id().len(), 64);
        assert!(matches!(SigningKey::create(&path), Err(KeyError::Write(WriteError::Exists { .. }))));
        let permissions = std::fs::metadata(&path).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o777, PRIVATE);
        let secret = std::fs::read_to_string(&path).unwrap();
        let shown = format!("{made:?}");
        assert!(!secret.lines().any(|line| shown.contains(line)), "{shown}");
    }

    #[test]
    fn keys_of_openssl_are_read_private_and_public() {
        let folder = tempfile::tempdir().unwrap();
        let (private, public) = (folder.path().join("a.pem"), folder.path().join("a.pub"));
        let openssl = |arguments: &[&str], from: Option<&Path>, out: &Path| {
            let mut command = Command::new("openssl");
            command.args(arguments).arg("-out").arg(out);
            from.map(|from| command.arg("-in").arg(from));
            assert!(command.status().unwrap().success());
        };
        openssl(&["genpkey", "-algorithm", "ed25519"], None, &private);
        openssl(&["pkey", "-pubout"], Some(&private), &public);
        let key = SigningKey::read(&private).unwrap();
        assert_eq!(PublicKey::read(&public).unwrap(), key.public().unwrap());
        assert_eq!(PublicKey::read(&private).unwrap(), key.public().unwrap());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for text in ["", "hex:00", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(SigningKey::read(&path), Err(KeyError::NotAKey { .. })), "{text}");
            assert!(matches!(PublicKey::read(&path), Err(KeyError::NotAKey { .. })), "{text}");
        }
        assert!(matches!(SigningKey::read(&folder.path().join("none")), Err(KeyError::Read { .. })));
    }
}
