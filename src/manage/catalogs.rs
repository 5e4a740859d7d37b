//! Catalogues: apply, get, list, delete.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use super::cut_page;
use super::entropy::new_id;
use super::error::{Error, Precondition, Resource};
use crate::clock::Clock;
use crate::domain::{
    Caller, Catalog, CatalogId, Grant, Permission, PermissionName, Timestamp, control_catalog,
};
use crate::store::{Committed, Store, StoredCatalog, Transaction, UnitOfWork};

/// All catalogues.
#[derive(Clone, Debug)]
pub struct Catalogs {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

/// A catalogue and its name. The built-in one has no times.
#[derive(Debug)]
pub struct NamedCatalog {
    /// Its id.
    pub id: CatalogId,
    /// Its permissions.
    pub permissions: Vec<Permission>,
    /// When it was first and last applied.
    pub times: Option<(Timestamp, Timestamp)>,
}

/// A catalogue in a list: when it was first and last applied.
pub type ListedCatalog = (CatalogId, Timestamp, Timestamp);

impl From<StoredCatalog> for NamedCatalog {
    fn from(stored: StoredCatalog) -> Self {
        Self {
            id: stored.id,
            permissions: stored.catalog.permissions().to_vec(),
            times: Some((stored.create_time, stored.update_time)),
        }
    }
}

impl Catalogs {
    /// Catalogues in this store, by this clock.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Creates a catalogue, or replaces it as a whole.
    ///
    /// # Errors
    /// See `CatalogService.ApplyCatalog` in the contract.
    pub async fn apply(
        &self,
        caller: &Caller,
        id: CatalogId,
        catalog: Catalog,
    ) -> Result<Committed<NamedCatalog>, Error> {
        refuse_reserved(&id)?;
        let now = self.clock.now();
        let work = ApplyCatalog { id, catalog, revision: new_id(now)?, now };
        let applied = self.store.transact(work).await?;
        tracing::info!(catalog = %applied.output.id, by = %caller, "catalogue applied");
        Ok(applied.map(NamedCatalog::from))
    }

    /// The catalogue of this id, the built-in one included.
    ///
    /// # Errors
    /// If there is none, or the database fails.
    pub async fn get(&self, id: &CatalogId) -> Result<NamedCatalog, Error> {
        if id.is_reserved() {
            let permissions = control_catalog().permissions().to_vec();
            return Ok(NamedCatalog { id: id.clone(), permissions, times: None });
        }
        let stored = self.store.catalogs().find(id).await?;
        Ok(stored.ok_or(Error::NotFound(Resource::Catalog))?.into())
    }

    /// At most `page_size` catalogues behind this one, and whether there are more.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(
        &self,
        after: Option<&CatalogId>,
        page_size: usize,
    ) -> Result<(Vec<ListedCatalog>, bool), Error> {
        let read = self.store.catalogs().list(after, page_size as u64 + 1).await?;
        Ok(cut_page(read, page_size))
    }

    /// Deletes a catalogue.
    ///
    /// # Errors
    /// See `CatalogService.DeleteCatalog` in the contract.
    pub async fn delete(&self, caller: &Caller, id: CatalogId) -> Result<Committed<()>, Error> {
        refuse_reserved(&id)?;
        let deleted = self.store.transact(DeleteCatalog { id: id.clone() }).await?;
        tracing::info!(catalog = %id, by = %caller, "catalogue deleted");
        Ok(deleted)
    }
}

fn refuse_reserved(id: &CatalogId) -> Result<(), Error> {
    if id.is_reserved() { Err(Error::Reserved(Resource::Catalog)) } else { Ok(()) }
}

struct ApplyCatalog {
    id: CatalogId,
    catalog: Catalog,
    revision: Uuid,
    now: Timestamp,
}

impl ApplyCatalog {
    /// Checks that no key and no policy names a permission that would go. A pattern may come to
    /// match nothing: it names no permission.
    async fn check_removals(&self, tx: &Transaction, before: &Catalog) -> Result<(), Error> {
        let removed: HashSet<&PermissionName> = before
            .permissions()
            .iter()
            .map(|permission| &permission.name)
            .filter(|name| self.catalog.find(name.as_str()).is_none())
            .collect();
        if removed.is_empty() {
            return Ok(());
        }
        if let Some((key, permission)) = tx.keys().find_holder(&self.id, &removed).await? {
            return Err(Precondition::PermissionHeld { permission, key }.into());
        }
        for workspace in tx.workspaces().of_catalog(&self.id).await? {
            for grant in &workspace.policy.default_permissions {
                if let Grant::Exactly(name) = grant
                    && removed.contains(name)
                {
                    let (permission, workspace) = (name.clone(), workspace.id);
                    return Err(Precondition::PermissionIsDefault { permission, workspace }.into());
                }
            }
        }
        Ok(())
    }
}

impl UnitOfWork for ApplyCatalog {
    type Output = StoredCatalog;
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<StoredCatalog, Error> {
        let before = tx.catalogs().lock(&self.id).await?;
        let applied = StoredCatalog {
            id: self.id.clone(),
            revision: self.revision,
            catalog: self.catalog.clone(),
            create_time: before.as_ref().map_or(self.now, |before| before.create_time),
            update_time: self.now,
        };
        if let Some(before) = before {
            self.check_removals(tx, &before.catalog).await?;
            tx.catalogs().update(&applied).await?;
        } else {
            tx.catalogs().insert(&applied).await?;
        }
        Ok(applied)
    }
}

struct DeleteCatalog {
    id: CatalogId,
}

impl UnitOfWork for DeleteCatalog {
    type Output = ();
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<(), Error> {
        if tx.catalogs().lock(&self.id).await?.is_none() {
            return Err(Error::NotFound(Resource::Catalog));
        }
        if tx.workspaces().use_catalog(&self.id).await? {
            return Err(Precondition::CatalogInUse.into());
        }
        tx.catalogs().delete(&self.id).await?;
        Ok(())
    }
}
