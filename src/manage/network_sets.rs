//! Network sets: apply, get, list, delete.

use std::sync::Arc;

use uuid::Uuid;

use super::cut_page;
use super::entropy::new_id;
use super::error::{Error, Precondition, Resource};
use crate::clock::Clock;
use crate::domain::{BeyondCeiling, Caller, NetworkSet, NetworkSetId, Networks, Timestamp};
use crate::store::{Committed, Store, StoredNetworkSet, Transaction, UnitOfWork};

/// All network sets.
#[derive(Clone, Debug)]
pub struct NetworkSets {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

/// A network set in a list: when it was first and last applied.
pub type ListedNetworkSet = (NetworkSetId, Timestamp, Timestamp);

impl NetworkSets {
    /// Network sets in this store, by this clock.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Creates a network set, or replaces it as a whole.
    ///
    /// # Errors
    /// See `CatalogService.ApplyNetworkSet` in the contract.
    pub async fn apply(
        &self,
        caller: &Caller,
        id: NetworkSetId,
        networks: Networks,
    ) -> Result<Committed<NetworkSet>, Error> {
        // It would say itself where it may be used from.
        if caller.key().network_sets.contains(&id) {
            return Err(BeyondCeiling::Addresses.into());
        }
        let now = self.clock.now();
        let work = ApplyNetworkSet { id, networks, revision: new_id(now)?, now };
        let applied = self.store.transact(work).await?;
        tracing::info!(network_set = %applied.output.id, by = %caller, "network set applied");
        Ok(applied)
    }

    /// The network set of this id.
    ///
    /// # Errors
    /// If there is none, or the database fails.
    pub async fn get(&self, id: &NetworkSetId) -> Result<NetworkSet, Error> {
        let stored = self.store.network_sets().find(id).await?;
        Ok(stored.ok_or(Error::NotFound(Resource::NetworkSet))?.set)
    }

    /// At most `page_size` network sets behind this one, and whether there are more.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(
        &self,
        after: Option<&NetworkSetId>,
        page_size: usize,
    ) -> Result<(Vec<ListedNetworkSet>, bool), Error> {
        let read = self.store.network_sets().list(after, page_size as u64 + 1).await?;
        Ok(cut_page(read, page_size))
    }

    /// Deletes a network set.
    ///
    /// # Errors
    /// See `CatalogService.DeleteNetworkSet` in the contract.
    pub async fn delete(&self, caller: &Caller, id: NetworkSetId) -> Result<Committed<()>, Error> {
        let deleted = self.store.transact(DeleteNetworkSet { id: id.clone() }).await?;
        tracing::info!(network_set = %id, by = %caller, "network set deleted");
        Ok(deleted)
    }
}

struct ApplyNetworkSet {
    id: NetworkSetId,
    networks: Networks,
    revision: Uuid,
    now: Timestamp,
}

impl UnitOfWork for ApplyNetworkSet {
    type Output = NetworkSet;
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<NetworkSet, Error> {
        let before = tx.network_sets().lock(&self.id).await?;
        let set = NetworkSet {
            id: self.id.clone(),
            networks: self.networks.clone(),
            create_time: before.as_ref().map_or(self.now, |before| before.set.create_time),
            update_time: self.now,
        };
        let applied = StoredNetworkSet { set, revision: self.revision };
        if before.is_some() {
            tx.network_sets().update(&applied).await?;
        } else {
            tx.network_sets().insert(&applied).await?;
        }
        Ok(applied.set)
    }
}

struct DeleteNetworkSet {
    id: NetworkSetId,
}

impl UnitOfWork for DeleteNetworkSet {
    type Output = ();
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<(), Error> {
        if tx.network_sets().lock(&self.id).await?.is_none() {
            return Err(Error::NotFound(Resource::NetworkSet));
        }
        if let Some(key) = tx.network_sets().find_user(&self.id).await? {
            return Err(Precondition::NetworkSetInUse { key }.into());
        }
        tx.network_sets().delete(&self.id).await?;
        Ok(())
    }
}
