//! Where requests come in, and on which runtime each is answered.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Request, Response};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::{Service, ServiceExt};
use tracing::field;

use super::authorization::AuthorizationServer;
use super::guard::{Guard, Origin};
use super::status;
use crate::authorize::CallerMemo;
use crate::proto::authorization_service_server::AuthorizationServiceServer;

/// All services, behind the guard.
#[derive(Debug)]
pub struct Front {
    guard: Guard,
    /// Answered where the request came in: mostly from memory.
    data: AuthorizationServiceServer<AuthorizationServer>,
    /// Answered on the runtime where the store's connections live, so that no slow query holds up
    /// anything else.
    control: Routes,
    runtime: Handle,
}

impl Front {
    pub(super) fn new(
        guard: Guard,
        data: AuthorizationServiceServer<AuthorizationServer>,
        control: Routes,
        runtime: Handle,
    ) -> Self {
        Self { guard, data, control, runtime }
    }
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
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        if is_of(AuthorizationServiceServer::<AuthorizationServer>::NAME, path) {
            let span = tracing::debug_span!("rpc", method = %path, code = field::Empty);
            let origin = Origin { address: self.address, memo: Some(&self.memo) };
            let mut service = self.front.data.clone();
            return self.front.guard.admit(request, origin, span, |it| service.call(it)).await;
        }
        let span = tracing::info_span!("rpc", method = %path, code = field::Empty);
        let (front, address) = (Arc::clone(&self.front), self.address);
        let answer = async move {
            let origin = Origin { address, memo: None };
            let service = front.control.clone();
            front.guard.admit(request, origin, span, |it| service.oneshot(it)).await
        };
        let answer = AbortOnDropHandle::new(self.front.runtime.spawn(answer));
        // The runtime is shut down only when everything is.
        answer.await.unwrap_or_else(|_ended| status::internal().into_http())
    }
}

/// Whether a path is that of a method of this service.
fn is_of(service: &str, path: &str) -> bool {
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(service));
    rest.is_some_and(|rest| rest.starts_with('/'))
}
