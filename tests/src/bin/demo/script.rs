//! Plays steps one by one, prints each with its outcome, and concludes with tables.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use comfy_table::{Cell, CellAlignment, Table, presets};
use flota_tests::Fleet;

/// The steps so far.
pub(crate) struct Script {
    began: Instant,
    steps: Vec<Step>,
}

struct Step {
    title: &'static str,
    outcome: String,
    passed: bool,
    took: Duration,
}

impl Script {
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), steps: Vec::new() }
    }

    /// A step without which there is nothing to go on with.
    pub(crate) fn must<T>(
        &mut self,
        title: &'static str,
        play: impl FnOnce() -> anyhow::Result<(String, T)>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        let played = play();
        let (outcome, passed) = match &played {
            Ok((outcome, _)) => (outcome.clone(), true),
            Err(error) => (format!("{error:#}"), false),
        };
        let step = Step { title, outcome, passed, took: began.elapsed() };
        say(&step);
        self.steps.push(step);
        played.map(|(_, value)| value)
    }

    /// A step whose failure is reported at the end; the day goes on.
    pub(crate) fn step(&mut self, title: &'static str, play: impl FnOnce() -> anyhow::Result<String>) {
        // The outcome is kept by `must`.
        let _outcome = self.must(title, || Ok((play()?, ())));
    }

    /// Prints the final tables; success only if every step was.
    pub(crate) fn conclude(&self, fleet: Option<&Fleet>) -> ExitCode {
        if let Some(fleet) = fleet {
            match fleet.admin.ok(&["host", "list", "--limit", "0"]) {
                Ok(answer) => print_out(&format!("\nThe fleet as `flota host list` shows it\n{}", answer.stdout)),
                Err(error) => print_out(&format!("\nflota host list: {error:#}")),
            }
        }
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(["", "step", "outcome", "seconds"]);
        for step in &self.steps {
            let seconds = Cell::new(format!("{:.1}", step.took.as_secs_f64())).set_alignment(CellAlignment::Right);
            table.add_row([Cell::new(sign(step)), Cell::new(step.title), Cell::new(&step.outcome), seconds]);
        }
        print_out(&format!("\n{table}"));
        let failed = self.steps.iter().filter(|step| !step.passed).count();
        let took = self.began.elapsed().as_secs_f64();
        if failed == 0 && fleet.is_some() {
            print_out(&format!("\n✓ all {} outcomes as expected, in {took:.1} s", self.steps.len()));
            ExitCode::SUCCESS
        } else {
            print_out(&format!("\n✗ {failed} of {} outcomes not as expected, in {took:.1} s", self.steps.len()));
            ExitCode::FAILURE
        }
    }
}

fn say(step: &Step) {
    let seconds = step.took.as_secs_f64();
    print_out(&format!("{} {:<58} {seconds:>5.1} s   {}", sign(step), step.title, step.outcome));
}

const fn sign(step: &Step) -> &'static str {
    if step.passed { "✓" } else { "✗" }
}

#[expect(clippy::print_stdout, reason = "the demo's story is its output")]
pub(crate) fn print_out(text: &str) {
    println!("{text}");
}
