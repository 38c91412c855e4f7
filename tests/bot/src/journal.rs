//! The bot's three logs, in the bot's formats.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use jiff::Timestamp;

use crate::root::State;

/// Writes one entry to each log at a time.
pub(crate) struct Journal {
    folder: PathBuf,
    version: String,
    trade_epoch: u64,
    entries: u64,
}

impl Journal {
    /// A journal of the process that `state` describes; its entries count from 0.
    pub(crate) fn new(folder: PathBuf, state: &State) -> Self {
        Self { folder, version: state.version.clone(), trade_epoch: state.trade_epoch, entries: 0 }
    }

    /// Appends one entry to each log. The files are opened anew each time, so a rotated log gets a new file.
    pub(crate) fn append(&mut self, now: Timestamp) -> Result<()> {
        let seq = self.entries;
        self.line("security_admin.log", &audit_line(now, seq))?;
        self.line("security_alerts.log", &alert_line(now, seq))?;
        let version = &self.version;
        let controller = format!(
            "{} INFO bot_core.trading_controller: cycle {seq} done, version {version}, epoch {}",
            now.strftime("%Y-%m-%d %H:%M:%S,%3f"),
            self.trade_epoch
        );
        self.line("trading_controller.log", &controller)?;
        self.entries += 1;
        Ok(())
    }

    fn line(&self, name: &str, line: &str) -> Result<()> {
        let path = self.folder.join(name);
        let append = || {
            // One write a line: a reader of the tail sees whole lines or the beginning of one, never two mixed.
            OpenOptions::new().create(true).append(true).open(&path)?.write_all(format!("{line}\n").as_bytes())
        };
        append().with_context(|| format!("appending to {}", path.display()))
    }
}

fn audit_line(now: Timestamp, seq: u64) -> String {
    let (ts, actor) = (iso(now), seq % 5);
    let ok = seq.is_multiple_of(2);
    let score = f64::from(u8::try_from(seq % 7).unwrap_or_default()) / 7.0;
    format!(
        r#"{{"ts": "{ts}", "actor": "ops-{actor}", "event": "profile.update", "seq": {seq}, "detail": {{"roles": ["admin", "viewer"], "ok": {ok}, "score": {score:?}}}}}"#
    )
}

fn alert_line(now: Timestamp, seq: u64) -> String {
    const SEVERITIES: [&str; 3] = ["info", "warning", "critical"];
    let ts = iso(now);
    let severity = SEVERITIES.into_iter().cycle().nth(usize::try_from(seq % 3).unwrap_or_default()).unwrap_or("info");
    format!(r#"{{"ts": "{ts}", "severity": "{severity}", "message": "Próg ryzyka przekroczony", "id": {seq}}}"#)
}

/// As Python's `datetime.isoformat` prints an aware UTC time.
fn iso(now: Timestamp) -> impl std::fmt::Display {
    now.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_json_with_the_fields_of_the_real_logs() {
        let now = Timestamp::UNIX_EPOCH;
        let audit: serde_json::Value = serde_json::from_str(&audit_line(now, 1)).unwrap();
        assert_eq!(audit["ts"], "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(audit["detail"]["score"], 1.0 / 7.0);
        let alert: serde_json::Value = serde_json::from_str(&alert_line(now, 4)).unwrap();
        assert_eq!((&alert["severity"], &alert["id"]), (&"warning".into(), &4.into()));
    }
}
