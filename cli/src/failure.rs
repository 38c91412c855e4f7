//! An error as an operator reads it: what, why, whether anything was changed, what to do.

use std::error::Error;
use std::io;

use flota_proto::{CODE_HEADER, FIX_HEADER, REQUEST_ID_HEADER};
use tonic::{Code, Status};

use crate::exit::Exit;
use crate::output::Style;
use crate::output::signs::Tone;
use crate::output::text;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody reads what we print any more, as in `flota host list | head`. Not worth a word.
    ReaderGone,
    /// To be told.
    Told(Box<Telling>),
}

/// What is told of a failure.
#[derive(Debug)]
pub(crate) struct Telling {
    exit: Exit,
    code: Option<String>,
    sentence: String,
    details: Vec<String>,
    effect: Effect,
    fixes: Vec<String>,
    request: Option<String>,
}

/// What became of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Unsaid,
    NothingChanged,
    Unknown(Stake),
}

/// What a call may have done when its answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stake {
    /// It only reads.
    Reads,
    /// It may have been done; doing it again changes nothing more.
    Repeatable,
    /// It may have been done; this command shows whether it was.
    LookFirst(&'static str),
}

impl Failure {
    /// A failure with its first line: a sentence that stands alone in a log.
    pub(crate) fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self::Told(Box::new(Telling {
            exit,
            code: None,
            sentence: sentence.into(),
            details: Vec::new(),
            effect: Effect::Unsaid,
            fixes: Vec::new(),
            request: None,
        }))
    }

    /// Adds a detail, indented under the sentence.
    #[must_use]
    pub(crate) fn detail(self, line: impl Into<String>) -> Self {
        self.with(|telling| telling.details.push(line.into()))
    }

    /// Adds something to do about it.
    #[must_use]
    pub(crate) fn fix(self, line: impl Into<String>) -> Self {
        self.with(|telling| telling.fixes.push(line.into()))
    }

    /// Says that the fleet is as it was.
    #[must_use]
    pub(crate) fn nothing_changed(self) -> Self {
        self.with(|telling| telling.effect = Effect::NothingChanged)
    }

    /// The error's causes as one detail.
    #[must_use]
    pub(crate) fn because_of(self, error: &(dyn Error + 'static)) -> Self {
        self.detail(flota_daemon::error_chain::chain(error))
    }

    /// A failed write to stdout.
    pub(crate) fn of_stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::new(Exit::Bad, "cannot write to stdout").because_of(error)
    }

    /// An error status of the controller, or of the way to it.
    pub(crate) fn of_status(status: &Status, stake: Stake) -> Self {
        if let Some(alert) = tls_refusal(status) {
            return Self::refused_certificate(alert);
        }
        if is_transport(status) {
            return Self::of_lost_answer(status, stake);
        }
        let mut lines = status.message().lines().map(text::clean);
        let first = lines.next().filter(|line| !line.is_empty());
        let exit = exit_of(status.code());
        let text = first.unwrap_or_else(|| format!("the controller answered `{}`", status.code().description()));
        let mut failure = lines.fold(Self::new(exit, text), Self::detail);
        for fix in percent_decoded(header(status, FIX_HEADER).unwrap_or_default()).lines() {
            failure = failure.fix(text::clean(fix));
        }
        let effect = effect_of(status.code(), stake);
        failure.with(|telling| {
            telling.code = header(status, CODE_HEADER).map(text::clean);
            telling.request = header(status, REQUEST_ID_HEADER).map(text::clean);
            telling.effect = effect;
        })
    }

    /// The controller's TLS refused our certificate.
    pub(crate) fn refused_certificate(alert: &str) -> Self {
        Self::new(Exit::Denied, "the controller refused your certificate")
            .detail(format!("TLS alert: {alert}"))
            .nothing_changed()
            .fix("see which files are used:  flota context show")
            .fix("ask an admin for a new certificate if it has expired or was revoked")
    }

    fn of_lost_answer(status: &Status, stake: Stake) -> Self {
        let cause = status.source().map_or_else(|| status.message().to_owned(), flota_daemon::error_chain::chain);
        Self::new(Exit::Unreachable, "the connection to the controller was lost before its answer")
            .detail(text::clean(&cause))
            .with(|telling| telling.effect = effect_of(Code::Unavailable, stake))
    }

    /// What the process ends with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::ReaderGone => Exit::Good,
            Self::Told(telling) => telling.exit,
        }
    }

    /// The whole text; none if there is nothing to tell.
    pub(crate) fn render(&self, style: Style) -> Option<String> {
        let Self::Told(telling) = self else { return None };
        let Telling { code, sentence, details, effect, fixes, request, .. } = telling.as_ref();
        let head = code.as_ref().map_or_else(|| "error".to_owned(), |code| format!("error[{code}]"));
        let mut lines = vec![format!("{}: {sentence}", style.paint(Tone::Bad, &head))];
        lines.extend(details.iter().map(|detail| format!("  {detail}")));
        lines.extend(effect.sentence());
        if !fixes.is_empty() || request.is_some() {
            lines.push(String::new());
        }
        lines.extend(fixes.iter().enumerate().map(|(index, fix)| {
            let word = if index == 0 { "fix" } else { "or " };
            format!("  {}  {fix}", style.paint(Tone::Strong, word))
        }));
        lines.extend(request.iter().map(|id| style.paint(Tone::Dim, &format!("  request {id}"))));
        Some(lines.join("\n"))
    }

    fn with(mut self, change: impl FnOnce(&mut Telling)) -> Self {
        if let Self::Told(telling) = &mut self {
            change(telling);
        }
        self
    }
}

