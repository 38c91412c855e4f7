//! Response codes of the TPM and of the layers of libtss2 above it.

use std::fmt;

/// What the TPM or libtss2 answered: TPM_RC (TPM 2.0 part 2, 6.6) below the layer number of TSS2_RC (TCG TSS 2.0
/// overview, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseCode {
    code: Option<u32>,
    origin: tss_esapi::Error,
}

/// Response codes that decide what the agent does next. Everything else is only reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The connection, or what was loaded over it, is gone; a new one may work.
    ConnectionLost,
    /// A failure inside the TPM, of this command or of the whole TPM (TPM_RC_FAILURE).
    Failure,
    /// Authorisations are blocked because of too many wrong ones (TPM_RC_LOCKOUT).
    Lockout,
    /// The TPM asks to be tried again, after libtss2 has done so several times.
    Busy,
    /// Something wrapped by this TPM does not verify (TPM_RC_INTEGRITY).
    Integrity,
    /// A password is wrong (TPM_RC_BAD_AUTH, TPM_RC_AUTH_FAIL).
    WrongPassword,
    /// The handle names nothing (TPM_RC_HANDLE).
    NoSuchHandle,
    /// The index is defined and was never written (TPM_RC_NV_UNINITIALIZED).
    NotWritten,
    /// No room for another object or session: TPM_RC_CONTEXT_GAP, OBJECT_MEMORY, SESSION_MEMORY, MEMORY,
    /// SESSION_HANDLES or OBJECT_HANDLES.
    NoRoom,
    /// Anything else.
    Other,
}

impl ResponseCode {
    /// The number, or `None` for a failure of the binding itself.
    pub fn code(&self) -> Option<u32> {
        self.code
    }

    #[cfg(test)]
    pub(crate) fn of(code: u32) -> Self {
        let origin = tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::InternalError);
        Self { code: Some(code), origin }
    }

    /// Whether the complaint is about a parameter of the command (format one with bit 6), so about what we were given
    /// to pass on and not about the state of the TPM.
    pub(crate) fn concerns_parameter(&self) -> bool {
        matches!(self.code, Some(code) if matches!(code >> 16, 0 | 11) && code & 0xC0 == 0xC0)
    }

    pub(crate) fn meaning(&self) -> Meaning {
        let Some(code) = self.code else { return Meaning::Other };
        match (code >> 16, code & 0xFFFF) {
            // The TPM itself, directly (0) or through a resource manager (11).
            (0 | 11, tpm) => tpm_meaning(tpm),
            (10, 0x0009) => Meaning::Busy,
            // Any failure of the transport; and the state in which ESYS refuses all calls after one of those.
            (10, _) | (7, 0x0007) => Meaning::ConnectionLost,
            _ => Meaning::Other,
        }
    }
}

fn tpm_meaning(code: u32) -> Meaning {
    /// Format-one codes carry the number of the parameter, handle or session in the other bits.
    const FORMAT_ONE: u32 = 0x0BF;
    match code {
        0x921 => Meaning::Lockout,
        0x101 => Meaning::Failure,
        0x14A => Meaning::NotWritten,
        0x901..=0x906 => Meaning::NoRoom,
        // TPM_RC_YIELDED, TESTING, NV_RATE, RETRY
        0x908 | 0x90A | 0x920 | 0x922 => Meaning::Busy,
        // TPM_RC_INITIALIZE, and REFERENCE_H0 to H2: the TPM was reset under us and has forgotten our objects.
        0x100 | 0x910..=0x912 => Meaning::ConnectionLost,
        _ => match code & FORMAT_ONE {
            0x09F => Meaning::Integrity,
            0x0A2 | 0x08E => Meaning::WrongPassword,
            0x08B => Meaning::NoSuchHandle,
            _ => Meaning::Other,
        },
    }
}

impl From<tss_esapi::Error> for ResponseCode {
    fn from(origin: tss_esapi::Error) -> Self {
        Self { code: number(origin), origin }
    }
}

/// tss-esapi keeps the number private and shows it only in the text of the inner code.
fn number(error: tss_esapi::Error) -> Option<u32> {
    use tss_esapi::constants::response_code::Tss2ResponseCode;
    let text = match error {
        tss_esapi::Error::Tss2Error(Tss2ResponseCode::FormatZero(code)) => code.to_string(),
        tss_esapi::Error::Tss2Error(Tss2ResponseCode::FormatOne(code)) => code.to_string(),
        _ => return None,
    };
    u32::from_str_radix(text.rsplit("0x").next()?, 16).ok()
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "response code {code:#x}: {}", self.origin),
            None => self.origin.fmt(f),
        }
    }
}

impl std::error::Error for ResponseCode {}

#[cfg(test)]
mod tests {
    use super::*;
    use tss_esapi::Context;
    use tss_esapi::tcti_ldr::TctiNameConf;

    #[test]
    fn the_number_is_found_in_an_error_of_the_binding() {
        // A device that does not exist: the transport layer's I/O error, 0x000a000a.
        let nowhere: TctiNameConf = "device:/nonexistent/tpm".parse().unwrap();
        let code = ResponseCode::from(Context::new(nowhere).unwrap_err());
        assert_eq!(code.code(), Some(0x000A_000A));
        assert_eq!(code.meaning(), Meaning::ConnectionLost);
        assert!(code.to_string().starts_with("response code 0xa000a: "), "{code}");
    }

    #[test]
    fn codes_are_understood_through_a_resource_manager_and_with_their_parameter_number() {
        let origin = tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::InternalError);
        let meaning = |code| ResponseCode::of(code).meaning();
        assert_eq!(meaning(0x921), Meaning::Lockout);
        assert_eq!(meaning(0x000B_0921), Meaning::Lockout);
        assert_eq!(meaning(0x922), Meaning::Busy);
        for code in [0x901, 0x902, 0x903, 0x904, 0x905, 0x906, 0x000B_0902] {
            assert_eq!(meaning(code), Meaning::NoRoom, "{code:#x}");
        }
        assert_eq!(meaning(0x907), Meaning::Other);
        assert_eq!(meaning(0x14A), Meaning::NotWritten);
        assert_eq!(meaning(0x1DF), Meaning::Integrity);
        assert_eq!(meaning(0x18B), Meaning::NoSuchHandle);
        assert_eq!(meaning(0x9A2), Meaning::WrongPassword);
        assert_eq!(meaning(0x98E), Meaning::WrongPassword);
        assert_eq!(meaning(0x910), Meaning::ConnectionLost);
        assert_eq!(meaning(0x0007_0007), Meaning::ConnectionLost);
        assert_eq!(meaning(0x101), Meaning::Failure);
        assert_eq!(meaning(0x102), Meaning::Other);
        assert_eq!(ResponseCode { code: None, origin }.meaning(), Meaning::Other);

        let parameter = |code| ResponseCode::of(code).concerns_parameter();
        assert!(parameter(0x1DF) && parameter(0x000B_02D5));
        assert!(!parameter(0x9A2) && !parameter(0x18B) && !parameter(0x902) && !parameter(0x0007_00C0));
    }
}
