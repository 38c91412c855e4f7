//! `flota attest status` and `flota attest show`.

use clap::Args;
use flota_proto::v1::{Host, ListHostsRequest, PolicyRef};
use tonic::Code;

use crate::args::{Chosen, Targets};
use crate::client::Session;
use crate::commands::host::{in_it, known};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::Listing;
use crate::view::attest_show::{self, HeldTo};
use crate::view::attest_status;
use crate::view::policy_document::Document;

/// `flota attest status`
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    targets: Targets,
    /// End with 0 whatever it came to
    #[arg(long)]
    exit_zero: bool,
}

/// `flota attest show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Name, id, or the beginning of an id
    host: String,
    /// Verdicts to print
    #[arg(long, value_name = "N", default_value_t = 5)]
    verdicts: usize,
}

/// Where hosts stand.
pub(crate) async fn status(invocation: &Invocation, args: Status) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let mut hosts = hosts(&session, args.targets.or_all()).await?;
    if hosts.is_empty() {
        return Err(Failure::new(Exit::NotFound, "no host is selected").fix("flota host list"));
    }
    let now = invocation.now();
    attest_status::sort(&mut hosts, now);
    let (out, format) = (&invocation.out, invocation.out.format);
    let listing = Listing {
        kind: "Host",
        items: &hosts,
        columns: &attest_status::COLUMNS,
        row: attest_status::row,
        name: |host: &Host| host.name.clone(),
    };
    out.listing(&listing, |style| attest_status::table(&hosts, format, now, style))?;
    out.talk(&attest_status::summary(&hosts, now, out.talk_style));
    Ok(if args.exit_zero { Exit::Good } else { attest_status::judged(&hosts, now) })
}

/// Those that were named, each by what names it; else those of the fleet that are in it.
async fn hosts(session: &Session, chosen: Chosen) -> Result<Vec<Host>, Failure> {
    if chosen.hosts.is_empty() {
        let answer = session.hosts().list(session.ask(ListHostsRequest { selector: chosen.selector })).await;
        let mut hosts = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().hosts;
        hosts.retain(|host| host.trust != "retired");
        return Ok(hosts);
    }
    let mut hosts = Vec::with_capacity(chosen.hosts.len());
    for name in &chosen.hosts {
        hosts.push(in_it(known(session, name).await?.host)?);
    }
    Ok(hosts)
}

/// One host's proof.
pub(crate) async fn show(invocation: &Invocation, args: Show) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let detail = known(&session, &args.host).await?;
    let host = in_it(detail.host.clone())?;
    let held = held_to(&session, &host.policy).await?;
    let text = |style| attest_show::render(&detail, &held, args.verdicts, invocation.now(), style);
    invocation.out.object("HostDetail", &detail, &host.name, text)?;
    Ok(Exit::Good)
}

/// The policies that its newest quote was held to, as the host has them: joined by a comma.
async fn held_to(session: &Session, policies: &str) -> Result<Vec<HeldTo>, Failure> {
    let mut held = Vec::new();
    for label in policies.split(", ").filter(|label| !label.is_empty()) {
        let request = session.ask(PolicyRef { policy: label.to_owned() });
        let document = match session.policies().show(request).await {
            Ok(detail) => Document::parse(&detail.into_inner().document_json),
            // Of a host that was quoted long ago, the rest is worth showing.
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => return Err(Failure::of_status(&status, Stake::Reads)),
        };
        held.push(HeldTo { label: label.to_owned(), document });
    }
    Ok(held)
}
