//! Where the TPM is: the transmission interface, parsed from configuration.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Way to a TPM, in the notation of libtss2: `device:/dev/tpmrm0` or `swtpm:host=127.0.0.1,port=2321`.
///
/// Stricter than libtss2 on purpose: see [`TctiError`] for what is refused and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcti(Place);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A character device with the kernel's resource manager behind it.
    Device(PathBuf),
    /// A software TPM; its control channel is on the next port. No resource manager: we are its only client.
    Swtpm { host: String, port: u16 },
}

/// Why a text names no TPM that the agent would use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TctiError {
    /// Neither of the two known interfaces.
    #[error("TPM interface {0:?} is not known; write device:/dev/tpmrm0 or swtpm:host=HOST,port=PORT")]
    Unknown(String),
    /// `device:` without an absolute path.
    #[error("TPM device {0:?} is not an absolute path; write device:/dev/tpmrm0")]
    RelativeDevice(String),
    /// `/dev/tpm0` serves one opener at a time and leaves the sharing of its few object slots to that one.
    #[error("TPM device {0:?} has no resource manager; write device:/dev/tpmrm0, with the number of this device")]
    RawDevice(String),
    /// libtss2 would take the missing parts from its defaults and talk to whatever TPM listens on port 2321.
    #[error(
        "software TPM {0:?} must have both host= and port= and nothing else (the binding ignores other keys, path= \
         among them, and would connect to localhost:2321 instead)"
    )]
    SwtpmKeys(String),
    /// A host that is neither an address nor a host name.
    #[error("software TPM host {0:?} is neither an IP address nor a host name")]
    SwtpmHost(String),
    /// A port that leaves no room for the control channel, or no port at all.
    #[error("software TPM port {0:?} is not a number from 1 to 65534 (the control channel is on the next port)")]
    SwtpmPort(String),
}

impl FromStr for Tcti {
    type Err = TctiError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("device", path)) => device(path),
            Some(("swtpm", options)) => swtpm(options),
            _ => Err(TctiError::Unknown(text.to_owned())),
        }
        .map(Self)
    }
}

impl TryFrom<String> for Tcti {
    type Error = TctiError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Tcti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Device(path) => write!(f, "device:{}", path.display()),
            Place::Swtpm { host, port } => write!(f, "swtpm:host={host},port={port}"),
        }
    }
}

impl Tcti {
    pub(crate) fn place(&self) -> &Place {
        &self.0
    }
}

fn device(path: &str) -> Result<Place, TctiError> {
    let raw = |name: &str| name.strip_prefix("tpm").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let parsed = Path::new(path);
    if !parsed.is_absolute() || path.contains('\0') {
        return Err(TctiError::RelativeDevice(path.to_owned()));
    }
    if parsed.file_name().and_then(|name| name.to_str()).is_some_and(raw) {
        return Err(TctiError::RawDevice(path.to_owned()));
    }
    Ok(Place::Device(parsed.to_path_buf()))
}

fn swtpm(options: &str) -> Result<Place, TctiError> {
    let refused = || TctiError::SwtpmKeys(options.to_owned());
    let (first, second) = options.split_once(',').ok_or_else(refused)?;
    let ((Some(("host", host)), Some(("port", port))) | (Some(("port", port)), Some(("host", host)))) =
        (first.split_once('='), second.split_once('='))
    else {
        return Err(refused());
    };
    let is_name = |host: &str| {
        !host.is_empty()
            && host.split('.').all(|label| !label.is_empty() && !label.starts_with('-'))
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
    };
    if host.parse::<IpAddr>().is_err() && !is_name(host) {
        return Err(TctiError::SwtpmHost(host.to_owned()));
    }
    match port.parse() {
        Ok(number @ 1..=65_534) => Ok(Place::Swtpm { host: host.to_owned(), port: number }),
        _ => Err(TctiError::SwtpmPort(port.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use tss_esapi::tcti_ldr::TctiNameConf;

    use super::*;

    #[test]
    fn the_two_interfaces_are_read_and_written_alike_and_libtss2_understands_them_so() {
        for text in [
            "device:/dev/tpmrm0",
            "swtpm:host=127.0.0.1,port=2321",
            "swtpm:host=::1,port=1",
            "swtpm:host=tpm-1.lab,port=65534",
        ] {
            assert_eq!(text.parse::<Tcti>().unwrap().to_string(), text);
            let theirs = text.parse::<TctiNameConf>().and_then(CString::try_from).unwrap();
            assert_eq!(theirs.to_str().unwrap(), text);
        }
        let swapped: Tcti = "swtpm:port=20000,host=::1".parse().unwrap();
        assert_eq!(swapped.to_string(), "swtpm:host=::1,port=20000");
    }

    #[test]
    fn whatever_libtss2_would_fill_in_is_refused() {
        for text in [
            "swtpm:",
            "swtpm:path=/run/tpm.sock",
            "swtpm:host=127.0.0.1",
            "swtpm:port=2321",
            "swtpm:host=127.0.0.1,path=/x",
            "swtpm:host=127.0.0.1,port=1,port=2",
            "swtpm:host=a,host=b",
        ] {
            let error = text.parse::<Tcti>().unwrap_err();
            assert!(matches!(error, TctiError::SwtpmKeys(_) | TctiError::SwtpmPort(_)), "{text}: {error}");
        }
        for text in ["", "swtpm", "device", "tabrmd:", "mssim:host=a,port=1", "/dev/tpmrm0"] {
            assert!(matches!(text.parse::<Tcti>(), Err(TctiError::Unknown(_))), "{text}");
        }
    }

    #[test]
    fn devices_without_a_resource_manager_are_refused() {
        assert!(matches!("device:/dev/tpm0".parse::<Tcti>(), Err(TctiError::RawDevice(_))));
        assert!(matches!("device:tpmrm0".parse::<Tcti>(), Err(TctiError::RelativeDevice(_))));
    }

    #[test]
    fn hosts_and_ports_are_checked() {
        assert!(matches!("swtpm:host=a b,port=1".parse::<Tcti>(), Err(TctiError::SwtpmHost(_))));
        assert!(matches!("swtpm:host=,port=1".parse::<Tcti>(), Err(TctiError::SwtpmHost(_))));
        for port in ["0", "65535", "65536", "-1", ""] {
            let text = format!("swtpm:host=localhost,port={port}");
            assert!(matches!(text.parse::<Tcti>(), Err(TctiError::SwtpmPort(_))), "{text}");
        }
    }
}
