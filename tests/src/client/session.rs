//! A session with the Fleet listener, message by message.

use std::time::Duration;

use anyhow::{Context as _, bail};
use flota_net::dial::dial_with_exporter;
use flota_proto::v1;
use flota_proto::v1::agent_message::Body as Up;
use flota_proto::v1::agent_session_client::AgentSessionClient;
use flota_proto::v1::controller_message::Body as Down;
use flota_seal::binding::{EXPORTER_LABEL, QuoteFields};
use flota_tpm::Tpm;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::client_config;
use super::enrolment::Member;
use crate::controller::Controller;

/// A controller answers in milliseconds; this is for a machine that compiles beside it.
const ANSWER_BOUND: Duration = Duration::from_mins(1);
/// Often enough for a controller that asks for a sign of life every two seconds.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Messages on their way.
const QUEUE: usize = 16;
/// What this host says of itself.
const CLAIMS: &[u8] = br#"{"generation":null,"phase":"committed","running":null}"#;

/// A session that has been greeted.
#[derive(Debug)]
pub struct FleetSession {
    up: mpsc::Sender<v1::AgentMessage>,
    down: Streaming<v1::ControllerMessage>,
    /// What the controller binds evidence to that it is sent here.
    pub bound: Bound,
}

/// Host, certificate and connection, as the controller knows them.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Id of the host.
    pub host_id: String,
    /// SHA-256 of the certificate.
    pub certificate_sha256: [u8; 32],
    /// Keying material of the connection.
    pub exporter: [u8; 32],
}

/// A connection to the Fleet listener with this certificate and the TPM's key, for any RPC.
pub async fn fleet_channel(controller: &Controller, member: &Member, tpm: &Tpm) -> anyhow::Result<Channel> {
    let tls = client_config(controller, Some((&member.certificate, tpm)))?;
    Ok(dial_with_exporter(&controller.fleet, tls, EXPORTER_LABEL).await?.channel)
}

impl FleetSession {
    /// Connects with this certificate and the TPM's key, and says hello.
    pub async fn connect(controller: &Controller, member: &Member, tpm: &Tpm) -> anyhow::Result<Self> {
        let tls = client_config(controller, Some((&member.certificate, tpm)))?;
        let dialed = dial_with_exporter(&controller.fleet, tls, EXPORTER_LABEL).await?;
        let (up, messages) = mpsc::channel(QUEUE);
        up.send(message(Up::Hello(v1::Hello { agent_version: "0".to_owned(), ..v1::Hello::default() }))).await?;
        let mut client = AgentSessionClient::new(dialed.channel);
        let down = client.connect(ReceiverStream::new(messages)).await?.into_inner();
        let bound = Bound {
            host_id: member.host_id.clone(),
            certificate_sha256: Sha256::digest(&member.certificate).into(),
            exporter: dialed.exporter,
        };
        Ok(Self { up, down, bound })
    }

    /// Sends a message.
    pub async fn send(&self, body: Up) -> anyhow::Result<()> {
        Ok(self.up.send(message(body)).await?)
    }

    /// The next challenge; everything before it is passed over.
    pub async fn challenge(&mut self) -> anyhow::Result<v1::Challenge> {
        loop {
            if let Down::Challenge(challenge) = self.next().await? {
                return Ok(challenge);
            }
        }
    }

    /// Sends evidence and waits for the verdict on it.
    pub async fn judge(&mut self, evidence: v1::Evidence) -> anyhow::Result<v1::Verdict> {
        let id = evidence.challenge_id.clone();
        self.send(Up::Evidence(evidence)).await?;
        loop {
            match self.next().await? {
                Down::Verdict(verdict) if verdict.challenge_id == id => return Ok(verdict),
                Down::Verdict(verdict) => bail!("a verdict on another challenge: {verdict:?}"),
                _ => {}
            }
        }
    }

    /// Answers the next challenge honestly.
    pub async fn attest(&mut self, tpm: &Tpm) -> anyhow::Result<v1::Verdict> {
        let challenge = self.challenge().await?;
        let evidence = evidence(tpm, &self.bound, &challenge)?;
        self.judge(evidence).await
    }

    /// The next message, while signs of life keep the session going.
    pub async fn next(&mut self) -> anyhow::Result<Down> {
        let started = tokio::time::Instant::now();
        while started.elapsed() < ANSWER_BOUND {
            match tokio::time::timeout(HEARTBEAT, self.down.message()).await {
                Ok(Ok(Some(v1::ControllerMessage { body: Some(body) }))) => return Ok(body),
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) => bail!("the controller ended the session"),
                Ok(Err(status)) => return Err(status.into()),
                Err(_) => self.send(Up::Heartbeat(v1::Heartbeat {})).await?,
            }
        }
        bail!("no message within {} s", ANSWER_BOUND.as_secs())
    }

    /// How the controller ends the session; everything before that is passed over.
    pub async fn end(&mut self) -> anyhow::Result<Option<Status>> {
        loop {
            match tokio::time::timeout(ANSWER_BOUND, self.down.message()).await.context("the session goes on")? {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(status) => return Ok(Some(status)),
            }
        }
    }
}

/// An honest quote over a challenge.
pub fn evidence(tpm: &Tpm, bound: &Bound, challenge: &v1::Challenge) -> anyhow::Result<v1::Evidence> {
    let qualifying = QuoteFields {
        nonce: &challenge.nonce,
        challenge_id: &challenge.id,
        host_id: &bound.host_id,
        certificate_sha256: &bound.certificate_sha256,
        exporter: &bound.exporter,
        claims: CLAIMS,
    }
    .qualifying();
    let pcrs = challenge.pcrs.iter().map(|index| u8::try_from(*index)).collect::<Result<Vec<u8>, _>>()?;
    let quote = tpm.quote(qualifying, &pcrs)?;
    Ok(v1::Evidence {
        challenge_id: challenge.id.clone(),
        attest: quote.attest,
        signature: quote.signature,
        pcr_values: pcr_values(&quote.pcr_values),
        claims: CLAIMS.to_vec(),
        ..v1::Evidence::default()
    })
}

/// PCR values as the wire carries them.
pub(super) fn pcr_values(values: &[(u8, [u8; 32])]) -> Vec<v1::PcrValue> {
    values.iter().map(|(index, value)| v1::PcrValue { index: u32::from(*index), value: value.to_vec() }).collect()
}

fn message(body: Up) -> v1::AgentMessage {
    v1::AgentMessage { body: Some(body) }
}
