//! The TPM as the owner thread has it: a connection that is made anew when it breaks.

use std::path::PathBuf;

use tss_esapi::Context;
use tss_esapi::constants::PropertyTag;

use crate::connection::{self, Connection, Opened};
use crate::endorsement::certificate;
use crate::identity::{Identity, tpm2b};
use crate::keyfile::{self, StoredKeys};
use crate::tpm::TpmConfig;
use crate::{KeyChoice, Tcti, TpmError};

pub(crate) struct Device {
    tcti: Tcti,
    choice: KeyChoice,
    key_file: PathBuf,
    keys: StoredKeys,
    /// `None` after a failure, until the next command.
    connection: Option<Connection>,
}

impl Device {
    /// Connects, loads the keys of the state folder or makes and stores them, and tells who the TPM is.
    pub(crate) fn open(config: TpmConfig, choice: KeyChoice) -> Result<(Self, Identity), TpmError> {
        let TpmConfig { tcti, state_dir } = config;
        let key_file = keyfile::path(&state_dir);
        let stored = keyfile::read(&key_file)?;
        let is_new = stored.is_none();
        let opened = connection::open(&tcti, choice, stored, &key_file);
        let Opened { mut connection, keys, ek_certificate } = opened.map_err(|error| explain(&tcti, error))?;
        if is_new {
            keyfile::write(&key_file, &keys)?;
        }
        let identity = identify(&mut connection.context, &keys, ek_certificate)?;
        Ok((Self { tcti, choice, key_file, keys, connection: Some(connection) }, identity))
    }

    /// Runs a command; if the connection turns out to be lost, makes a new one and runs it once more. Every command
    /// of this crate may be repeated: none changes the TPM.
    ///
    /// A connection does not recover by itself: after one failed transfer libtss2 refuses every later call, and a TPM
    /// that was reset has forgotten the keys.
    pub(crate) fn run<T>(&mut self, command: impl Fn(&mut Connection) -> Result<T, TpmError>) -> Result<T, TpmError> {
        if let Some(connection) = &mut self.connection {
            match command(connection) {
                Err(error) if error.is_connection_lost() => {
                    tracing::warn!(tcti = %self.tcti, "connection to the TPM lost, connecting anew");
                }
                outcome => return outcome,
            }
        }
        // Before the new connection: its drop flushes what it can, and swtpm serves one client.
        self.connection = None;
        let connection = self.connection.insert(self.reconnect()?);
        command(connection).map_err(|error| explain(&self.tcti, error))
    }

    fn reconnect(&self) -> Result<Connection, TpmError> {
        match connection::open(&self.tcti, self.choice, Some(self.keys.clone()), &self.key_file) {
            Ok(opened) => Ok(opened.connection),
            // The keys were this TPM's a moment ago; so it is the TPM that has changed.
            Err(TpmError::OtherTpm { .. }) => Err(TpmError::Exchanged { tcti: self.tcti.clone() }),
            Err(error) => Err(explain(&self.tcti, error)),
        }
    }
}

/// A lost connection that could not be mended is reported as what it is.
fn explain(tcti: &Tcti, error: TpmError) -> TpmError {
    match error.refusal() {
        Some(source) if error.is_connection_lost() => connection::diagnose(tcti, source),
        _ => error,
    }
}

fn identify(context: &mut Context, keys: &StoredKeys, ek_certificate: Vec<u8>) -> Result<Identity, TpmError> {
    const DOING: &str = "reading the TPM's properties";
    let mut property = |tag| {
        let value = context.get_tpm_property(tag).map_err(TpmError::command(DOING))?;
        value.ok_or(TpmError::Unexpected { doing: DOING })
    };
    let manufacturer = property(PropertyTag::Manufacturer)?.to_be_bytes();
    let [high, low] = [property(PropertyTag::FirmwareVersion1)?, property(PropertyTag::FirmwareVersion2)?];
    Ok(Identity {
        ek_public: tpm2b(&keys.ek_public),
        ak_public: tpm2b(&keys.ak.public),
        tls_public: tpm2b(&keys.tls.public),
        ek_certificate,
        ek_chain: chain(context),
        // Padded with NULs or blanks; whatever else is not printable has no place in a log.
        manufacturer: manufacturer.iter().filter(|b| b.is_ascii_graphic()).map(|b| char::from(*b)).collect(),
        firmware_version: u64::from(high) << 32 | u64::from(low),
    })
}

/// A chain that cannot be read is one that is not there: the controller may know the vendor's intermediates anyway.
fn chain(context: &mut Context) -> Vec<Vec<u8>> {
    certificate::chain(context).unwrap_or_else(|error| {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the endorsement certificate is sent without its chain"
        );
        Vec::new()
    })
}
