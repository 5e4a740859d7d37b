//! The command line.

#![allow(clippy::doc_markdown, reason = "documentation here is what --help prints")]

mod catalog;
mod migrate_store;
mod operator_key;
mod serve;

use std::error::Error;

use clap::{Args, Parser, Subcommand};

use crate::config::Settings;

/// Issues API keys, and decides on every request what they may do.
#[derive(Debug, Parser)]
#[command(name = "claviger", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default)
    Serve(Box<Settings>),
    /// Manage the catalogues of permissions of a running server
    #[command(subcommand)]
    Catalog(catalog::Command),
    /// Replace the operator key, beside the database of a server that is not running
    #[command(subcommand)]
    OperatorKey(operator_key::Command),
    /// Copy a database to another engine, and compare the copy row by row
    ///
    /// A URL may hold a password, and what is an argument everybody on the machine can read: the
    /// environment is the better place for it.
    MigrateStore(migrate_store::MigrateStore),
    /// Print the version
    Version,
}

/// How to reach a running server.
#[derive(Args, Debug)]
struct Connection {
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
    tls_ca_file: Option<std::path::PathBuf>,

    /// Reach a server beyond loopback without TLS, where something else encrypts
    #[arg(long, env = "CLAVIGER_ALLOW_CLEAR_TEXT")]
    allow_clear_text: bool,
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// What went wrong, for a person to read.
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        match self.command {
            None => serve::run(self.serve).await,
            Some(Command::Serve(settings)) => serve::run(*settings).await,
            Some(Command::Catalog(command)) => command.run().await,
            Some(Command::OperatorKey(command)) => command.run().await,
            Some(Command::MigrateStore(command)) => command.run().await,
            Some(Command::Version) => {
                println!("claviger {}", env!("CARGO_PKG_VERSION"));
                Ok(())
            }
        }
    }
}
