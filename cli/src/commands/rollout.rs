//! `flota rollout`.

use clap::{Args, Subcommand};
use flota_model::RolloutId;
use flota_proto::v1::{ListRolloutsRequest, Rollout, ShowRolloutRequest};

use super::evidence;
use crate::client::Session;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, words};
use crate::output::{Listing, Style, time};
use crate::view::rollout_explain;
use crate::view::rollout_frame::{self, View};
use crate::view::rollout_words::{counts, elapsed, needs_decision, rollout_sign, verdict};

mod act;
mod amend;
mod approve;
mod create;
mod feed;
mod hosts;
mod plan;
mod screen;
mod watch;

use watch::{Begun, Decisions};

/// Verbs on rollouts.
#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// Plan a rollout: who gets the release, in which wave. No host changes
    Create(create::Create),
    /// Show how it would go: who, when, how far a bad release would get. Changes nothing
    Plan(plan::Plan),
    /// Write what auditors need: who agreed to what, what was done, and what proves it
    ///
    /// The document is checked with `flota audit verify FILE --key KEY`, without a controller.
    Evidence(evidence::OfRollout),
    /// Agree to a rollout that somebody else wrote
    ///
    /// Shows it and how it would go first, and approves that and nothing else: when it is amended, it needs new approvals.
    Approve(approve::Approve),
    /// Change how a rollout goes on; not what it brings to whom
    ///
    /// What was approved before does not count any more: it stands still until it is approved again.
    Amend(amend::Amend),
    /// Start a rollout, and wait for its end
    ///
    /// Asks first. Ctrl-C detaches; it never stops the rollout. Ends as `status --watch` does.
    Start(act::Start),
    /// List rollouts, newest first
    List(List),
    /// Show where a rollout stands
    ///
    /// Ends with 0 when it succeeded, 3 with exceptions, 1 when it was aborted, 8 while it goes on, 9 when it waits
    /// for a person; with --watch also 124 when --timeout ran out here, 7 when the controller is lost.
    Status(Status),
    /// Say why hosts are where they are, and whose move it is
    Explain(Explain),
    /// Start nothing new until it is resumed; hosts already started finish
    Pause(act::Pause),
    /// Go on after a pause or a halt
    Resume(act::Resume),
    /// Try hosts again that failed; of a halted rollout those alone
    Retry(hosts::OfHosts),
    /// Leave hosts out, and take back what they have not passed the point of no return with
    Skip(hosts::OfHosts),
    /// End it: start nothing more, take back what no host has passed the point of no return with
    Abort(act::Abort),
    /// Take the hosts that it changed back to what they ran before
    ///
    /// This is a rollout of its own. It asks for the number of hosts to be typed.
    Rollback(act::Rollback),
}

/// `flota rollout list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those that wait for a person
    #[arg(long)]
    needs_decision: bool,
    /// Most rollouts to print, 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// `flota rollout status`
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Which, as in R-3
    id: RolloutId,
    /// Follow it until it ends or waits for a person
    #[arg(short, long)]
    watch: bool,
    /// With --watch: go on following while a person decides
    #[arg(long, requires = "watch")]
    through_decisions: bool,
    /// End with 0 whatever it came to
    #[arg(long)]
    exit_zero: bool,
}

/// `flota rollout explain`
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Which, as in R-3
    id: RolloutId,
    /// Only this host, by name or id
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: RolloutCommand) -> Result<Exit, Failure> {
    match command {
        RolloutCommand::Create(args) => create::create(invocation, args).await,
        RolloutCommand::Plan(args) => plan::plan(invocation, args).await,
        RolloutCommand::Evidence(args) => evidence::of_rollout(invocation, args).await,
        RolloutCommand::Approve(args) => approve::approve(invocation, args).await,
        RolloutCommand::Amend(args) => amend::amend(invocation, args).await,
        RolloutCommand::Retry(args) => hosts::act(invocation, args, hosts::Wish::Retry).await,
        RolloutCommand::Skip(args) => hosts::act(invocation, args, hosts::Wish::Skip).await,
        RolloutCommand::Start(args) => act::start(invocation, args).await,
        RolloutCommand::List(args) => list(invocation, &args).await,
        RolloutCommand::Status(args) => status(invocation, args).await,
        RolloutCommand::Explain(args) => explain(invocation, args).await,
        RolloutCommand::Pause(args) => act::pause(invocation, args).await,
        RolloutCommand::Resume(args) => act::resume(invocation, args).await,
        RolloutCommand::Abort(args) => act::abort(invocation, args).await,
        RolloutCommand::Rollback(args) => act::rollback(invocation, args).await,
    }
}

