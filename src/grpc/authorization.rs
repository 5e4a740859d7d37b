//! `AuthorizationService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::caller::caller_without_actor;
use super::convert;
use crate::authorize::Engine;
use crate::domain::{ControlPermission, WorkspaceId};
use crate::proto::authorization_service_server::AuthorizationService;
use crate::proto::{AuthorizeRequest, AuthorizeResponse};

#[derive(Debug)]
pub(super) struct AuthorizationServer(pub(super) Arc<Engine>);

#[tonic::async_trait]
impl AuthorizationService for AuthorizationServer {
    async fn authorize(
        &self,
        request: Request<AuthorizeRequest>,
    ) -> Result<Response<AuthorizeResponse>, Status> {
        let caller = caller_without_actor(&request)?;
        caller.require(ControlPermission::Authorize)?;
        let request = request.into_inner();
        let workspace = convert::optional_name::<WorkspaceId>(&request.workspace);
        if let Some(Ok(workspace)) = &workspace {
            caller.require_scope(workspace)?;
        }
        let question = convert::question(&request, workspace.as_ref(), caller.scope())?;
        let subject = self.0.find(question.credential).await?;
        let decision = self.0.decide(&question, subject.as_ref());
        tracing::debug!(
            key = decision.key.map(|key| tracing::field::display(&key.name)),
            verdict = ?decision.verdict,
            "decided"
        );
        Ok(Response::new(decision.into()))
    }
}
