//! `claviger migrate-store`.

use std::error::Error;

use clap::Args;

use crate::store::{DatabaseUrl, Store};

#[derive(Args, Debug)]
pub(super) struct MigrateStore {
    /// The database to copy, as in --database-url; no server may be using it
    #[arg(long, env = "CLAVIGER_MIGRATE_FROM", value_name = "URL", hide_env_values = true)]
    from: String,

    /// The database to copy to, which must be empty
    #[arg(long, env = "CLAVIGER_MIGRATE_TO", value_name = "URL", hide_env_values = true)]
    to: String,
}

impl MigrateStore {
    pub(super) async fn run(self) -> Result<(), Box<dyn Error>> {
        let from: DatabaseUrl = self.from.parse().map_err(|error| format!("--from {error}"))?;
        let to: DatabaseUrl = self.to.parse().map_err(|error| format!("--to {error}"))?;
        let source = Store::open(&from).await?;
        let target = Store::open(&to).await?;
        let copied = source.copy_to(&target).await;
        source.close().await;
        target.close().await;
        let copied = copied?;
        println!(
            "Copied {from} to {to}, and compared row by row: {} workspaces, {} catalogues, {} keys.",
            copied.workspaces, copied.catalogs, copied.keys
        );
        Ok(())
    }
}
