//! `grpc.health.v1.Health`: whether the server can serve, which it can while its database answers.

use std::pin::Pin;

use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::SERVICES;
use super::status::{draining, unknown_service};

/// Whether the server can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// Its database does not answer.
    NotReady,
    /// It is going down, and never will again.
    Draining,
}

/// Answers from what a monitor has last seen.
#[derive(Clone, Debug)]
pub(super) struct HealthService(watch::Receiver<Readiness>);

impl HealthService {
    /// Health as this channel tells it.
    #[must_use]
    pub(super) fn new(readiness: watch::Receiver<Readiness>) -> Self {
        Self(readiness)
    }
}

fn is_known(service: &str) -> bool {
    service.is_empty() || SERVICES.contains(&service)
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

fn status_of(readiness: Readiness) -> ServingStatus {
    match readiness {
        Readiness::Ready => ServingStatus::Serving,
        Readiness::NotReady | Readiness::Draining => ServingStatus::NotServing,
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !is_known(&request.get_ref().service) {
            return Err(unknown_service());
        }
        Ok(Response::new(response(status_of(*self.0.borrow()))))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = is_known(&request.get_ref().service);
        let changes = WatchStream::new(self.0.clone()).flat_map(move |readiness| {
            let status = if known { status_of(readiness) } else { ServingStatus::ServiceUnknown };
            // The last word before the end: a stream that stays open would hold up the shutdown.
            let end = (readiness == Readiness::Draining).then(|| Err(draining()));
            stream::iter(std::iter::once(Ok(response(status))).chain(end))
        });
        let until_drained = changes.scan(false, |ended, item| {
            let item = (!*ended).then_some(item);
            *ended = matches!(item, Some(Err(_)));
            std::future::ready(item)
        });
        Ok(Response::new(until_drained.boxed()))
    }
}
