//! Looks credentials up in the database.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::cache::{Joined, Landed, Ticket};
use super::entry::{CacheKey, Entry};
use super::memory::Memory;
use super::rate_limit::RateLimits;
use crate::clock::Clock;
use crate::domain::{
    AddressSet, Bearer, Catalog, ControlKey, Credential, IdentifierId, Key, KeyFacts, NetworkSetId,
    Shared, Subject, Tenant, WorkspaceId, control_catalog,
};
use crate::store::{Store, StoreError, StoredKey, StoredTenant};

/// How many look-ups are under way at once: fewer than there are connections, so that however many
/// unknown credentials come, keys can be managed meanwhile.
const MAX_CONCURRENT: usize = 12;

/// Looks credentials up, each once however many wait for it.
#[derive(Debug)]
pub(super) struct Lookups {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    memory: Arc<Memory>,
    rate_limits: RateLimits,
    control_catalog: Arc<Shared<Catalog>>,
    permits: Semaphore,
    /// Where the connections to a database server live; `None` if the database is a file.
    remote: Option<Handle>,
}

impl Lookups {
    /// Look-ups in this store. If it is on a server, its connections live on the runtime that this is called on.
    pub(super) fn new(store: Arc<Store>, clock: Arc<dyn Clock>, memory: Arc<Memory>) -> Self {
        let remote = store.is_remote().then(Handle::current);
        Self {
            store,
            clock,
            memory,
            rate_limits: RateLimits::default(),
            control_catalog: Arc::new(Shared::new(control_catalog().clone())),
            permits: Semaphore::new(MAX_CONCURRENT),
            remote,
        }
    }

    /// What is behind a credential now, or was when a look-up read it that is no older than `max_age`.
    pub(super) async fn look_up(
        self: &Arc<Self>,
        credential: Credential,
        key: CacheKey,
        max_age: Duration,
    ) -> Landed {
        // Who begins one learns what it comes to. One that was joined may end with the thread that it was begun
        // on, or in a panic; then another one is begun, once.
        for _ in 0..2 {
            match self.memory.join(key, self.clock.uptime(), max_age) {
                Joined::UnderWay(mut landed) => {
                    if let Some(landed) = wait(&mut landed).await {
                        return landed;
                    }
                }
                Joined::First(ticket, mut landed) => {
                    self.begin(credential, ticket).await;
                    return wait(&mut landed).await.unwrap_or_else(interrupted);
                }
            }
        }
        interrupted()
    }

    async fn begin(self: &Arc<Self>, credential: Credential, ticket: Ticket) {
        let lookups = Arc::clone(self);
        let carry_out = async move { lookups.carry_out(credential, &ticket).await };
        let carry_out = AssertUnwindSafe(carry_out.in_current_span()).catch_unwind();
        // The panic hook has logged where, and nobody lands.
        let carry_out = carry_out.map(drop).boxed().shared();
        // To its end, even if nobody waits any more: others may have joined.
        self.runtime().spawn(carry_out.clone());
        if self.remote.is_none() {
            // Mostly it ends here: the turn of a task comes later than that of whoever waits for the file.
            carry_out.await;
        }
    }

    /// Whether a workspace owns all of these identifiers. They are not remembered.
    pub(super) async fn own(
        self: &Arc<Self>,
        workspace: &WorkspaceId,
        identifiers: &[IdentifierId],
    ) -> Result<bool, Arc<StoreError>> {
        let (lookups, workspace) = (Arc::clone(self), workspace.clone());
        let identifiers = identifiers.to_vec();
        let look_up = async move {
            // It is never closed.
            let _permit = lookups.permits.acquire().await;
            let owned = lookups.store.identifiers().owned(&workspace, &identifiers).await?;
            Ok::<_, StoreError>(identifiers.iter().all(|identifier| owned.contains(identifier)))
        };
        let look_up = AbortOnDropHandle::new(self.runtime().spawn(look_up.in_current_span()));
        let owns = look_up.await.unwrap_or(Err(StoreError::Interrupted));
        owns.map_err(|error| {
            tracing::error!(%error, "identifiers could not be looked up");
            Arc::new(error)
        })
    }

