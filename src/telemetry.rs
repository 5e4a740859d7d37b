//! Logs.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::LogFormat;

/// Why logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be understood.
    #[error("--log must be a level such as `info`, or directives such as `claviger=debug`: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logs were set up before.
    #[error(transparent)]
    Init(#[from] TryInitError),
}

/// Sends logs to standard error: what `filter` admits, in this form, or in the one that fits what
/// standard error is.
///
/// # Errors
/// See [`TelemetryError`].
pub fn init(filter: &str, format: Option<LogFormat>) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let terminal = io::stderr().is_terminal();
    let fitting = if terminal { LogFormat::Pretty } else { LogFormat::Json };
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format.unwrap_or(fitting) {
        LogFormat::Pretty => registry.with(layer.with_ansi(terminal)).try_init()?,
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}
