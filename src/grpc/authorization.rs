//! `AuthorizationService`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status, Streaming};

use super::answers::Answers;
use super::caller::{Presented, caller_with};
use super::convert::Asked;
use super::health::Readiness;
use super::{convert, status};
use crate::authorize::{CallerMemo, Engine, Found};
use crate::clock::Clock;
use crate::domain::{Actor, Caller, ControlPermission, Instances, Question, WorkspaceId};
use crate::manage::Violation;
use crate::proto::authorization_service_server::AuthorizationService;
use crate::proto::authorize_result::Result as Outcome;
use crate::proto::{
    AuthorizeRequest, AuthorizeResponse, AuthorizeResult, BatchAuthorizeRequest,
    BatchAuthorizeResponse, StreamAuthorizeRequest, StreamAuthorizeResponse,
};

/// The most questions of a batch.
const MAX_BATCH: usize = 256;
/// How many questions of one call are looked up at once. What a client sends beyond waits in its own
/// buffers.
pub(super) const CONCURRENT: usize = 32;

/// Answers questions: at once if it remembers what they are about.
#[derive(Clone, Debug)]
pub(super) struct AuthorizationServer(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    engine: Arc<Engine>,
    instances: Arc<Instances>,
    clock: Arc<dyn Clock>,
    readiness: watch::Receiver<Readiness>,
}

/// Who asks the questions of a stream, to be asked about anew with each.
#[derive(Debug)]
pub(super) struct Asker {
    presented: Presented,
    memo: CallerMemo,
}

impl AuthorizationServer {
    pub(super) fn new(
        engine: Arc<Engine>,
        instances: Arc<Instances>,
        clock: Arc<dyn Clock>,
        readiness: watch::Receiver<Readiness>,
    ) -> Self {
        Self(Arc::new(Parts { engine, instances, clock, readiness }))
    }

    /// Answers a question, if what it is about is remembered: without waiting for anything.
    pub(super) fn recall(
        &self,
        caller: &Caller,
        request: &AuthorizeRequest,
    ) -> Result<Option<AuthorizeResponse>, Status> {
        let asked = ask(caller, request)?;
        let question = asked.question(request, caller.scope(), &self.0.instances);
        let found = self.0.engine.recall(&question, asked.consistency);
        Ok(found.map(|found| self.conclude(&question, &found)))
    }

    /// Answers a question.
    pub(super) async fn answer(
        &self,
        caller: &Caller,
        request: &AuthorizeRequest,
    ) -> Result<AuthorizeResponse, Status> {
        let asked = ask(caller, request)?;
        let question = asked.question(request, caller.scope(), &self.0.instances);
        let found = self.0.engine.find(&question, asked.consistency).await?;
        Ok(self.conclude(&question, &found))
    }

    fn conclude(&self, question: &Question<'_>, found: &Found) -> AuthorizeResponse {
        let Parts { engine, instances, clock, readiness: _ } = &*self.0;
        let decision = engine.decide(question, found);
        tracing::debug!(
            workspace = decision.workspace.map(tracing::field::display),
            key = decision.key.map(|key| tracing::field::display(&key.id)),
            verdict = ?decision.verdict,
            "decided"
        );
        convert::authorize_response(&decision, instances, || clock.now())
    }

    /// What becomes of one question of many, if what it is about is remembered.
    fn recall_result(
        &self,
        caller: &Caller,
        request: &AuthorizeRequest,
    ) -> Option<AuthorizeResult> {
        let answer = catch_unwind(AssertUnwindSafe(|| self.recall(caller, request).transpose()));
        // The panic hook has logged where.
        answer.unwrap_or_else(|_panic| Some(Err(status::internal()))).map(result_of)
    }

    /// What becomes of one question of many: whatever that is, it is this question's own.
    async fn result(&self, caller: &Caller, request: &AuthorizeRequest) -> AuthorizeResult {
        let answer = AssertUnwindSafe(self.answer(caller, request)).catch_unwind();
        // The panic hook has logged where.
        result_of(answer.await.unwrap_or_else(|_panic| Err(status::internal())))
    }

