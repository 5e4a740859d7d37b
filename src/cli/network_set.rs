//! `claviger network-set`.

use std::error::Error;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Deserialize;

use super::client::{Connection, authorized, counted, describe, read_document};
use crate::proto::catalog_service_client::CatalogServiceClient;
use crate::proto::{ApplyNetworkSetRequest, NetworkSet};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create or replace a network set from a YAML or JSON file
    ///
    /// The control key is read from the environment variable CLAVIGER_CONTROL_KEY or, if that is
    /// not set, from standard input.
    Apply {
        /// The file: `name` and `networks`, as in examples/network-sets/braze-platform.yaml
        file: PathBuf,

        #[command(flatten)]
        connection: Connection,
    },
}

/// A network set as a file holds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkSetFile {
    name: String,
    networks: Vec<String>,
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Box<dyn Error>> {
        let Self::Apply { file, connection } = self;
        let NetworkSetFile { name, networks } = read_document(&file)?;
        let network_set = NetworkSet { name, networks, ..NetworkSet::default() };
        let request = authorized(ApplyNetworkSetRequest { network_set: Some(network_set) })?;
        let mut client = CatalogServiceClient::new(connection.connect().await?);
        let applied =
            client.apply_network_set(request).await.map_err(|status| describe(&status))?;
        let NetworkSet { name, networks, .. } =
            applied.into_inner().network_set.unwrap_or_default();
        println!("Applied {name}: {}.", counted(networks.len() as u64, "network"));
        Ok(())
    }
}
