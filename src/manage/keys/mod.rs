//! Keys: create, get, list, delete.

mod create;
mod delete;
mod list;

use std::sync::Arc;

use uuid::Uuid;

use super::error::{Error, Resource};
use crate::clock::Clock;
use crate::domain::{Caller, Key, KeyFilter, KeyName, WorkspaceId};
use crate::store::{Cursor, Store};

pub use create::{CreatedKey, KeyDraft};
pub(super) use create::{build_key, check_known};
pub use list::KeyPage;

/// The keys of all workspaces.
#[derive(Clone, Debug)]
pub struct Keys {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

impl Keys {
    /// Keys in this store, by this clock.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
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
    ) -> Result<CreatedKey, Error> {
        let work = create::CreateKey::new(caller, workspace, draft, request_id, self.clock.now())?;
        let created = self.store.transact(work).await?;
        tracing::info!(key = %created.key.name, by = %caller, "key created");
        Ok(created)
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
    pub async fn delete(&self, caller: &Caller, name: KeyName) -> Result<(), Error> {
        let work = delete::DeleteKey { name: name.clone(), now: self.clock.now() };
        self.store.transact(work).await?;
        tracing::info!(key = %name, by = %caller, "key deleted");
        Ok(())
    }
}
