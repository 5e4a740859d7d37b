//! Keys: create, clone, reveal, get, list, delete.

mod clone;
mod create;
mod delete;
mod issue;
mod list;
mod reveal;

use std::sync::Arc;

use uuid::Uuid;

use super::error::{Error, Resource};
use crate::clock::Clock;
use crate::domain::{Caller, Key, KeyFilter, KeyName, Secret, Vault, WorkspaceId};
use crate::store::{Committed, Cursor, Store};

pub(super) use create::check_known;
pub use create::{CreatedKey, KeyDraft};
pub(super) use issue::Issue;
pub use list::KeyPage;

/// The keys of all workspaces.
#[derive(Clone, Debug)]
pub struct Keys {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    vault: Arc<Vault>,
}

impl Keys {
    /// Keys in this store, by this clock, with the secrets that can be revealed in this vault.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>, vault: Arc<Vault>) -> Self {
        Self { store, clock, vault }
    }

    /// Creates a key. With a `request_id` that was seen before, returns the key that was created
    /// then.
    ///
    /// # Errors
    /// See `KeyService.CreateKey` in the contract.
    pub async fn create(
        &self,
        caller: &Caller,
        workspace: WorkspaceId,
        draft: KeyDraft,
        request_id: Option<Uuid>,
    ) -> Result<Committed<CreatedKey>, Error> {
        let request = create::request(request_id, &draft);
        let issue = Issue::new(caller, request, &self.vault, self.clock.now())?;
        let work = create::CreateKey { workspace, draft, issue };
        let created = self.store.transact(work).await?;
        tracing::info!(key = %created.output.key.name, by = %caller, "key created");
        Ok(created)
    }

    /// Creates a key that may do exactly what another one may. With a `request_id` that was seen
    /// before, returns the key that was created then.
    ///
    /// # Errors
    /// See `KeyService.CloneKey` in the contract.
    pub async fn clone(
        &self,
        caller: &Caller,
        name: KeyName,
        request_id: Option<Uuid>,
    ) -> Result<Committed<CreatedKey>, Error> {
        let request = clone::request(request_id, &name);
        let issue = Issue::new(caller, request, &self.vault, self.clock.now())?;
        let work = clone::CloneKey { name: name.clone(), issue };
        let created = self.store.transact(work).await?;
        tracing::info!(key = %created.output.key.name, of = %name, by = %caller, "key cloned");
        Ok(created)
    }

    /// The secret of this key.
    ///
    /// # Errors
    /// See `KeyService.RevealKey` in the contract.
    pub async fn reveal(&self, caller: &Caller, name: &KeyName) -> Result<Secret, Error> {
        let secret = reveal::reveal(&self.store, &self.vault, name).await?;
        tracing::info!(key = %name, by = %caller, "secret revealed");
        Ok(secret)
    }

    /// The key of this name.
    ///
    /// # Errors
    /// If there is none, or the database fails.
    pub async fn get(&self, name: &KeyName) -> Result<Key, Error> {
        self.store.keys().find(name).await?.ok_or(Error::NotFound(Resource::Key))
    }

    /// At most `page_size` keys of a workspace behind the cursor, newest first.
    ///
    /// # Errors
    /// If there is no such workspace, or the database fails.
    pub async fn list(
        &self,
        workspace: &WorkspaceId,
        filter: &KeyFilter,
        after: Option<Cursor>,
        page_size: usize,
    ) -> Result<KeyPage, Error> {
        list::list(&self.store, workspace, filter, after, page_size).await
    }

    /// Deletes a key, at once and for good.
    ///
    /// # Errors
    /// See `KeyService.DeleteKey` in the contract.
    pub async fn delete(&self, caller: &Caller, name: KeyName) -> Result<Committed<()>, Error> {
        let work = delete::DeleteKey { name: name.clone(), now: self.clock.now() };
        let deleted = self.store.transact(work).await?;
        tracing::info!(key = %name, by = %caller, "key deleted");
        Ok(deleted)
    }
}
