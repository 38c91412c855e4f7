//! What operators decide about a rollout: start, pause, resume, abort, rollback.

use clap::Args;
use flota_model::RolloutId;
use flota_proto::v1::{Rollout, RolloutActionRequest, Target};
use tonic::{Response, Status};

use super::watch::{self, Begun, Decisions};
use super::{create, show};
use crate::client::Session;
use crate::confirm::{self, Assent, in_context};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::text::{clean, count, words};
use crate::view::rollout_plan;
use crate::view::rollout_words::{changed_hosts, next_lines, rollout_sign};

/// `flota rollout start`
#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    which: Which,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

/// `flota rollout pause`
#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    which: Which,
}

/// `flota rollout resume`
#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    which: Which,
    /// This many failures were looked at and no longer halt it
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    accept_failures: u32,
    /// This many updated hosts whose health nobody knows were looked at and no longer hold it
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    accept_unknown: u32,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// `flota rollout abort`
#[derive(Debug, Args)]
pub(crate) struct Abort {
    #[command(flatten)]
    which: Which,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// `flota rollout rollback`
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    which: Which,
    /// The id again, or the number of hosts, instead of typing it
    #[arg(long, value_name = "ID|COUNT")]
    confirm: Option<String>,
    /// Only this host, by name or id; repeat for more
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// Only the hosts of this wave, as in "wave 1"
    #[arg(long, value_name = "WAVE", default_value = "", hide_default_value = true)]
    wave: String,
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
}

/// Which rollout, and why.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Which, as in R-3
    pub(crate) id: RolloutId,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
}

/// Whether to stay until the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Stay.
    ToTheEnd,
    /// Leave.
    Not,
}

impl Wait {
    const fn of_flag(no_wait: bool) -> Self {
        if no_wait { Self::Not } else { Self::ToTheEnd }
    }
}

/// Shows the plan, asks, starts, waits.
pub(crate) async fn start(invocation: &Invocation, args: Start) -> Result<Exit, Failure> {
    let Which { id, reason } = args.which;
    let yes = Assent::of_flag(args.yes);
    confirm::require_answerable(invocation, yes, &start_line(id))?;
    let session = invocation.session().await?;
    let rollout = show(&session, id).await?;
    invocation.out.talk(rollout_plan::render(&rollout, invocation.out.talk_style).trim_end());
    begin(invocation, session, rollout, yes, Wait::of_flag(args.no_wait), reason).await
}

/// Starts a rollout whose plan has been shown.
pub(crate) async fn begin(
    invocation: &Invocation,
    session: Session,
    rollout: Rollout,
    yes: Assent,
    wait: Wait,
    reason: String,
) -> Result<Exit, Failure> {
    let id: RolloutId = rollout.id.parse().map_err(|error| {
        Failure::new(Exit::Bad, "the controller gave the rollout a name that is none").because_of(&error)
    })?;
    let question = format!("Start {id} on {}{}?", count(rollout.targets.len(), "host"), in_context(invocation)?);
    confirm::moderate(invocation, &question, yes, &start_line(id))?;
    let request = session.ask(RolloutActionRequest { spec: rollout.spec.clone(), ..action(id, reason) });
    let started = answered(session.rollouts().start(request).await)?;
    match wait {
        Wait::ToTheEnd => {
            invocation.out.talk(&format!("{id} is started. Ctrl-C leaves; the rollout goes on."));
            watch::watch(invocation, session, id, Begun::ByUs, Decisions::End).await
        }
        Wait::Not => {
            told(invocation, &started, "is started")?;
            invocation.out.talk(&format!("follow:   flota rollout status {id} --watch"));
            Ok(Exit::Good)
        }
    }
}

/// Starts nothing new; asks nothing, as it is undone in a word.
pub(crate) async fn pause(invocation: &Invocation, args: Pause) -> Result<Exit, Failure> {
    let Which { id, reason } = args.which;
    let session = invocation.session().await?;
    let request = session.ask(action(id, reason));
    let rollout = answered(session.rollouts().pause(request).await)?;
    told(invocation, &rollout, "starts nothing new; hosts already started finish")?;
    invocation.out.talk(&format!("continue: flota rollout resume {id}"));
    Ok(Exit::Good)
}

/// Goes on, after a question.
pub(crate) async fn resume(invocation: &Invocation, args: Resume) -> Result<Exit, Failure> {
    let Which { id, reason } = args.which;
    let (accepted, unknown) = (args.accept_failures, args.accept_unknown);
    let flag = |name: &str, number: u32| if number == 0 { String::new() } else { format!(" --{name} {number}") };
    let accept = format!("{}{}", flag("accept-failures", accepted), flag("accept-unknown", unknown));
    let repeat = format!("flota rollout resume {id}{accept} --yes");
    let yes = Assent::of_flag(args.yes);
    confirm::require_answerable(invocation, yes, &repeat)?;
    let session = invocation.session().await?;
    let before = show(&session, id).await?;
    let mut looked_at = Vec::new();
    if accepted > 0 {
        looked_at.push(count_of(accepted, "failure"));
    }
    if unknown > 0 {
        looked_at.push(format!("{} of unknown health", count_of(unknown, "host")));
    }
    let failures =
        if looked_at.is_empty() { String::new() } else { format!(" with {} accepted", looked_at.join(" and ")) };
    let cause = format!("{id} is {}: {}", words(&before.state), clean(&before.cause));
    let question = format!("{cause}\nGo on{failures}{}?", in_context(invocation)?);
    confirm::moderate(invocation, &question, yes, &repeat)?;
    let request =
        session.ask(RolloutActionRequest { accept_failures: accepted, accept_unknown: unknown, ..action(id, reason) });
    let rollout = answered(session.rollouts().resume(request).await)?;
    told(invocation, &rollout, "goes on")?;
    invocation.out.talk(&format!("follow:   flota rollout status {id} --watch"));
    Ok(Exit::Good)
}

