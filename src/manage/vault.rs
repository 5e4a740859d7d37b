//! The encryption keys that revealable secrets are sealed with.

use std::sync::Arc;

use super::entropy::random;
use super::error::{Error, Precondition};
use crate::domain::Vault;
use crate::store::{Store, Transaction, UnitOfWork};

/// How many secrets are sealed anew in one transaction, so that it holds up no other for long.
const BATCH: u64 = 200;

/// Checks that every sealed secret was sealed with an encryption key that is here.
///
/// # Errors
/// [`Precondition::EncryptionKeyUnknown`] if one was not, or if the database fails.
pub async fn check_vault(store: &Store, vault: &Vault) -> Result<(), Error> {
    let others = store.sealed_secrets().under_other_keys(vault.keys(), 1).await?;
    match others.into_iter().next() {
        None => Ok(()),
        Some((_, sealed)) => Err(Precondition::EncryptionKeyUnknown(sealed.encryption_key).into()),
    }
}

/// Seals every secret that the previous encryption key sealed with the current one, and says how many
/// that were. Other servers may go on meanwhile, if they have both keys.
///
/// # Errors
/// If there is no current key, a secret cannot be read, or the database fails. What was sealed
/// anew stays so.
pub async fn rotate_encryption_key(store: &Arc<Store>, vault: &Arc<Vault>) -> Result<u64, Error> {
    let mut rotated = 0;
    loop {
        let some = store.transact(RotateSome(Arc::clone(vault))).await?;
        if some == 0 {
            return Ok(rotated);
        }
        rotated += some;
    }
}

struct RotateSome(Arc<Vault>);

impl UnitOfWork for RotateSome {
    type Output = u64;
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<u64, Error> {
        let Self(vault) = self;
        let current = vault.current().ok_or(Precondition::EncryptionKeyMissing)?;
        let some = tx.sealed_secrets().under_other_keys([current], BATCH).await?;
        for (name, sealed) in &some {
            let secret = vault.open(name, sealed)?;
            let sealed = vault.seal(name, &secret, random()?);
            let sealed = sealed.ok_or(Precondition::EncryptionKeyMissing)?;
            tx.sealed_secrets().replace(name, &sealed).await?;
        }
        Ok(some.len() as u64)
    }
}
