//! Finds what a decision needs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::{Catalog, CatalogId, Credential, Subject, Timestamp, control_catalog};
use crate::store::{Store, StoreError};

/// How many catalogues are kept compiled; of more, all are forgotten and compiled anew.
const MAX_COMPILED: usize = 100;

/// Finds the key behind a credential, in the database as it stands.
#[derive(Debug)]
pub struct Engine {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    control_catalog: Arc<Catalog>,
    /// Compiled catalogues by the revision that the database named with the key: never older than
    /// the key that they are read for.
    compiled: Mutex<HashMap<CatalogId, (Uuid, Arc<Catalog>)>>,
}

impl Engine {
    /// An engine on this store, by this clock.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        let control_catalog = Arc::new(control_catalog().clone());
        Self { store, clock, control_catalog, compiled: Mutex::default() }
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
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
