//! All that is remembered of what the database holds.

use std::time::Duration;

use super::cache::{Cache, Joined, Landed, Recalled, Ticket};
use super::entry::CacheKey;
use super::registry::Registry;
use crate::store::{Change, Observer};

/// Credentials, and what they share. Forgets what changes.
#[derive(Debug)]
pub(super) struct Memory {
    cache: Cache,
    pub(super) registry: Registry,
}

impl Memory {
    /// A memory of at most so many credentials that are known.
    pub(super) fn new(capacity: usize) -> Self {
        Self { cache: Cache::new(capacity), registry: Registry::default() }
    }

    /// See [`Cache::recall`].
    pub(super) fn recall(&self, key: &CacheKey, uptime: Duration) -> Recalled {
        self.cache.recall(key, uptime)
    }

    /// See [`Cache::touch`].
    pub(super) fn touch(&self, keys: &[CacheKey]) {
        self.cache.touch(keys);
    }

    /// See [`Cache::join`].
    pub(super) fn join(&self, key: CacheKey, uptime: Duration, max_age: Duration) -> Joined {
        self.cache.join(key, self.registry.mark(), uptime, max_age)
    }

    /// See [`Cache::land`].
    pub(super) fn land(&self, ticket: &Ticket, landed: Landed, uptime: Duration) {
        self.cache.land(ticket, landed, uptime);
    }
}

impl Observer for Memory {
    fn changed(&self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Key(digest) => self.cache.evict(&(*digest).into()),
                Change::PublicKey(key) => self.cache.evict(&(*key).into()),
                Change::Workspace(id) => self.registry.outdate_tenant(id),
                Change::Catalog(id) => self.registry.outdate_catalog(id),
                Change::NetworkSet(id) => self.registry.outdate_network_set(id),
                Change::All => {
                    self.registry.outdate_all();
                    self.cache.clear();
                }
            }
        }
    }
}