/// Ends it, after a question.
pub(crate) async fn abort(invocation: &Invocation, args: Abort) -> Result<Exit, Failure> {
    let Which { id, reason } = args.which;
    let repeat = format!("flota rollout abort {id} --yes");
    let yes = Assent::of_flag(args.yes);
    confirm::require_answerable(invocation, yes, &repeat)?;
    let session = invocation.session().await?;
    let before = show(&session, id).await?;
    let changed = changed_hosts(&before);
    let question = format!(
        "{} of {} changed or changing; they stay as they are. {id} can not be started again.\nAbort {id}{}?",
        changed,
        count(before.targets.len(), "host"),
        in_context(invocation)?
    );
    confirm::moderate(invocation, &question, yes, &repeat)?;
    let request = session.ask(action(id, reason));
    let rollout = answered(session.rollouts().abort(request).await)?;
    told(invocation, &rollout, "ends; hosts past the point of no return finish")?;
    invocation.out.talk(&format!("follow:   flota rollout status {id} --watch\nundo:     flota rollout rollback {id}"));
    Ok(Exit::Good)
}

/// Takes its hosts back, after the number of them was typed.
pub(crate) async fn rollback(invocation: &Invocation, args: Rollback) -> Result<Exit, Failure> {
    let Which { id, reason } = args.which;
    let mut part: Vec<String> = args.hosts.iter().map(|host| format!(" --host {}", clean(host))).collect();
    if !args.wave.is_empty() {
        part.push(format!(" --wave \"{}\"", clean(&args.wave)));
    }
    let part = part.concat();
    let repeat = format!("flota rollout rollback {id}{part} --confirm {id}");
    confirm::require_answerable(invocation, Assent::of_flag(args.confirm.is_some()), &repeat)?;
    let session = invocation.session().await?;
    let before = show(&session, id).await?;
    let changed = changed_hosts(&of_part(&before, &args.hosts, &args.wave));
    let hosts = count(changed, "host");
    if changed == 0 {
        return Err(Failure::new(Exit::Conflict, format!("{id} has changed no host: there is nothing to take back"))
            .nothing_changed());
    }
    invocation.out.talk(&format!(
        "This takes {hosts}{} back from {} to what each ran before {id}.\n  undo: another rollout of {}",
        in_context(invocation)?,
        clean(&before.version),
        clean(&before.version)
    ));
    let accepted = [changed.to_string(), id.to_string()];
    let question = format!("Type {changed} to roll back {hosts}");
    confirm::severe(invocation, &question, &accepted, args.confirm.as_deref(), &repeat)?;
    let request = RolloutActionRequest { hosts: args.hosts, wave: args.wave, ..action(id, reason) };
    let answer = session.rollouts().rollback(session.ask(request)).await;
    let stake = Stake::LookFirst("flota rollout list");
    let back = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    continue_with(invocation, session, back, Wait::of_flag(args.no_wait)).await
}

/// The rollout with the hosts alone that are meant.
fn of_part(rollout: &Rollout, hosts: &[String], wave: &str) -> Rollout {
    let mut part = rollout.clone();
    let of_wave = |target: &Target| {
        let name = usize::try_from(target.wave).ok().and_then(|index| rollout.waves.get(index)).map(|wave| &wave.name);
        wave.is_empty() || name.is_some_and(|name| name == wave)
    };
    let named = |target: &Target| {
        hosts.is_empty() || hosts.iter().any(|host| *host == target.host_name || *host == target.host_id)
    };
    part.targets.retain(|target| named(target) && of_wave(target));
    part
}

/// A rollback is a new rollout: followed if it runs, named if it waits for its start.
async fn continue_with(invocation: &Invocation, session: Session, back: Rollout, wait: Wait) -> Result<Exit, Failure> {
    let begun = back.state != "draft" || !back.started_at.is_empty();
    match back.id.parse() {
        Ok(id) if begun && wait == Wait::ToTheEnd => {
            invocation.out.talk(&format!("{id} takes them back. Ctrl-C leaves; the rollout goes on."));
            watch::watch(invocation, session, id, Begun::ByUs, Decisions::End).await
        }
        _ => {
            create::print_plan(invocation, &back)?;
            invocation.out.talk(&next_lines(&back, invocation.out.talk_style).join("\n"));
            Ok(Exit::Good)
        }
    }
}

fn action(id: RolloutId, reason: String) -> RolloutActionRequest {
    RolloutActionRequest { id: id.to_string(), reason, ..RolloutActionRequest::default() }
}

/// Deciding the same again changes nothing, so a lost answer is repeated.
pub(crate) fn answered(answer: Result<Response<Rollout>, Status>) -> Result<Rollout, Failure> {
    answer.map(Response::into_inner).map_err(|status| Failure::of_status(&status, Stake::Repeatable))
}

pub(crate) fn told(invocation: &Invocation, rollout: &Rollout, outcome: &str) -> Result<(), Failure> {
    let id = clean(&rollout.id);
    invocation.out.object("Rollout", rollout, &id, |style| {
        style.say(rollout_sign(&rollout.state), &format!("{id} {outcome} ({})", words(&rollout.state)))
    })
}

fn start_line(id: RolloutId) -> String {
    format!("flota rollout start {id} --yes")
}

fn count_of(number: u32, noun: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), noun)
}
