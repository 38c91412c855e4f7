//! Messages between agents, controller and operators.

use flota_model::update::{DesiredState, UpdateReport};
use flota_proto::v1;
use prost::Message;

use crate::Reach;

macro_rules! every_message {
    ($($name:ident)*) => {
        /// Every message of `flota.v1` that stands by itself.
        pub const MESSAGES: &[&str] = &[$(stringify!($name)),*];

        fn decode_as_each(input: &[u8]) -> Reach {
            let mut reach = Reach::Refused;
            $(if round_trip::<v1::$name>(input) == Reach::Accepted { reach = Reach::Accepted; })*
            reach
        }
    };
}

every_message! {
    AbortRecoveryRequest Ack ActivatePolicyRequest AgentMessage Alert AlertReceiver AmendRolloutRequest
    ArchiveResponse AttestationRecord AuditEntry BeginRequest BeginResponse BlobChunk Challenge ChallengeOutcome
    ChallengeRequest ChallengeResponse ChecklistItem ChecklistReport Checkpoint CheckpointRequest ControllerMessage
    CreateFreezeRequest CreateRolloutRequest CreateSilenceRequest CreateTokenRequest CreateTokenResponse DesiredState
    DiffPoliciesRequest DiffPoliciesResponse EndFreezeRequest EndSilenceRequest EnrolSoftwareKeyRequest Escalation
    Evidence ExplainPolicyRequest ExplainPolicyResponse Export ExportHold ExportResult ExportTask FinishRequest
    FinishResponse Forecast Freeze GetBlobRequest GroupForecast HealthCause HealthResult HealthRow HealthTask
    Heartbeat Hello HoldExportsRequest Host HostActionRequest HostChecklist HostDetail HostHealth IndexRequest Label
    LeftOut ListAlertsRequest ListAlertsResponse ListAuditRequest ListAuditResponse ListEnrolmentsRequest
    ListEnrolmentsResponse ListEscalationsRequest ListEscalationsResponse ListExportsRequest ListExportsResponse
    ListFreezesRequest ListFreezesResponse ListHoldsRequest ListHoldsResponse ListHostsRequest ListHostsResponse
    ListPoliciesRequest ListPoliciesResponse ListRecoveriesResponse ListRecoveriesRequest ListReleasesRequest ListReleasesResponse
    ListRolloutsRequest ListRolloutsResponse ListSilencesRequest ListSilencesResponse ListTokensRequest
    ListTokensResponse MetadataFile MetadataRequest ObserveRequest ObserveResponse ObservedPcr ObservedValue PcrState
    PcrValue PendingEnrolment PiecesRequest Ping PingReply PingRequest Policy PolicyActionRequest PolicyDetail
    PolicyRef PolicyRequest Pong ProposePolicyRequest PublishRequest PublishResponse PutBlobHeader PutBlobRequest
    PutBlobResponse Range ReadAuditRequest Recovery RecoveryProof RecoveryStatusRequest RecoveryStep Release
    ReleaseHoldRequest ReleaseWave RenewRequest RenewResponse ResolveEscalationRequest RetirePolicyRequest
    RevokeTokenRequest RevokeTokenResponse Rollout RolloutActionRequest RolloutApproval RolloutDocuments
    RolloutDocumentsRequest RolloutHostsRequest RunRecoveryRequest RunTaskRequest SearchExportsRequest SearchHit
    ShowChecklistRequest ShowHealthRequest ShowHealthResponse ShowHostRequest ShowRolloutRequest Silence
    SimulateRolloutRequest StagePolicyRequest StatBlobRequest StatBlobResponse TakeReceiptRequest TakeReceiptResponse
    Target Task TaskOffer TaskResult TaskStatusRequest TasksResponse Token UpdateReport Verdict VerifyAuditRequest
    VerifyAuditResponse Wave WaveForecast Welcome
}

/// The same bytes as every message: what one refuses another reads. What converts to the model converts back.
pub(crate) fn messages(input: &[u8]) -> Reach {
    let reach = decode_as_each(input);
    if let Some(desired) = v1::DesiredState::decode(input).ok().and_then(|message| DesiredState::try_from(message).ok())
    {
        assert_eq!(DesiredState::try_from(v1::DesiredState::from(&desired)), Ok(desired));
    }
    if let Some(report) = v1::UpdateReport::decode(input).ok().and_then(|message| UpdateReport::try_from(message).ok())
    {
        assert_eq!(UpdateReport::try_from(v1::UpdateReport::from(&report)), Ok(report));
    }
    reach
}

/// Fields that nobody knows are dropped, so only what was decoded once is written and read the same.
fn round_trip<M: Message + Default>(input: &[u8]) -> Reach {
    let Ok(message) = M::decode(input) else { return Reach::Refused };
    let written = message.encode_to_vec();
    assert_eq!(written.len(), message.encoded_len());
    match M::decode(written.as_slice()) {
        Ok(again) => assert_eq!(again.encode_to_vec(), written),
        Err(error) => panic!("what was written cannot be read: {error}"),
    }
    Reach::Accepted
}
