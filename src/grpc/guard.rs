//! What every request passes before it reaches a service: a span, limits, the caller's
//! authentication, and a net for panics.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
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

use super::caller::{address, credential};
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
    timeout: Duration,
}

impl GuardLayer {
    /// Authenticates callers with this engine, within these limits.
    #[must_use]
    pub fn new(engine: Arc<Engine>, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.max_concurrent_requests));
        Self { engine, permits, timeout: limits.request_timeout }
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
        let _permit = self.permits.try_acquire().map_err(|_| status::overloaded())?;
        let answer = AssertUnwindSafe(self.authenticate_and_serve(request, inner)).catch_unwind();
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(answer)) => answer,
            // The panic hook has logged where.
            Ok(Err(_panic)) => Err(status::internal()),
            Err(_elapsed) => Err(status::timed_out()),
        }
    }

    async fn authenticate_and_serve<S>(
        &self,
        mut request: Request<Body>,
        mut inner: S,
    ) -> Result<Response<Body>, Status>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let path = request.uri().path();
        // Everything is closed but what is listed: a service that is added is closed too.
        if !OPEN.iter().any(|open| path.starts_with(open)) {
            let credential = credential(request.headers());
            let address = address(request.extensions());
            let caller = self.engine.authenticate(credential, address).await?;
            request.extensions_mut().insert(caller);
        }
        match inner.call(request).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }
}

/// The code that a response ends with, as far as its headers tell: a call that fails has it there.
fn code_of(response: &Response<Body>) -> Code {
    let code = response.headers().get(Status::GRPC_STATUS);
    code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}
