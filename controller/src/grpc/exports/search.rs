//! A search through the archive.

use std::collections::BTreeSet;
use std::time::Duration;

use flota_model::task::Export;
use flota_model::{HostId, Selector, Timestamp};
use flota_proto::v1;
use flota_store::ExportsOf;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tonic::Status;

use super::NO_LIMIT;
use crate::archive::search::{Next, entries, matches};
use crate::blobs::BlobFolder;
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::grpc::select;

/// Hits when no number was asked for.
const DEFAULT_HITS: u32 = 100;
/// Most hits of one search.
const MAX_HITS: u32 = 100_000;
/// Longest text that is looked for, in bytes.
const MAX_TEXT: usize = 500;
/// Exports named that could not be read; more are a number of others.
const NAMED: usize = 20;

/// What is looked for, and where.
pub(super) struct Search {
    words: Vec<String>,
    source: String,
    limit: u32,
    exports: Vec<Export>,
    /// Where there are older ones that are not looked through.
    oldest: Option<Timestamp>,
}

/// How long a hit waits for whoever asked; then nobody listens any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who asked, from a thread that may wait.
pub(super) struct Hearer {
    pub(super) sender: Sender<Result<v1::SearchHit, Status>>,
    pub(super) runtime: Handle,
}

impl Hearer {
    fn tell(&self, hit: v1::SearchHit) -> Next {
        match self.runtime.block_on(self.sender.send_timeout(Ok(hit), PATIENCE)) {
            Ok(()) => Next::Entry,
            Err(_) => Next::Stop,
        }
    }
}

impl Search {
    /// As it was asked for.
    pub(super) async fn of(core: &Core, request: v1::SearchExportsRequest) -> Result<Self, Fault> {
        let v1::SearchExportsRequest { text, selector, host, since, until, source, limit, all } = request;
        if text.trim().is_empty() || text.len() > MAX_TEXT {
            return Err(Fault::new(Code::BadRequest, "give one word at least, and 500 bytes at most"));
        }
        if !matches!(source.as_str(), "" | "audit" | "alert") {
            return Err(Fault::new(Code::BadRequest, "entries are looked for in `audit`, in `alert`, or in both"));
        }
        let time = |text: &str| {
            if text.is_empty() { Ok(None) } else { text.parse::<Timestamp>().map(Some).map_err(Fault::bad) }
        };
        let (since, until) = (time(&since)?, time(&until)?);
        let selector: Selector = selector.parse().map_err(Fault::bad)?;
        let fleet = core.store.hosts().await?;
        let named = if host.is_empty() { None } else { Some(select::find(&fleet, &host)?.id.clone()) };
        let meant: BTreeSet<HostId> = fleet
            .into_iter()
            .filter(|host| selector.matches(&host.name, &host.labels))
            .filter(|host| named.as_ref().is_none_or(|named| host.id == *named))
            .map(|host| host.id)
            .collect();
        let between = ExportsOf { host: named.as_ref(), since, until };
        let mut exports = core.store.exports(between, NO_LIMIT).await?;
        let left_out = u32::try_from(exports.len()).is_ok_and(|number| number >= NO_LIMIT);
        let oldest = exports.last().filter(|_| left_out).map(|export| export.at);
        exports.retain(|export| meant.contains(&export.host));
        if !all {
            let mut seen = BTreeSet::new();
            exports.retain(|export| seen.insert(export.host.clone()));
        }
        let words = text.split_whitespace().map(str::to_lowercase).collect();
        let limit = if limit == 0 { DEFAULT_HITS } else { limit.min(MAX_HITS) };
        Ok(Self { words, source, limit, exports, oldest })
    }

    /// For the audit log.
    pub(super) fn particulars(&self) -> Value {
        json!({ "words": self.words, "source": self.source, "exports": self.exports.len() })
    }

    /// Goes through the files; stops when it has found enough, or when nobody listens.
    pub(super) fn run(self, blobs: &BlobFolder, hearer: &Hearer) {
        let mut sum = v1::SearchHit::default();
        if let Some(oldest) = self.oldest {
            let rest = format!("exports before {oldest}: {NO_LIMIT} are looked through at once; use --host or --until");
            sum.unreadable.push(rest);
        }
        for export in &self.exports {
            if sum.cut || hearer.sender.is_closed() {
                break;
            }
            sum.exports = sum.exports.saturating_add(1);
            match self.look(blobs, export, hearer, &mut sum) {
                // What was not taken in time is not all: without a sum the search counts as cut off.
                Ok(Next::Stop) if !sum.cut => return,
                Ok(Next::Stop) => break,
                Err(why) if sum.unreadable.len() < NAMED => {
                    sum.unreadable.push(format!("{} of {}: {why}", export.id, export.host_name));
                }
                Ok(Next::Entry) | Err(_) => {}
            }
        }
        // Whoever has left does not want the sum either.
        let _left = hearer.tell(sum);
    }

    fn look(
        &self,
        blobs: &BlobFolder,
        export: &Export,
        hearer: &Hearer,
        sum: &mut v1::SearchHit,
    ) -> Result<Next, String> {
        let file = blobs.read(&export.blob, 0).map_err(|error| flota_daemon::error_chain::chain(&error))?;
        let file = file.ok_or_else(|| "its file is not in the archive".to_owned())?;
        let mut next = Next::Entry;
        let mut take = |source: crate::archive::search::Source, entry: &str| {
            let wanted = self.source.is_empty() || self.source == source.as_str();
            if !wanted || !matches(entry, &self.words) {
                return Next::Entry;
            }
            if sum.hits >= self.limit {
                sum.cut = true;
                next = Next::Stop;
                return next;
            }
            sum.hits = sum.hits.saturating_add(1);
            let hit = v1::SearchHit {
                host_name: export.host_name.to_string(),
                export_id: export.id.to_string(),
                exported_at: export.at.to_string(),
                source: source.as_str().to_owned(),
                entry_json: entry.to_owned(),
                ..v1::SearchHit::default()
            };
            next = hearer.tell(hit);
            next
        };
        entries(std::io::BufReader::new(file), &mut take).map_err(|error| error.to_string())?;
        Ok(next)
    }
}
