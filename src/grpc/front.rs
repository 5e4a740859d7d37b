//! Where requests come in, and on which runtime each is answered.

use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
use super::caller::{actor, credential, require};
use super::convert::credential_of;
use super::guard::{Admitted, Guard, Origin};
use super::reply::{Replayed, Reply, only_message};
use super::{MAX_AUTHORIZE_BYTES, status};
use crate::authorize::CallerMemo;
use crate::domain::{Actor, ControlPermission};
use crate::proto::authorization_service_server::AuthorizationServiceServer;
use crate::proto::{AuthorizeRequest, AuthorizeResponse};

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

    /// Answers a request without waiting for anything, if it is for `Authorize`, all of it has come, and all
    /// that it takes is remembered. Gives it back otherwise: then nothing has been decided.
    ///
    /// Nearly all requests are answered here, and cost a fraction of what they would as futures that
    /// are made, moved and polled.
    #[allow(clippy::result_large_err, reason = "the request, which is on its way")]
    pub fn answer_at_once<B: Incoming>(
        &self,
        request: Request<B>,
    ) -> Result<Response<Reply>, Request<Replayed<B>>> {
        let mut request = request.map(Replayed::new);
        // What is logged of a request is logged in one place.
        if request.uri().path() != AUTHORIZE || tracing::enabled!(tracing::Level::DEBUG) {
            return Err(request);
        }
        let answer = catch_unwind(AssertUnwindSafe(|| self.recall(&mut request)));
        // The panic hook has logged where.
        let answer = answer.unwrap_or_else(|_panic| Err(status::internal()));
        match answer {
            Ok(Some(answer)) => Ok(Reply::message(&answer)),
            Ok(None) => Err(request),
            Err(status) => Ok(status.into_http().map(Reply::Other)),
        }
    }

    fn recall<B: Incoming>(
        &self,
        request: &mut Request<Replayed<B>>,
    ) -> Result<Option<AuthorizeResponse>, Status> {
        let front = &*self.front;
        let headers = request.headers();
        let is_plain = *request.method() == Method::POST && !headers.contains_key("grpc-encoding");
        if !is_plain || actor(headers) != Actor::Nobody {
            return Ok(None);
        }
        let at = front.authorization.moment();
        let credential = credential(headers);
        let Some(caller) = front.guard.recognize(credential, self.address, &self.memo, at) else {
            return Ok(None);
        };
        let body = request.body_mut().only();
        let message = body.and_then(|body| only_message(body, MAX_AUTHORIZE_BYTES));
        let question = message.and_then(|message| AuthorizeRequest::decode(message).ok());
        let Some(question) = question else { return Ok(None) };
        require(&caller, ControlPermission::Authorize)?;
        front.authorization.recall(&caller, &question, credential_of(&question), at)
    }

    /// Answers one of its requests.
    pub async fn answer<B: Incoming>(&self, request: Request<B>) -> Response<Reply> {
        let (front, path) = (&self.front, request.uri().path());
        if is_of(AuthorizationServiceServer::<AuthorizationServer>::NAME, path) {
            let span = tracing::debug_span!("rpc", method = %path, code = field::Empty);
            let origin = Origin { address: self.address, memo: Some(&self.memo) };
            let request = request.map(tonic::body::Body::new);
            let answer = |request, admitted| front.by_tonic(request, admitted);
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
