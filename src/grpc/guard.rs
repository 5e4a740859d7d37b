//! What every request passes before it reaches a service: a span, limits, the caller's
//! authentication, and a net for panics.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::{FutureExt, poll};
use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::{Code, Status};
use tracing::{Instrument, Span, field};

use super::caller::{Presented, actor, credential, timeout_of};
use super::reply::Reply;
use super::status;
use crate::authorize::{CallerMemo, Engine};
use crate::clock::Moment;
use crate::domain::{Actor, Caller, Credential};

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
    /// How many connections may be open at once; more are closed at once.
    pub max_connections: usize,
}

/// Admits requests of known callers to services.
#[derive(Debug)]
pub(super) struct Guard {
    engine: Arc<Engine>,
    permits: Semaphore,
    /// Of their own for what anyone may call, so that strangers cannot take those of callers.
    open_permits: Semaphore,
    timeout: Duration,
    prepared: Prepared,
}

/// Whether the database is known to be one that the server can serve from: set once.
pub type Prepared = Arc<AtomicBool>;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) address: Option<IpAddr>,
    /// Who called last from there, if that is remembered.
    pub(super) memo: Option<&'a CallerMemo>,
}

/// How many calls of the open services may be under way at once.
const MAX_CONCURRENT_OPEN: usize = 100;

impl Guard {
    /// Authenticates callers with this engine, within these limits, once the database is prepared.
    #[must_use]
    pub(super) fn new(engine: Arc<Engine>, limits: Limits, prepared: Prepared) -> Self {
        let permits = Semaphore::new(limits.max_concurrent_requests);
        let open_permits = Semaphore::new(MAX_CONCURRENT_OPEN);
        Self { engine, permits, open_permits, timeout: limits.request_timeout, prepared }
    }

    /// Lets a service answer a request, in this span, if it may.
    pub(super) async fn admit<B, F>(
        &self,
        request: Request<B>,
        origin: Origin<'_>,
        span: Span,
        serve: impl FnOnce(Request<B>, Option<Admitted>) -> F,
    ) -> Response<Reply>
    where
        F: Future<Output = Result<Response<Reply>, Status>>,
    {
        let answer = async {
            let answer = self.answer(request, origin, serve).await;
            let response = answer.unwrap_or_else(|status| status.into_http().map(Reply::Other));
            let span = Span::current();
            if !span.is_disabled() {
                span.record("code", field::debug(code_of(&response)));
            }
            tracing::debug!("answered");
            response
        };
        answer.instrument(span).await
    }

    /// Who called last on a connection, if they call again, and may.
    pub(super) fn recognize(
        &self,
        credential: Credential,
        address: Option<IpAddr>,
        memo: &CallerMemo,
        at: Moment,
    ) -> Option<Caller> {
        // Whoever was served before, was from a database that is prepared.
        self.engine.recognize(credential, address, memo, at)
    }

    async fn answer<B, F>(
        &self,
        request: Request<B>,
        origin: Origin<'_>,
        serve: impl FnOnce(Request<B>, Option<Admitted>) -> F,
    ) -> Result<Response<Reply>, Status>
    where
        F: Future<Output = Result<Response<Reply>, Status>>,
    {
        // Everything is closed but what is listed: a service that is added is closed too.
        let is_open = OPEN.iter().any(|open| request.uri().path().starts_with(open));
        let permits = if is_open { &self.open_permits } else { &self.permits };
        let _permit = permits.try_acquire().map_err(|_| status::overloaded())?;
        // Until then its tables may be of another version, and its secrets sealed with another key.
        if !is_open && !self.prepared.load(Ordering::Acquire) {
            return Err(status::database_unavailable());
        }
        let asks = (!is_open).then(|| (credential(request.headers()), actor(request.headers())));
        // The client waits no longer.
        let patience = timeout_of(request.headers()).unwrap_or(Duration::MAX).min(self.timeout);
        let answer = async {
            let admitted = match asks {
                Some((credential, actor)) => {
                    Some(self.authenticate(credential, actor, origin).await?)
                }
                None => None,
            };
            serve(request, admitted).await
        };
        let mut answer = pin!(AssertUnwindSafe(answer).catch_unwind());
        // Most answers need not wait for anything, and no timer either.
        let caught = match poll!(answer.as_mut()) {
            Poll::Ready(caught) => caught,
            Poll::Pending => match tokio::time::timeout(patience, answer).await {
                Ok(caught) => caught,
                Err(_elapsed) => return Err(status::timed_out()),
            },
        };
        // The panic hook has logged where.
        caught.unwrap_or_else(|_panic| Err(status::internal()))
    }

    /// Finds out who calls.
    async fn authenticate(
        &self,
        credential: Credential,
        actor: Actor,
        origin: Origin<'_>,
    ) -> Result<Admitted, Status> {
        let Origin { address, memo } = origin;
        let caller = self.engine.authenticate(credential, address, actor, memo).await?;
        Ok(Admitted { caller, presented: Presented { credential, address } })
    }
}

