//! The wire: tonic adapters, one thin file per service.

mod answers;
mod authorization;
mod caller;
mod catalogs;
mod convert;
mod front;
mod guard;
mod health;
mod keys;
mod page_token;
mod raw;
mod reply;
mod status;
mod workspaces;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;

pub use front::{Connection, Front, Incoming};
pub use guard::{Limits, Prepared};
use health::HealthService;
pub use health::Readiness;
pub use reply::{Replayed, Reply};

use crate::authorize::Engine;
use crate::clock::Clock;
use crate::domain::{Instances, Vault};
use crate::manage;
use crate::proto;
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

/// What the services are made of.
#[derive(Debug)]
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<Store>,
    /// What decides.
    pub engine: Arc<Engine>,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
    /// The instances that there are.
    pub instances: Instances,
    /// What seals the secrets that can be revealed.
    pub vault: Arc<Vault>,
    /// Whether the server can serve.
    pub readiness: watch::Receiver<Readiness>,
    /// How much is served at once.
    pub limits: Limits,
    /// Whether the database can be served from.
    pub prepared: Prepared,
}

/// All services. Those that need the store are answered on the runtime that this is called on.
///
/// # Errors
/// If the descriptors that were compiled in cannot be read.
pub fn front(parts: Parts) -> Result<Front, tonic_reflection::server::Error> {
    let Parts { store, engine, clock, instances, vault, readiness, limits, prepared } = parts;
    let instances = Arc::new(instances);
    let store = || Arc::clone(&store);
    let clock = || Arc::clone(&clock);
    let actors = manage::Actors::new(store());
    let keys = keys::KeyServer {
        keys: manage::Keys::new(store(), clock(), Arc::clone(&vault)),
        actors: actors.clone(),
    };
    let workspaces = workspaces::WorkspaceServer {
        workspaces: manage::Workspaces::new(
            store(),
            clock(),
            Arc::clone(&instances),
            Arc::clone(&vault),
        ),
        members: manage::Members::new(store(), clock()),
        identifiers: manage::Identifiers::new(store(), clock()),
        actors,
    };
    let catalogs = catalogs::CatalogServer {
        catalogs: manage::Catalogs::new(store(), clock()),
        network_sets: manage::NetworkSets::new(store(), clock()),
    };
    let authorization =
        authorization::AuthorizationServer::new(Arc::clone(&engine), instances, readiness.clone());
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that tools can print the details of errors.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let control =
        Routes::new(KeyServiceServer::new(keys).max_decoding_message_size(MAX_MESSAGE_BYTES))
            .add_service(
                WorkspaceServiceServer::new(workspaces)
                    .max_decoding_message_size(MAX_MESSAGE_BYTES),
            )
            .add_service(
                CatalogServiceServer::new(catalogs).max_decoding_message_size(MAX_MESSAGE_BYTES),
            )
            .add_service(
                HealthServer::new(HealthService::new(readiness))
                    .max_decoding_message_size(MAX_OPEN_BYTES),
            )
            .add_service(reflection().build_v1()?.max_decoding_message_size(MAX_OPEN_BYTES))
            .add_service(reflection().build_v1alpha()?.max_decoding_message_size(MAX_OPEN_BYTES));
    let guard = guard::Guard::new(engine, limits, prepared);
    Ok(Front::new(guard, authorization, control.prepare(), Handle::current()))
}
