//! What brings a policy into use: approve, stage, activate.

use std::time::Duration;

use clap::Args;
use flota_model::Timestamp;
use flota_proto::v1::{ActivatePolicyRequest, Policy, PolicyActionRequest, PolicyDetail, StagePolicyRequest};
use tonic::{Response, Status};

use super::{active, between, fetch, known};
use crate::client::Session;
use crate::confirm::{self, Assent, Danger, Question, in_context};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::text::{argument, clean};
use crate::output::time::{Moment, parse_duration, parse_moment, parse_time};
use crate::view::policy_outlook::Outlook;
use crate::view::policy_words::{Known, asked, change, label, next, sign, state};

/// `flota policy approve`
#[derive(Debug, Args)]
pub(crate) struct Approve {
    #[command(flatten)]
    which: Which,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// `flota policy stage`
#[derive(Debug, Args)]
pub(crate) struct Stage {
    #[command(flatten)]
    which: Which,
    /// When it ends, as in 2026-11-30T18:00Z, or how long it lasts, as in 48h
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_moment)]
    until: Moment,
    /// When it begins, as in 2026-11-29T08:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<Timestamp>,
    /// The policy's name again, instead of typing it
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

/// `flota policy activate`
#[derive(Debug, Args)]
pub(crate) struct Activate {
    #[command(flatten)]
    which: Which,
    /// How long the version before it stays accepted, as in 7d [default: not at all]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    keep_previous: Option<Duration>,
    /// The policy's name again, instead of an answer
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

/// Which policy, and why.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Name (its newest version), name@version, or the beginning of a digest
    pub(super) policy: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

impl Which {
    /// The command line that needs no answer, as far as it is known before the policy is.
    pub(super) fn line(&self, verb: &str, flags: &str) -> String {
        let name = argument(self.policy.split('@').next().unwrap_or_default());
        let because = because(&self.reason);
        format!("flota policy {verb} {}{flags} --confirm {name}{because}", argument(&self.policy))
    }
}

/// The reason, for a command line that is repeated.
pub(super) fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" --reason {}", argument(reason)) }
}

/// A policy as it stands before a decision.
pub(super) struct Before {
    this: PolicyDetail,
    active: Option<PolicyDetail>,
    place: String,
}

impl Before {
    /// Reads it.
    pub(super) async fn look(invocation: &Invocation, session: &Session, policy: &str) -> Result<Self, Failure> {
        let this = fetch(session, policy).await?;
        let active = active(session, &known(&this)?.policy.name).await?;
        Ok(Self { this, active, place: in_context(invocation)? })
    }

    pub(super) fn outlook(&self, invocation: &Invocation) -> Result<Outlook<'_>, Failure> {
        let active = self.active.as_ref().and_then(Known::of);
        Ok(Outlook { this: known(&self.this)?, active, place: &self.place, now: invocation.now() })
    }
}

/// Shows what changes, asks, and approves exactly the document that was shown, or the change that was asked for.
pub(crate) async fn approve(invocation: &Invocation, args: Approve) -> Result<Exit, Failure> {
    let line = format!("flota policy approve {} --yes{}", argument(&args.which.policy), because(&args.which.reason));
    let yes = Assent::of_flag(args.yes);
    confirm::require_answerable(invocation, yes, &line)?;
    let session = invocation.session().await?;
    let before = Before::look(invocation, &session, &args.which.policy).await?;
    let outlook = before.outlook(invocation)?;
    let policy = outlook.this.policy;
    let style = invocation.out.talk_style;
    let question = if let Some(request) = &policy.request {
        invocation.out.talk(&outlook.agreement(request, style));
        format!("Agree to the {} of {}{}?", change(request), label(policy), outlook.place)
    } else {
        let diff = match outlook.active {
            Some(active) => Some(between(&session, active.policy, policy).await?),
            None => None,
        };
        invocation.out.talk(&outlook.approval(diff.as_ref(), style));
        format!("Approve {}{}?", label(policy), outlook.place)
    };
    confirm::moderate(invocation, &question, yes, &line)?;
    let asked_at = policy.request.as_ref().map(|request| request.at.clone()).unwrap_or_default();
    let request = PolicyActionRequest { policy: policy.digest.clone(), reason: args.which.reason, asked_at };
    let policy = answered(session.policies().approve(session.ask(request)).await)?;
    told(invocation, &policy)
}

