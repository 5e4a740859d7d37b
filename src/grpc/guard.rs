//! What every request passes before it reaches a service: a span, limits, the caller's
//! authentication, and a net for panics.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument, field};

use super::caller::{Presented, actor, address, credential};
use super::status;
use crate::authorize::Engine;

/// The services that anyone may call: they tell nothing about keys.
const OPEN: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// How much is served at once, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a call may take until its answer begins.
    pub request_timeout: Duration,
    /// How many calls may be under way at once; more are refused at once.
    pub max_concurrent_requests: usize,
}

/// Puts a [`Guard`] before a service.
#[derive(Clone, Debug)]
pub struct GuardLayer {
    engine: Arc<Engine>,
    permits: Arc<Semaphore>,
    /// Of their own for what anyone may call, so that strangers cannot take those of callers.
    open_permits: Arc<Semaphore>,
    timeout: Duration,
    prepared: Prepared,
}

/// Whether the database is known to be one that the server can serve from: set once.
pub type Prepared = Arc<AtomicBool>;

/// How many calls of the open services may be under way at once.
const MAX_CONCURRENT_OPEN: usize = 100;

impl GuardLayer {
    /// Authenticates callers with this engine, within these limits, once the database is prepared.
    #[must_use]
    pub fn new(engine: Arc<Engine>, limits: Limits, prepared: Prepared) -> Self {
        let permits = Arc::new(Semaphore::new(limits.max_concurrent_requests));
        let open_permits = Arc::new(Semaphore::new(MAX_CONCURRENT_OPEN));
        Self { engine, permits, open_permits, timeout: limits.request_timeout, prepared }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, layer: self.clone() }
    }
}

/// Admits requests of known callers to a service.
#[derive(Clone, Debug)]
pub struct Guard<S> {
    inner: S,
    layer: GuardLayer,
}

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let span = tracing::info_span!("rpc", method = %request.uri().path(), code = field::Empty);
        let inner = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, inner);
        let layer = self.layer.clone();
        let answer = async move {
            let response = match layer.admit(request, inner).await {
                Ok(response) => response,
                Err(status) => status.into_http(),
            };
            let code = code_of(&response);
            tracing::Span::current().record("code", field::debug(code));
            tracing::debug!("answered");
            Ok(response)
        };
        answer.instrument(span).boxed()
    }
}

impl GuardLayer {
    async fn admit<S>(&self, request: Request<Body>, inner: S) -> Result<Response<Body>, Status>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        // Everything is closed but what is listed: a service that is added is closed too.
        let is_open = OPEN.iter().any(|open| request.uri().path().starts_with(open));
        let permits = if is_open { &self.open_permits } else { &self.permits };
        let _permit = permits.try_acquire().map_err(|_| status::overloaded())?;
        // Until then its tables may be of another version, and its secrets sealed with another key.
        if !is_open && !self.prepared.load(Ordering::Acquire) {
            return Err(status::database_unavailable());
        }
        let answer = async {
            let request = if is_open { request } else { self.authenticate(request).await? };
            serve(request, inner).await
        };
        let answer = AssertUnwindSafe(answer).catch_unwind();
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(answer)) => answer,
            // The panic hook has logged where.
            Ok(Err(_panic)) => Err(status::internal()),
            Err(_elapsed) => Err(status::timed_out()),
        }
    }

    /// Finds out who calls, and notes it for the service.
    async fn authenticate(&self, mut request: Request<Body>) -> Result<Request<Body>, Status> {
        let credential = credential(request.headers());
        let address = address(request.extensions());
        let actor = actor(request.headers());
        let caller = self.engine.authenticate(credential, address, actor).await?;
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(Presented { credential, address });
        Ok(request)
    }
}

