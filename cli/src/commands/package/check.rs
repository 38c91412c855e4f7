//! `flota package check`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use flota_model::Digest;
use flota_package::licence::revocation::{RevocationCheck, SignatureDemand};
use flota_package::licence::{HmacKeys, LicenceKeys};
use flota_package::{CannotCheck, CheckReport, CheckRequest, DEFAULT_MANIFEST, LicenceProof, Progress, Strictness};
use flota_seal::secret::Secret;
use jiff::Timestamp;
use tokio::time::{Instant, interval_at};

use super::{file_of, key_in, present, shown};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::Style;
use crate::output::signs::Sign;
use crate::output::text::{bytes, clean, count, short};

/// A check that ends sooner shows no progress.
const PATIENCE: Duration = Duration::from_secs(1);

/// Redrawing the progress line more often shows nothing more.
const REDRAW: Duration = Duration::from_millis(200);

/// The Ed25519 public key of `.lic` licences, in hexadecimal; the variable that the manual names.
const LICENCE_KEY: &str = "BOT_CORE_LICENSE_PUBLIC_KEY";

/// The HMAC key of revocation lists, or the path of its file: the same variable as of flota-agent.
const REVOCATION_KEY: &str = "BOT_CORE_LICENSE_REVOCATION_KEY";

/// `flota package check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// An unpacked folder, or an archive: .tar, .tar.gz, .tar.zst, .zip or .dudzianpkg
    path: PathBuf,
    /// The file with the key that it must be signed with
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The manifest's name in the package
    #[arg(long, value_name = "NAME", default_value = DEFAULT_MANIFEST)]
    manifest: String,
    /// A file with the signature, in place of the package's own
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The licence that must allow the package
    #[arg(long, value_name = "FILE")]
    license_path: Option<PathBuf>,
    /// The keys that prove the licence
    #[arg(long, value_name = "FILE", requires = "license_path")]
    license_keys: Option<PathBuf>,
    /// The issuer's list of revoked licences
    #[arg(long, value_name = "FILE", requires = "license_path")]
    revocation_list: Option<PathBuf>,
    /// The file with the key of that list; by default what BOT_CORE_LICENSE_REVOCATION_KEY is or names. With a key, the list
    /// must be signed
    #[arg(long, value_name = "FILE", requires = "revocation_list")]
    revocation_key: Option<PathBuf>,
    /// Refuse a list that nothing proves, also without a key
    #[arg(long, requires = "revocation_list")]
    require_signed_revocations: bool,
    /// Files that the manifest does not list are errors
    #[arg(long)]
    strict: bool,
}

/// Runs it.
pub(super) async fn run(invocation: &Invocation, args: Check) -> Result<Exit, Failure> {
    let path = args.path.clone();
    let package = args.key.as_deref().map(key_in).transpose()?;
    let keys = Keys { package, licences: args.licence_keys()?, revocations: args.revocation_keys()? };
    let now = present(invocation)?;
    let progress = Arc::new(Progress::default());
    let watched = Arc::clone(&progress);
    let checking = tokio::task::spawn_blocking(move || args.check(&keys, now, &watched));
    let report = watch(invocation, &progress, checking)
        .await
        .map_err(|error| Failure::new(Exit::Bad, "the check broke down").because_of(&error))?
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot check {}", shown(&path))).because_of(&error))?;

    let document: serde_json::Value = serde_json::from_str(&report.to_json().pretty())
        .map_err(|error| Failure::new(Exit::Bad, "the report cannot be printed").because_of(&error))?;
    let digest = Digest::from_bytes(report.manifest_sha256()).to_string();
    invocation.out.object("PackageCheck", &document, &digest, |style| told(&report, &digest, style))?;
    Ok(if report.is_ok() { Exit::Good } else { Exit::Bad })
}

/// What package, licence and revocation list are proved with.
struct Keys {
    package: Option<Secret>,
    licences: LicenceKeys,
    revocations: Option<HmacKeys>,
}