/// Accepts it beside the active one.
pub(crate) async fn stage(invocation: &Invocation, args: Stage) -> Result<Exit, Failure> {
    let from = args.from.unwrap_or_else(|| invocation.now());
    let until = args.until.counted_from(from);
    let begin = args.from.map(|from| format!(" --from {from}")).unwrap_or_default();
    let line = args.which.line("stage", &format!("{begin} --until {until}"));
    confirm::require_answerable(invocation, Assent::of_flag(args.confirm.is_some()), &line)?;
    let session = invocation.session().await?;
    let before = Before::look(invocation, &session, &args.which.policy).await?;
    let outlook = before.outlook(invocation)?;
    let digest = outlook.this.policy.digest.clone();
    let (danger, text) = outlook.staging([from, until], invocation.out.talk_style);
    ask(invocation, outlook.this.policy, danger, &text, args.confirm.as_deref(), &line)?;
    let request = StagePolicyRequest {
        policy: digest,
        reason: args.which.reason,
        // Empty is the controller's present, which may differ from ours by a clock's error.
        from: args.from.map(|from| from.to_string()).unwrap_or_default(),
        until: until.to_string(),
    };
    let policy = answered(session.policies().stage(session.ask(request)).await)?;
    told(invocation, &policy)
}

/// Makes it what hosts are held to.
pub(crate) async fn activate(invocation: &Invocation, args: Activate) -> Result<Exit, Failure> {
    let grace = args.keep_previous.unwrap_or_default();
    let keep = if grace.is_zero() { String::new() } else { format!(" --keep-previous {}s", grace.as_secs()) };
    let line = args.which.line("activate", &keep);
    confirm::require_answerable(invocation, Assent::of_flag(args.confirm.is_some()), &line)?;
    let session = invocation.session().await?;
    let before = Before::look(invocation, &session, &args.which.policy).await?;
    let outlook = before.outlook(invocation)?;
    let digest = outlook.this.policy.digest.clone();
    let (danger, text) = outlook.activation(grace, invocation.out.talk_style);
    ask(invocation, outlook.this.policy, danger, &text, args.confirm.as_deref(), &line)?;
    let keep_previous_seconds = seconds(grace);
    let request = ActivatePolicyRequest { policy: digest, reason: args.which.reason, keep_previous_seconds };
    let policy = answered(session.policies().activate(session.ask(request)).await)?;
    told(invocation, &policy)
}

/// Tells the consequences and asks as much as they are worth.
pub(super) fn ask(
    invocation: &Invocation,
    policy: &Policy,
    danger: Danger,
    text: &str,
    given: Option<&str>,
    repeat: &str,
) -> Result<(), Failure> {
    if !text.is_empty() {
        invocation.out.talk(text);
    }
    let accepted = vec![clean(&policy.name), label(policy), policy.digest.clone()];
    let sentence = "Go on?".to_owned();
    confirm::decide(invocation, &Question { danger, sentence, accepted, given, repeat })
}

/// What it is now, and what to do next.
pub(super) fn told(invocation: &Invocation, policy: &Policy) -> Result<Exit, Failure> {
    let now = invocation.now();
    invocation.out.object("Policy", policy, &policy.digest, |style| {
        let waits = policy.request.as_ref().map(|request| format!("; {}", asked(request))).unwrap_or_default();
        style.say(sign(policy), &format!("{} is {}{waits}", label(policy), state(policy, now)))
    })?;
    invocation.out.talk(&next(policy).join("\n"));
    Ok(Exit::Good)
}

pub(super) fn answered(answer: Result<Response<Policy>, Status>) -> Result<Policy, Failure> {
    let stake = Stake::LookFirst("flota policy list");
    answer.map(Response::into_inner).map_err(|status| Failure::of_status(&status, stake))
}

pub(super) fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
