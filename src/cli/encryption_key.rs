//! `claviger encryption-key`.

use std::error::Error;
use std::sync::Arc;

use clap::Subcommand;

use crate::config::Settings;
use crate::manage;
use crate::store::Store;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Encrypt every revealable secret with CLAVIGER_SECRET_ENCRYPTION_KEY that is encrypted with
    /// CLAVIGER_SECRET_ENCRYPTION_KEY_PREVIOUS
    ///
    /// After that, the previous key is needed no more. On SQLite the server must not be running;
    /// elsewhere servers may go on that have both keys.
    Rotate(Box<Settings>),
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Box<dyn Error>> {
        let Self::Rotate(settings) = self;
        let config = settings.resolve()?;
        let store = Arc::new(Store::open(&config.database).await?);
        store.migrate().await?;
        let rotated = manage::rotate_encryption_key(&store, &config.vault).await;
        store.close().await;
        println!("Encrypted {} secrets with the current key.", rotated?);
        Ok(())
    }
}