impl Check {
    fn licence_keys(&self) -> Result<LicenceKeys, Failure> {
        let refused = |text: &str| Failure::new(Exit::Usage, text);
        let mut keys = LicenceKeys::default();
        if let Some(path) = &self.license_keys {
            let text = std::fs::read(path)
                .map_err(|error| refused("cannot read the licence keys").detail(shown(path)).because_of(&error))?;
            keys = keys
                .with_oem_keys(&text, &path.display().to_string())
                .map_err(|error| refused("the licence keys cannot be used").because_of(&error))?;
        }
        match std::env::var(LICENCE_KEY).ok().filter(|key| self.license_path.is_some() && !key.trim().is_empty()) {
            Some(key) => keys
                .with_offline_key(&key)
                .map_err(|error| refused(&format!("{LICENCE_KEY} cannot be used")).because_of(&error)),
            None => Ok(keys),
        }
    }

    /// The keys of the list; none without a list.
    fn revocation_keys(&self) -> Result<Option<HmacKeys>, Failure> {
        let variable = || std::env::var(REVOCATION_KEY).ok().filter(|key| !key.trim().is_empty());
        let given = match (&self.revocation_list, &self.revocation_key) {
            (None, _) => None,
            (Some(_), Some(file)) => Some((file_of("--revocation-key", file)?.to_owned(), "--revocation-key")),
            (Some(_), None) => variable().map(|value| (value, REVOCATION_KEY)),
        };
        let refused =
            |error| Failure::new(Exit::Usage, "the key of the revocation list cannot be used").because_of(&error);
        given.map(|(value, origin)| HmacKeys::load(&value, origin).map_err(refused)).transpose()
    }

    fn check(&self, keys: &Keys, now: Timestamp, progress: &Progress) -> Result<CheckReport, CannotCheck> {
        let demand = if self.require_signed_revocations { SignatureDemand::Always } else { SignatureDemand::WithKey };
        let revocations = self.revocation_list.as_deref().map(|list| RevocationCheck {
            list,
            keys: keys.revocations.as_ref(),
            demand,
        });
        flota_package::check(&CheckRequest {
            manifest_name: &self.manifest,
            signature: self.signature.as_deref(),
            key: keys.package.as_ref(),
            licence: self.license_path.as_deref().map(|path| LicenceProof { path, keys: &keys.licences, revocations }),
            strictness: if self.strict { Strictness::Strict } else { Strictness::Lenient },
            progress: Some(progress),
            ..CheckRequest::new(&self.path, now)
        })
    }
}

/// Waits for the work, and on a terminal says how far it is.
async fn watch<T>(
    invocation: &Invocation,
    progress: &Progress,
    mut work: tokio::task::JoinHandle<T>,
) -> Result<T, tokio::task::JoinError> {
    let mut redraw = interval_at(Instant::now() + PATIENCE, REDRAW);
    let mut drawn = false;
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = redraw.tick() => {
                drawn = true;
                let (done, total) = (bytes(progress.bytes_done()), bytes(progress.bytes_total()));
                invocation.out.progress(&format!("checking {done} of {total} ({} %)", progress.percent().unwrap_or(0)));
            }
        }
    };
    if drawn {
        invocation.out.progress("");
    }
    result
}

fn told(report: &CheckReport, digest: &str, style: Style) -> String {
    let manifest = report.manifest();
    let name = [manifest.id(), Some(manifest.version()), manifest.platform()];
    let name = name.into_iter().flatten().map(clean).collect::<Vec<_>>().join(" ");
    let files = count(manifest.artifacts().len(), "file");
    let (sign, verdict) = if report.is_ok() { (Sign::Ok, "good") } else { (Sign::Failed, "not to be installed") };
    let mut lines = vec![style.say(sign, &format!("{name}: {verdict}, {files}, manifest {}", short(digest)))];
    let many = |sign, texts: &[String]| -> Vec<String> {
        texts.iter().map(|text| format!("  {}", style.say(sign, &clean(text)))).collect()
    };
    lines.extend(many(Sign::Failed, report.errors()));
    lines.extend(many(Sign::Warning, report.warnings()));
    lines.join("\n")
}
