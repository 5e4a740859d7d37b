//! Settings as they are given.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::ConfigError;

/// The settings of a server as they are given. A flag counts before the environment, the environment
/// before the file, the file before the default.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A TOML file with settings: their names without dashes in front, `-` as `_`
    #[arg(long, env = "CLAVIGER_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Where to listen [default: 127.0.0.1:50051]
    #[arg(long, env = "CLAVIGER_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// Listen beyond loopback without TLS, where something else encrypts [default: false]
    #[arg(long, env = "CLAVIGER_ALLOW_CLEAR_TEXT", value_name = "BOOL",
          num_args = 0..=1, default_missing_value = "true")]
    pub allow_clear_text: Option<bool>,

    /// The server's certificate chain, PEM; turns TLS on
    #[arg(long, env = "CLAVIGER_TLS_CERTIFICATE_FILE", value_name = "FILE")]
    pub tls_certificate_file: Option<PathBuf>,

    /// The private key of that certificate, PEM
    #[arg(long, env = "CLAVIGER_TLS_PRIVATE_KEY_FILE", value_name = "FILE")]
    pub tls_private_key_file: Option<PathBuf>,

    /// Where the server keeps its files [default: claviger-data]
    #[arg(long, env = "CLAVIGER_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// The database, `sqlite:PATH`, `postgres://...` or `mysql://...` [default: claviger.db in the
    /// data directory]
    #[arg(long, env = "CLAVIGER_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// On the first start: read the operator key from this file or, if there is none, write it there
    #[arg(long, env = "CLAVIGER_OPERATOR_KEY_FILE", value_name = "FILE")]
    pub operator_key_file: Option<PathBuf>,

    /// The instance that questions are about which name none [default: any]
    #[arg(long, env = "CLAVIGER_INSTANCE", value_name = "INSTANCE")]
    pub instance: Option<String>,

    /// Where each instance is reached, for answers to keys that came to the wrong one
    #[arg(long, env = "CLAVIGER_INSTANCE_ENDPOINTS", value_name = "INSTANCE=ENDPOINT,...")]
    pub instance_endpoints: Option<String>,

    /// The key that revealable secrets are encrypted with, 32 bytes in Base64; set it in the
    /// environment, because arguments can be read by everybody on the machine
    #[arg(
        long,
        env = "CLAVIGER_SECRET_ENCRYPTION_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub secret_encryption_key: Option<SecretText>,

    /// The key that they were encrypted with before
    #[arg(
        long,
        env = "CLAVIGER_SECRET_ENCRYPTION_KEY_PREVIOUS",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub secret_encryption_key_previous: Option<SecretText>,

    /// What to log: a level, or directives of tracing-subscriber's `EnvFilter` [default: info]
    #[arg(long, env = "CLAVIGER_LOG", value_name = "FILTER")]
    pub log: Option<String>,

    /// How to log [default: pretty on a terminal, json elsewhere]
    #[arg(long, env = "CLAVIGER_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// How long a call may take, 1 to 3600 [default: 10]
    #[arg(long, env = "CLAVIGER_REQUEST_TIMEOUT_SECONDS", value_name = "SECONDS")]
    pub request_timeout_seconds: Option<u64>,

    /// How many calls may be under way at once, 1 to 1000000 [default: 10000]
    #[arg(long, env = "CLAVIGER_MAX_CONCURRENT_REQUESTS", value_name = "NUMBER")]
    pub max_concurrent_requests: Option<usize>,

    /// How many connections may be open at once, 1 to 1000000 [default: 10000]
    #[arg(long, env = "CLAVIGER_MAX_CONNECTIONS", value_name = "NUMBER")]
    pub max_connections: Option<usize>,

    /// How long a server may go on without knowing what another one on the same database has changed,
    /// 500 to 60000; then it asks the database each time [default: 2000]
    #[arg(long, env = "CLAVIGER_MAX_STALENESS_MILLISECONDS", value_name = "MILLISECONDS")]
    pub max_staleness_milliseconds: Option<u64>,

    /// How many keys to remember, 1 to 100000000; each takes a quarter of a kilobyte
    /// [default: 1000000]
    #[arg(long, env = "CLAVIGER_MAX_CACHED_KEYS", value_name = "NUMBER")]
    pub max_cached_keys: Option<usize>,

    /// How long calls under way may take to end at shutdown, 0 to 3600 [default: 10]
    #[arg(long, env = "CLAVIGER_DRAIN_TIMEOUT_SECONDS", value_name = "SECONDS")]
    pub drain_timeout_seconds: Option<u64>,
}

/// A setting that is never printed.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct SecretText(pub(super) Zeroizing<String>);

impl FromStr for SecretText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line an event, in colour, for people.
    Pretty,
    /// One JSON object a line, for machines.
    Json,
}

impl Settings {
    /// These settings, and the others where these say nothing.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            config: self.config,
            listen: self.listen.or(other.listen),
            allow_clear_text: self.allow_clear_text.or(other.allow_clear_text),
            tls_certificate_file: self.tls_certificate_file.or(other.tls_certificate_file),
            tls_private_key_file: self.tls_private_key_file.or(other.tls_private_key_file),
            data_dir: self.data_dir.or(other.data_dir),
            database_url: self.database_url.or(other.database_url),
            operator_key_file: self.operator_key_file.or(other.operator_key_file),
            instance: self.instance.or(other.instance),
            instance_endpoints: self.instance_endpoints.or(other.instance_endpoints),
            secret_encryption_key: self.secret_encryption_key.or(other.secret_encryption_key),
            secret_encryption_key_previous: self
                .secret_encryption_key_previous
                .or(other.secret_encryption_key_previous),
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
            request_timeout_seconds: self.request_timeout_seconds.or(other.request_timeout_seconds),
            max_concurrent_requests: self.max_concurrent_requests.or(other.max_concurrent_requests),
            max_connections: self.max_connections.or(other.max_connections),
            max_staleness_milliseconds: self
                .max_staleness_milliseconds
                .or(other.max_staleness_milliseconds),
            max_cached_keys: self.max_cached_keys.or(other.max_cached_keys),
            drain_timeout_seconds: self.drain_timeout_seconds.or(other.drain_timeout_seconds),
        }
    }
}

pub(super) fn read_file(path: &Path) -> Result<Settings, ConfigError> {
    let path = path.to_owned();
    match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text)
            .map_err(|error| ConfigError::Parse { path, message: error.message().to_owned() }),
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}
