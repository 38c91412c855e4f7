//! How a recovery begins: what is asked for, which release it is, and what there is of the host.

use flota_model::host::{Host, Trust};
use flota_model::recovery::{
    MAX_RECOVERY_REASON, Recovery, RecoveryHealth, RecoveryStep, StepProof, StepRecord, StepState,
};
use flota_model::release::ReleaseRef;
use flota_model::task::ExportSignature;
use flota_store::ExportsOf;

use crate::blobs::{self, Presence};
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::grpc::select;
use crate::releases::check_signed;
use crate::rollouts::create;

/// Exports of a host that are looked at for the last usable one.
const EXPORTS: u32 = 20;

/// What an operator asks for.
pub struct Asked {
    /// The host that was lost, by name, id or prefix of an id.
    pub host: String,
    /// The machine that takes its place; empty: itself.
    pub onto: String,
    /// The release it is to run; empty: the last one that a quote confirmed on it.
    pub release: String,
    /// Whether the exchanges are asked.
    pub health: RecoveryHealth,
    /// Why.
    pub reason: String,
    /// Change ticket.
    pub ticket: String,
}

/// What it is to do, with steps that nobody has looked at.
pub(super) async fn draft(core: &Core, actor: &str, asked: Asked) -> Result<Recovery, Fault> {
    let Asked { host, onto, release, health, reason, ticket } = asked;
    let fleet = core.store.hosts().await?;
    let lost = select::find(&fleet, &host)?;
    let onto = match onto.as_str() {
        "" if lost.trust == Trust::Retired => {
            let sentence = format!("{} is out of the fleet for ever: another machine takes its place", lost.name);
            return Err(Fault::new(Code::WrongState, sentence).fix("--onto HOST, enrolled under a name of its own"));
        }
        "" => lost.name.clone(),
        onto => onto.parse().map_err(Fault::bad)?,
    };
    let (release, release_from) = choose(core, lost, &release).await?;
    let ticket = create::required_ticket(core, &ticket)?;
    Ok(Recovery {
        host: lost.name.clone(),
        onto,
        release,
        release_from,
        health,
        begun_by: actor.to_owned(),
        begun_at: core.now(),
        reason: reason.chars().take(MAX_RECOVERY_REASON).collect(),
        ticket,
        rollout: None,
        check: None,
        challenged_at: None,
        steps: Recovery::steps_ahead(core.now()),
        ended: None,
    })
}

/// The release that was asked for, or the last one that is known to have run on the host and is signed still.
async fn choose(core: &Core, lost: &Host, asked: &str) -> Result<(ReleaseRef, String), Fault> {
    let releases = core.store.releases().await?;
    let fix = format!("flota recovery run {} --release RELEASE", lost.name);
    let (release, from) = if asked.is_empty() {
        let confirmed = lost.confirmed.as_ref().and_then(|confirmed| Some((confirmed.running?, confirmed.at)));
        let Some((digest, at)) = confirmed else {
            let sentence = format!("no quote ever confirmed a release on {}", lost.name);
            return Err(Fault::new(Code::NotFound, sentence).fix(fix));
        };
        let known = releases.iter().find(|release| release.target.digest == digest).ok_or_else(|| {
            let sentence = format!("what {} ran last ({}) was not published here", lost.name, digest.short());
            Fault::new(Code::NotFound, sentence).fix(fix.clone())
        })?;
        (known.target.clone(), format!("the last one that a quote confirmed on {}, at {at}", lost.name))
    } else {
        (create::find_release(&releases, asked)?.target.clone(), "asked for".to_owned())
    };
    check_signed(core, &release).await?;
    Ok((release, from))
}

/// Step 1: the last usable export, and the release.
pub(super) async fn find(core: &Core, recovery: &Recovery) -> Result<StepRecord, Fault> {
    let fleet = core.store.hosts().await?;
    let lost = fleet.iter().find(|host| host.name == recovery.host);
    let exports = match lost {
        Some(host) => core.store.exports(ExportsOf::host(&host.id), EXPORTS).await?,
        None => Vec::new(),
    };
    let mut unusable = 0_usize;
    let mut proofs = Vec::new();
    let mut export = "there is no export of it in the archive".to_owned();
    for candidate in exports {
        let (path, digest) = (core.blobs.path(&candidate.blob), candidate.blob);
        let read = tokio::task::spawn_blocking(move || blobs::digest_of(&path)).await;
        let proved = !matches!(candidate.signature, ExportSignature::Mismatch | ExportSignature::UnknownKey);
        if proved && matches!(read, Ok(Ok(found)) if found == digest) {
            let (count, whole) = (candidate.audit_entries, if candidate.status == "ok" { "" } else { ", partial" });
            export =
                format!("the last usable export is {} of {}, {count} audit entries{whole}", candidate.id, candidate.at);
            proofs.push(StepProof { kind: "export".into(), name: candidate.id.to_string() });
            proofs.push(StepProof { kind: "export_sha256".into(), name: digest.to_string() });
            break;
        }
        unusable = unusable.saturating_add(1);
    }
    if unusable > 0 {
        export = format!("{export} ({unusable} newer ones are not as they were signed or archived)");
    }
    let release = &recovery.release;
    if !matches!(core.blobs.presence(&release.digest), Presence::Whole { .. }) {
        let sentence = format!("the package of {} is not here any more", release.version);
        return Err(Fault::new(Code::NotFound, sentence).fix("flota release publish FOLDER"));
    }
    proofs.push(StepProof { kind: "release_sha256".into(), name: release.digest.to_string() });
    let detail =
        format!("{export}; the release is {} ({}), {}", release.version, release.digest.short(), recovery.release_from);
    let (state, next) = (StepState::Done, String::new());
    Ok(StepRecord { step: RecoveryStep::Find, state, detail, next, since: core.now(), proofs })
}

/// What is said anew counts. Whether anything was.
pub(super) fn heard(core: &Core, recovery: &mut Recovery, asked: &Asked) -> Result<bool, Fault> {
    let before = recovery.clone();
    if !asked.ticket.is_empty() {
        recovery.ticket = create::required_ticket(core, &asked.ticket)?;
    }
    if !asked.reason.is_empty() {
        recovery.reason = asked.reason.chars().take(MAX_RECOVERY_REASON).collect();
    }
    if asked.health == RecoveryHealth::NotAsked {
        recovery.health = RecoveryHealth::NotAsked;
    }
    Ok(*recovery != before)
}
