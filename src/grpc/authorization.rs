//! `AuthorizationService`. Its messages are read where they lie, and its answers encoded from what was
//! decided: see [`RequestView`] and [`Answer`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use prost::Message;
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status, Streaming};

use super::answers::Answers;
use super::caller::{Presented, caller_with, require};
use super::convert::{Answer, Asked, ID_LENGTH, RequestView, encode_answer, encode_item};
use super::health::Readiness;
use super::{convert, status};
use crate::authorize::{CallerMemo, Engine, Found};
use crate::clock::Moment;
use crate::domain::{
    Actor, Caller, ControlPermission, Credential, Instances, Question, Timestamp, WorkspaceId,
};
use crate::manage::Violation;
use crate::proto::authorize_result::Result as Outcome;
use crate::proto::{
    AuthorizeRequest, AuthorizeResult, BatchAuthorizeRequest, StreamAuthorizeRequest,
    StreamAuthorizeResponse,
};

/// The most questions of a batch.
const MAX_BATCH: usize = 256;
/// How many questions of one call are looked up at once. What a client sends beyond waits in its own
/// buffers.
pub(super) const CONCURRENT: usize = 32;

/// What becomes of one question of many: an encoded `StreamAuthorizeResponse`, which is as well one item of a
/// `BatchAuthorizeResponse`.
pub(super) type Item = Bytes;

