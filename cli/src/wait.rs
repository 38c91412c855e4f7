//! Waiting for tasks: a line for each host as it ends, and never half a minute without a word.

use std::collections::BTreeSet;
use std::time::Duration;

use flota_proto::v1::{Task, TaskStatusRequest};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use crate::client::Session;
use crate::exit::Exit;
use crate::failure::{Failure, Stake, is_transport, tls_refusal};
use crate::invocation::Invocation;
use crate::output::Format;
use crate::output::json;
use crate::output::text::{clean, count};
use crate::view::tasks;

/// Between two looks: a person does not notice, and the controller answers from memory.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longest silence.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long the controller may be away when no `--timeout` says otherwise: a restart takes seconds.
pub(crate) const GIVE_UP_AFTER: Duration = Duration::from_mins(10);
/// Longest silence while the controller is away.
const WORD_WHILE_AWAY: Duration = Duration::from_secs(5);
/// Names in a heartbeat.
const NAMES: usize = 5;

/// How a wait ended.
#[derive(Debug)]
pub(crate) struct Waited {
    /// The tasks as last seen.
    pub(crate) tasks: Vec<Task>,
    /// Why the wait ended before they did; none if all of them ended.
    pub(crate) cut: Option<Exit>,
}

/// Waits until every task has ended, `--timeout` has run out, or someone presses Ctrl-C.
pub(crate) async fn until_done(
    invocation: &Invocation,
    session: &mut Session,
    mut tasks: Vec<Task>,
) -> Result<Waited, Failure> {
    let started = Instant::now();
    let deadline = invocation.timeout.and_then(|timeout| started.checked_add(timeout));
    let ids: Vec<String> = tasks.iter().map(|task| task.id.clone()).collect();
    let width = tasks.iter().map(|task| task.host_name.len()).max().unwrap_or(0);
    let mut told = BTreeSet::new();
    let mut last_word = started;
    let mut heard = started;
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut interrupt = std::pin::pin!(interrupted());
    loop {
        for task in tasks.iter().filter(|task| tasks::is_over(task)) {
            if told.insert(task.id.clone()) {
                tell(invocation, task, width)?;
                last_word = Instant::now();
            }
        }
        if told.len() == tasks.len() {
            return Ok(Waited { tasks, cut: None });
        }
        if last_word.elapsed() >= HEARTBEAT {
            invocation.out.talk(&heartbeat(&tasks, started.elapsed()));
            last_word = Instant::now();
        }
        let look = look(invocation, session, &ids, &mut looks, &mut heard, &mut last_word);
        let newest = tokio::select! {
            newest = look => newest?,
            () = &mut interrupt => return Ok(Waited { tasks, cut: Some(Exit::Interrupted) }),
            () = until(deadline) => return Ok(Waited { tasks, cut: Some(Exit::TimedOut) }),
        };
        tasks = in_order(&ids, newest, tasks);
    }
}

/// How many tasks a choice of hosts became, or that it chose none.
pub(crate) fn none_chosen(tasks: &[Task]) -> Result<(), Failure> {
    if tasks.is_empty() {
        return Err(Failure::new(Exit::NotFound, "no host is selected").nothing_changed().fix("flota host list"));
    }
    Ok(())
}

/// Never, when there is no deadline.
pub(crate) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Until someone presses Ctrl-C or ends the process politely.
pub(crate) async fn interrupted() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

fn tell(invocation: &Invocation, task: &Task, width: usize) -> Result<(), Failure> {
    let out = &invocation.out;
    match out.format {
        Format::Table | Format::Wide => out.data(&tasks::line(task, width, out.style)),
        Format::Jsonl => out.data(&json::line("Task", task)),
        Format::Json | Format::Tsv | Format::Name => {
            out.talk(&tasks::line(task, width, out.talk_style));
            Ok(())
        }
    }
}

/// What the controller knows now; nothing new while it is away.
async fn look(
    invocation: &Invocation,
    session: &mut Session,
    ids: &[String],
    looks: &mut Interval,
    heard: &mut Instant,
    last_word: &mut Instant,
) -> Result<Vec<Task>, Failure> {
    looks.tick().await;
    match session.tasks().status(session.ask(TaskStatusRequest { ids: ids.to_vec() })).await {
        Ok(answer) => {
            *heard = Instant::now();
            Ok(answer.into_inner().tasks)
        }
        Err(status) if is_transport(&status) && tls_refusal(&status).is_none() && heard.elapsed() < GIVE_UP_AFTER => {
            if session.reopen().await.is_err() && last_word.elapsed() >= WORD_WHILE_AWAY {
                let away = heard.elapsed().as_secs();
                invocation.out.talk(&format!("! no answer for {away} s, retrying; the hosts go on"));
                *last_word = Instant::now();
            }
            Ok(Vec::new())
        }
        Err(status) => Err(Failure::of_status(&status, Stake::Reads)),
    }
}

/// The answers in the order of the questions; a task without an answer stays as it was.
fn in_order(ids: &[String], mut answers: Vec<Task>, before: Vec<Task>) -> Vec<Task> {
    let newest = ids.iter().zip(before).map(|(id, before)| {
        let found = answers.iter().position(|task| task.id == *id);
        found.map_or(before, |index| answers.swap_remove(index))
    });
    newest.collect()
}

fn heartbeat(tasks: &[Task], elapsed: Duration) -> String {
    let open: Vec<&Task> = tasks.iter().filter(|task| !tasks::is_over(task)).collect();
    let names = open.iter().take(NAMES).map(|task| format!("{} ({})", clean(&task.host_name), clean(&task.state)));
    let names = names.collect::<Vec<_>>().join(", ");
    let more = if open.len() > NAMES { ", ..." } else { "" };
    format!("waiting for {} of {} for {} s: {names}{more}", open.len(), count(tasks.len(), "host"), elapsed.as_secs())
}
