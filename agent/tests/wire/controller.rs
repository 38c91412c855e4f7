//! The controller's part: it verifies as a controller does, keeps what it was sent, and for the rest does what the test
//! says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use flota_proto::v1;
use flota_proto::v1::agent_message::Body as Up;
use flota_proto::v1::controller_message::Body as Down;
use flota_seal::binding::{self, BeginFields, ChallengeFields, QuoteFields};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::ca::{Ca, HOST_ID, Life};
use super::judge::{Keys, pcr_values};
use super::listener::{Clients, Peer, serve};

/// Longest wait for what an agent is about to do.
pub(crate) const BOUND: Duration = Duration::from_secs(40);
/// What every quote is over.
const PCRS: [u32; 2] = [0, 7];

/// What happens to a call, in the order of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is done, and its answer is lost on the way.
    Lost,
    /// It is refused with this code.
    Refused(&'static str),
}

/// What was sent, and what the test has planned.
pub(crate) struct Script {
    pub(crate) begins: Vec<v1::BeginRequest>,
    pub(crate) finishes: Vec<(v1::FinishRequest, [u8; 32])>,
    pub(crate) software: Vec<(v1::EnrolSoftwareKeyRequest, [u8; 32])>,
    pub(crate) begin_fate: VecDeque<Fate>,
    pub(crate) finish_fate: VecDeque<Fate>,
    pub(crate) connect_fate: VecDeque<Fate>,
    pub(crate) connects: usize,
    /// Of the next certificate.
    pub(crate) life: Life,
    pub(crate) status: &'static str,
    ek_roots: String,
    pending: Option<Pending>,
}

struct Pending {
    keys: Arc<Keys>,
    transcript: [u8; 32],
    csr: Vec<u8>,
}

/// The secret inside every credential, and the id of every session.
const SECRET: [u8; 32] = [0x5E; 32];
const SESSION: [u8; 16] = [0x1D; 16];

pub(crate) struct Controller {
    pub(crate) ca: Arc<Ca>,
    pub(crate) enrollment: String,
    pub(crate) fleet: String,
    script: Arc<Mutex<Script>>,
    sessions: AsyncMutex<mpsc::Receiver<Session>>,
    /// Of the host that enrolled last.
    keys: Arc<Mutex<Option<Arc<Keys>>>>,
}

impl Controller {
    /// Trusts TPMs of these vendors, PEM.
    pub(crate) async fn start(ek_roots: String) -> Self {
        let ca = Arc::new(Ca::new());
        let script = Script {
            begins: Vec::new(),
            finishes: Vec::new(),
            software: Vec::new(),
            begin_fate: VecDeque::new(),
            finish_fate: VecDeque::new(),
            connect_fate: VecDeque::new(),
            connects: 0,
            life: Life::Day,
            status: "enrolled",
            ek_roots,
            pending: None,
        };
        let (script, keys) = (Arc::new(Mutex::new(script)), Arc::new(Mutex::new(None)));
        let (opened, sessions) = mpsc::channel(16);
        let desk = Desk { ca: Arc::clone(&ca), script: Arc::clone(&script), keys: Arc::clone(&keys), opened };
        let enrollment = tonic::service::Routes::new(v1::enrollment_server::EnrollmentServer::new(desk.clone()));
        let fleet = tonic::service::Routes::new(
            v1::agent_session_server::AgentSessionServer::new(desk)
                .max_decoding_message_size(flota_proto::MAX_MESSAGE_BYTES),
        );
        let enrollment = serve(&ca, Clients::Anonymous, enrollment).await;
        let fleet = serve(&ca, Clients::Certified, fleet).await;
        Self { ca, enrollment, fleet, script, sessions: AsyncMutex::new(sessions), keys }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// The keys of the host that enrolled last.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        Arc::clone(self.keys.lock().unwrap().as_ref().unwrap())
    }

    /// The next session, after its hello.
    pub(crate) async fn session(&self) -> Session {
        let mut sessions = self.sessions.lock().await;
        let mut session = tokio::time::timeout(BOUND, sessions.recv()).await.unwrap().unwrap();
        assert!(matches!(session.next().await, Up::Hello(_)));
        session
    }

    /// The next session, and the host is told that it is a member.
    pub(crate) async fn welcomed(&self) -> Session {
        let mut session = self.session().await;
        session.send(Down::Welcome(v1::Welcome { heartbeat_seconds: 3600, host_name: "fra-bot-07".into() })).await;
        session
    }
}

