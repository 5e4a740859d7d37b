//! `claviger operator-key`.

use std::error::Error;
use std::sync::Arc;

use clap::Subcommand;

use super::serve::handover;
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::manage;
use crate::operator_key::Handover;
use crate::store::Store;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a new operator key, and delete the ones that a first start or a reset made before
    Reset(Box<Settings>),
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Box<dyn Error>> {
        let Self::Reset(settings) = self;
        let config = settings.resolve()?;
        let store = Arc::new(Store::open(&config.database).await?);
        store.migrate().await?;
        if !manage::is_initialized(&store).await? {
            return Err("no server was ever started on this database: start one".into());
        }
        let handover = handover(&config);
        // The file first: a key that is in the database and nowhere else helps nobody.
        let secret = handover.renew()?;
        manage::reset_operator_key(&store, &SystemClock, secret.clone()).await?;
        store.close().await;
        match handover {
            Handover::File(path) => println!("The new operator key is in {}.", path.display()),
            Handover::Person(_) => {
                println!("The new operator key, shown once:\n\n    {}\n", secret.expose());
            }
        }
        Ok(())
    }
}