/// The rollout as it stands.
async fn show(session: &Session, id: RolloutId) -> Result<Rollout, Failure> {
    let answer = session.rollouts().show(session.ask(ShowRolloutRequest { id: id.to_string() })).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner())
}

async fn status(invocation: &Invocation, args: Status) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let exit = if args.watch {
        let decisions = if args.through_decisions { Decisions::FollowThrough } else { Decisions::End };
        watch::watch(invocation, session, args.id, Begun::Elsewhere, decisions).await?
    } else {
        let rollout = show(&session, args.id).await?;
        let now = invocation.now();
        let text = |style| rollout_frame::render(&rollout, View { now, style, height: None }).join("\n");
        invocation.out.object("Rollout", &rollout, &rollout.id, text)?;
        verdict(&rollout, now).exit
    };
    Ok(if args.exit_zero { Exit::Good } else { exit })
}

async fn explain(invocation: &Invocation, args: Explain) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let rollout = show(&session, args.id).await?;
    let groups = rollout_explain::reasons(&rollout, args.host.as_deref());
    if let Some(host) = args.host.filter(|_| groups.is_empty()) {
        return Err(Failure::new(Exit::NotFound, format!("{host} is not part of {}", clean(&rollout.id)))
            .detail("targets are frozen when a rollout is created; hosts that come later are not in it"));
    }
    let explained = rollout_explain::explained(&groups);
    let listing = Listing {
        kind: "RolloutReason",
        items: &explained,
        columns: &rollout_explain::COLUMNS,
        row: rollout_explain::Explained::row,
        name: rollout_explain::Explained::name,
    };
    let now = invocation.now();
    invocation.out.listing(&listing, |style| rollout_explain::render(&rollout, &groups, now, style))?;
    Ok(Exit::Good)
}

async fn list(invocation: &Invocation, args: &List) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let answer = session.rollouts().list(session.ask(ListRolloutsRequest {})).await;
    let mut rollouts = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().rollouts;
    if args.needs_decision {
        rollouts.retain(|rollout| needs_decision(&rollout.state));
    }
    if args.limit > 0 {
        rollouts.truncate(args.limit);
    }
    if rollouts.is_empty() {
        let none = if args.needs_decision { "no rollout waits for a person." } else { "no rollouts." };
        invocation.out.talk(none);
    }
    let listing = Listing {
        kind: "Rollout",
        items: &rollouts,
        columns: &COLUMNS,
        row,
        name: |rollout: &Rollout| rollout.id.clone(),
    };
    let now = invocation.now();
    invocation.out.listing(&listing, |style| table(&rollouts, now, style))?;
    Ok(Exit::Good)
}

const COLUMNS: [&str; 11] = [
    "id",
    "state",
    "version",
    "selector",
    "hosts",
    "done",
    "failed",
    "created_by",
    "created_at",
    "finished_at",
    "cause",
];

fn row(rollout: &Rollout) -> Vec<String> {
    let counts = counts(rollout);
    let Rollout { id, state, version, selector, created_by, created_at, finished_at, cause, .. } = rollout.clone();
    let [hosts, done, failed] = [counts.selected, counts.done, counts.failed].map(|number| number.to_string());
    vec![id, state, version, selector, hosts, done, failed, created_by, created_at, finished_at, cause]
}

fn table(rollouts: &[Rollout], now: flota_model::Timestamp, style: Style) -> String {
    let mut table =
        Table::new(["ROLLOUT", "STATE", "VERSION", "TO", "DONE", "FAILED", "TIME", "BY", "WHY"]).right(4).right(5);
    for rollout in rollouts {
        let counts = counts(rollout);
        let to = if rollout.rollback_of.is_empty() {
            rollout_frame::target_words(rollout)
        } else {
            format!("back from {}", rollout.rollback_of)
        };
        table.row([
            Cell::from(&rollout.id),
            Cell::signed(rollout_sign(&rollout.state), &words(&rollout.state)),
            Cell::from(&rollout.version),
            Cell::from(to),
            Cell::from(format!("{}/{}", counts.done, counts.selected)),
            Cell::from(counts.failed.to_string()),
            Cell::from(elapsed(rollout, now).map(time::span).unwrap_or_default()),
            Cell::from(&rollout.created_by),
            Cell::from(&rollout.cause),
        ]);
    }
    table.render(style)
}

#[cfg(test)]
mod tests;
