//! `AuthorizationService`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status, Streaming};

use super::answers::Answers;
use super::caller::{Presented, caller_with, require};
use super::convert::{Asked, credential_of};
use super::health::Readiness;
use super::{convert, status};
use crate::authorize::{CallerMemo, Engine, Found};
use crate::clock::Moment;
use crate::domain::{
    Actor, Caller, ControlPermission, Credential, Instances, Question, Timestamp, WorkspaceId,
};
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
        readiness: watch::Receiver<Readiness>,
    ) -> Self {
        Self(Arc::new(Parts { engine, instances, readiness }))
    }

    /// The present instant.
    pub(super) fn moment(&self) -> Moment {
        self.0.engine.moment()
    }

    /// Answers a question about this credential, its own, as of this moment, if what it is about is
    /// remembered: without waiting for anything.
    pub(super) fn recall(
        &self,
        caller: &Caller,
        request: &AuthorizeRequest,
        credential: Credential,
        at: Moment,
    ) -> Result<Option<AuthorizeResponse>, Status> {
        let asked = ask(caller, request, credential)?;
        let question = asked.question(request, caller.scope(), &self.0.instances);
        let found = self.0.engine.recall(&question, asked.consistency, at.uptime);
        Ok(found.map(|found| self.conclude(&question, &found, at.now)))
    }

    /// Answers a question.
    pub(super) async fn answer(
        &self,
        caller: &Caller,
        request: &AuthorizeRequest,
    ) -> Result<AuthorizeResponse, Status> {
        let asked = ask(caller, request, credential_of(request))?;
        let question = asked.question(request, caller.scope(), &self.0.instances);
        let found = self.0.engine.find(&question, asked.consistency).await?;
        Ok(self.conclude(&question, &found, self.moment().now))
    }

    fn conclude(
        &self,
        question: &Question<'_>,
        found: &Found,
        now: Timestamp,
    ) -> AuthorizeResponse {
        let Parts { engine, instances, readiness: _ } = &*self.0;
        let decision = engine.decide(question, found, now);
        tracing::debug!(
            workspace = decision.workspace.map(tracing::field::display),
            key = decision.key.map(|key| tracing::field::display(&key.id)),
            verdict = ?decision.verdict,
            "decided"
        );
        convert::authorize_response(&decision, instances, now)
    }

    /// What becomes of each of many questions, as of this moment, if what it is about is remembered.
    pub(super) fn recall_all<'r>(
        &self,
        caller: &Caller,
        requests: impl Iterator<Item = &'r AuthorizeRequest> + Clone,
        at: Moment,
    ) -> Vec<Option<AuthorizeResult>> {
        let count = requests.clone().count();
        let recall_all = || {
            let credentials: Vec<Credential> = requests.clone().map(credential_of).collect();
            self.0.engine.expect(&credentials);
            let recall = |(request, credential)| {
                let answer = self.recall(caller, request, credential, at);
                answer.transpose().map(result_of)
            };
            requests.zip(credentials).map(recall).collect()
        };
        // Each is asked again, alone. The panic hook has logged where.
        catch_unwind(AssertUnwindSafe(recall_all)).unwrap_or_else(|_panic| vec![None; count])
    }

    /// What becomes of one question of many: whatever that is, it is this question's own.
    async fn result(&self, caller: &Caller, request: &AuthorizeRequest) -> AuthorizeResult {
        let answer = AssertUnwindSafe(self.answer(caller, request)).catch_unwind();
        // The panic hook has logged where.
        result_of(answer.await.unwrap_or_else(|_panic| Err(status::internal())))
    }

    /// The caller of a stream at this moment, if it is remembered, and still may ask.
    pub(super) fn recognize(&self, asker: &Asker, at: Moment) -> Option<Caller> {
        let Asker { presented: Presented { credential, address }, memo } = asker;
        let caller = self.0.engine.recognize(*credential, *address, memo, at)?;
        require(&caller, ControlPermission::Authorize).ok()?;
        Some(caller)
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
        require(&caller, ControlPermission::Authorize)?;
        Ok(caller)
    }
}

/// What a request of this caller asks.
fn ask<'a>(
    caller: &Caller,
    request: &'a AuthorizeRequest,
    credential: Credential,
) -> Result<Asked<'a>, Status> {
    let named = Some(request.workspace.as_str()).filter(|name| !name.is_empty());
    let workspace = named.map(WorkspaceId::id_in);
    if let Some(Ok(workspace)) = &workspace {
        caller.require_scope(workspace)?;
    }
    Ok(convert::asked(request, credential, workspace)?)
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
        let mut results = self.recall_all(&caller, requests.iter(), self.moment());
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
