//! From when until when, for which hosts, and why: what freezes and silences are asked for.

use clap::Args;

use crate::args::Many;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::time::{Moment, parse_moment};

/// The flags.
#[derive(Debug, Args)]
pub(crate) struct SpanArgs {
    #[command(flatten)]
    targets: Many,
    /// From when on, as a time or how long from now [default: now]
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_moment)]
    from: Option<Moment>,
    /// Until when: a time, or how long after its beginning
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_moment)]
    until: Moment,
    /// Why; others will read it
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What they say.
pub(crate) struct Span {
    /// Empty only with `all`.
    pub(crate) selector: String,
    /// Every host.
    pub(crate) all: bool,
    /// RFC 3339.
    pub(crate) from: String,
    /// RFC 3339.
    pub(crate) until: String,
    /// Why.
    pub(crate) reason: String,
}

impl SpanArgs {
    /// Counts from now. `example` is the command as it would be right, for who named no hosts.
    pub(crate) fn read(self, invocation: &Invocation, example: &str) -> Result<Span, Failure> {
        let Self { targets, from, until, reason } = self;
        let chosen = targets.choose(example)?;
        let from = from.map_or_else(|| invocation.now(), |from| from.counted_from(invocation.now()));
        let until = until.counted_from(from).to_string();
        Ok(Span { selector: chosen.selector, all: chosen.all, from: from.to_string(), until, reason })
    }
}
