//! `claviger encryption-key`.

use std::error::Error;
use std::sync::Arc;

use clap::Subcommand;

use super::client::counted;
use crate::config::Settings;
use crate::domain::Vault;
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
    /// Erase the revealable secrets that are encrypted with neither key, because their key is lost
    ///
    /// The API keys themselves stay good: only, they cannot be revealed any more.
    Forget {
        /// Erase all of them, also where no encryption key is set
        #[arg(long)]
        all: bool,

        #[command(flatten)]
        settings: Box<Settings>,
    },
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Box<dyn Error>> {
        let (Self::Rotate(settings) | Self::Forget { settings, .. }) = &self;
        let config = settings.as_ref().clone().resolve()?;
        let store = Arc::new(Store::open(&config.database).await?);
        store.migrate().await?;
        let outcome = match self {
            Self::Rotate(_) => rotate(&store, &config.vault).await,
            Self::Forget { all, .. } => forget(&store, &config.vault, all).await,
        };
        store.close().await;
        outcome
    }
}

async fn rotate(store: &Arc<Store>, vault: &Arc<Vault>) -> Result<(), Box<dyn Error>> {
    let manage::Rotated { sealed, unreadable } =
        manage::rotate_encryption_key(store, vault).await?;
    println!("Encrypted {} with the current key.", counted(sealed, "secret"));
    if unreadable.is_empty() {
        return Ok(());
    }
    for name in &unreadable {
        println!("Not readable: {name}");
    }
    let count = counted(unreadable.len() as u64, "secret");
    Err(format!("{count} could not be decrypted, and stayed as they are").into())
}

async fn forget(store: &Arc<Store>, vault: &Arc<Vault>, all: bool) -> Result<(), Box<dyn Error>> {
    // A setting that was forgotten looks like a key that is lost.
    if vault.current().is_none() && !all {
        return Err("no encryption key is set, so that every revealable secret would be erased: \
                    set CLAVIGER_SECRET_ENCRYPTION_KEY, or say --all"
            .into());
    }
    let forgotten = manage::forget_unknown_secrets(store, vault).await?;
    println!("Erased {} of unknown encryption keys.", counted(forgotten, "secret"));
    Ok(())
}
