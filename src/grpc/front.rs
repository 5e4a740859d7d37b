//! Where requests come in, and on which runtime each is answered.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryFutureExt;
use http::{Method, Request, Response};
use http_body::Body;
use prost::Message;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::{Service, ServiceExt};
use tracing::field;

use super::authorization::AuthorizationServer;
use super::guard::{Admitted, Guard, Origin};
use super::reply::{Replayed, Reply, only_message};
use super::{MAX_AUTHORIZE_BYTES, status};
use crate::authorize::CallerMemo;
use crate::domain::{Caller, ControlPermission};
use crate::proto::AuthorizeRequest;
use crate::proto::authorization_service_server::AuthorizationServiceServer;

/// The method that is called before every request that anybody serves.
const AUTHORIZE: &str = "/claviger.v1.AuthorizationService/Authorize";

/// All services, behind the guard.
#[derive(Debug)]
pub struct Front {
    guard: Guard,
    /// Answers where the request came in: mostly from memory.
    authorization: AuthorizationServer,
    /// The same for callers of all its methods.
    data: AuthorizationServiceServer<AuthorizationServer>,
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
        let data = AuthorizationServiceServer::new(authorization.clone())
            .max_decoding_message_size(MAX_AUTHORIZE_BYTES);
        Self { guard, authorization, data, control, runtime }
    }

    /// `Authorize`, without what tonic does for methods of every kind. Whatever is not as plain as it
    /// mostly is, is left to tonic.
    async fn authorize<B: Incoming>(
        &self,
        mut request: Request<B>,
        admitted: Option<Admitted>,
    ) -> Result<Response<Reply>, Status> {
        let is_plain =
            *request.method() == Method::POST && !request.headers().contains_key("grpc-encoding");
        let body = request.body_mut();
        let first = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        let first = first.and_then(Result::ok);
        let only = first.as_ref().and_then(|frame| frame.data_ref());
        let only = only.filter(|_| is_plain && body.is_end_stream());
        let message = only.and_then(|body| only_message(body, MAX_AUTHORIZE_BYTES));
        let question = message.and_then(|message| AuthorizeRequest::decode(message).ok());
        if let (Some(question), Some(Admitted { caller, .. })) = (question, &admitted) {
            may_authorize(caller)?;
            return Ok(Reply::message(&self.authorization.answer(caller, &question).await?));
        }
        let request = request.map(|rest| tonic::body::Body::new(Replayed { first, rest }));
        self.by_tonic(request, admitted).await
    }

    /// A method of `AuthorizationService`.
    async fn by_tonic(
        &self,
        request: Request<tonic::body::Body>,
        admitted: Option<Admitted>,
    ) -> Result<Response<Reply>, Status> {
        let mut service = self.data.clone();
        answered(service.call(Admitted::noted(admitted, request))).await
    }
}

/// Checks that a caller may ask whether a key may do something.
pub(super) fn may_authorize(caller: &Caller) -> Result<(), Status> {
    caller.require(ControlPermission::Authorize)?;
    // Nobody could tell who the person is that it acts for.
    caller.refuse_actor()?;
    Ok(())
}

async fn answered<E: Into<Infallible>>(
    answer: impl Future<Output = Result<Response<tonic::body::Body>, E>>,
) -> Result<Response<Reply>, Status> {
    let answer = answer.map_ok(|response| response.map(Reply::Other)).await;
    answer.map_err(|error| match error.into() {})
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

    /// Answers one of its requests.
    pub async fn answer<B: Incoming>(&self, request: Request<B>) -> Response<Reply> {
        let (front, path) = (&self.front, request.uri().path());
        let is_authorize = path == AUTHORIZE;
        if is_authorize || is_of(AuthorizationServiceServer::<AuthorizationServer>::NAME, path) {
            let span = tracing::debug_span!("rpc", method = %path, code = field::Empty);
            let origin = Origin { address: self.address, memo: Some(&self.memo) };
            return if is_authorize {
                let answer = |request, admitted| front.authorize(request, admitted);
                front.guard.admit(request, origin, span, answer).await
            } else {
                let request = request.map(tonic::body::Body::new);
                let answer = |request, admitted| front.by_tonic(request, admitted);
                front.guard.admit(request, origin, span, answer).await
            };
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
