//! `flota recovery`: manual section 6, driven by the controller.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use flota_model::evidence::{DocumentKind, SealedDocument};
use flota_proto::v1::{
    AbortRecoveryRequest, ListRecoveriesRequest, Recovery, RecoveryStatusRequest, RunRecoveryRequest,
};
use tokio::time::{Instant, sleep};

use super::sealed;
use crate::client::Session;
use crate::confirm::{self, Assent, in_context};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::Listing;
use crate::output::text::{argument, clean};
use crate::view::recovery;
use crate::wait;

/// Between two looks while it goes on.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest silence.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Verbs on recoveries.
#[derive(Debug, Subcommand)]
pub(crate) enum RecoveryCommand {
    /// Show what would be done to bring a host back, and change nothing
    Plan(Wanted),
    /// Bring a host back: six steps, which the controller goes on with until it is done
    ///
    /// It ends with 9 where a person is needed, and says for what: repeat the command when that is done. What is done stays done.
    Run(Run),
    /// List recoveries, the newest first
    List,
    /// Show how far the newest recovery of a host is, and write its signed report
    Status(Status),
    /// End a recovery that nobody needs any more; what it has done stays done
    Abort(Abort),
    /// Check a report, without a controller
    Verify(Verify),
}

/// What is wanted.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// The host that was lost, by name or id
    host: String,
    /// The machine that takes its place, by the name that it has or will have [default: the host itself]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    onto: String,
    /// The release that it is to run [default: the last one that a quote confirmed on it]
    #[arg(long, value_name = "RELEASE", default_value = "", hide_default_value = true)]
    release: String,
    /// It has no exchange: its health is not asked
    #[arg(long)]
    no_health_check: bool,
    /// Why, for the report and the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Change ticket
    #[arg(long, value_name = "TICKET", default_value = "", hide_default_value = true)]
    ticket: String,
}

/// `flota recovery run`
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    wanted: Wanted,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

/// `flota recovery status`
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The host that was lost, by name or id
    host: String,
    /// Follow it until it ends or waits for a person
    #[arg(short, long)]
    watch: bool,
    /// Write the report with the controller's signature; the file must not exist
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// `flota recovery abort`
#[derive(Debug, Args)]
pub(crate) struct Abort {
    /// The host that was lost, by name or id
    host: String,
    /// Why, for the report and the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// `flota recovery verify`
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The file
    file: PathBuf,
    /// The audit key as you got it from the fleet's owner: 64 hex digits, or a file with them
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: RecoveryCommand) -> Result<Exit, Failure> {
    match command {
        RecoveryCommand::Plan(args) => plan(invocation, args).await,
        RecoveryCommand::Run(args) => begin(invocation, args).await,
        RecoveryCommand::List => list(invocation).await,
        RecoveryCommand::Status(args) => status(invocation, args).await,
        RecoveryCommand::Abort(args) => abort(invocation, args).await,
        RecoveryCommand::Verify(args) => verify(invocation, &args),
    }
}

impl Wanted {
    /// As it was typed: another command that is proposed must not mean another machine or release.
    fn words(&self) -> String {
        let mut words = argument(&self.host);
        for (flag, value) in [
            ("--onto", &self.onto),
            ("--release", &self.release),
            ("--reason", &self.reason),
            ("--ticket", &self.ticket),
        ] {
            if !value.is_empty() {
                words = format!("{words} {flag} {}", argument(value));
            }
        }
        if self.no_health_check { format!("{words} --no-health-check") } else { words }
    }

    fn request(&self) -> RunRecoveryRequest {
        let Self { host, onto, release, no_health_check, reason, ticket } = self;
        RunRecoveryRequest {
            host: host.clone(),
            onto: onto.clone(),
            release: release.clone(),
            no_health_check: *no_health_check,
            reason: reason.clone(),
            ticket: ticket.clone(),
        }
    }
}

async fn plan(invocation: &Invocation, args: Wanted) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let planned = planned(&session, &args).await?;
    invocation.out.object("Recovery", &planned, &planned.host, |style| recovery::show(&planned, style))?;
    invocation.out.talk(&format!("nothing was changed.  Begin: flota recovery run {}", args.words()));
    Ok(Exit::Good)
}

async fn planned(session: &Session, wanted: &Wanted) -> Result<Recovery, Failure> {
    let answer = session.recoveries().plan(session.ask(wanted.request())).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner())
}

async fn begin(invocation: &Invocation, args: Run) -> Result<Exit, Failure> {
    let yes = Assent::of_flag(args.yes);
    let repeat = format!("flota recovery run {} --yes", args.wanted.words());
    confirm::require_answerable(invocation, yes, &repeat)?;
    let session = invocation.session().await?;
    if yes != Assent::Given {
        let planned = planned(&session, &args.wanted).await?;
        invocation.out.talk(&recovery::show(&planned, invocation.out.talk_style));
        let (version, onto) = (clean(&planned.version), clean(&planned.onto));
        let question = format!("Bring {version} to {onto}{}, and prove what it is?", in_context(invocation)?);
        confirm::moderate(invocation, &question, yes, &repeat)?;
    }
    let answer = session.recoveries().run(session.ask(args.wanted.request())).await;
    let begun = answer.map_err(|status| Failure::of_status(&status, Stake::Repeatable))?.into_inner();
    if args.no_wait {
        return print(invocation, &begun);
    }
    follow(invocation, &session, begun).await
}