    /// Where look-ups run. Connections to a server may hang, or die, if they are used from where they do not
    /// live. Those to a file live anywhere, and are nearest where somebody waits.
    fn runtime(&self) -> Handle {
        self.remote.clone().unwrap_or_else(Handle::current)
    }

    async fn carry_out(&self, credential: Credential, ticket: &Ticket) {
        let found = self.read(credential, ticket).await;
        if let Err(error) = &found {
            tracing::error!(%error, "a key could not be looked up");
        }
        self.memory.land(ticket, found.map_err(Arc::new), self.clock.uptime());
    }

    async fn read(
        &self,
        credential: Credential,
        ticket: &Ticket,
    ) -> Result<Option<Arc<Entry>>, StoreError> {
        // It is never closed.
        let _permit = self.permits.acquire().await;
        let mark = ticket.mark();
        let (subject, key) = match credential {
            Credential::Missing | Credential::Malformed => return Ok(None),
            Credential::Presented(digest) => {
                let stored = self.store.keys().find_by_digest(&digest).await?;
                let Some(StoredKey { key, tenant }) = stored else { return Ok(None) };
                (self.private(mark, key, tenant).await?, digest.into())
            }
            Credential::Public(public) => {
                let found = self.store.workspaces().find_by_public_key(&public).await?;
                let Some((workspace, tenant)) = found else { return Ok(None) };
                let tenant = self.tenant(mark, workspace, tenant).await?;
                (Subject { tenant, bearer: Bearer::Public, control_key: None }, public.into())
            }
        };
        Ok(Some(Entry::new(key, subject)))
    }

    async fn private(
        &self,
        mark: u64,
        key: Key,
        tenant: StoredTenant,
    ) -> Result<Subject, StoreError> {
        let tenant = self.tenant(mark, key.name.workspace.clone(), tenant).await?;
        let network_sets = self.network_sets(mark, &key.network_sets).await?;
        Ok(Subject {
            bearer: Bearer::Private(KeyFacts::new(&key, &tenant.catalog, network_sets)),
            control_key: tenant.workspace.is_reserved().then(|| Arc::new(ControlKey::new(key))),
            tenant,
        })
    }

    async fn tenant(
        &self,
        mark: u64,
        workspace: WorkspaceId,
        stored: StoredTenant,
    ) -> Result<Arc<Shared<Tenant>>, StoreError> {
        let tenant = Tenant {
            catalog: self.catalog(mark, &stored).await?,
            instance: stored.instance,
            requests_per_hour: stored.policy.requests_per_hour,
            windows: self.rate_limits.of(&workspace, self.clock.now()),
            workspace,
        };
        Ok(self.memory.registry.tenant(mark, tenant))
    }

    async fn catalog(
        &self,
        mark: u64,
        tenant: &StoredTenant,
    ) -> Result<Arc<Shared<Catalog>>, StoreError> {
        let id = &tenant.catalog;
        if id.is_reserved() {
            return Ok(Arc::clone(&self.control_catalog));
        }
        let missing = || StoreError::Corrupt("workspaces.catalog_id");
        let revision = tenant.catalog_revision.ok_or_else(missing)?;
        let registry = &self.memory.registry;
        if let Some(catalog) = registry.catalog(id, revision) {
            return Ok(catalog);
        }
        // It may have been applied again since the key was read; then it is newer, which is as
        // good.
        let stored = self.store.catalogs().find(id).await?.ok_or_else(missing)?;
        Ok(registry.keep_catalog(mark, id, stored.revision, stored.catalog))
    }

    /// The networks of the sets that a key refers to. A set that is not there, which cannot be,
    /// admits nobody.
    async fn network_sets(
        &self,
        mark: u64,
        ids: &[NetworkSetId],
    ) -> Result<Vec<Arc<Shared<AddressSet>>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let registry = &self.memory.registry;
        let mut sets = Vec::with_capacity(ids.len());
        for (id, revision) in self.store.network_sets().revisions(ids).await? {
            if let Some(set) = registry.network_set(&id, revision) {
                sets.push(set);
            } else if let Some(stored) = self.store.network_sets().find(&id).await? {
                let set = AddressSet::from(&stored.set.networks);
                sets.push(registry.keep_network_set(mark, &id, stored.revision, set));
            }
        }
        Ok(sets)
    }
}

