//! `claviger catalog`.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Deserialize;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request};
use zeroize::Zeroizing;

use super::Connection;
use crate::domain::Permission;
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

impl Command {
    pub(super) async fn run(self) -> Result<(), Box<dyn Error>> {
        let Self::Apply { file, connection } = self;
        let catalog = read_catalog(&file)?;
        let authorization = authorization()?;
        let channel = connection.connect().await?;
        let mut request = Request::new(ApplyCatalogRequest { catalog: Some(catalog) });
        request.metadata_mut().insert("authorization", authorization);
        let mut client = CatalogServiceClient::new(channel)
            .max_encoding_message_size(crate::grpc::MAX_MESSAGE_BYTES);
        let applied = client.apply_catalog(request).await.map_err(|status| describe(&status))?;
        let catalog = applied.into_inner().catalog.unwrap_or_default();
        let routes: usize =
            catalog.permissions.iter().map(|permission| permission.http_routes.len()).sum();
        let permissions = catalog.permissions.len();
        println!("Applied {}: {permissions} permissions, {routes} routes.", catalog.name);
        Ok(())
    }
}

/// A catalogue as a file holds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogFile {
    name: String,
    permissions: Vec<Permission>,
}

fn read_catalog(path: &Path) -> Result<Catalog, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let parsed: Result<CatalogFile, Box<dyn Error>> =
        if path.extension() == Some(OsStr::new("json")) {
            serde_json::from_str(&text).map_err(Into::into)
        } else {
            serde_saphyr::from_str(&text).map_err(Into::into)
        };
    let CatalogFile { name, permissions } =
        parsed.map_err(|error| format!("{}: {error}", path.display()))?;
    let permissions = permissions.into_iter().map(Into::into).collect();
    Ok(Catalog { name, permissions, create_time: None, update_time: None })
}

/// The header that carries the control key. It is never an argument, which everybody on the
/// machine could read.
fn authorization() -> Result<MetadataValue<Ascii>, Box<dyn Error>> {
    let key = match std::env::var("CLAVIGER_CONTROL_KEY") {
        Ok(key) => Zeroizing::new(key),
        Err(_) if io::stdin().is_terminal() => {
            return Err("set CLAVIGER_CONTROL_KEY, or pipe the control key in".into());
        }
        Err(_) => {
            let mut key = Zeroizing::new(String::new());
            io::stdin().take(1_024).read_to_string(&mut key)?;
            key
        }
    };
    let value = Zeroizing::new(format!("Bearer {}", key.trim()));
    let mut value: MetadataValue<Ascii> =
        value.parse().map_err(|_| "the control key holds characters that no key has")?;
    value.set_sensitive(true);
    Ok(value)
}

impl Connection {
    async fn connect(&self) -> Result<Channel, Box<dyn Error>> {
        let Self { server, tls_ca_file, allow_clear_text } = self;
        let mut endpoint = Endpoint::from_shared(server.clone()).map_err(|_| {
            format!("--server {server}: must be a URL such as http://127.0.0.1:50051")
        })?;
        let uri = endpoint.uri();
        if uri.scheme_str() == Some("https") {
            endpoint = endpoint.tls_config(trusting(tls_ca_file.as_deref())?)?;
        } else if tls_ca_file.is_some() {
            return Err(format!("--tls-ca-file: {server} is not reached by https").into());
        } else if !allow_clear_text && !uri.host().is_some_and(is_loopback) {
            return Err(format!(
                "--server {server} is beyond loopback, where the control key would travel in \
                 clear text: use https, or --allow-clear-text if something else encrypts"
            )
            .into());
        }
        endpoint
            .connect()
            .await
            .map_err(|_| format!("cannot reach a server at {server}: is it running?").into())
    }
}

/// TLS that trusts the certificates of this file or, without one, the system's.
fn trusting(ca_file: Option<&Path>) -> Result<ClientTlsConfig, String> {
    let Some(path) = ca_file else { return Ok(ClientTlsConfig::new().with_native_roots()) };
    let pem = std::fs::read(path)
        .map_err(|error| format!("--tls-ca-file: cannot read {}: {error}", path.display()))?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// What a server refused, for a person to read.
fn describe(status: &tonic::Status) -> String {
    let code = match status.code() {
        Code::Unauthenticated => "not authenticated",
        Code::PermissionDenied => "not permitted",
        Code::InvalidArgument => "invalid",
        Code::FailedPrecondition => "not possible now",
        Code::Unavailable => "unavailable",
        _ => "failed",
    };
    format!("{code}: {}", status.message())
}
