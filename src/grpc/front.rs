//! Where requests come in, and on which runtime each is answered.

use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryFutureExt;
use futures_util::future::ready;
use http::{Method, Request, Response};
use http_body::Body;
use tokio::runtime::Handle;
use tokio::time::timeout;
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
use crate::domain::{Actor, Caller, ControlPermission, Credential};
use crate::proto::authorization_service_server;

/// The methods of `AuthorizationService`. The first is called before every request that anybody serves.
const AUTHORIZE: &str = "/claviger.v1.AuthorizationService/Authorize";
const BATCH_AUTHORIZE: &str = "/claviger.v1.AuthorizationService/BatchAuthorize";
const STREAM_AUTHORIZE: &str = "/claviger.v1.AuthorizationService/StreamAuthorize";

/// How long after its headers a message may come and still be answered as most are.
const SOON: Duration = Duration::from_millis(10);

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
            _ => return Err(status::unknown_method()),
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

    /// The credential that a request is about, if it is for `Authorize`, all of it has come, and it is plain.
    pub fn credential_in<B: Incoming>(request: &mut Request<Replayed<B>>) -> Option<Credential> {
        if request.uri().path() != AUTHORIZE {
            return None;
        }
        let read = || Some(RequestView::read(message_in(request)?)?.credential());
        // Whoever answers it comes to the same. The panic hook has logged where.
        catch_unwind(AssertUnwindSafe(read)).unwrap_or(None)
    }

    /// Prepares to be asked about these credentials: each of many costs less then.
    pub fn expect(&self, credentials: &[Credential]) {
        self.front.authorization.expect(credentials);
    }

    /// Answers a request without waiting for anything, if it is for `Authorize` or `BatchAuthorize`, all of it
    /// has come, and all that it takes is remembered. Gives it back otherwise: then nothing has been
    /// decided. `credential` is the one [in it](Self::credential_in).
    ///
    /// Nearly all requests are answered here, and cost a fraction of what they would as futures that
    /// are made, moved and polled.
    #[allow(clippy::result_large_err, reason = "the request, which is on its way")]
    pub fn answer_at_once<B: Incoming>(
        &self,
        mut request: Request<Replayed<B>>,
        credential: Option<Credential>,
    ) -> Result<Response<Reply>, Request<Replayed<B>>> {
        // What is logged of a request is logged in one place.
        if tracing::enabled!(tracing::Level::DEBUG) {
            return Err(request);
        }
        let recall = || match (request.uri().path(), credential) {
            (AUTHORIZE, Some(credential)) => self.recall(&mut request, credential),
            (BATCH_AUTHORIZE, _) => self.recall_batch(&mut request),
            _ => None,
        };
        let answer = catch_unwind(AssertUnwindSafe(recall));
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
        credential: Credential,
    ) -> Option<Result<Response<Reply>, Status>> {
        let server = &self.front.authorization;
        let at = server.moment();
        let caller = self.recognize(request, at)?;
        let view = RequestView::read(message_in(request)?)?;
        let reply =
            |answer: &Answer<'_>| Reply::message(answer.encoded_len(), |out| answer.encode(out));
        let answer = caller.and_then(|caller| server.recall(&caller, &view, credential, at, reply));
        answer.transpose()
    }

    fn recall_batch<B: Incoming>(
        &self,
        request: &mut Request<Replayed<B>>,
    ) -> Option<Result<Response<Reply>, Status>> {
        let server = &self.front.authorization;
        let at = server.moment();
        let caller = match self.recognize(request, at)? {
            Ok(caller) => caller,
            Err(refused) => return Some(Err(refused)),
        };
        let items = server.recall_batch(&caller, message_in(request)?, at)?;
        let length = items.iter().map(Bytes::len).sum();
        Some(Ok(Reply::message(length, |out| out.extend(items))))
    }

    /// Who calls, if they called before, and whether they may ask; `None` also if the request is unusual.
    fn recognize<B>(&self, request: &Request<B>, at: Moment) -> Option<Result<Caller, Status>> {
        let headers = request.headers();
        let is_plain = *request.method() == Method::POST && !headers.contains_key("grpc-encoding");
        if !is_plain || actor(headers) != Actor::Nobody {
            return None;
        }
        let credential = credential(headers);
        let caller = self.front.guard.recognize(credential, self.address, &self.memo, at)?;
        Some(require(&caller, ControlPermission::Authorize).map(|()| caller))
    }

    /// Answers a request, also one that could not be answered at once.
    pub async fn answer<B: Incoming>(&self, request: Request<Replayed<B>>) -> Response<Reply> {
        match self.answer_soon(request).await {
            Ok(response) => response,
            Err(request) => self.answer_in_time(request).await,
        }
    }

    /// Answers a request, if it could have been answered at once if all of it had come, and does come soon:
    /// many clients send the message after the headers.
    async fn answer_soon<B: Incoming>(
        &self,
        mut request: Request<Replayed<B>>,
    ) -> Result<Response<Reply>, Request<Replayed<B>>> {
        let is_unary = [AUTHORIZE, BATCH_AUTHORIZE].contains(&request.uri().path());
        if !is_unary || request.body_mut().only().is_some() {
            return Err(request);
        }
        // Meanwhile it counts for no limit: strangers are told at once that they are.
        let at = self.front.authorization.moment();
        if self.recognize(&request, at).is_none() {
            return Err(request);
        }
        if timeout(SOON, request.body_mut().come()).await.is_err() {
            return Err(request);
        }
        let credential = Self::credential_in(&mut request);
        self.answer_at_once(request, credential)
    }

    async fn answer_in_time<B: Incoming>(&self, request: Request<Replayed<B>>) -> Response<Reply> {
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

/// The message of a request, if all of it has come.
fn message_in<B: Incoming>(request: &mut Request<Replayed<B>>) -> Option<&[u8]> {
    only_message(request.body_mut().only()?, MAX_AUTHORIZE_BYTES)
}

/// Whether a path is that of a method of this service.
fn is_of(service: &str, path: &str) -> bool {
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(service));
    rest.is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Poll};

    use futures_util::FutureExt;
    use http_body::Frame;
    use tokio::sync::watch;
    use tonic::Code;

    use super::super::Limits;
    use super::super::health::Readiness;
    use super::*;
    use crate::authorize::{Engine, MemoryLimits};
    use crate::clock::SystemClock;
    use crate::domain::Instances;
    use crate::store::{DatabaseUrl, Store};

    /// A body that never comes.
    struct Never;

    impl Body for Never {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    async fn connection(directory: &tempfile::TempDir) -> Connection {
        let url = DatabaseUrl::Sqlite(directory.path().join("claviger.db"));
        let store = Arc::new(Store::open(&url).await.unwrap());
        let memory = MemoryLimits { max_staleness: Duration::from_secs(2), max_keys: 10 };
        let engine = Arc::new(Engine::new(store, Arc::new(SystemClock), memory));
        let limits = Limits {
            request_timeout: Duration::from_secs(10),
            max_concurrent_requests: 1,
            max_connections: 1,
        };
        let guard = Guard::new(Arc::clone(&engine), limits, Arc::new(AtomicBool::new(true)));
        let (_, readiness) = watch::channel(Readiness::Ready);
        let server = AuthorizationServer::new(engine, Arc::new(Instances::default()), readiness);
        let front = Front::new(guard, server, Routes::default(), Handle::current());
        Connection::new(Arc::new(front), None)
    }

    #[tokio::test]
    async fn p4_a_stranger_is_refused_at_once_whether_or_not_the_message_has_come() {
        let directory = tempfile::tempdir().unwrap();
        let connection = connection(&directory).await;
        for path in [AUTHORIZE, BATCH_AUTHORIZE, STREAM_AUTHORIZE] {
            let request = Request::post(path).body(Replayed::new(Never)).unwrap();
            let answer = connection.answer(request).now_or_never().expect("nobody waits for it");
            let status = Status::from_header_map(answer.headers()).expect("it is refused");
            assert_eq!(status.code(), Code::Unauthenticated, "{path}");
        }
    }
}
