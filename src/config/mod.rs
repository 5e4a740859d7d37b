//! Configuration: flags, environment and a file, each setting under one name.

mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use settings::read_file;
pub use settings::{LogFormat, SecretText, Settings};

use crate::authorize::MemoryLimits;
use crate::domain::{EncryptionKey, InstanceId, Instances, Vault, parse_endpoints};
use crate::grpc::Limits;
use crate::store::{DatabaseUrl, InvalidDatabaseUrl};

/// The certificate of a server that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub private_key: PathBuf,
}

/// The settings of a server, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The certificate to serve with; `None`: clear text.
    pub tls: Option<TlsFiles>,
    /// Where the database is.
    pub database: DatabaseUrl,
    /// Where files are kept.
    pub data_dir: PathBuf,
    /// Where the operator key is read from or written to, if that was said.
    pub operator_key_file: Option<PathBuf>,
    /// The instances that there are.
    pub instances: Instances,
    /// What seals the secrets that can be revealed.
    pub vault: Arc<Vault>,
    /// What to log.
    pub log: String,
    /// How to log, if that was said.
    pub log_format: Option<LogFormat>,
    /// How much to serve at once, and for how long.
    pub limits: Limits,
    /// How much to remember, and for how long.
    pub memory: MemoryLimits,
    /// How long to wait for calls under way at shutdown.
    pub drain_timeout: Duration,
}

/// What is wrong with the settings. Names the setting.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("--config: cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file cannot be understood.
    #[error("--config: {}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// A setting has a value that it cannot have.
    #[error("--{setting} {problem}")]
    Invalid {
        /// The name of the setting.
        setting: &'static str,
        /// What is wrong with it, to follow the name in a sentence.
        problem: String,
    },
}

fn invalid(setting: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { setting, problem: problem.into() }
}

impl Settings {
    /// Adds the file, if one is named, and the defaults, and checks all of it.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let file = self.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        self.or(file).check()
    }

    fn check(self) -> Result<Config, ConfigError> {
        let listen = self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 50051)));
        let tls = match (self.tls_certificate_file, self.tls_private_key_file) {
            (Some(certificate), Some(private_key)) => Some(TlsFiles { certificate, private_key }),
            (None, None) => None,
            (Some(_), None) => {
                return Err(invalid(
                    "tls-private-key-file",
                    "is needed with --tls-certificate-file",
                ));
            }
            (None, Some(_)) => {
                return Err(invalid(
                    "tls-certificate-file",
                    "is needed with --tls-private-key-file",
                ));
            }
        };
        let clear_text = tls.is_none() && !self.allow_clear_text.unwrap_or(false);
        if clear_text && !listen.ip().to_canonical().is_loopback() {
            return Err(invalid(
                "listen",
                format!(
                    "{listen} is beyond loopback, where API keys would travel in clear text: set \
                     --tls-certificate-file and --tls-private-key-file, or --allow-clear-text if \
                     something else encrypts"
                ),
            ));
        }
        let data_dir = self.data_dir.unwrap_or_else(|| "claviger-data".into());
        let database = match self.database_url {
            None => DatabaseUrl::Sqlite(data_dir.join("claviger.db")),
            Some(url) => url
                .parse()
                .map_err(|error: InvalidDatabaseUrl| invalid("database-url", error.to_string()))?,
        };
        let limits = Limits {
            request_timeout: seconds(
                "request-timeout-seconds",
                self.request_timeout_seconds.unwrap_or(10),
                1,
            )?,
            max_concurrent_requests: million(
                "max-concurrent-requests",
                self.max_concurrent_requests,
            )?,
            max_connections: million("max-connections", self.max_connections)?,
        };
        let memory = memory(self.max_staleness_milliseconds, self.max_cached_keys)?;
        let drain_timeout =
            seconds("drain-timeout-seconds", self.drain_timeout_seconds.unwrap_or(10), 0)?;
        Ok(Config {
            listen,
            tls,
            database,
            data_dir,
            operator_key_file: self.operator_key_file,
            vault: Arc::new(vault(
                self.secret_encryption_key,
                self.secret_encryption_key_previous,
            )?),
            instances: instances(self.instance.as_deref(), self.instance_endpoints.as_deref())?,
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            log_format: self.log_format,
            limits,
            memory,
            drain_timeout,
        })
    }
}

fn instances(own: Option<&str>, endpoints: Option<&str>) -> Result<Instances, ConfigError> {
    let own = own.map(str::parse::<InstanceId>).transpose();
    let own = own.map_err(|error| invalid("instance", error.to_string()))?;
    let endpoints = endpoints.map(parse_endpoints).transpose();
    let endpoints = endpoints.map_err(|error| invalid("instance-endpoints", error))?;
    let instances = Instances { own, endpoints: endpoints.unwrap_or_default() };
    match &instances.own {
        Some(own) if !instances.know(own) => {
            Err(invalid("instance", format!("`{own}` is not one of --instance-endpoints")))
        }
        _ => Ok(instances),
    }
}

fn vault(current: Option<SecretText>, previous: Option<SecretText>) -> Result<Vault, ConfigError> {
    let parse = |setting, text: Option<SecretText>| {
        let key = text.map(|SecretText(text)| text.parse::<EncryptionKey>()).transpose();
        key.map_err(|error| invalid(setting, error.to_string()))
    };
    let current = parse("secret-encryption-key", current)?;
    let previous = parse("secret-encryption-key-previous", previous)?;
    if current.is_none() && previous.is_some() {
        let problem = "is needed with --secret-encryption-key-previous";
        return Err(invalid("secret-encryption-key", problem));
    }
    Ok(Vault::new(current, previous))
}

