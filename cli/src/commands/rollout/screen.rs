//! Where a watched rollout is shown: in place on a terminal, as a log elsewhere, as events for machines.

use std::time::Duration;

use flota_model::Timestamp;
use flota_proto::v1::Rollout;
use serde::Serialize;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::output::signs::Tone;
use crate::output::text::fit;
use crate::output::{Format, Out, json};
use crate::view::rollout_events::{Seen, heartbeat};
use crate::view::rollout_frame::{self, View};
use crate::view::rollout_words::Verdict;

/// Longest silence of a log.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// A frame is redrawn this often even when nothing changes, for its clock.
const CLOCK: Duration = Duration::from_secs(1);
/// A loss shorter than this is not worth a word: it is a reconnect.
const WORTH_A_WORD: Duration = Duration::from_secs(1);
/// Rows and columns where the terminal does not say.
const USUAL_SIZE: (usize, usize) = (24, 80);

/// Alternate screen, no cursor (ECMA-48 private modes 1049 and 25).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The place, and what has been shown there.
pub(crate) struct Screen<'a> {
    out: &'a Out,
    manner: Manner,
    latest: Option<Rollout>,
    lost: Option<(Instant, u32)>,
    told_loss: bool,
    last_word: Instant,
}

enum Manner {
    Frame { entered: bool, stale: bool },
    Log(Seen),
    Events(Seen),
    Still,
}

#[derive(Serialize)]
struct VerdictDocument<'a> {
    rollout: &'a str,
    state: &'a str,
    exit_code: u8,
    sentence: &'a str,
}

impl<'a> Screen<'a> {
    /// A screen in the manner that the format and the terminal ask for.
    pub(crate) fn new(out: &'a Out) -> Self {
        let manner = match out.format {
            Format::Table | Format::Wide if out.style.terminal => Manner::Frame { entered: false, stale: true },
            Format::Table | Format::Wide => Manner::Log(Seen::default()),
            Format::Jsonl => Manner::Events(Seen::default()),
            Format::Json | Format::Tsv | Format::Name => Manner::Still,
        };
        Self { out, manner, latest: None, lost: None, told_loss: false, last_word: Instant::now() }
    }

    /// Takes in what the rollout is now.
    pub(crate) fn show(&mut self, rollout: &Rollout, now: Timestamp) -> Result<(), Failure> {
        if std::mem::take(&mut self.told_loss) && !matches!(self.manner, Manner::Frame { .. }) {
            self.out.talk("connected again.");
        }
        self.lost = None;
        self.latest = Some(rollout.clone());
        let lines: Vec<String> = match &mut self.manner {
            Manner::Frame { stale, .. } => {
                *stale = true;
                return Ok(());
            }
            Manner::Log(seen) => seen.changes(rollout).iter().map(|event| event.line(now, self.out.style)).collect(),
            Manner::Events(seen) => seen.changes(rollout).iter().map(|event| json::line(event.kind(), event)).collect(),
            Manner::Still => return Ok(()),
        };
        if !lines.is_empty() {
            self.last_word = Instant::now();
        }
        lines.iter().try_for_each(|line| self.out.data(line))
    }

    /// Takes in that the connection is lost.
    pub(crate) fn lose(&mut self, since: Instant, attempts: u32) {
        self.lost = Some((since, attempts));
        if let Manner::Frame { stale, .. } = &mut self.manner {
            *stale = true;
        } else if !self.told_loss && since.elapsed() >= WORTH_A_WORD {
            self.told_loss = true;
            self.out.talk("! the connection to the controller is lost, retrying; the rollout goes on");
        }
    }

    /// Redraws what is stale, and breaks a long silence.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Result<(), Failure> {
        let silent = self.last_word.elapsed();
        match &self.manner {
            Manner::Frame { stale, .. } if *stale || silent >= CLOCK => self.draw(now),
            Manner::Log(_) if silent >= HEARTBEAT => {
                self.last_word = Instant::now();
                let line = self.latest.as_ref().map(|rollout| heartbeat(rollout, now, self.out.style));
                line.map_or(Ok(()), |line| self.out.data(&line))
            }
            _ => Ok(()),
        }
    }

    /// Leaves the last state and the verdict behind.
    pub(crate) fn close(mut self, rollout: Option<&Rollout>, verdict: &Verdict, now: Timestamp) -> Result<(), Failure> {
        self.leave();
        let out = self.out;
        match (&self.manner, rollout) {
            (Manner::Frame { .. }, Some(rollout)) => {
                let view = View { now, style: out.style, height: None };
                out.data(&rollout_frame::render(rollout, view).join("\n"))?;
                out.data(&format!("\n{}", verdict.line(out.style)))
            }
            (Manner::Frame { .. }, None) | (Manner::Log(_), _) => out.data(&verdict.line(out.style)),
            (Manner::Events(_), rollout) => {
                let (id, state) = rollout.map_or(("", ""), |rollout| (rollout.id.as_str(), rollout.state.as_str()));
                let Verdict { exit, sentence, .. } = verdict;
                let document = VerdictDocument { rollout: id, state, exit_code: exit.code(), sentence };
                out.data(&json::line("Verdict", &document))
            }
            (Manner::Still, rollout) => {
                out.talk(&verdict.line(out.talk_style));
                rollout.map_or(Ok(()), |rollout| out.object("Rollout", rollout, &rollout.id, |_| String::new()))
            }
        }
    }

    fn draw(&mut self, now: Timestamp) -> Result<(), Failure> {
        let Some(rollout) = &self.latest else { return Ok(()) };
        let (height, width) = terminal_size();
        let style = self.out.style;
        // One line for the notice or the space above the foot, one for the foot.
        let view = View { now, style, height: Some(height.saturating_sub(2)) };
        let mut lines = rollout_frame::render(rollout, view);
        if let Some((since, attempts)) = self.lost.filter(|(since, _)| since.elapsed() >= WORTH_A_WORD) {
            let notice = format!(
                "! no answer for {} s, retrying ({attempts}); this was the last known state",
                since.elapsed().as_secs()
            );
            lines.insert(0, style.paint(Tone::Warn, &notice));
        }
        lines.truncate(height.saturating_sub(1));
        lines.push(rollout_frame::live_foot(rollout, view));
        let mut frame = String::new();
        if let Manner::Frame { entered, stale } = &mut self.manner {
            *stale = false;
            if !std::mem::replace(entered, true) {
                frame.push_str(ENTER);
            }
        }
        frame.push_str("\x1b[H");
        let lines: Vec<String> = lines.iter().map(|line| fit(line, width)).collect();
        frame.push_str(&lines.join("\x1b[K\r\n"));
        frame.push_str("\x1b[K\x1b[J");
        self.last_word = Instant::now();
        self.out.raw(&frame)
    }

    fn leave(&mut self) {
        if let Manner::Frame { entered, .. } = &mut self.manner
            && std::mem::take(entered)
        {
            let _reader_gone = self.out.raw(LEAVE);
        }
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

fn terminal_size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (usize::from(size.ws_row), usize::from(size.ws_col)),
        _ => USUAL_SIZE,
    }
}
