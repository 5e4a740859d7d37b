//! Where requests come in, and on which runtime each is answered.

use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use futures_util::TryFutureExt;
use futures_util::future::ready;
use http::{Method, Request, Response};
use http_body::Body;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tonic::server::Grpc;
use tonic::service::Routes;
use tower::{ServiceExt, service_fn};
use tracing::field;

use super::authorization::AuthorizationServer;
use super::caller::{actor, credential, require};
use super::convert::{Answer, RequestView};
use super::guard::{Admitted, Guard, Origin};
use super::raw::Raw;
use super::reply::{Replayed, Reply, only_message};
use super::{MAX_AUTHORIZE_BYTES, status};
use crate::authorize::CallerMemo;
use crate::clock::Moment;
use crate::domain::{Actor, Caller, ControlPermission};
use crate::proto::authorization_service_server;

/// The methods of `AuthorizationService`. The first is called before every request that anybody serves.
const AUTHORIZE: &str = "/claviger.v1.AuthorizationService/Authorize";
const BATCH_AUTHORIZE: &str = "/claviger.v1.AuthorizationService/BatchAuthorize";
const STREAM_AUTHORIZE: &str = "/claviger.v1.AuthorizationService/StreamAuthorize";

/// All services, behind the guard.
#[derive(Debug)]
pub struct Front {
    guard: Guard,
    /// Answers where the request came in: mostly from memory.
    authorization: AuthorizationServer,
    /// Answered on the runtime where the store's connections live, so that no slow query holds up
    /// anything else.
    control: Routes,
    runtime: Handle,
}

impl Front {
    pub(super) fn new(
        guard: Guard,
        authorization: AuthorizationServer,
        control: Routes,
        runtime: Handle,
    ) -> Self {
        Self { guard, authorization, control, runtime }
    }

    /// A method of `AuthorizationService`.
    async fn data(
        &self,
        request: Request<tonic::body::Body>,
        admitted: Option<Admitted>,
    ) -> Result<Response<Reply>, Status> {
        let request = Admitted::noted(admitted, request);
        let mut grpc = Grpc::new(Raw).max_decoding_message_size(MAX_AUTHORIZE_BYTES);
        let server = || self.authorization.clone();
        let response = match request.uri().path() {
            AUTHORIZE => {
                let serve = |call| {
                    let server = server();
                    async move { server.authorize(call).await }
                };
                grpc.unary(service_fn(serve), request).await
            }
            BATCH_AUTHORIZE => {
                let serve = |call| {
                    let server = server();
                    async move { server.batch_authorize(call).await }
                };
                grpc.unary(service_fn(serve), request).await
            }
            STREAM_AUTHORIZE => {
                let serve = |call| ready(server().stream_authorize(call));
                grpc.streaming(service_fn(serve), request).await
            }
            _ => return Err(Status::unimplemented("there is no such method")),
        };
        Ok(response.map(Reply::Other))
    }
}

async fn answered<E: Into<Infallible>>(
    answer: impl Future<Output = Result<Response<tonic::body::Body>, E>>,
) -> Result<Response<Reply>, Status> {
    let answer = answer.map_ok(|response| response.map(Reply::Other)).await;
    answer.map_err(|error| match error.into() {})
}

/// What answers a message of a caller at this moment, if all that it takes is remembered.
type Recall =
    fn(&AuthorizationServer, &Caller, &[u8], Moment) -> Option<Result<Response<Reply>, Status>>;

fn recall_one(
    server: &AuthorizationServer,
    caller: &Caller,
    message: &[u8],
    at: Moment,
) -> Option<Result<Response<Reply>, Status>> {
    let view = RequestView::read(message)?;
    let reply =
        |answer: &Answer<'_>| Reply::message(answer.encoded_len(), |out| answer.encode(out));
    server.recall(caller, &view, at, reply).transpose()
}

fn recall_batch(
    server: &AuthorizationServer,
    caller: &Caller,
    message: &[u8],
    at: Moment,
) -> Option<Result<Response<Reply>, Status>> {
    let items = server.recall_batch(caller, message, at)?;
    Some(Ok(Reply::message(items.len(), |out| out.put(items))))
}

