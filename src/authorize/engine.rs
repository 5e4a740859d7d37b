//! Finds what a decision needs, and decides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::last_seen::{LastSeen, WriteLastSeen};
use crate::clock::Clock;
use crate::domain::{
    Catalog, CatalogId, Credential, Decision, Question, Subject, control_catalog, decide,
};
use crate::store::{Store, StoreError};

/// How many catalogues are kept compiled; of more, all are forgotten and compiled anew.
const MAX_COMPILED: usize = 100;

/// Decides on keys as they stand in the database.
#[derive(Debug)]
pub struct Engine {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    control_catalog: Arc<Catalog>,
    /// Compiled catalogues by the revision that the database named with the key: never older than
    /// the key that they are read for.
    compiled: Mutex<HashMap<CatalogId, (Uuid, Arc<Catalog>)>>,
    last_seen: LastSeen,
}

impl Engine {
    /// An engine on this store, by this clock.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        let control_catalog = Arc::new(control_catalog().clone());
        Self {
            store,
            clock,
            control_catalog,
            compiled: Mutex::default(),
            last_seen: LastSeen::default(),
        }
    }

    /// Decides on what [`Self::find`] found behind the credential, and notes that a key that is
    /// known was seen, whatever the verdict.
    #[must_use]
    pub fn decide<'s>(
        &self,
        question: &Question<'_>,
        subject: Option<&'s Subject>,
    ) -> Decision<'s> {
        let now = self.clock.now();
        let decision = decide(question, subject, now);
        if let Some(key) = decision.key {
            self.last_seen.note(key.name.id, now);
        }
        decision
    }

    /// Writes when keys were last seen to the store. What cannot be written is kept for the next
    /// time.
    pub async fn write_last_seen(&self) {
        loop {
            let some = self.last_seen.take_some();
            if some.is_empty() {
                return;
            }
            if let Err(error) = self.store.transact(WriteLastSeen(some.clone())).await {
                tracing::warn!(%error, "when keys were last seen is not written yet");
                for (key, seen) in some {
                    self.last_seen.note(key, seen);
                }
                return;
            }
        }
    }

    /// The key behind a credential, if there is one.
    ///
    /// # Errors
    /// If the database cannot be read: then nothing can be decided.
    pub async fn find(&self, credential: Credential) -> Result<Option<Subject>, StoreError> {
        let Credential::Presented(digest) = credential else { return Ok(None) };
        let Some(stored) = self.store.keys().find_by_digest(&digest).await? else {
            return Ok(None);
        };
        let catalog = if stored.catalog.is_reserved() {
            Arc::clone(&self.control_catalog)
        } else {
            let revision =
                stored.catalog_revision.ok_or(StoreError::Corrupt("workspaces.catalog_id"))?;
            self.catalog(&stored.catalog, revision).await?
        };
        Ok(Some(Subject { key: stored.key, catalog }))
    }

    async fn catalog(&self, id: &CatalogId, revision: Uuid) -> Result<Arc<Catalog>, StoreError> {
        if let Some(catalog) = self.compiled_at(id, revision) {
            return Ok(catalog);
        }
        // It may have been applied again since the key was read; then it is newer, which is as
        // good.
        let stored = self.store.catalogs().find(id).await?;
        let stored = stored.ok_or(StoreError::Corrupt("workspaces.catalog_id"))?;
        let catalog = Arc::new(stored.catalog);
        let entry = (stored.revision, Arc::clone(&catalog));
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() >= MAX_COMPILED {
            compiled.clear();
        }
        compiled.insert(id.clone(), entry);
        Ok(catalog)
    }

    fn compiled_at(&self, id: &CatalogId, revision: Uuid) -> Option<Arc<Catalog>> {
        let compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let (found, catalog) = compiled.get(id)?;
        (*found == revision).then(|| Arc::clone(catalog))
    }
}
