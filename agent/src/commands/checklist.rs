//! The operator's checklist (manual §7).

use clap::Args;
use flota_procedures::checklist::{self, ChecklistInputs, FileState, KeyState, Outcome, Procedure, Proof, Record};

use super::Installation;
use super::environment;
use super::output::{Answer, Failure, or_exit};
use crate::procedures::present;

/// What the host knows cannot be read or kept.
const EXIT_UNREADABLE: u8 = 2;

#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    installation: Installation,
    /// Note first that the update was recorded in the ticket system, under this id
    #[arg(long, value_name = "ID")]
    ticket: Option<String>,
}

impl Show {
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let (root, at) = (self.installation.root, present());
        if let Some(id) = self.ticket {
            let proof = Some(Proof::Record { id });
            let ticket = Record { procedure: Procedure::Ticket, at, outcome: Outcome::Passed, proof };
            checklist::record(&root, ticket).map_err(or_exit(EXIT_UNREADABLE))?;
        }
        let records = checklist::load(&root).map_err(or_exit(EXIT_UNREADABLE))?;
        let export_file = match records.last(Procedure::SecurityExport).and_then(|export| export.proof.as_ref()) {
            Some(Proof::File { path, .. }) if root.join(path).is_file() => FileState::Present,
            _ => FileState::Gone,
        };
        let hmac_key = match environment::audit_key() {
            None => KeyState::Missing,
            Some(Ok(_)) => KeyState::Set,
            Some(Err(_)) => KeyState::Malformed,
        };
        let list = checklist::evaluate(&ChecklistInputs { hmac_key, export_file, records }, at);
        Ok(Answer::json(&list.to_json(), list.exit_code()))
    }
}
