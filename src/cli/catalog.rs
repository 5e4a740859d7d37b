//! `claviger catalog`.

use std::error::Error;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Deserialize;

use super::client::{Connection, authorized, counted, describe, read_document};
use crate::domain::Permission;
use crate::grpc::MAX_MESSAGE_BYTES;
use crate::proto::catalog_service_client::CatalogServiceClient;
use crate::proto::{ApplyCatalogRequest, Catalog};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create or replace a catalogue from a YAML or JSON file
    ///
    /// The control key is read from the environment variable CLAVIGER_CONTROL_KEY or, if that is
    /// not set, from standard input.
    Apply {
        /// The file: `name` and `permissions`, as in examples/catalogs/braze.yaml
        file: PathBuf,

        #[command(flatten)]
        connection: Connection,
    },
}

/// A catalogue as a file holds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogFile {
    name: String,
    permissions: Vec<Permission>,
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Box<dyn Error>> {
        let Self::Apply { file, connection } = self;
        let CatalogFile { name, permissions } = read_document(&file)?;
        let permissions = permissions.into_iter().map(Into::into).collect();
        let catalog = Catalog { name, permissions, ..Catalog::default() };
        let request = authorized(ApplyCatalogRequest { catalog: Some(catalog) })?;
        let mut client = CatalogServiceClient::new(connection.connect().await?)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let applied = client.apply_catalog(request).await.map_err(|status| describe(&status))?;
        let catalog = applied.into_inner().catalog.unwrap_or_default();
        let routes: usize =
            catalog.permissions.iter().map(|permission| permission.http_routes.len()).sum();
        let permissions = counted(catalog.permissions.len() as u64, "permission");
        println!("Applied {}: {permissions}, {}.", catalog.name, counted(routes as u64, "route"));
        Ok(())
    }
}