/// What a look-up comes to; `None` if that is nothing.
async fn wait(landed: &mut watch::Receiver<Option<Landed>>) -> Option<Landed> {
    landed.wait_for(Option::is_some).await.ok()?.clone()
}

fn interrupted() -> Landed {
    Err(Arc::new(StoreError::Interrupted))
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Waker};

    use super::super::fixtures::cache_key;
    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::{SecretDigest, Timestamp};
    use crate::store::DatabaseUrl;

    const NOW: Duration = Duration::from_secs(1);

    /// Look-ups in an empty database.
    async fn lookups(directory: &tempfile::TempDir, clock: impl Clock + 'static) -> Arc<Lookups> {
        let url = DatabaseUrl::Sqlite(directory.path().join("claviger.db"));
        let store = Arc::new(Store::open(&url).await.unwrap());
        store.migrate().await.unwrap();
        Arc::new(Lookups::new(store, Arc::new(clock), Arc::new(Memory::new(10))))
    }

    /// Panics once, as soon as it was told to.
    #[derive(Debug, Default)]
    struct BrokenClock(Arc<AtomicBool>);

    impl Clock for BrokenClock {
        fn now(&self) -> Timestamp {
            SystemClock.now()
        }

        fn uptime(&self) -> Duration {
            assert!(!self.0.swap(false, Ordering::SeqCst), "it is broken");
            SystemClock.uptime()
        }
    }

    async fn look_up(lookups: &Arc<Lookups>, number: usize) -> Landed {
        let credential = Credential::Presented(SecretDigest::of(&number.to_le_bytes()));
        lookups.look_up(credential, cache_key(number), Duration::MAX).await
    }

    fn waits(look_up: Pin<&mut impl Future>) -> bool {
        look_up.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    async fn assert_finds_nobody(look_up: impl Future<Output = Landed>) {
        let landed = tokio::time::timeout(Duration::from_secs(10), look_up).await;
        assert!(matches!(landed, Ok(Ok(None))), "{landed:?}");
    }

    #[tokio::test]
    async fn p4_who_does_not_go_on_waiting_for_a_look_up_holds_up_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let lookups = lookups(&directory, SystemClock).await;
        let others = lookups.permits.acquire_many(MAX_CONCURRENT as u32).await.unwrap();
        let mut stalls = pin!(look_up(&lookups, 1));
        let mut hangs_up = Box::pin(look_up(&lookups, 2));
        let (mut one, mut two) = (pin!(look_up(&lookups, 1)), pin!(look_up(&lookups, 2)));
        assert!(waits(stalls.as_mut()) && waits(hangs_up.as_mut()));
        assert!(waits(one.as_mut()) && waits(two.as_mut()));
        drop(hangs_up);
        drop(others);
        assert_finds_nobody(one).await;
        assert_finds_nobody(two).await;
    }

    #[tokio::test]
    async fn who_joined_a_look_up_that_was_given_up_begins_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let lookups = lookups(&directory, SystemClock).await;
        let Joined::First(ticket, _) = lookups.memory.join(cache_key(1), NOW, Duration::MAX) else {
            panic!("it is the first")
        };
        let mut joined = pin!(look_up(&lookups, 1));
        assert!(waits(joined.as_mut()));
        drop(ticket);
        assert_finds_nobody(joined).await;
    }

    #[tokio::test]
    async fn p4_a_look_up_that_panics_is_an_error_and_made_again_for_who_joined_it() {
        let directory = tempfile::tempdir().unwrap();
        let breaks = Arc::new(AtomicBool::new(false));
        let lookups = lookups(&directory, BrokenClock(Arc::clone(&breaks))).await;
        let others = lookups.permits.acquire_many(MAX_CONCURRENT as u32).await.unwrap();
        let (mut asks, mut joins) = (pin!(look_up(&lookups, 1)), pin!(look_up(&lookups, 1)));
        assert!(waits(asks.as_mut()) && waits(joins.as_mut()));
        breaks.store(true, Ordering::SeqCst);
        drop(others);
        // Nobody polls the one that asks, which is there all the same.
        assert_finds_nobody(joins).await;
        assert!(matches!(asks.await, Err(error) if matches!(*error, StoreError::Interrupted)));
    }
}
