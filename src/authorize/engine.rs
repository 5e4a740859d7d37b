//! Finds what a decision needs, and decides.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::last_seen::{LastSeen, WriteLastSeen};
use super::rate_limit::RateLimits;
use crate::clock::Clock;
use crate::domain::{
    Bearer, Catalog, CatalogId, Credential, Decision, Denial, NetworkSetId, Networks, Question,
    Subject, control_catalog, decide,
};
use crate::store::{Store, StoreError, StoredKey, Tenant};

/// How many catalogues, and how many network sets, are kept ready; of more, all are forgotten and
/// read anew.
const MAX_READY: usize = 1_000;

/// Decides on keys as they stand in the database.
#[derive(Debug)]
pub struct Engine {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    control_catalog: Arc<Catalog>,
    catalogs: Ready<CatalogId, Catalog>,
    network_sets: Ready<NetworkSetId, Networks>,
    last_seen: LastSeen,
    rate_limits: RateLimits,
}

/// What is read once and used often, by the revision that the database names each time: never older
/// than the key that it is used for.
#[derive(Debug)]
struct Ready<K, V>(Mutex<HashMap<K, (Uuid, Arc<V>)>>);

impl<K, V> Default for Ready<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V> Ready<K, V> {
    fn get(&self, id: &K, revision: Uuid) -> Option<Arc<V>> {
        let ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (found, value) = ready.get(id)?;
        (*found == revision).then(|| Arc::clone(value))
    }

    fn put(&self, id: &K, revision: Uuid, value: V) -> Arc<V> {
        let value = Arc::new(value);
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.len() >= MAX_READY && !ready.contains_key(id) {
            ready.clear();
        }
        ready.insert(id.clone(), (revision, Arc::clone(&value)));
        value
    }
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
            catalogs: Ready::default(),
            network_sets: Ready::default(),
            last_seen: LastSeen::default(),
            rate_limits: RateLimits::default(),
        }
    }

    /// Decides on what [`Self::find`] found behind the credential, counts a request that is allowed
    /// against its rate limit, and notes that a key that is known was seen, whatever the verdict.
    #[must_use]
    pub fn decide<'s>(
        &self,
        question: &Question<'_>,
        subject: Option<&'s Subject>,
    ) -> Decision<'s> {
        let now = self.clock.now();
        let mut decision = decide(question, subject, now);
        if let Some((counter, limit)) = decision.limit.take() {
            let counted = self.rate_limits.count(counter, limit, || self.clock.now());
            decision.verdict = counted.map(drop).map_err(|_| Denial::RateLimited);
            decision.rate_limit = Some(counted.unwrap_or_else(|used_up| used_up));
        }
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

    /// The key behind the credential of a question, if there is one, and what deciding on it takes.
    ///
    /// # Errors
    /// If the database cannot be read: then nothing can be decided.
    pub async fn find(&self, question: &Question<'_>) -> Result<Option<Subject>, StoreError> {
        let found = match question.credential {
            Credential::Missing | Credential::Malformed => None,
            Credential::Presented(digest) => {
                let stored = self.store.keys().find_by_digest(&digest).await?;
                stored.map(|StoredKey { key, tenant }| (Bearer::Private(Box::new(key)), tenant))
            }
            Credential::Public(key) => {
                let found = self.store.workspaces().find_by_public_key(&key).await?;
                found.map(|(workspace, tenant)| (Bearer::Public(workspace), tenant))
            }
        };
        let Some((bearer, tenant)) = found else { return Ok(None) };
        let network_sets = match bearer.key() {
            Some(key) => self.network_sets(&key.network_sets).await?,
            None => Vec::new(),
        };
        let identifiers = if question.identifiers.is_empty() {
            HashSet::new()
        } else {
            let identifiers = self.store.identifiers();
            identifiers.owned(bearer.workspace(), question.identifiers).await?
        };
        Ok(Some(Subject {
            catalog: self.catalog(&tenant).await?,
            instance: tenant.instance,
            requests_per_hour: tenant.policy.requests_per_hour,
            network_sets,
            identifiers,
            bearer,
        }))
    }

    async fn catalog(&self, tenant: &Tenant) -> Result<Arc<Catalog>, StoreError> {
        let id = &tenant.catalog;
        if id.is_reserved() {
            return Ok(Arc::clone(&self.control_catalog));
        }
        let missing = || StoreError::Corrupt("workspaces.catalog_id");
        let revision = tenant.catalog_revision.ok_or_else(missing)?;
        if let Some(catalog) = self.catalogs.get(id, revision) {
            return Ok(catalog);
        }
        // It may have been applied again since the key was read; then it is newer, which is as
        // good.
        let stored = self.store.catalogs().find(id).await?.ok_or_else(missing)?;
        Ok(self.catalogs.put(id, stored.revision, stored.catalog))
    }

    /// The networks of the sets that a key refers to. A set that is not there, which cannot be,
    /// admits nobody.
    async fn network_sets(&self, ids: &[NetworkSetId]) -> Result<Vec<Arc<Networks>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sets = Vec::with_capacity(ids.len());
        for (id, revision) in self.store.network_sets().revisions(ids).await? {
            if let Some(networks) = self.network_sets.get(&id, revision) {
                sets.push(networks);
            } else if let Some(stored) = self.store.network_sets().find(&id).await? {
                sets.push(self.network_sets.put(&id, stored.revision, stored.set.networks));
            }
        }
        Ok(sets)
    }
}