async fn list(invocation: &Invocation) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let answer = session.recoveries().list(session.ask(ListRecoveriesRequest {})).await;
    let recoveries = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().recoveries;
    if recoveries.is_empty() {
        invocation.out.talk("no host was ever recovered.");
    }
    let listing = Listing {
        kind: "Recovery",
        items: &recoveries,
        columns: &recovery::COLUMNS,
        row: recovery::row,
        name: |recovery: &Recovery| recovery.host.clone(),
    };
    let now = invocation.now();
    invocation.out.listing(&listing, |style| recovery::table(&recoveries, now, style))?;
    Ok(Exit::Good)
}

async fn status(invocation: &Invocation, args: Status) -> Result<Exit, Failure> {
    let Status { host, watch, to } = args;
    if let Some(to) = &to {
        super::evidence::must_be_new(to)?;
    }
    let session = invocation.session().await?;
    let found = newest(&session, &host).await?;
    let exit = if watch { follow(invocation, &session, found).await? } else { print(invocation, &found)? };
    if let Some(to) = to {
        let Recovery { document, public_key, signature, .. } = newest(&session, &host).await?;
        let sealed = SealedDocument { document, public_key, signature };
        sealed::write(&sealed, &to)?;
        let (shown, key) = (to.display(), clean(&sealed.public_key));
        invocation.out.talk(&format!("written to {shown}.  Check it: flota recovery verify {shown} --key {key}"));
    }
    Ok(exit)
}

async fn newest(session: &Session, host: &str) -> Result<Recovery, Failure> {
    let answer = session.recoveries().status(session.ask(RecoveryStatusRequest { host: host.to_owned() })).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner())
}

async fn abort(invocation: &Invocation, args: Abort) -> Result<Exit, Failure> {
    let Abort { host, reason } = args;
    let session = invocation.session().await?;
    let stake = Stake::LookFirst("flota recovery list");
    let answer = session.recoveries().abort(session.ask(AbortRecoveryRequest { host, reason })).await;
    let ended = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    invocation.out.object("Recovery", &ended, &ended.host, |style| recovery::show(&ended, style))?;
    if !ended.rollout.is_empty() {
        invocation.out.talk(&format!("its rollout goes on: flota rollout abort {}", clean(&ended.rollout)));
    }
    Ok(Exit::Good)
}

fn verify(invocation: &Invocation, args: &Verify) -> Result<Exit, Failure> {
    let document = sealed::read(invocation, DocumentKind::Recovery, &args.file, args.key.as_deref())?;
    let found = recovery::of_document(&document).ok_or_else(|| sealed::proves_nothing().detail("it is no report"))?;
    print(invocation, &found)
}

/// Prints it, and ends as it stands.
fn print(invocation: &Invocation, found: &Recovery) -> Result<Exit, Failure> {
    invocation.out.object("Recovery", found, &found.host, |style| recovery::show(found, style))?;
    Ok(ended(found))
}

fn ended(found: &Recovery) -> Exit {
    match found.state.as_str() {
        "recovered" => Exit::Good,
        "aborted" | "failed" => Exit::Bad,
        "waiting" => Exit::Decision,
        _ => Exit::Running,
    }
}

/// Says each step as it moves, until it ends or waits for a person.
async fn follow(invocation: &Invocation, session: &Session, mut found: Recovery) -> Result<Exit, Failure> {
    let started = Instant::now();
    let deadline = invocation.timeout.and_then(|timeout| started.checked_add(timeout));
    let (mut said, mut last_word) = (Vec::new(), started);
    let mut interrupt = std::pin::pin!(wait::interrupted());
    loop {
        for line in recovery::moved(&found, &mut said, invocation.out.talk_style) {
            invocation.out.talk(&line);
            last_word = Instant::now();
        }
        if found.state != "working" {
            return print(invocation, &found);
        }
        if last_word.elapsed() >= HEARTBEAT {
            invocation.out.talk(&recovery::heartbeat(&found, started.elapsed()));
            last_word = Instant::now();
        }
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = &mut interrupt => return Ok(left(invocation, &found, Exit::Interrupted)),
            () = wait::until(deadline) => return Ok(left(invocation, &found, Exit::TimedOut)),
        }
        found = newest(session, &found.host).await?;
    }
}

fn left(invocation: &Invocation, found: &Recovery, exit: Exit) -> Exit {
    invocation.out.talk(&format!("it goes on.  Follow: flota recovery status {} --watch", clean(&found.host)));
    exit
}

#[cfg(test)]
mod tests;