impl Effect {
    fn sentence(self) -> Option<String> {
        match self {
            Self::Unsaid | Self::Unknown(Stake::Reads) => None,
            Self::NothingChanged => Some("nothing was changed.".to_owned()),
            Self::Unknown(Stake::Repeatable) => Some("not known whether it was done; repeating is safe.".to_owned()),
            Self::Unknown(Stake::LookFirst(command)) => {
                Some(format!("not known whether it was done; look before you repeat it:  {command}"))
            }
        }
    }
}

/// Whether the status was made on this side because the connection broke, and is worth another try.
pub(crate) fn is_transport(status: &Status) -> bool {
    // A status of the server has no source; one that tonic made for a broken connection has.
    let broken = matches!(status.code(), Code::Unknown | Code::Internal | Code::Cancelled) && status.source().is_some();
    broken
        || matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) && header(status, CODE_HEADER).is_none()
}

/// The TLS alert with which the other side refused our certificate (RFC 8446 §6.2), if that is what happened. With
/// TLS 1.3 it shows only in the first call, and there as text alone: HTTP/2 keeps no more of a broken connection.
pub(crate) fn tls_refusal(error: &(dyn Error + 'static)) -> Option<&'static str> {
    const REFUSALS: [&str; 10] = [
        "AccessDenied",
        "BadCertificate",
        "CertificateExpired",
        "CertificateRequired",
        "CertificateRevoked",
        "CertificateUnknown",
        "DecryptError",
        "HandshakeFailure",
        "UnknownCA",
        "UnsupportedCertificate",
    ];
    let text = flota_daemon::error_chain::chain(error);
    let (_, alert) = text.split_once("received fatal alert: ")?;
    REFUSALS.into_iter().find(|refusal| alert.starts_with(refusal))
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::Unauthenticated | Code::PermissionDenied => Exit::Denied,
        Code::NotFound => Exit::NotFound,
        Code::Aborted | Code::FailedPrecondition | Code::AlreadyExists => Exit::Conflict,
        Code::Unavailable | Code::DeadlineExceeded => Exit::Unreachable,
        Code::InvalidArgument => Exit::Usage,
        _ => Exit::Bad,
    }
}

/// A refusal comes before anything is done; what fails later may have been done in part.
fn effect_of(code: Code, stake: Stake) -> Effect {
    match code {
        _ if stake == Stake::Reads => Effect::Unsaid,
        Code::Unauthenticated
        | Code::PermissionDenied
        | Code::NotFound
        | Code::FailedPrecondition
        | Code::AlreadyExists
        | Code::InvalidArgument
        | Code::Unimplemented
        | Code::ResourceExhausted
        | Code::Aborted => Effect::NothingChanged,
        _ => Effect::Unknown(stake),
    }
}

fn header<'a>(status: &'a Status, name: &str) -> Option<&'a str> {
    status.metadata().get(name).and_then(|value| value.to_str().ok())
}

/// UTF-8 from percent-encoding (RFC 3986 §2.1); what is not valid stays as it stands.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden};

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let mut status =
            Status::failed_precondition("R-3 cannot start: it is halted\n2 failures reached the limit of 2");
        status.metadata_mut().insert(CODE_HEADER, "FLT-0412".parse().unwrap());
        let fix = "continue:  flota rollout resume R-3 --accept-failures 2%0Aundo %E2%80%94 back:  flota rollout rollback R-3";
        status.metadata_mut().insert(FIX_HEADER, fix.parse().unwrap());
        status.metadata_mut().insert(REQUEST_ID_HEADER, "01jd87q2r".parse().unwrap());
        let failure = Failure::of_status(&status, Stake::Repeatable);
        assert_eq!(failure.exit(), Exit::Conflict);
        golden("error.txt", &(failure.render(PLAIN).unwrap() + "\n"));
    }

    #[test]
    fn a_lost_answer_says_whether_repeating_is_safe() {
        let status = Status::unavailable("tcp connect error");
        for (stake, expected) in [
            (Stake::Reads, None),
            (Stake::Repeatable, Some("repeating is safe")),
            (Stake::LookFirst("flota rollout list"), Some("flota rollout list")),
        ] {
            let failure = Failure::of_status(&status, stake);
            assert_eq!(failure.exit(), Exit::Unreachable);
            let text = failure.render(PLAIN).unwrap();
            assert!(expected.is_none_or(|words| text.contains(words)), "{text}");
            assert_eq!(expected.is_some(), text.contains("not known"), "{text}");
        }
    }

    #[test]
    fn a_refused_certificate_is_told_from_a_lost_connection() {
        let tls = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired);
        let status = Status::from_error(Box::new(io::Error::new(io::ErrorKind::InvalidData, tls)));
        let failure = Failure::of_status(&status, Stake::Repeatable);
        assert_eq!(failure.exit(), Exit::Denied);
        assert!(failure.render(PLAIN).unwrap().contains("CertificateExpired"));
    }

    #[test]
    fn percent_decoding_leaves_what_is_no_escape() {
        assert_eq!(percent_decoded("100% %41 %zz %"), "100% A %zz %");
    }
}