/// One stream.
pub(crate) struct Session {
    pub(crate) peer: Peer,
    up: Streaming<v1::AgentMessage>,
    down: mpsc::Sender<Result<v1::ControllerMessage, Status>>,
    challenges: u32,
}

impl Session {
    pub(crate) async fn send(&mut self, body: Down) {
        self.down.send(Ok(v1::ControllerMessage { body: Some(body) })).await.unwrap();
    }

    /// Ends the stream with a refusal.
    pub(crate) async fn refuse(self, code: &str) {
        self.down.send(Err(refused(code))).await.unwrap();
    }

    /// The next message that is no heartbeat.
    pub(crate) async fn next(&mut self) -> Up {
        loop {
            let message = tokio::time::timeout(BOUND, self.up.message()).await.unwrap();
            match message.unwrap().unwrap().body.unwrap() {
                Up::Heartbeat(_) => {}
                body => return body,
            }
        }
    }

    /// Asks for a quote, and gives the evidence back once it is known to be genuine and bound to all it must be.
    pub(crate) async fn quote(&mut self, keys: &Keys, known_boot_log: &[u8]) -> v1::Evidence {
        let (evidence, qualifying) = self.challenge(known_boot_log).await;
        assert_eq!(evidence.failure, "");
        let values = pcr_values(&evidence.pcr_values);
        assert_eq!(values.iter().map(|(index, _)| u32::from(*index)).collect::<Vec<_>>(), PCRS);
        keys.quotes((&evidence.attest, &evidence.signature), &values, qualifying);
        evidence
    }

    /// Asks for a quote; with the evidence comes what it should be bound to.
    pub(crate) async fn challenge(&mut self, known_boot_log: &[u8]) -> (v1::Evidence, [u8; 32]) {
        self.challenges += 1;
        let id = format!("challenge-{}", self.challenges);
        let nonce: [u8; 32] = Sha256::digest(&id).into();
        self.send(Down::Challenge(v1::Challenge {
            id: id.clone(),
            nonce: nonce.to_vec(),
            pcrs: PCRS.to_vec(),
            ttl_seconds: 30,
            known_boot_log: known_boot_log.to_vec(),
        }))
        .await;
        let Up::Evidence(evidence) = self.next().await else { panic!("a challenge is answered with evidence") };
        assert_eq!(evidence.challenge_id, id);
        let certificate = self.peer.certificate.as_ref().unwrap();
        let fields = QuoteFields {
            nonce: &nonce,
            challenge_id: &id,
            host_id: HOST_ID,
            certificate_sha256: &Sha256::digest(certificate).into(),
            exporter: &self.peer.exporter,
            claims: &evidence.claims,
        };
        let qualifying = fields.qualifying();
        (evidence, qualifying)
    }
}

/// The services.
#[derive(Clone)]
struct Desk {
    ca: Arc<Ca>,
    script: Arc<Mutex<Script>>,
    keys: Arc<Mutex<Option<Arc<Keys>>>>,
    opened: mpsc::Sender<Session>,
}

#[tonic::async_trait]
impl v1::enrollment_server::Enrollment for Desk {
    async fn begin(&self, request: Request<v1::BeginRequest>) -> Result<Response<v1::BeginResponse>, Status> {
        let begin = request.into_inner();
        let mut script = self.script.lock().unwrap();
        script.begins.push(begin.clone());
        let fate = script.begin_fate.pop_front();
        let keys = Arc::new(Keys::of(&begin, &script.ek_roots));
        let credential = keys.credential(&SECRET);
        let answer = v1::BeginResponse {
            session_id: SESSION.to_vec(),
            credential_blob: credential.credential_blob,
            encrypted_secret: credential.encrypted_secret,
            certify_nonce: vec![1; 32],
            quote_nonce: vec![2; 32],
            pcrs: PCRS.to_vec(),
            ttl_seconds: 60,
        };
        let transcript = binding::transcript(&begin_fields(&begin), &challenge_fields(&answer));
        script.pending = Some(Pending { keys, transcript, csr: begin.csr });
        by_fate(fate, answer)
    }

