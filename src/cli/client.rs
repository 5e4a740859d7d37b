//! How the command line calls a running server.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::de::DeserializeOwned;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request};
use zeroize::Zeroizing;

/// How to reach a running server.
#[derive(Args, Debug)]
pub(super) struct Connection {
    /// The server
    #[arg(
        long,
        env = "CLAVIGER_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:50051"
    )]
    server: String,

    /// Certificates to trust for an https server, PEM, instead of the system's
    #[arg(long, env = "CLAVIGER_TLS_CA_FILE", value_name = "FILE")]
    tls_ca_file: Option<PathBuf>,

    /// Reach a server beyond loopback without TLS, where something else encrypts
    #[arg(long, env = "CLAVIGER_ALLOW_CLEAR_TEXT")]
    allow_clear_text: bool,
}

/// What a YAML or JSON file holds.
pub(super) fn read_document<T: DeserializeOwned>(path: &Path) -> Result<T, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let parsed: Result<T, Box<dyn Error>> = if path.extension() == Some(OsStr::new("json")) {
        serde_json::from_str(&text).map_err(Into::into)
    } else {
        serde_saphyr::from_str(&text).map_err(Into::into)
    };
    parsed.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// So many things, in words.
pub(super) fn counted(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A request that carries the caller's control key.
pub(super) fn authorized<T>(message: T) -> Result<Request<T>, Box<dyn Error>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", authorization()?);
    Ok(request)
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
    pub(super) async fn connect(&self) -> Result<Channel, Box<dyn Error>> {
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
pub(super) fn describe(status: &tonic::Status) -> String {
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