/// A question of many, and what is remembered of what it is about; or why it is none.
pub(super) type Recalled<'a> = Result<(Asked<'a>, Found), Status>;

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
    pub(super) fn recall<T>(
        &self,
        caller: &Caller,
        view: &RequestView<'_>,
        credential: Credential,
        at: Moment,
        then: impl FnOnce(&Answer<'_>) -> T,
    ) -> Result<Option<T>, Status> {
        let asked = ask(caller, view, credential)?;
        let question = asked.question(caller.scope(), &self.0.instances);
        let found = self.0.engine.recall(&question, asked.consistency, at.uptime);
        Ok(found.map(|found| self.conclude(&question, &found, at.now, then)))
    }

    /// Answers a question.
    async fn answer<T>(
        &self,
        caller: &Caller,
        view: &RequestView<'_>,
        then: impl FnOnce(&Answer<'_>) -> T,
    ) -> Result<T, Status> {
        let asked = ask(caller, view, view.credential())?;
        let question = asked.question(caller.scope(), &self.0.instances);
        let found = self.0.engine.find(&question, asked.consistency).await?;
        Ok(self.conclude(&question, &found, self.moment().now, then))
    }

    fn conclude<T>(
        &self,
        question: &Question<'_>,
        found: &Found,
        now: Timestamp,
        then: impl FnOnce(&Answer<'_>) -> T,
    ) -> T {
        let Parts { engine, instances, readiness: _ } = &*self.0;
        let decision = engine.decide(question, found, now);
        tracing::debug!(
            workspace = decision.workspace.map(tracing::field::display),
            key = decision.key.map(|key| tracing::field::display(&key.id)),
            verdict = ?decision.verdict,
            "decided"
        );
        then(&Answer::new(&decision, instances, now, &mut [0; ID_LENGTH]))
    }

    /// What is remembered of what each of many questions is about, at this moment. Decides nothing yet.
    pub(super) fn recall_all<'a>(
        &self,
        caller: &Caller,
        views: &[RequestView<'a>],
        at: Moment,
    ) -> Vec<Option<Recalled<'a>>> {
        let recall_all = || {
            let credentials: Vec<Credential> = views.iter().map(RequestView::credential).collect();
            self.expect(&credentials);
            let recall = |(view, credential)| match ask(caller, view, credential) {
                Ok(asked) => {
                    let question = asked.question(caller.scope(), &self.0.instances);
                    let engine = &self.0.engine;
                    let found = engine.recall(&question, asked.consistency, at.uptime)?;
                    Some(Ok((asked, found)))
                }
                Err(refused) => Some(Err(refused)),
            };
            views.iter().zip(credentials).map(recall).collect()
        };
        // Each is asked again, alone. The panic hook has logged where.
        let recalled = catch_unwind(AssertUnwindSafe(recall_all));
        recalled.unwrap_or_else(|_panic| views.iter().map(|_| None).collect())
    }

    /// What becomes of one question of many at this instant.
    pub(super) fn conclude_one(
        &self,
        caller: &Caller,
        recalled: Recalled<'_>,
        now: Timestamp,
    ) -> Item {
        let conclude = || {
            let (asked, found) = recalled?;
            let question = asked.question(caller.scope(), &self.0.instances);
            Ok(self.conclude(&question, &found, now, encode_item))
        };
        // The panic hook has logged where.
        let concluded = catch_unwind(AssertUnwindSafe(conclude));
        item_of(concluded.unwrap_or_else(|_panic| Err(status::internal())))
    }

    /// Answers an encoded batch as of this moment, if all that it is about is remembered.
    pub(super) fn recall_batch(
        &self,
        caller: &Caller,
        batch: &[u8],
        at: Moment,
    ) -> Option<Vec<Item>> {
        let views = RequestView::read_batch(batch).filter(|views| views.len() <= MAX_BATCH)?;
        // All of it before anything is decided, and counted.
        let recalled: Option<Vec<_>> = self.recall_all(caller, &views, at).into_iter().collect();
        let conclude = |recalled| self.conclude_one(caller, recalled, at.now);
        Some(recalled?.into_iter().map(conclude).collect())
    }

    /// Prepares to be asked about these credentials; see [`Engine::expect`].
    pub(super) fn expect(&self, credentials: &[Credential]) {
        self.0.engine.expect(credentials);
    }

    /// What becomes of one question of many: whatever that is, it is this question's own.
    async fn item(&self, caller: &Caller, view: &RequestView<'_>) -> Item {
        let item = AssertUnwindSafe(self.answer(caller, view, encode_item)).catch_unwind();
        // The panic hook has logged where.
        item_of(item.await.unwrap_or_else(|_panic| Err(status::internal())))
    }

    /// The caller of a stream at this moment, if it is remembered, and still may ask.
    pub(super) fn recognize(&self, asker: &Asker, at: Moment) -> Option<Caller> {
        let Asker { presented: Presented { credential, address }, memo } = asker;
        let caller = self.0.engine.recognize(*credential, *address, memo, at)?;
        require(&caller, ControlPermission::Authorize).ok()?;
        Some(caller)
    }

    /// What becomes of one question of a stream. An error ends the stream.
    pub(super) async fn streamed(&self, asker: &Asker, message: &[u8]) -> Result<Item, Status> {
        let StreamAuthorizeRequest { request } = decode(message)?;
        let request = request.unwrap_or_default();
        match self.again(asker).await {
            Ok(caller) => Ok(self.item(&caller, &RequestView::from(&request)).await),
            // That the caller cannot be asked about now is no more than this question's fault.
            Err(passing) if passing.code() == Code::Unavailable => Ok(item_of(Err(passing))),
            Err(refused) => Err(refused),
        }
    }

    /// The caller of a stream, who may no longer be good.
    async fn again(&self, asker: &Asker) -> Result<Caller, Status> {
        let Asker { presented: Presented { credential, address }, memo } = asker;
        let engine = &self.0.engine;
        let caller = engine.authenticate(*credential, *address, Actor::Nobody, Some(memo)).await?;
        require(&caller, ControlPermission::Authorize)?;
        Ok(caller)
    }

    /// `Authorize`.
    pub(super) async fn authorize(&self, call: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        let caller = caller_with(&call, ControlPermission::Authorize)?;
        let request: AuthorizeRequest = decode(call.get_ref())?;
        let view = RequestView::from(&request);
        let answer = self.answer(&caller, &view, encode_answer).await?;
        Ok(Response::new(answer))
    }

    /// `BatchAuthorize`.
    pub(super) async fn batch_authorize(
        &self,
        call: Request<Bytes>,
    ) -> Result<Response<Bytes>, Status> {
        let caller = caller_with(&call, ControlPermission::Authorize)?;
        let BatchAuthorizeRequest { requests } = decode(call.get_ref())?;
        if requests.len() > MAX_BATCH {
            let wrong = format_args!("must not have more than {MAX_BATCH} items");
            return Err(Violation::new("requests", wrong).into());
        }
        let views: Vec<RequestView<'_>> = requests.iter().map(RequestView::from).collect();
        let at = self.moment();
        let conclude = |recalled| self.conclude_one(&caller, recalled, at.now);
        let recalled = self.recall_all(&caller, &views, at).into_iter();
        let mut items: Vec<Option<Item>> = recalled.map(|one| one.map(conclude)).collect();
        // What could not be answered at once; mostly nothing.
        let missing = (0..items.len()).filter(|index| items[*index].is_none());
        let missing: Vec<usize> = missing.collect();
        let (caller, views) = (&caller, &views);
        let mut looked_up = stream::iter(missing)
            .map(async |index| (index, self.item(caller, &views[index]).await))
            .buffered(CONCURRENT);
        while let Some((index, item)) = looked_up.next().await {
            items[index] = Some(item);
        }
        let items: Vec<Item> = items.into_iter().flatten().collect();
        Ok(Response::new(items.concat().into()))
    }

    /// `StreamAuthorize`.
    pub(super) fn stream_authorize(
        &self,
        call: Request<Streaming<Bytes>>,
    ) -> Result<Response<Answers>, Status> {
        caller_with(&call, ControlPermission::Authorize)?;
        let asker = Asker { presented: Presented::of(&call)?, memo: CallerMemo::default() };
        let readiness = self.0.readiness.clone();
        Ok(Response::new(Answers::new(call.into_inner(), self.clone(), asker, readiness)))
    }
}

/// What a request of this caller asks.
fn ask<'a>(
    caller: &Caller,
    view: &RequestView<'a>,
    credential: Credential,
) -> Result<Asked<'a>, Status> {
    let workspace = (!view.workspace.is_empty()).then(|| WorkspaceId::id_in(view.workspace));
    if let Some(Ok(workspace)) = &workspace {
        caller.require_scope(workspace)?;
    }
    Ok(convert::asked(view, credential, workspace)?)
}

fn decode<M: Message + Default>(message: &[u8]) -> Result<M, Status> {
    M::decode(message).map_err(|error| status::unreadable(&error))
}

fn item_of(item: Result<Item, Status>) -> Item {
    item.unwrap_or_else(|error| {
        let result = Some(Outcome::Error(status::to_message(&error)));
        let response = StreamAuthorizeResponse { result: Some(AuthorizeResult { result }) };
        response.encode_to_vec().into()
    })
}