    async fn finish(&self, request: Request<v1::FinishRequest>) -> Result<Response<v1::FinishResponse>, Status> {
        let exporter = peer(&request).exporter;
        let finish = request.into_inner();
        let mut script = self.script.lock().unwrap();
        script.finishes.push((finish.clone(), exporter));
        let fate = script.finish_fate.pop_front();
        let (life, status) = (script.life, script.status);
        let Pending { keys, transcript, csr } = script.pending.as_ref().unwrap();
        assert_eq!(
            (&finish.session_id[..], &finish.proof[..]),
            (&SESSION[..], &binding::enrol_proof(&SECRET, transcript)[..])
        );
        let (attest, signature) = (&finish.certify_attest, &finish.certify_signature);
        keys.certifies(attest, signature, binding::certify_qualifying(transcript, &exporter));
        let quote = (finish.quote_attest.as_slice(), finish.quote_signature.as_slice());
        let qualifying = binding::enrol_quote_qualifying(transcript, &exporter);
        keys.quotes(quote, &pcr_values(&finish.pcr_values), qualifying);
        *self.keys.lock().unwrap() = Some(Arc::clone(keys));
        by_fate(fate, self.member(csr, life, status))
    }

    async fn enrol_software_key(
        &self,
        request: Request<v1::EnrolSoftwareKeyRequest>,
    ) -> Result<Response<v1::FinishResponse>, Status> {
        let exporter = peer(&request).exporter;
        let request = request.into_inner();
        let mut script = self.script.lock().unwrap();
        script.software.push((request.clone(), exporter));
        let fate = script.finish_fate.pop_front();
        by_fate(fate, self.member(&request.csr, script.life, script.status))
    }
}

#[tonic::async_trait]
impl v1::agent_session_server::AgentSession for Desk {
    type ConnectStream = ReceiverStream<Result<v1::ControllerMessage, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let peer = peer(&request);
        let fate = {
            let mut script = self.script.lock().unwrap();
            script.connects += 1;
            script.connect_fate.pop_front()
        };
        let (down, stream) = mpsc::channel(16);
        if fate.is_none() {
            // The test may have seen enough sessions.
            let _over = self.opened.send(Session { peer, up: request.into_inner(), down, challenges: 0 }).await;
        }
        by_fate(fate, ReceiverStream::new(stream))
    }

    async fn archive(&self, _: Request<v1::ExportResult>) -> Result<Response<v1::ArchiveResponse>, Status> {
        Ok(Response::new(v1::ArchiveResponse {}))
    }
}

impl Desk {
    fn member(&self, csr: &[u8], life: Life, status: &str) -> v1::FinishResponse {
        v1::FinishResponse {
            host_id: HOST_ID.to_owned(),
            host_name: "fra-bot-07".to_owned(),
            certificate: self.ca.client(csr, life),
            fleet_ca: self.ca.certificate.to_vec(),
            status: status.to_owned(),
        }
    }
}

fn by_fate<T>(fate: Option<Fate>, answer: T) -> Result<Response<T>, Status> {
    match fate {
        None => Ok(Response::new(answer)),
        Some(Fate::Lost) => Err(Status::unavailable("the answer was lost on the way")),
        Some(Fate::Refused(code)) => Err(refused(code)),
    }
}

fn refused(code: &str) -> Status {
    let mut status = Status::permission_denied("the test refuses this");
    status.metadata_mut().insert(flota_proto::CODE_HEADER, code.parse().unwrap());
    status
}

fn peer<T>(request: &Request<T>) -> Peer {
    request.extensions().get::<Peer>().unwrap().clone()
}

/// The fields of a first message that its MAC and the transcript are over.
pub(crate) fn begin_fields(begin: &v1::BeginRequest) -> BeginFields<'_> {
    BeginFields {
        token_id: &begin.token_id,
        ek_certificate: &begin.ek_certificate,
        ek_public: &begin.ek_public,
        ak_public: &begin.ak_public,
        tls_public: &begin.tls_public,
        csr: &begin.csr,
        agent_version: &begin.agent_version,
    }
}

fn challenge_fields(answer: &v1::BeginResponse) -> ChallengeFields<'_> {
    ChallengeFields {
        session_id: &answer.session_id,
        credential_blob: &answer.credential_blob,
        encrypted_secret: &answer.encrypted_secret,
        certify_nonce: &answer.certify_nonce,
        quote_nonce: &answer.quote_nonce,
    }
}