/// Ten thousand, unless it is another number up to a million.
fn million(setting: &'static str, value: Option<usize>) -> Result<usize, ConfigError> {
    let value = value.unwrap_or(10_000);
    if (1..=1_000_000).contains(&value) {
        Ok(value)
    } else {
        Err(invalid(setting, "must lie between 1 and 1000000"))
    }
}

fn memory(
    max_staleness_milliseconds: Option<u64>,
    max_cached_keys: Option<usize>,
) -> Result<MemoryLimits, ConfigError> {
    let milliseconds = max_staleness_milliseconds.unwrap_or(2_000);
    if !(500..=60_000).contains(&milliseconds) {
        return Err(invalid("max-staleness-milliseconds", "must lie between 500 and 60000"));
    }
    let max_keys = max_cached_keys.unwrap_or(1_000_000);
    if !(1..=100_000_000).contains(&max_keys) {
        return Err(invalid("max-cached-keys", "must lie between 1 and 100000000"));
    }
    Ok(MemoryLimits { max_staleness: Duration::from_millis(milliseconds), max_keys })
}

fn seconds(setting: &'static str, value: u64, min: u64) -> Result<Duration, ConfigError> {
    if (min..=3_600).contains(&value) {
        Ok(Duration::from_secs(value))
    } else {
        Err(invalid(setting, format!("must lie between {min} and 3600")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::default()
    }

    #[test]
    fn everything_has_a_default() {
        let config = settings().resolve().unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:50051");
        assert_eq!(config.database, DatabaseUrl::Sqlite("claviger-data/claviger.db".into()));
    }

    #[test]
    fn errors_name_the_setting() {
        for (settings, setting) in [
            (
                Settings { listen: Some(([0, 0, 0, 0], 1).into()), ..settings() },
                "--listen 0.0.0.0:1 is beyond loopback",
            ),
            (
                Settings { tls_certificate_file: Some("c".into()), ..settings() },
                "--tls-private-key-file is needed",
            ),
            (
                Settings { tls_private_key_file: Some("k".into()), ..settings() },
                "--tls-certificate-file is needed",
            ),
            (
                Settings { database_url: Some("postgres://u:hunter2@h/d".into()), ..settings() },
                "--database-url is of the server `h`, beyond loopback",
            ),
            (
                Settings { database_url: Some("sqlite::memory:".into()), ..settings() },
                "--database-url must be",
            ),
            (
                Settings { request_timeout_seconds: Some(0), ..settings() },
                "--request-timeout-seconds must lie between 1 and 3600",
            ),
            (
                Settings { drain_timeout_seconds: Some(3_601), ..settings() },
                "--drain-timeout-seconds must lie",
            ),
            (
                Settings { max_concurrent_requests: Some(0), ..settings() },
                "--max-concurrent-requests must lie",
            ),
            (
                Settings { max_connections: Some(1_000_001), ..settings() },
                "--max-connections must lie",
            ),
            (
                Settings { max_staleness_milliseconds: Some(499), ..settings() },
                "--max-staleness-milliseconds must lie",
            ),
            (Settings { max_cached_keys: Some(0), ..settings() }, "--max-cached-keys must lie"),
            (Settings { instance: Some("a=b".into()), ..settings() }, "--instance must be"),
            (
                Settings {
                    instance: Some("eu-01".into()),
                    instance_endpoints: Some("us-01=https://a".into()),
                    ..settings()
                },
                "--instance `eu-01` is not one of --instance-endpoints",
            ),
            (
                Settings { instance_endpoints: Some("us-01".into()), ..settings() },
                "--instance-endpoints must be",
            ),
            (
                Settings { secret_encryption_key: Some("hunter2".parse().unwrap()), ..settings() },
                "--secret-encryption-key must be 32 bytes",
            ),
            (
                Settings {
                    secret_encryption_key_previous: Some(
                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".parse().unwrap(),
                    ),
                    ..settings()
                },
                "--secret-encryption-key is needed",
            ),
            (Settings { config: Some("/nowhere".into()), ..settings() }, "--config: cannot read"),
        ] {
            let error = settings.resolve().unwrap_err().to_string();
            assert!(error.starts_with(setting), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn clear_text_beyond_loopback_needs_the_switch_or_tls() {
        let beyond = Settings { listen: Some(([0, 0, 0, 0], 1).into()), ..settings() };
        assert!(Settings { allow_clear_text: Some(true), ..beyond.clone() }.resolve().is_ok());
        assert!(Settings { allow_clear_text: Some(false), ..beyond.clone() }.resolve().is_err());
        let tls = Settings {
            tls_certificate_file: Some("c".into()),
            tls_private_key_file: Some("k".into()),
            ..beyond
        };
        assert!(tls.resolve().is_ok());
        let loopback = Settings { listen: Some("[::1]:1".parse().unwrap()), ..settings() };
        assert!(loopback.resolve().is_ok());
    }

    #[test]
    fn a_flag_counts_before_the_file_and_the_file_before_the_default() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("claviger.toml");
        std::fs::write(&path, "listen = '127.0.0.1:7'\ndrain_timeout_seconds = 3\n").unwrap();
        let flags = Settings {
            config: Some(path.clone()),
            listen: Some(([127, 0, 0, 1], 9).into()),
            ..settings()
        };
        let config = flags.resolve().unwrap();
        assert_eq!(config.listen.port(), 9);
        assert_eq!(config.drain_timeout, Duration::from_secs(3));
        assert_eq!(config.limits.request_timeout, Duration::from_secs(10));

        std::fs::write(&path, "lisen = '127.0.0.1:7'\n").unwrap();
        let error = Settings { config: Some(path), ..settings() }.resolve().unwrap_err();
        assert!(error.to_string().contains("unknown field `lisen`"), "{error}");
    }
}
