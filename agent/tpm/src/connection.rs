//! One connection to the TPM with everything loaded that the commands need.

use std::fs::OpenOptions;
use std::io;
use std::net::TcpStream;
use std::path::Path;

use tss_esapi::Context;
use tss_esapi::constants::CapabilityType;
use tss_esapi::handles::KeyHandle;
use tss_esapi::structures::CapabilityData;
use tss_esapi::tcti_ldr::TctiNameConf;

use crate::endorsement::{Certified, Endorsement};
use crate::keyfile::StoredKeys;
use crate::keys;
use crate::response::ResponseCode;
use crate::tcti::{Place, Tcti};
use crate::{EndorsementKind, KeyChoice, TpmError};

/// Handles are valid on this connection only; dropping it flushes them from the TPM.
pub(crate) struct Connection {
    pub(crate) context: Context,
    /// Which endorsement key the others hang on.
    pub(crate) kind: EndorsementKind,
    /// `None`: this TPM keeps no EK, and it is made anew for each activation, for want of a slot.
    pub(crate) endorsement: Option<Endorsement>,
    pub(crate) ak: KeyHandle,
    pub(crate) tls: KeyHandle,
}

/// A connection, and what was learned in making it.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) keys: StoredKeys,
    pub(crate) ek_certificate: Vec<u8>,
}

/// Connects and loads `stored`, or makes new keys as chosen if there are none. `path` names the key file in errors.
pub(crate) fn open(
    tcti: &Tcti,
    choice: KeyChoice,
    stored: Option<StoredKeys>,
    path: &Path,
) -> Result<Opened, TpmError> {
    if let Some(keys) = &stored {
        keys.agree_with(choice, path)?;
    }
    let mut context = connect(tcti)?;
    let Certified { endorsement, certificate: ek_certificate } = match stored.as_ref().map(StoredKeys::endorsement) {
        Some(Some(kind)) => Endorsement::find(&mut context, &[kind])?,
        // Of no template: whichever key the TPM has, it is not the one of the file.
        Some(None) => return Err(TpmError::OtherTpm { path: path.to_path_buf() }),
        None => match choice.endorsement {
            Some(kind) => Endorsement::find(&mut context, &[kind])?,
            None => Endorsement::find(&mut context, &EndorsementKind::PREFERENCE)?,
        },
    };
    let keys = match stored {
        Some(keys) if keys.ek_public != endorsement.public_area() => {
            endorsement.release(&mut context)?;
            return Err(TpmError::OtherTpm { path: path.to_path_buf() });
        }
        Some(keys) => keys,
        None => keys::create(&mut context, &endorsement, choice.attestation)?,
    };
    let ak = keys::load(&mut context, &endorsement, &keys.ak, path)?;
    let tls = keys::load(&mut context, &endorsement, &keys.tls, path)?;
    let (kind, endorsement) = (endorsement.kind(), endorsement.release(&mut context)?);
    Ok(Opened { connection: Connection { context, kind, endorsement, ak, tls }, keys, ek_certificate })
}

fn connect(tcti: &Tcti) -> Result<Context, TpmError> {
    let name: TctiNameConf = tcti.to_string().parse().map_err(TpmError::command("naming the TPM to libtss2"))?;
    let mut context = Context::new(name).map_err(|error| diagnose(tcti, error.into()))?;
    if matches!(tcti.place(), Place::Swtpm { .. }) {
        sweep(&mut context).map_err(|error| diagnose(tcti, error.into()))?;
    }
    Ok(context)
}

/// Flushes what a killed predecessor left in a TPM without a resource manager, whose three slots its keys would
/// fill. The kernel does this for the device.
fn sweep(context: &mut Context) -> Result<(), tss_esapi::Error> {
    /// First handles of loaded sessions and of transient objects (TPM 2.0 part 2, 7.2).
    const RANGES: [u32; 2] = [0x0200_0000, 0x8000_0000];
    /// More than swtpm has of either.
    const HANDLES: u32 = 32;
    for first in RANGES {
        let (found, _) = context.get_capability(CapabilityType::Handles, first, HANDLES)?;
        let CapabilityData::Handles(handles) = found else { continue };
        for handle in handles.into_inner() {
            // Best effort: if a slot stays taken, loading says so.
            if let Ok(object) = context.tr_from_tpm_public(handle) {
                let _ = context.flush_context(object);
            }
        }
    }
    Ok(())
}

/// libtss2 reports every failure to connect as the same I/O error. Opening the place ourselves tells the cause.
pub(crate) fn diagnose(tcti: &Tcti, source: ResponseCode) -> TpmError {
    let attempt = match tcti.place() {
        Place::Device(path) => OpenOptions::new().read(true).write(true).open(path).map(drop),
        Place::Swtpm { host, port } => TcpStream::connect((host.as_str(), *port)).map(drop),
    };
    explain(tcti, attempt, source)
}

fn explain(tcti: &Tcti, attempt: io::Result<()>, source: ResponseCode) -> TpmError {
    match (attempt, tcti.place()) {
        (Err(cause), Place::Device(path)) if cause.kind() == io::ErrorKind::PermissionDenied => {
            TpmError::Permission { device: path.clone(), source: cause }
        }
        (Err(cause), Place::Device(path)) if cause.kind() == io::ErrorKind::ResourceBusy => {
            TpmError::DeviceBusy { device: path.clone(), source: cause }
        }
        (Err(cause), _) => TpmError::Unreachable { tcti: tcti.clone(), source: Box::new(cause) },
        (Ok(()), _) => TpmError::Unreachable { tcti: tcti.clone(), source: Box::new(source) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_causes_of_a_failure_to_connect_are_told_apart() {
        let tcti: Tcti = "device:/dev/tpmrm0".parse().unwrap();
        let code = ResponseCode::from(tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::InternalError));
        let explained = |cause: io::ErrorKind| explain(&tcti, Err(cause.into()), code);
        let denied = explained(io::ErrorKind::PermissionDenied);
        assert!(matches!(denied, TpmError::Permission { .. }) && denied.to_string().contains("group tss"), "{denied}");
        let busy = explained(io::ErrorKind::ResourceBusy);
        assert!(matches!(busy, TpmError::DeviceBusy { .. }) && busy.to_string().contains("/dev/tpmrm0"), "{busy}");
        assert!(matches!(explained(io::ErrorKind::NotFound), TpmError::Unreachable { .. }));
        assert!(matches!(explain(&tcti, Ok(()), code), TpmError::Unreachable { .. }));
    }
}