/// The body of a request.
pub trait Incoming:
    Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static
{
}

impl<B> Incoming for B where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static
{
}

/// A connection, as far as its requests have something in common.
#[derive(Debug)]
pub struct Connection {
    front: Arc<Front>,
    address: Option<IpAddr>,
    memo: CallerMemo,
}

impl Connection {
    /// A connection from this address.
    #[must_use]
    pub fn new(front: Arc<Front>, address: Option<IpAddr>) -> Self {
        Self { front, address, memo: CallerMemo::default() }
    }

    /// Answers a request without waiting for anything, if it is for `Authorize` or `BatchAuthorize`, all of it
    /// has come, and all that it takes is remembered. Gives it back otherwise: then nothing has been
    /// decided.
    ///
    /// Nearly all requests are answered here, and cost a fraction of what they would as futures that
    /// are made, moved and polled.
    #[allow(clippy::result_large_err, reason = "the request, which is on its way")]
    pub fn answer_at_once<B: Incoming>(
        &self,
        request: Request<B>,
    ) -> Result<Response<Reply>, Request<Replayed<B>>> {
        let mut request = request.map(Replayed::new);
        let recall = match request.uri().path() {
            AUTHORIZE => recall_one,
            BATCH_AUTHORIZE => recall_batch,
            _ => return Err(request),
        };
        // What is logged of a request is logged in one place.
        if tracing::enabled!(tracing::Level::DEBUG) {
            return Err(request);
        }
        let answer = catch_unwind(AssertUnwindSafe(|| self.recall(&mut request, recall)));
        // The panic hook has logged where.
        match answer.unwrap_or_else(|_panic| Some(Err(status::internal()))) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(status)) => Ok(status.into_http().map(Reply::Other)),
            None => Err(request),
        }
    }

    fn recall<B: Incoming>(
        &self,
        request: &mut Request<Replayed<B>>,
        recall: Recall,
    ) -> Option<Result<Response<Reply>, Status>> {
        let front = &*self.front;
        let headers = request.headers();
        let is_plain = *request.method() == Method::POST && !headers.contains_key("grpc-encoding");
        if !is_plain || actor(headers) != Actor::Nobody {
            return None;
        }
        let at = front.authorization.moment();
        let credential = credential(headers);
        let caller = front.guard.recognize(credential, self.address, &self.memo, at)?;
        let message = only_message(request.body_mut().only()?, MAX_AUTHORIZE_BYTES)?;
        if let Err(refused) = require(&caller, ControlPermission::Authorize) {
            return Some(Err(refused));
        }
        recall(&front.authorization, &caller, message, at)
    }

    /// Answers one of its requests.
    pub async fn answer<B: Incoming>(&self, request: Request<B>) -> Response<Reply> {
        let (front, path) = (&self.front, request.uri().path());
        if is_of(authorization_service_server::SERVICE_NAME, path) {
            let span = tracing::debug_span!("rpc", method = %path, code = field::Empty);
            let origin = Origin { address: self.address, memo: Some(&self.memo) };
            let request = request.map(tonic::body::Body::new);
            let answer = |request, admitted| front.data(request, admitted);
            return front.guard.admit(request, origin, span, answer).await;
        }
        let span = tracing::info_span!("rpc", method = %path, code = field::Empty);
        let (front, address) = (Arc::clone(front), self.address);
        let request = request.map(tonic::body::Body::new);
        let answer = async move {
            let origin = Origin { address, memo: None };
            let service = front.control.clone();
            let answer =
                |request, admitted| answered(service.oneshot(Admitted::noted(admitted, request)));
            front.guard.admit(request, origin, span, answer).await
        };
        let answer = AbortOnDropHandle::new(self.front.runtime.spawn(answer));
        // The runtime is shut down only when everything is.
        answer.await.unwrap_or_else(|_ended| status::internal().into_http().map(Reply::Other))
    }
}

/// Whether a path is that of a method of this service.
fn is_of(service: &str, path: &str) -> bool {
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(service));
    rest.is_some_and(|rest| rest.starts_with('/'))
}
