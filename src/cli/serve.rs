//! `claviger serve`.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::clock::SystemClock;
use crate::config::{Config, Settings};
use crate::domain::Secret;
use crate::operator_key::Handover;
use crate::server::Server;
use crate::telemetry;

pub(super) async fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    let config = settings.resolve()?;
    telemetry::init(&config.log, config.log_format)?;
    // Before anything is done: a signal that comes while the store opens must not be missed.
    let shutdown = shutdown_signal()?;
    let server = Server::start(&config, &handover(&config), Arc::new(SystemClock)).await?;
    let address = server.address();
    tracing::info!(%address, database = %config.database, tls = config.tls.is_some(), "listening");
    server.serve(shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Where the operator key goes: to the file that was named, else to a person, else to a file.
pub(super) fn handover(config: &Config) -> Handover {
    match &config.operator_key_file {
        Some(path) => Handover::File(path.clone()),
        None if io::stdout().is_terminal() => Handover::Person(|secret, address, tls| {
            print!("{}", first_steps(secret, address, tls));
        }),
        None => Handover::File(config.data_dir.join("operator.key")),
    }
}

fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// What to do next, for whoever starts Claviger for the first time. Every command works as pasted.
fn first_steps(secret: &Secret, address: SocketAddr, tls: bool) -> String {
    let plaintext = if tls { "" } else { "-plaintext " };
    let scheme = if tls { "https" } else { "http" };
    let program = std::env::args().next().unwrap_or_else(|| "claviger".to_owned());
    format!(
        r#"
Claviger is running. This is the operator key, which may do everything. It is shown once: keep it
in a safe place.

    export CLAVIGER_CONTROL_KEY={secret}

In another terminal, with that line pasted, see that it works (grpcurl calls gRPC services by hand):

    grpcurl {plaintext}{address} list
    grpcurl {plaintext}-H "authorization: Bearer $CLAVIGER_CONTROL_KEY" {address} claviger.v1.WorkspaceService/ListWorkspaces

Load the permissions of a product and create a workspace for its keys:

    {program} catalog apply --server {scheme}://{address} examples/catalogs/braze.yaml
    grpcurl {plaintext}-H "authorization: Bearer $CLAVIGER_CONTROL_KEY" -d '{{"workspace_id": "demo", "workspace": {{"display_name": "Demo", "catalog": "catalogs/braze"}}}}' {address} claviger.v1.WorkspaceService/CreateWorkspace

README.md goes on from here.

"#,
        secret = secret.expose()
    )
}
