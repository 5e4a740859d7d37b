//! The wire: tonic adapters, one thin file per service.

mod authorization;
mod caller;
mod catalogs;
mod convert;
mod guard;
mod health;
mod keys;
mod page_token;
mod status;
mod workspaces;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;

pub use guard::{Guard, GuardLayer, Limits, Prepared};
pub use health::{HealthService, Readiness};

use crate::authorize::Engine;
use crate::clock::Clock;
use crate::domain::{Instances, Vault};
use crate::manage;
use crate::proto;
use crate::proto::authorization_service_server::AuthorizationServiceServer;
use crate::proto::catalog_service_server::CatalogServiceServer;
use crate::proto::key_service_server::KeyServiceServer;
use crate::proto::workspace_service_server::WorkspaceServiceServer;
use crate::store::Store;

/// The largest message that `Authorize` reads, in bytes.
pub const MAX_AUTHORIZE_BYTES: usize = 64 * 1024;
/// The largest message that health and reflection read, in bytes: anyone may call them.
const MAX_OPEN_BYTES: usize = 4 * 1024;
/// The largest message that any other method reads, in bytes: a catalogue is the largest.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// The services that health is told of, besides the server as a whole.
pub const SERVICES: [&str; 4] = [
    proto::authorization_service_server::SERVICE_NAME,
    proto::catalog_service_server::SERVICE_NAME,
    proto::key_service_server::SERVICE_NAME,
    proto::workspace_service_server::SERVICE_NAME,
];

/// All services. Callers must be authenticated by a [`Guard`] before a request gets here.
///
/// # Errors
/// If the descriptors that were compiled in cannot be read.
pub fn routes(
    store: &Arc<Store>,
    engine: &Arc<Engine>,
    clock: &Arc<dyn Clock>,
    instances: Instances,
    vault: &Arc<Vault>,
    health: HealthService,
) -> Result<Routes, tonic_reflection::server::Error> {
    let instances = Arc::new(instances);
    let store = || Arc::clone(store);
    let clock = || Arc::clone(clock);
    let actors = manage::Actors::new(store());
    let keys = keys::KeyServer {
        keys: manage::Keys::new(store(), clock(), Arc::clone(vault)),
        actors: actors.clone(),
    };
    let workspaces = workspaces::WorkspaceServer {
        workspaces: manage::Workspaces::new(
            store(),
            clock(),
            Arc::clone(&instances),
            Arc::clone(vault),
        ),
        members: manage::Members::new(store(), clock()),
        identifiers: manage::Identifiers::new(store(), clock()),
        actors,
    };
    let catalogs = catalogs::CatalogServer {
        catalogs: manage::Catalogs::new(store(), clock()),
        network_sets: manage::NetworkSets::new(store(), clock()),
    };
    let authorization = authorization::AuthorizationServer {
        engine: Arc::clone(engine),
        instances,
        clock: clock(),
        readiness: health.readiness(),
        permits: Arc::new(Semaphore::new(authorization::MAX_AT_ONCE)),
    };
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that tools can print the details of errors.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(Routes::new(
        AuthorizationServiceServer::new(authorization)
            .max_decoding_message_size(MAX_AUTHORIZE_BYTES),
    )
    .add_service(KeyServiceServer::new(keys).max_decoding_message_size(MAX_MESSAGE_BYTES))
    .add_service(
        WorkspaceServiceServer::new(workspaces).max_decoding_message_size(MAX_MESSAGE_BYTES),
    )
    .add_service(CatalogServiceServer::new(catalogs).max_decoding_message_size(MAX_MESSAGE_BYTES))
    .add_service(HealthServer::new(health).max_decoding_message_size(MAX_OPEN_BYTES))
    .add_service(reflection().build_v1()?.max_decoding_message_size(MAX_OPEN_BYTES))
    .add_service(reflection().build_v1alpha()?.max_decoding_message_size(MAX_OPEN_BYTES)))
}
