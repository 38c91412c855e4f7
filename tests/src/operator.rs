//! An operator at a terminal: runs `flota` and reads what it prints.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::bins::Bins;

/// Somebody with a certificate.
#[derive(Debug, Clone)]
pub struct Operator {
    bins: Bins,
    config: PathBuf,
}

/// What `flota` answered.
#[derive(Debug)]
pub struct Answer {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl Operator {
    pub(crate) fn new(bins: &Bins, config: PathBuf) -> Self {
        Self { bins: bins.clone(), config }
    }

    /// The contexts file to put into `FLOTA_CONFIG`.
    pub fn config(&self) -> &std::path::Path {
        &self.config
    }

    /// Runs a command.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<Answer> {
        let output = Command::new(self.bins.path("flota"))
            .args(arguments)
            .env("FLOTA_CONFIG", &self.config)
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .stdin(std::process::Stdio::null())
            .output()
            .context("running flota")?;
        Ok(Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command that must succeed.
    pub fn ok(&self, arguments: &[&str]) -> anyhow::Result<Answer> {
        let answer = self.run(arguments)?;
        ensure!(
            answer.code == 0,
            "flota {} ended with {}:\n{}{}",
            arguments.join(" "),
            answer.code,
            answer.stdout,
            answer.stderr
        );
        Ok(answer)
    }

    /// Runs a command that must succeed, with `-o json`.
    pub fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
        let answer = self.ok(&arguments)?;
        serde_json::from_str(&answer.stdout)
            .with_context(|| format!("flota {}: {}", arguments.join(" "), answer.stdout))
    }

    /// The items of a list.
    pub fn items(&self, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
        let document = self.json(arguments)?;
        document.get("items").and_then(Value::as_array).cloned().context("the document has no items")
    }
}