/// A caller who was found good.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) caller: Caller,
    presented: Presented,
}

impl Admitted {
    /// Notes in a request who calls, for the service.
    pub(super) fn noted<B>(admitted: Option<Self>, mut request: Request<B>) -> Request<B> {
        if let Some(Self { caller, presented }) = admitted {
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(presented);
        }
        request
    }
}

/// The code that a response ends with, as far as its headers tell: a call that fails has it there.
fn code_of<B>(response: &Response<B>) -> Code {
    let code = response.headers().get(Status::GRPC_STATUS);
    code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::authorize::MemoryLimits;
    use crate::clock::SystemClock;
    use crate::store::{DatabaseUrl, Store};

    const OPEN_PATH: &str = "/grpc.health.v1.Health/Check";
    const CLOSED_PATH: &str = "/claviger.v1.AuthorizationService/Authorize";

    fn limits(request_timeout: Duration) -> Limits {
        Limits { request_timeout, max_concurrent_requests: 1, max_connections: 1 }
    }

    async fn guard(directory: &tempfile::TempDir, limits: Limits) -> Guard {
        let url = DatabaseUrl::Sqlite(directory.path().join("claviger.db"));
        let store = Arc::new(Store::open(&url).await.unwrap());
        let memory = MemoryLimits { max_staleness: Duration::from_secs(2), max_keys: 10 };
        let engine = Arc::new(Engine::new(store, Arc::new(SystemClock), memory));
        Guard::new(engine, limits, Arc::new(AtomicBool::new(true)))
    }

    /// The code that a call ends with which a service serves in this way.
    async fn code<F>(guard: &Guard, path: &str, serve: fn(Request<()>) -> F) -> Code
    where
        F: Future<Output = Result<Response<Reply>, Status>>,
    {
        let request = Request::builder().uri(path).body(()).unwrap();
        let origin = Origin { address: None, memo: None };
        let serve = |request, _| serve(request);
        code_of(&guard.admit(request, origin, Span::none(), serve).await)
    }

    fn answer(_: Request<()>) -> std::future::Ready<Result<Response<Reply>, Status>> {
        ready(Ok(Response::new(Reply::End)))
    }

    #[tokio::test]
    async fn p4_a_panic_is_an_error_and_the_next_call_is_served() {
        let directory = tempfile::tempdir().unwrap();
        let limits = limits(Duration::from_secs(10));
        let guard = guard(&directory, limits).await;
        for _ in 0..2 {
            let panicking = code(&guard, OPEN_PATH, |_| async { panic!("on purpose") }).await;
            assert_eq!(panicking, Code::Internal);
        }
        assert_eq!(code(&guard, OPEN_PATH, answer).await, Code::Ok);
    }

    #[tokio::test]
    async fn a_call_that_takes_too_long_and_a_call_too_many_are_errors() {
        let directory = tempfile::tempdir().unwrap();
        let limits = limits(Duration::from_millis(50));
        let guard = guard(&directory, limits).await;
        assert_eq!(code(&guard, OPEN_PATH, |_| pending()).await, Code::DeadlineExceeded);
        assert_eq!(code(&guard, OPEN_PATH, answer).await, Code::Ok);

        // Callers have permits of their own, which strangers cannot take; and the reverse.
        let held = guard.permits.acquire().await.unwrap();
        assert_eq!(code(&guard, CLOSED_PATH, answer).await, Code::Unavailable);
        assert_eq!(code(&guard, OPEN_PATH, answer).await, Code::Ok);
        drop(held);
        let _all = guard.open_permits.acquire_many(MAX_CONCURRENT_OPEN as u32).await.unwrap();
        assert_eq!(code(&guard, OPEN_PATH, answer).await, Code::Unavailable);
        assert_eq!(code(&guard, CLOSED_PATH, answer).await, Code::Unauthenticated);
    }

    #[tokio::test]
    async fn p4_nothing_is_served_from_a_database_that_is_not_prepared() {
        let directory = tempfile::tempdir().unwrap();
        let limits = limits(Duration::from_secs(10));
        let guard = guard(&directory, limits).await;
        guard.prepared.store(false, Ordering::Release);
        assert_eq!(code(&guard, CLOSED_PATH, answer).await, Code::Unavailable);
        assert_eq!(code(&guard, OPEN_PATH, answer).await, Code::Ok);
        guard.prepared.store(true, Ordering::Release);
        assert_eq!(code(&guard, CLOSED_PATH, answer).await, Code::Unauthenticated);
    }

    #[tokio::test]
    async fn what_is_not_listed_as_open_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let limits = limits(Duration::from_secs(10));
        let guard = guard(&directory, limits).await;
        for open in [
            OPEN_PATH,
            "/grpc.health.v1.Health/Watch",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(code(&guard, open, answer).await, Code::Ok, "{open}");
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
            assert_eq!(code(&guard, closed, answer).await, Code::Unauthenticated, "{closed}");
        }
    }
}
