//! Enrolment tokens over the wire.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use flota_model::host::KeyStorage;
use flota_model::{HostName, Labels, TokenId};
use flota_proto::v1;
use flota_proto::v1::tokens_server::Tokens;
use flota_seal::binding;
use flota_store::{Admits, Approval, NewToken, TokenKey};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::{access, view};
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Life of a token unless told otherwise: long enough to walk to a rack.
const DEFAULT_TTL: Duration = Duration::from_hours(1);
/// Longest life: an open token is an open door.
const MAX_TTL_SECONDS: u32 = 30 * 24 * 60 * 60;
/// Random bytes of a token's secret half: beyond guessing.
const SECRET_BYTES: usize = 32;
/// Random bytes of its public half.
const ID_BYTES: usize = 6;

/// The service.
pub struct TokensService(pub Arc<Core>);

#[tonic::async_trait]
impl Tokens for TokensService {
    async fn create(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let core = &self.0;
        let actor = access::principal(&request)?.actor();
        let v1::CreateTokenRequest { host_name, labels, ttl_seconds, approval, software_key } = request.into_inner();
        if software_key && !core.settings.allow_software_keys {
            return Err(Fault::new(Code::WrongState, "this controller admits hosts with a TPM only")
                .fix("allow_software_keys = true in controller.toml")
                .into());
        }
        let host_name: Option<HostName> = match host_name.as_str() {
            "" => None,
            name => Some(name.parse().map_err(Fault::bad)?),
        };
        let labels = Labels::try_from(labels).map_err(Fault::bad)?;
        let ttl = match ttl_seconds {
            0 => DEFAULT_TTL,
            seconds if seconds <= MAX_TTL_SECONDS => Duration::from_secs(u64::from(seconds)),
            _ => return Err(Fault::new(Code::BadRequest, "a token lives 30 days at most").into()),
        };
        let (id, text) = new_token()?;
        let (now, details) = (
            core.now(),
            json!({ "host": host_name, "labels": labels, "approval": approval, "software_key": software_key }),
        );
        let token = NewToken {
            id: id.clone(),
            key: TokenKey(*binding::token_key(&text)),
            host_name: host_name.clone(),
            labels,
            expires_at: now.plus(ttl),
            created_by: actor.clone(),
            created_at: now,
            admits: Admits {
                approval: if approval { Approval::Needed } else { Approval::NotNeeded },
                key_storage: if software_key { KeyStorage::File } else { KeyStorage::Tpm },
            },
        };
        let audit = core.audit_by(&actor, "token.create", format!("token/{id}"), "ok", &details);
        if !core.store.create_token(&token, &audit).await.map_err(Fault::from)? {
            let name = host_name.map(|name| name.to_string()).unwrap_or_default();
            return Err(Fault::new(Code::NameTaken, format!("a host or an open token has the name `{name}` already"))
                .fix("choose another name, revoke the open token (flota token list), or enrol a known host again with a token without a name")
                .into());
        }
        Ok(Response::new(v1::CreateTokenResponse {
            token: text,
            id: id.to_string(),
            expires_at: token.expires_at.to_string(),
        }))
    }

    async fn list(&self, _: Request<v1::ListTokensRequest>) -> Result<Response<v1::ListTokensResponse>, Status> {
        let tokens = self.0.store.tokens(self.0.now()).await.map_err(Fault::from)?;
        Ok(Response::new(v1::ListTokensResponse { tokens: tokens.iter().map(view::token).collect() }))
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let actor = access::principal(&request)?.actor();
        let id: TokenId = request.into_inner().id.parse().map_err(Fault::bad)?;
        let audit = self.0.audit_by(&actor, "token.revoke", format!("token/{id}"), "ok", &json!({}));
        if self.0.store.revoke_token(&id, &audit).await.map_err(Fault::from)? {
            return Ok(Response::new(v1::RevokeTokenResponse {}));
        }
        Err(Fault::new(Code::WrongState, format!("token {id} is not open")).fix("flota token list").into())
    }
}

/// `flt_<id>_<secret>`: recognisable in a leak, and the id in it is all that is ever listed.
fn new_token() -> Result<(TokenId, String), Fault> {
    let random = SystemRandom::new();
    let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
    let no_randomness = |_| Fault::new(Code::Unavailable, "the system gives no random numbers");
    random.fill(&mut id).map_err(no_randomness)?;
    random.fill(&mut secret).map_err(no_randomness)?;
    let id: TokenId = hex::encode(id).parse().map_err(|error| Fault::new(Code::Bug, "a token id").because(error))?;
    let text = format!("flt_{id}_{}", hex::encode(secret));
    Ok((id, text))
}
