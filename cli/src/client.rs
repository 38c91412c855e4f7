//! The way to the controller: a mutually authenticated connection, and a client for each service over it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use flota_net::dial::{DialError, dial};
use flota_net::tls::{self, TlsFileError};
use flota_proto::v1;
use tonic::Request;
use tonic::transport::Channel;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, tls_refusal};

/// Longest answer taken from the controller, in bytes: the listing of ten thousand hosts.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Time for one answer, unless the call itself waits for hosts.
const CALL_TIME: Duration = Duration::from_secs(30);

/// Mode bits: anything for group and others.
const OF_OTHERS: u32 = 0o077;

/// A connection to one controller. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    route: Route,
    channel: Channel,
    /// Time for one answer.
    call_time: Duration,
}

/// How to connect again.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// With a certificate, as always.
    Tls(Box<Context>),
    /// In the clear, to a stand-in in this process.
    #[cfg(test)]
    Plain(String),
}

/// Makes a client of one service, with the limit on answers.
macro_rules! client {
    ($(#[$doc:meta])* $name:ident, $module:ident, $client:ident) => {
        $(#[$doc])*
        pub(crate) fn $name(&self) -> v1::$module::$client<Channel> {
            v1::$module::$client::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
        }
    };
}

impl Session {
    /// Connects. With TLS 1.3 this succeeds even when the certificate will be refused; the first call tells.
    pub(crate) async fn open(route: Route, limit: Option<Duration>) -> Result<Self, Failure> {
        let channel = connect(&route).await?;
        Ok(Self { route, channel, call_time: limit.map_or(CALL_TIME, |limit| limit.min(CALL_TIME)) })
    }

    /// Connects again after the connection was lost.
    pub(crate) async fn reopen(&mut self) -> Result<(), Failure> {
        self.channel = connect(&self.route).await?;
        Ok(())
    }

    /// A request that is answered at once or not at all.
    pub(crate) fn ask<T>(&self, message: T) -> Request<T> {
        self.ask_within(message, self.call_time)
    }

    /// A request whose answer may take this long.
    #[expect(clippy::unused_self, reason = "every request is made by the session it is sent on")]
    pub(crate) fn ask_within<T>(&self, message: T, time: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(time);
        request
    }

    client!(
        /// Hosts.
        hosts, hosts_client, HostsClient
    );
    client!(
        /// Enrolment tokens.
        tokens, tokens_client, TokensClient
    );
    client!(
        /// Security exports.
        exports, exports_client, ExportsClient
    );
    client!(
        /// Health checks.
        health, health_client, HealthClient
    );
    client!(
        /// Work offered to hosts.
        tasks, tasks_client, TasksClient
    );
    client!(
        /// Releases.
        releases, releases_client, ReleasesClient
    );
    client!(
        /// Rollouts.
        rollouts, rollouts_client, RolloutsClient
    );
    client!(
        /// Attestation.
        attestation, attestation_client, AttestationClient
    );
    client!(
        /// Hosts that wait for a person.
        enrolments, enrolments_client, EnrolmentsClient
    );
    client!(
        /// Attestation policies.
        policies, policies_client, PoliciesClient
    );
    client!(
        /// What the security role must look at.
        escalations, escalations_client, EscalationsClient
    );
    client!(
        /// Checklists.
        checklists, checklists_client, ChecklistsClient
    );
    client!(
        /// Recoveries of hosts.
        recoveries, recoveries_client, RecoveriesClient
    );
    client!(
        /// Times in which nothing is changed.
        freezes, freezes_client, FreezesClient
    );
    client!(
        /// What people are told without asking.
        alerts, alerts_client, AlertsClient
    );
    client!(
        /// Times in which no alert speaks of some hosts.
        silences, silences_client, SilencesClient
    );
    client!(
        /// The audit log.
        audit, audit_client, AuditClient
    );
    client!(
        /// Content-addressed bytes.
        blobs, blobs_client, BlobsClient
    );
}

async fn connect(route: &Route) -> Result<Channel, Failure> {
    match route {
        Route::Tls(context) => secured(context).await,
        #[cfg(test)]
        Route::Plain(address) => tonic::transport::Endpoint::from_shared(address.clone())
            .expect("an address")
            .connect()
            .await
            .map_err(|error| Failure::new(Exit::Unreachable, "no answer").because_of(&error)),
    }
}

async fn secured(context: &Context) -> Result<Channel, Failure> {
    let entry = &context.entry;
    let unusable = |error: TlsFileError| unusable_files(context, &error);
    private(context)?;
    let pem = |path: &Path| tls::read_file(path).map_err(unusable);
    let (ca, cert, key) = (pem(&entry.ca_file)?, pem(&entry.cert_file)?, pem(&entry.key_file)?);
    let config = tls::client_config(&ca, &cert, &key).map_err(unusable)?;
    let dialed = dial(&entry.endpoint, config).await.map_err(|error| unreachable(context, &error))?;
    Ok(dialed.channel)
}

/// A key that others can read is theirs as well. One that is not there is told of when it is read.
fn private(context: &Context) -> Result<(), Failure> {
    let path = &context.entry.key_file;
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & OF_OTHERS != 0) {
        let sentence = format!("others can read the key of context `{}`, so it is not used", context.name);
        return Err(Failure::new(Exit::Denied, sentence).nothing_changed().fix(format!(
            "make it yours alone, and have a new one issued if it was not:  chmod 600 {}",
            path.display()
        )));
    }
    Ok(())
}

fn unusable_files(context: &Context, error: &TlsFileError) -> Failure {
    Failure::new(Exit::Denied, format!("the certificate files of context `{}` cannot be used", context.name))
        .because_of(error)
        .nothing_changed()
        .fix("see which files are used:  flota context show")
}

fn unreachable(context: &Context, error: &DialError) -> Failure {
    if let Some(alert) = tls_refusal(error) {
        return Failure::refused_certificate(alert);
    }
    let Context { name, entry } = context;
    let (sentence, fix) = match error {
        DialError::Address(_) => {
            let fix = "flota context add NAME --endpoint https://HOST:PORT ... --force";
            return Failure::new(Exit::Usage, error.to_string()).nothing_changed().fix(fix);
        }
        DialError::Handshake { .. } if refused_by_us(error) => (
            format!("the server at {} does not prove to be the controller of context `{name}`", entry.endpoint),
            "check that ca_file is this fleet's CA, and that nobody sits in between:  flota context show",
        ),
        _ => (
            format!("the controller of context `{name}` cannot be reached at {}", entry.endpoint),
            "check that it runs, and the way to it; the bots go on trading without it",
        ),
    };
    Failure::new(Exit::Unreachable, sentence).because_of(error).nothing_changed().fix(fix)
}

/// Whether it was us who did not accept the server's certificate.
fn refused_by_us(error: &DialError) -> bool {
    let DialError::Handshake { source, .. } = error else { return false };
    let tls = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

#[cfg(test)]
mod tests;