    /// What becomes of one question of a stream, if all that it takes is remembered.
    pub(super) fn recall_streamed(
        &self,
        asker: &Asker,
        question: &StreamAuthorizeRequest,
    ) -> Option<StreamAuthorizeResponse> {
        let Asker { presented: Presented { credential, address }, memo } = asker;
        let caller = self.0.engine.recognize(*credential, *address, Actor::Nobody, memo)?;
        may_authorize(&caller).ok()?;
        let result = self.recall_result(&caller, question.request.as_ref()?)?;
        Some(StreamAuthorizeResponse { result: Some(result) })
    }

    /// What becomes of one question of a stream. An error ends the stream.
    pub(super) async fn streamed(
        &self,
        asker: &Asker,
        question: &StreamAuthorizeRequest,
    ) -> Result<StreamAuthorizeResponse, Status> {
        let StreamAuthorizeRequest { request } = question;
        let nothing = AuthorizeRequest::default();
        let result = match self.again(asker).await {
            Ok(caller) => self.result(&caller, request.as_ref().unwrap_or(&nothing)).await,
            // That the caller cannot be asked about now is no more than this question's fault.
            Err(passing) if passing.code() == Code::Unavailable => result_of(Err(passing)),
            Err(refused) => return Err(refused),
        };
        Ok(StreamAuthorizeResponse { result: Some(result) })
    }

    /// The caller of a stream, who may no longer be good.
    async fn again(&self, asker: &Asker) -> Result<Caller, Status> {
        let Asker { presented: Presented { credential, address }, memo } = asker;
        let engine = &self.0.engine;
        let caller = engine.authenticate(*credential, *address, Actor::Nobody, Some(memo)).await?;
        may_authorize(&caller)?;
        Ok(caller)
    }
}

/// Checks that a caller may ask whether a key may do something.
pub(super) fn may_authorize(caller: &Caller) -> Result<(), Status> {
    caller.require(ControlPermission::Authorize)?;
    // Nobody could tell who the person is that it acts for.
    caller.refuse_actor()?;
    Ok(())
}

/// What a request of this caller asks.
fn ask<'a>(caller: &Caller, request: &'a AuthorizeRequest) -> Result<Asked<'a>, Status> {
    let named = Some(request.workspace.as_str()).filter(|name| !name.is_empty());
    let workspace = named.map(WorkspaceId::id_in);
    if let Some(Ok(workspace)) = &workspace {
        caller.require_scope(workspace)?;
    }
    Ok(convert::asked(request, workspace)?)
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
        let mut results: Vec<Option<AuthorizeResult>> =
            requests.iter().map(|request| self.result(&caller, request).now_or_never()).collect();
        // What could not be answered at once; mostly nothing.
        let missing = (0..results.len()).filter(|index| results[*index].is_none());
        let missing: Vec<usize> = missing.collect();
        let (caller, requests) = (&caller, &requests);
        let mut looked_up = stream::iter(missing)
            .map(async |index| (index, self.result(caller, &requests[index]).await))
            .buffered(CONCURRENT);
        while let Some((index, result)) = looked_up.next().await {
            results[index] = Some(result);
        }
        let results = results.into_iter().flatten().collect();
        Ok(Response::new(BatchAuthorizeResponse { results }))
    }

    type StreamAuthorizeStream = Answers;

    async fn stream_authorize(
        &self,
        request: Request<Streaming<StreamAuthorizeRequest>>,
    ) -> Result<Response<Self::StreamAuthorizeStream>, Status> {
        caller_with(&request, ControlPermission::Authorize)?;
        let asker = Asker { presented: Presented::of(&request)?, memo: CallerMemo::default() };
        let readiness = self.0.readiness.clone();
        let answers = Answers::new(request.into_inner(), self.clone(), asker, readiness);
        Ok(Response::new(answers))
    }
}

fn result_of(answer: Result<AuthorizeResponse, Status>) -> AuthorizeResult {
    let outcome = match answer {
        Ok(response) => Outcome::Response(response),
        Err(error) => Outcome::Error(status::to_message(&error)),
    };
    AuthorizeResult { result: Some(outcome) }
}
