//! The encryption keys that revealable secrets are sealed with.

use std::sync::Arc;

use super::entropy::random;
use super::error::{Error, Precondition};
use crate::domain::{KeyName, Unreadable, Vault};
use crate::store::{Store, Transaction, UnitOfWork};

/// How many secrets are sealed anew in one transaction, so that it holds up no other for long.
const BATCH: u64 = 200;

/// Checks that every sealed secret was sealed with an encryption key that is here.
///
/// # Errors
/// [`Precondition::EncryptionKeyUnknown`] if one was not, or if the database fails.
pub async fn check_vault(store: &Store, vault: &Vault) -> Result<(), Error> {
    let others = store.sealed_secrets().under_other_keys(vault.keys(), &[], 1).await?;
    match others.into_iter().next() {
        None => Ok(()),
        Some((_, sealed)) => Err(Precondition::EncryptionKeyUnknown(sealed.encryption_key).into()),
    }
}

/// What a rotation came to.
#[derive(Debug, Default)]
pub struct Rotated {
    /// How many secrets were sealed anew.
    pub sealed: u64,
    /// Keys whose secrets cannot be opened, and stay as they are.
    pub unreadable: Vec<KeyName>,
}

/// How many secrets that cannot be opened a rotation goes past: of more, the keys are not the ones.
const MAX_UNREADABLE: usize = 1_000;

/// Seals every secret that the previous encryption key sealed with the current one. Other servers may
/// go on meanwhile, if they have both keys.
///
/// # Errors
/// If there is no current key, very many secrets cannot be opened, or the database fails. What was
/// sealed anew stays so.
pub async fn rotate_encryption_key(
    store: &Arc<Store>,
    vault: &Arc<Vault>,
) -> Result<Rotated, Error> {
    let mut rotated = Rotated::default();
    loop {
        let without = rotated.unreadable.clone();
        let some = store.transact(RotateSome { vault: Arc::clone(vault), without }).await?.output;
        if some.sealed == 0 && some.unreadable.is_empty() {
            return Ok(rotated);
        }
        rotated.sealed += some.sealed;
        rotated.unreadable.extend(some.unreadable);
        if rotated.unreadable.len() > MAX_UNREADABLE {
            return Err(Unreadable.into());
        }
    }
}

/// Erases the secrets that were sealed with an encryption key that is not here, and says how many that
/// were. The keys themselves stay good.
///
/// # Errors
/// If the database fails. What was erased stays so.
pub async fn forget_unknown_secrets(store: &Arc<Store>, vault: &Arc<Vault>) -> Result<u64, Error> {
    let mut forgotten = 0;
    loop {
        let some = store.transact(ForgetSome(Arc::clone(vault))).await?.output;
        if some == 0 {
            return Ok(forgotten);
        }
        forgotten += some;
    }
}

struct RotateSome {
    vault: Arc<Vault>,
    without: Vec<KeyName>,
}

impl UnitOfWork for RotateSome {
    type Output = Rotated;
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<Rotated, Error> {
        let Self { vault, without } = self;
        let current = vault.current().ok_or(Precondition::EncryptionKeyMissing)?;
        let mut rotated = Rotated::default();
        for (name, sealed) in
            tx.sealed_secrets().under_other_keys([current], without, BATCH).await?
        {
            let Ok(secret) = vault.open(&name, &sealed) else {
                rotated.unreadable.push(name);
                continue;
            };
            let sealed = vault.seal(&name, &secret, random()?);
            let sealed = sealed.ok_or(Precondition::EncryptionKeyMissing)?;
            tx.sealed_secrets().replace(&name, &sealed).await?;
            rotated.sealed += 1;
        }
        Ok(rotated)
    }
}

struct ForgetSome(Arc<Vault>);

impl UnitOfWork for ForgetSome {
    type Output = u64;
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<u64, Error> {
        Ok(tx.sealed_secrets().forget_under_other_keys(self.0.keys()).await?)
    }
}
