//! The TPMs of many hosts, made once and kept: RSA keys take a tenth of a second each, and no two hosts may share one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::manufacturer::{Manufacturer, ManufacturerError};
use crate::soft_tpm::{AkKind, Keys, PrivateKey, SoftTpm, SoftTpmError};

/// Private keys: for the owner alone.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

const CA: &str = "manufacturer.pem";
const CA_KEY: &str = "manufacturer.key.der";

/// A manufacturer and the TPMs it made.
#[derive(Debug)]
pub struct Population {
    manufacturer: Manufacturer,
    tpms: Vec<Arc<SoftTpm>>,
}

/// Why there are no TPMs.
#[derive(Debug, thiserror::Error)]
pub enum PopulationError {
    /// Making one.
    #[error(transparent)]
    Manufacturer(#[from] ManufacturerError),
    /// A file holds something else.
    #[error(transparent)]
    Tpm(#[from] SoftTpmError),
    /// A file.
    #[error("{doing} {}", path.display())]
    File {
        /// What was done with it.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A thread ended early.
    #[error("a thread that makes TPMs panicked")]
    Panicked,
}

impl Population {
    /// Makes a manufacturer and so many TPMs, on all processors.
    pub fn generate(count: usize, ak: AkKind) -> Result<Self, PopulationError> {
        let manufacturer = Manufacturer::new()?;
        let tpms = in_parallel(count, |_| Ok(manufacturer.make_tpm(ak)?))?;
        Ok(Self { manufacturer, tpms })
    }

    /// Reads the first `count` of what [`Population::save`] wrote; fewer if there are fewer.
    pub fn load(folder: &Path, count: usize) -> Result<Self, PopulationError> {
        let pem = String::from_utf8_lossy(&read(&folder.join(CA))?).into_owned();
        let manufacturer = Manufacturer::read(&PrivateKey::new(read(&folder.join(CA_KEY))?), pem)?;
        let there = (0..count).take_while(|index| files(folder, *index).ek.exists()).count();
        let tpms = in_parallel(there, |index| load_tpm(folder, index))?;
        Ok(Self { manufacturer, tpms })
    }

    /// Writes everything into a new folder, as PKCS#8 and certificates in DER. It appears when it is whole.
    pub fn save(&self, folder: &Path) -> Result<(), PopulationError> {
        let partial = folder.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(file("removing", &partial))?;
        }
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(FOLDER_MODE).create(&partial).map_err(file("making", &partial))?;
        write(&partial.join(CA), self.ek_roots().as_bytes())?;
        write(&partial.join(CA_KEY), self.manufacturer.key().der())?;
        for (index, tpm) in self.tpms.iter().enumerate() {
            save_tpm(&partial, index, tpm)?;
        }
        fs::rename(&partial, folder).map_err(file("naming", folder))
    }

    /// The CA certificate of the manufacturer, PEM, for the controller's `ek_roots`.
    pub fn ek_roots(&self) -> &str {
        self.manufacturer.ek_roots()
    }

    /// All TPMs.
    pub fn tpms(&self) -> &[Arc<SoftTpm>] {
        &self.tpms
    }
}

/// The files of one TPM.
struct Files {
    ek: PathBuf,
    ek_certificate: PathBuf,
    /// Its name says which kind it is.
    ak_p256: PathBuf,
    ak_rsa: PathBuf,
    tls: PathBuf,
}

fn files(folder: &Path, index: usize) -> Files {
    let named = |rest: &str| folder.join(format!("{index:05}.{rest}"));
    Files {
        ek: named("ek.key.der"),
        ek_certificate: named("ek.cert.der"),
        ak_p256: named("ak-p256.key.der"),
        ak_rsa: named("ak-rsa2048.key.der"),
        tls: named("tls.key.der"),
    }
}

fn save_tpm(folder: &Path, index: usize, tpm: &SoftTpm) -> Result<(), PopulationError> {
    let (files, Keys { ek, ak: (kind, ak), tls }) = (files(folder, index), tpm.keys());
    let ak_file = match kind {
        AkKind::P256 => &files.ak_p256,
        AkKind::Rsa2048 => &files.ak_rsa,
    };
    write(&files.ek, ek.der())?;
    write(&files.ek_certificate, tpm.ek_certificate())?;
    write(ak_file, ak.der())?;
    write(&files.tls, tls.der())
}

fn load_tpm(folder: &Path, index: usize) -> Result<SoftTpm, PopulationError> {
    let files = files(folder, index);
    let key = |path: &Path| read(path).map(PrivateKey::new);
    let ak = if files.ak_rsa.exists() {
        (AkKind::Rsa2048, key(&files.ak_rsa)?)
    } else {
        (AkKind::P256, key(&files.ak_p256)?)
    };
    let keys = Keys { ek: key(&files.ek)?, ak, tls: key(&files.tls)? };
    Ok(SoftTpm::new(keys, read(&files.ek_certificate)?)?)
}

/// What `one` gives for every index below `count`, in order, made on all processors. The first failure ends it.
fn in_parallel(
    count: usize,
    one: impl Fn(usize) -> Result<SoftTpm, PopulationError> + Sync,
) -> Result<Vec<Arc<SoftTpm>>, PopulationError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Arc<SoftTpm>)>, PopulationError> {
        let mut made = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(made);
            }
            match one(index) {
                Ok(tpm) => made.push((index, Arc::new(tpm))),
                Err(error) => {
                    next.store(count, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    let made: Result<Vec<_>, _> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(Err(PopulationError::Panicked))).collect()
    });
    let mut made: Vec<_> = made?.into_iter().flatten().collect();
    made.sort_by_key(|(index, _)| *index);
    Ok(made.into_iter().map(|(_, tpm)| tpm).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, PopulationError> {
    fs::read(path).map_err(file("reading", path))
}

/// Into a new file, for the owner alone from the first moment.
fn write(path: &Path, bytes: &[u8]) -> Result<(), PopulationError> {
    let open = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    open.and_then(|mut file| file.write_all(bytes)).map_err(file("writing", path))
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PopulationError {
    let path = path.to_owned();
    move |source| PopulationError::File { doing, path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_read_by_the_owner_alone() {
        let room = tempfile::tempdir().unwrap();
        let folder = room.path().join("hosts");
        let made = Population::generate(3, AkKind::P256).unwrap();
        made.save(&folder).unwrap();
        let loaded = Population::load(&folder, 3).unwrap();
        assert_eq!(loaded.ek_roots(), made.ek_roots());
        let publics = |population: &Population| -> Vec<Vec<u8>> {
            population.tpms().iter().map(|tpm| [tpm.ek_public(), tpm.ak_public(), tpm.tls_public()].concat()).collect()
        };
        assert_eq!(publics(&loaded), publics(&made));
        assert_eq!(Population::load(&folder, 2).unwrap().tpms().len(), 2);
        assert_eq!(Population::load(&folder, 9).unwrap().tpms().len(), 3);
        for entry in fs::read_dir(&folder).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, FILE_MODE);
        }
    }

    #[test]
    fn no_two_tpms_share_an_endorsement_key() {
        let population = Population::generate(2, AkKind::P256).unwrap();
        let [first, second] = population.tpms() else { panic!("not two") };
        assert_ne!(first.ek_public(), second.ek_public());
    }
}
