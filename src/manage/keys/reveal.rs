//! `RevealKey`.

use super::super::error::{Error, Precondition, Resource};
use crate::domain::{KeyName, Secret, SecretVisibility, Vault};
use crate::store::Store;

pub(super) async fn reveal(store: &Store, vault: &Vault, name: &KeyName) -> Result<Secret, Error> {
    let not_found = || Error::NotFound(Resource::Key);
    store.keys().find(name).await?.ok_or_else(not_found)?;
    let workspace = store.workspaces().find(&name.workspace).await?.ok_or_else(not_found)?;
    if workspace.policy.secret_visibility != SecretVisibility::Revealable {
        return Err(Precondition::SecretShownOnce.into());
    }
    // A key from before the policy changed has none.
    let sealed = store.sealed_secrets().find(name).await?.ok_or(Precondition::SecretShownOnce)?;
    let secret = vault.open(name, &sealed);
    if let Err(error) = &secret {
        tracing::error!(key = %name, %error, "a secret was not revealed");
    }
    Ok(secret?)
}
