//! What many keys share: workspaces, catalogues and network sets.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use uuid::Uuid;

use crate::domain::{AddressSet, Catalog, CatalogId, NetworkSetId, Shared, Tenant, WorkspaceId};

/// How many catalogues, and how many network sets, are kept; of more, all are read anew.
const MAX_KEPT: usize = 1_000;
/// How many workspaces there are before those that no key refers to are looked for.
const MIN_SWEPT: usize = 1_024;

/// One of each of what keys share, so that it is enough to say there that it is outdated.
///
/// A look-up notes the `mark` before it reads. What it has read when the mark has moved on may be older
/// than the change that moved it: such a value is outdated from the beginning, good for those who waited
/// for it and for nobody after them.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// How often something changed. Written only with `kept` locked.
    mark: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    tenants: HashMap<WorkspaceId, Weak<Shared<Tenant>>>,
    /// How many there were after those that nobody refers to went.
    swept: usize,
    catalogs: Versions<CatalogId, Catalog>,
    network_sets: Versions<NetworkSetId, AddressSet>,
}

/// Values by their ids, each at one revision.
#[derive(Debug)]
struct Versions<K, V>(HashMap<K, (Uuid, Arc<Shared<V>>)>);

impl Registry {
    /// How often something changed so far.
    pub(super) fn mark(&self) -> u64 {
        self.mark.load(Ordering::Acquire)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one of this workspace: the one that is kept if it is the same, else this one.
    pub(super) fn tenant(&self, mark: u64, tenant: Tenant) -> Arc<Shared<Tenant>> {
        let mut kept = self.kept();
        if mark != self.mark() {
            return outdated(tenant);
        }
        let known = kept.tenants.get(&tenant.workspace).and_then(Weak::upgrade);
        if let Some(known) = known {
            if !known.is_outdated() && is_same(&known, &tenant) {
                return known;
            }
            known.outdate();
        }
        kept.sweep();
        let workspace = tenant.workspace.clone();
        let tenant = Arc::new(Shared::new(tenant));
        kept.tenants.insert(workspace, Arc::downgrade(&tenant));
        tenant
    }

    /// The catalogue of this id, if it is kept at this revision.
    pub(super) fn catalog(&self, id: &CatalogId, revision: Uuid) -> Option<Arc<Shared<Catalog>>> {
        self.kept().catalogs.find(id, revision)
    }

    /// Keeps a catalogue.
    pub(super) fn keep_catalog(
        &self,
        mark: u64,
        id: &CatalogId,
        revision: Uuid,
        catalog: Catalog,
    ) -> Arc<Shared<Catalog>> {
        let mut kept = self.kept();
        kept.catalogs.keep(mark == self.mark(), id, revision, catalog)
    }

    /// The network set of this id, if it is kept at this revision.
    pub(super) fn network_set(
        &self,
        id: &NetworkSetId,
        revision: Uuid,
    ) -> Option<Arc<Shared<AddressSet>>> {
        self.kept().network_sets.find(id, revision)
    }

    /// Keeps a network set.
    pub(super) fn keep_network_set(
        &self,
        mark: u64,
        id: &NetworkSetId,
        revision: Uuid,
        set: AddressSet,
    ) -> Arc<Shared<AddressSet>> {
        let mut kept = self.kept();
        kept.network_sets.keep(mark == self.mark(), id, revision, set)
    }

    /// This workspace has changed.
    pub(super) fn outdate_tenant(&self, id: &WorkspaceId) {
        let mut kept = self.kept();
        self.mark.fetch_add(1, Ordering::Release);
        let known = kept.tenants.remove(id);
        known.and_then(|known| known.upgrade()).inspect(|tenant| tenant.outdate());
    }

    /// This catalogue has changed.
    pub(super) fn outdate_catalog(&self, id: &CatalogId) {
        let mut kept = self.kept();
        self.mark.fetch_add(1, Ordering::Release);
        kept.catalogs.outdate(id);
    }

    /// This network set has changed.
    pub(super) fn outdate_network_set(&self, id: &NetworkSetId) {
        let mut kept = self.kept();
        self.mark.fetch_add(1, Ordering::Release);
        kept.network_sets.outdate(id);
    }

    /// Everything may have changed.
    pub(super) fn outdate_all(&self) {
        let mut kept = self.kept();
        self.mark.fetch_add(1, Ordering::Release);
        let Kept { tenants, swept, catalogs, network_sets } = &mut *kept;
        *swept = 0;
        tenants.drain().filter_map(|(_, one)| one.upgrade()).for_each(|one| one.outdate());
        catalogs.outdate_all();
        network_sets.outdate_all();
    }
}

fn outdated<T>(value: T) -> Arc<Shared<T>> {
    let value = Shared::new(value);
    value.outdate();
    Arc::new(value)
}

/// Where nobody tells what changed, what was read a moment ago says it.
fn is_same(known: &Tenant, read: &Tenant) -> bool {
    let Tenant { workspace: _, catalog, instance, requests_per_hour, windows: _ } = read;
    Arc::ptr_eq(&known.catalog, catalog)
        && known.instance == *instance
        && known.requests_per_hour == *requests_per_hour
}

impl<K, V> Default for Versions<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash, V> Versions<K, V> {
    /// The value of this id, if it is kept at this revision.
    fn find(&self, id: &K, revision: Uuid) -> Option<Arc<Shared<V>>> {
        let (found, value) = self.0.get(id)?;
        (*found == revision).then(|| Arc::clone(value))
    }

    /// Keeps a value, unless it may be older than a change: see [`Registry`].
    fn keep(&mut self, is_current: bool, id: &K, revision: Uuid, value: V) -> Arc<Shared<V>> {
        if !is_current {
            return outdated(value);
        }
        if self.0.len() >= MAX_KEPT && !self.0.contains_key(id) {
            self.outdate_all();
        }
        let value = Arc::new(Shared::new(value));
        let before = self.0.insert(id.clone(), (revision, Arc::clone(&value)));
        before.inspect(|(_, before)| before.outdate());
        value
    }

    fn outdate(&mut self, id: &K) {
        self.0.remove(id).inspect(|(_, value)| value.outdate());
    }

    fn outdate_all(&mut self) {
        for (_, (_, value)) in self.0.drain() {
            value.outdate();
        }
    }
}

impl Kept {
    /// Forgets the workspaces that no key refers to, each time that there are twice as many as were left.
    fn sweep(&mut self) {
        if self.tenants.len() >= MIN_SWEPT.max(2 * self.swept) {
            self.tenants.retain(|_, tenant| tenant.strong_count() > 0);
            self.swept = self.tenants.len();
        }
    }
}
