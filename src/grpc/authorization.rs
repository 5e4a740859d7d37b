//! `AuthorizationService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::caller::caller_with;
use super::convert;
use crate::authorize::Engine;
use crate::clock::Clock;
use crate::domain::{ControlPermission, Instances, WorkspaceId};
use crate::proto::authorization_service_server::AuthorizationService;
use crate::proto::{AuthorizeRequest, AuthorizeResponse};

#[derive(Debug)]
pub(super) struct AuthorizationServer {
    pub(super) engine: Arc<Engine>,
    pub(super) instances: Arc<Instances>,
    pub(super) clock: Arc<dyn Clock>,
}

#[tonic::async_trait]
impl AuthorizationService for AuthorizationServer {
    async fn authorize(
        &self,
        request: Request<AuthorizeRequest>,
    ) -> Result<Response<AuthorizeResponse>, Status> {
        let caller = caller_with(&request, ControlPermission::Authorize)?;
        let request = request.into_inner();
        let workspace = convert::optional_name::<WorkspaceId>(&request.workspace);
        if let Some(Ok(workspace)) = &workspace {
            caller.require_scope(workspace)?;
        }
        let asked = convert::asked(&request, workspace)?;
        let question = asked.question(&request, caller.scope(), &self.instances);
        let subject = self.engine.find(&question).await?;
        let decision = self.engine.decide(&question, subject.as_ref());
        tracing::debug!(
            workspace = decision.workspace.map(tracing::field::display),
            key = decision.key.map(|key| tracing::field::display(&key.name)),
            verdict = ?decision.verdict,
            "decided"
        );
        let now = self.clock.now();
        Ok(Response::new(convert::authorize_response(&decision, &self.instances, now)))
    }
}
