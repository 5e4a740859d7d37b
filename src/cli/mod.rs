//! The command line.

#![allow(clippy::doc_markdown, reason = "documentation here is what --help prints")]

mod catalog;
mod client;
mod encryption_key;
mod migrate_store;
mod network_set;
mod operator_key;
mod serve;
mod workspace;

use std::error::Error;

use clap::{Parser, Subcommand};

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
    /// Manage the network sets of a running server
    #[command(subcommand)]
    NetworkSet(network_set::Command),
    /// Manage the workspaces of a running server
    #[command(subcommand)]
    Workspace(workspace::Command),
    /// Replace the operator key, beside the database of a server that is not running
    #[command(subcommand)]
    OperatorKey(operator_key::Command),
    /// Manage the key that revealable secrets are encrypted with, beside the database
    #[command(subcommand)]
    EncryptionKey(encryption_key::Command),
    /// Copy a database to another engine, and compare the copy row by row
    ///
    /// A URL may hold a password, and what is an argument everybody on the machine can read: the
    /// environment is the better place for it.
    MigrateStore(migrate_store::MigrateStore),
    /// Print the version
    Version,
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
            Some(Command::NetworkSet(command)) => command.run().await,
            Some(Command::Workspace(command)) => command.run().await,
            Some(Command::EncryptionKey(command)) => command.run().await,
            Some(Command::OperatorKey(command)) => command.run().await,
            Some(Command::MigrateStore(command)) => command.run().await,
            Some(Command::Version) => {
                println!("claviger {}", env!("CARGO_PKG_VERSION"));
                Ok(())
            }
        }
    }
}
