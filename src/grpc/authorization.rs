//! `AuthorizationService`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Request, Response, Status, Streaming};
use tracing::Instrument;

use super::caller::{Presented, caller_with};
use super::health::Readiness;
use super::{convert, status};
use crate::authorize::Engine;
use crate::clock::Clock;
use crate::domain::{Actor, Caller, ControlPermission, Instances, WorkspaceId};
use crate::manage::Violation;
use crate::proto::authorization_service_server::AuthorizationService;
use crate::proto::authorize_result::Result as Outcome;
use crate::proto::{
    AuthorizeRequest, AuthorizeResponse, AuthorizeResult, BatchAuthorizeRequest,
    BatchAuthorizeResponse, StreamAuthorizeRequest, StreamAuthorizeResponse,
};

/// The most questions of a batch.
const MAX_BATCH: usize = 256;
/// How many questions of one call are under way at once. What a client sends beyond waits in its own
/// buffers.
const CONCURRENT: usize = 32;
/// How many questions of all batches and streams are decided on at once, so that they leave room for
/// calls that ask one.
pub(super) const MAX_AT_ONCE: usize = 16;

#[derive(Clone, Debug)]
pub(super) struct AuthorizationServer {
    pub(super) engine: Arc<Engine>,
    pub(super) instances: Arc<Instances>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) readiness: watch::Receiver<Readiness>,
    /// Of [`MAX_AT_ONCE`].
    pub(super) permits: Arc<Semaphore>,
}

impl AuthorizationServer {
    async fn answer(
        &self,
        caller: &Caller,
        request: &AuthorizeRequest,
    ) -> Result<AuthorizeResponse, Status> {
        let workspace = convert::optional_name::<WorkspaceId>(&request.workspace);
        if let Some(Ok(workspace)) = &workspace {
            caller.require_scope(workspace)?;
        }
        let asked = convert::asked(request, workspace)?;
        let question = asked.question(request, caller.scope(), &self.instances);
        let found = self.engine.find(&question, asked.consistency).await?;
        let decision = self.engine.decide(&question, &found);
        tracing::debug!(
            workspace = decision.workspace.map(tracing::field::display),
            key = decision.key.map(|key| tracing::field::display(&key.id)),
            verdict = ?decision.verdict,
            "decided"
        );
        let now = self.clock.now();
        Ok(convert::authorize_response(&decision, &self.instances, now))
    }

    /// What becomes of one question of many: whatever that is, it is this question's own.
    async fn result(&self, caller: &Caller, request: &AuthorizeRequest) -> AuthorizeResult {
        // It is never closed.
        let _permit = self.permits.acquire().await;
        let answer = AssertUnwindSafe(self.answer(caller, request)).catch_unwind();
        // The panic hook has logged where.
        result_of(answer.await.unwrap_or_else(|_panic| Err(status::internal())))
    }

    /// What becomes of one question of a stream. An error ends the stream.
    async fn streamed(
        &self,
        presented: Presented,
        question: Result<StreamAuthorizeRequest, Status>,
    ) -> Result<StreamAuthorizeResponse, Status> {
        let StreamAuthorizeRequest { request } = question?;
        let result = match self.again(presented).await {
            Ok(caller) => self.result(&caller, &request.unwrap_or_default()).await,
            // That the caller cannot be asked about now is no more than this question's fault.
            Err(passing) if passing.code() == Code::Unavailable => result_of(Err(passing)),
            Err(refused) => return Err(refused),
        };
        Ok(StreamAuthorizeResponse { result: Some(result) })
    }

    /// The caller of a stream, who may no longer be good.
    async fn again(&self, presented: Presented) -> Result<Caller, Status> {
        let _permit = self.permits.acquire().await;
        let Presented { credential, address } = presented;
        let caller = self.engine.authenticate(credential, address, Actor::Nobody).await?;
        caller.require(ControlPermission::Authorize)?;
        Ok(caller)
    }
}

#[tonic::async_trait]
impl AuthorizationService for AuthorizationServer {
    async fn authorize(
        &self,
        request: Request<AuthorizeRequest>,
    ) -> Result<Response<AuthorizeResponse>, Status> {
        let caller = caller_with(&request, ControlPermission::Authorize)?;
        Ok(Response::new(self.answer(&caller, request.get_ref()).await?))
    }

    async fn batch_authorize(
        &self,
        request: Request<BatchAuthorizeRequest>,
    ) -> Result<Response<BatchAuthorizeResponse>, Status> {
        let caller = caller_with(&request, ControlPermission::Authorize)?;
        let BatchAuthorizeRequest { requests } = request.into_inner();
        if requests.len() > MAX_BATCH {
            let wrong = format_args!("must not have more than {MAX_BATCH} items");
            return Err(Violation::new("requests", wrong).into());
        }
        let caller = &caller;
        let results = stream::iter(requests)
            .map(async |request| self.result(caller, &request).await)
            .buffered(CONCURRENT)
            .collect()
            .await;
        Ok(Response::new(BatchAuthorizeResponse { results }))
    }

    type StreamAuthorizeStream = BoxStream<'static, Result<StreamAuthorizeResponse, Status>>;

    async fn stream_authorize(
        &self,
        request: Request<Streaming<StreamAuthorizeRequest>>,
    ) -> Result<Response<Self::StreamAuthorizeStream>, Status> {
        caller_with(&request, ControlPermission::Authorize)?;
        let presented = Presented::of(&request)?;
        let questions = until_drained(request.into_inner(), self.readiness.clone());
        let server = self.clone();
        // Each in a task of its own: nobody polls a body whose client does not read it, and a decision
        // that stood still would keep its connection to the database.
        let answers = questions.map(move |question| {
            let server = server.clone();
            let answer = async move { server.streamed(presented, question).await };
            let task = AbortOnDropHandle::new(tokio::spawn(answer.in_current_span()));
            task.map(|ended| ended.unwrap_or_else(|_panic| Err(status::internal())))
        });
        Ok(Response::new(answers.buffered(CONCURRENT).boxed()))
    }
}

fn result_of(answer: Result<AuthorizeResponse, Status>) -> AuthorizeResult {
    let outcome = match answer {
        Ok(response) => Outcome::Response(response),
        Err(error) => Outcome::Error(status::to_message(&error)),
    };
    AuthorizeResult { result: Some(outcome) }
}

/// What a client sends until the server shuts down, which is its last word.
fn until_drained<T: Send + 'static>(
    incoming: Streaming<T>,
    readiness: watch::Receiver<Readiness>,
) -> impl Stream<Item = Result<T, Status>> + Send {
    stream::unfold(Some((incoming, readiness)), async |open| {
        let (mut incoming, mut readiness) = open?;
        let draining = async |readiness: &mut watch::Receiver<Readiness>| {
            // Without a sender there is no server any more.
            readiness.wait_for(|now| *now == Readiness::Draining).await.is_ok()
        };
        tokio::select! {
            _ = draining(&mut readiness) => Some((Err(status::draining()), None)),
            message = incoming.next() => Some((message?, Some((incoming, readiness)))),
        }
    })
}