async fn serve<S>(request: Request<Body>, mut inner: S) -> Result<Response<Body>, Status>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    match inner.call(request).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// The code that a response ends with, as far as its headers tell: a call that fails has it there.
fn code_of(response: &Response<Body>) -> Code {
    let code = response.headers().get(Status::GRPC_STATUS);
    code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::future::{Future, pending, ready};

    use tower::service_fn;

    use super::*;
    use crate::authorize::MemoryLimits;
    use crate::clock::SystemClock;
    use crate::store::{DatabaseUrl, Store};

    const OPEN_PATH: &str = "/grpc.health.v1.Health/Check";
    const CLOSED_PATH: &str = "/claviger.v1.AuthorizationService/Authorize";

    async fn layer(directory: &tempfile::TempDir, limits: Limits) -> GuardLayer {
        let url = DatabaseUrl::Sqlite(directory.path().join("claviger.db"));
        let store = Arc::new(Store::open(&url).await.unwrap());
        let memory = MemoryLimits { max_staleness: Duration::from_secs(2), max_keys: 10 };
        let engine = Arc::new(Engine::new(store, Arc::new(SystemClock), memory));
        GuardLayer::new(engine, limits, Arc::new(AtomicBool::new(true)))
    }

    /// The code that a call ends with which a service serves in this way.
    async fn code<F>(layer: &GuardLayer, path: &str, serve: fn(Request<Body>) -> F) -> Code
    where
        F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    {
        let mut guarded = layer.layer(service_fn(serve));
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        code_of(&guarded.call(request).await.unwrap())
    }

    fn answer(_: Request<Body>) -> std::future::Ready<Result<Response<Body>, Infallible>> {
        ready(Ok(Response::new(Body::empty())))
    }

    #[tokio::test]
    async fn p4_a_panic_is_an_error_and_the_next_call_is_served() {
        let directory = tempfile::tempdir().unwrap();
        let limits =
            Limits { request_timeout: Duration::from_secs(10), max_concurrent_requests: 1 };
        let layer = layer(&directory, limits).await;
        for _ in 0..2 {
            let panicking = code(&layer, OPEN_PATH, |_| async { panic!("on purpose") }).await;
            assert_eq!(panicking, Code::Internal);
        }
        assert_eq!(code(&layer, OPEN_PATH, answer).await, Code::Ok);
    }

    #[tokio::test]
    async fn a_call_that_takes_too_long_and_a_call_too_many_are_errors() {
        let directory = tempfile::tempdir().unwrap();
        let limits =
            Limits { request_timeout: Duration::from_millis(50), max_concurrent_requests: 1 };
        let layer = layer(&directory, limits).await;
        assert_eq!(code(&layer, OPEN_PATH, |_| pending()).await, Code::DeadlineExceeded);
        assert_eq!(code(&layer, OPEN_PATH, answer).await, Code::Ok);

        // Callers have permits of their own, which strangers cannot take; and the reverse.
        let held = layer.permits.acquire().await.unwrap();
        assert_eq!(code(&layer, CLOSED_PATH, answer).await, Code::Unavailable);
        assert_eq!(code(&layer, OPEN_PATH, answer).await, Code::Ok);
        drop(held);
        let _all = layer.open_permits.acquire_many(MAX_CONCURRENT_OPEN as u32).await.unwrap();
        assert_eq!(code(&layer, OPEN_PATH, answer).await, Code::Unavailable);
        assert_eq!(code(&layer, CLOSED_PATH, answer).await, Code::Unauthenticated);
    }

    #[tokio::test]
    async fn p4_nothing_is_served_from_a_database_that_is_not_prepared() {
        let directory = tempfile::tempdir().unwrap();
        let limits =
            Limits { request_timeout: Duration::from_secs(10), max_concurrent_requests: 1 };
        let layer = layer(&directory, limits).await;
        layer.prepared.store(false, Ordering::Release);
        assert_eq!(code(&layer, CLOSED_PATH, answer).await, Code::Unavailable);
        assert_eq!(code(&layer, OPEN_PATH, answer).await, Code::Ok);
        layer.prepared.store(true, Ordering::Release);
        assert_eq!(code(&layer, CLOSED_PATH, answer).await, Code::Unauthenticated);
    }

    #[tokio::test]
    async fn what_is_not_listed_as_open_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let limits =
            Limits { request_timeout: Duration::from_secs(10), max_concurrent_requests: 1 };
        let layer = layer(&directory, limits).await;
        for open in [
            OPEN_PATH,
            "/grpc.health.v1.Health/Watch",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(code(&layer, open, answer).await, Code::Ok, "{open}");
        }
        for closed in [
            "/claviger.v1.KeyService/GetKey",
            "/claviger.v2.NewService/New",
            "/grpc.health.v1.HealthX/Check",
            "/GRPC.health.v1.Health/Check",
            "/x/grpc.health.v1.Health/Check",
            "//grpc.health.v1.Health/Check",
            "/",
        ] {
            assert_eq!(code(&layer, closed, answer).await, Code::Unauthenticated, "{closed}");
        }
    }
}
