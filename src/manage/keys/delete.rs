//! `DeleteKey`.

use super::super::error::{Error, Precondition, Resource};
use crate::domain::{KeyName, Timestamp};
use crate::store::{Transaction, UnitOfWork};

pub(super) struct DeleteKey {
    pub(super) name: KeyName,
    pub(super) now: Timestamp,
}

impl UnitOfWork for DeleteKey {
    type Output = ();
    type Error = Error;

    fn group(&self) -> Option<&str> {
        Some(self.name.workspace.as_str())
    }

    async fn run(&self, tx: &Transaction) -> Result<(), Error> {
        // An unknown workspace, an unknown key and a key of another workspace answer alike.
        let not_found = || Error::NotFound(Resource::Key);
        let workspace = tx.workspaces().lock(&self.name.workspace).await?.ok_or_else(not_found)?;
        let key = tx.keys().find(&self.name).await?.ok_or_else(not_found)?;
        if workspace.policy.keep_last_key
            && !key.is_expired(self.now)
            && !tx.keys().has_other_unexpired(&self.name, self.now).await?
        {
            return Err(Precondition::LastKey.into());
        }
        if key.is_operator_key() && tx.keys().operator_keys().await?.len() == 1 {
            return Err(Precondition::LastOperatorKey.into());
        }
        tx.keys().delete(&self.name).await?;
        Ok(())
    }
}
