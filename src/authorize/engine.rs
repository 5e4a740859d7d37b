//! Finds what a decision needs, and decides.

use std::sync::Arc;
use std::time::Duration;

use super::cache::Recalled;
use super::entry::{CacheKey, Entry};
use super::feed::Follower;
use super::last_seen::{LastSeen, WriteLastSeen};
use super::lease::Lease;
use super::lookup::Lookups;
use super::memory::Memory;
use crate::clock::{Clock, Moment};
use crate::domain::{Credential, Decision, Denial, Question, Revision, Subject, Timestamp, decide};
use crate::store::{OpenError, Store, StoreError};

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// How long after another server changed something that is known here, or the database is asked.
    pub max_staleness: Duration,
    /// How many keys are remembered.
    pub max_keys: usize,
}

/// Decides on keys as they stand in the database.
#[derive(Debug)]
pub struct Engine {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    memory: Arc<Memory>,
    lease: Arc<Lease>,
    lookups: Arc<Lookups>,
    last_seen: LastSeen,
}

/// How new what an answer is based on must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// No older than the published bound.
    #[default]
    Bounded,
    /// No older than this revision, either.
    AtLeast(Revision),
    /// Read from the database after the question came.
    Full,
}

/// What was found behind the credential of a question.
#[derive(Debug)]
pub struct Found {
    entry: Option<Arc<Entry>>,
    /// Whether the identifiers in the question are all the workspace's.
    owns_identifiers: bool,
}

impl Found {
    pub(super) fn new(entry: Option<Arc<Entry>>) -> Self {
        Self { entry, owns_identifiers: false }
    }

    pub(super) fn entry(&self) -> Option<&Arc<Entry>> {
        self.entry.as_ref()
    }

    /// The subject of the question, if there is one.
    fn subject(&self) -> Option<&Subject> {
        self.entry.as_ref().map(|entry| entry.subject())
    }
}

/// Why nothing was found, which does not mean that there is nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct FindError(Arc<StoreError>);

impl FindError {
    /// What went wrong; it has been logged.
    #[must_use]
    pub fn cause(&self) -> &StoreError {
        &self.0
    }
}

impl Engine {
    /// An engine on this store, by this clock. If the store is on a database server, look-ups are made on the
    /// runtime that this is called on.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>, limits: MemoryLimits) -> Self {
        let memory = Arc::new(Memory::new(limits.max_keys));
        store.observe(Arc::clone(&memory) as _);
        let max_staleness = store.is_remote().then_some(limits.max_staleness);
        let lookups = Lookups::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&memory));
        Self {
            store,
            clock,
            memory,
            lease: Arc::new(Lease::new(max_staleness)),
            lookups: Arc::new(lookups),
            last_seen: LastSeen::default(),
        }
    }

    /// Who follows what other servers change; `None` where there are none.
    ///
    /// # Errors
    /// If the database's URL cannot be used.
    pub async fn follower(&self) -> Result<Option<Follower>, OpenError> {
        let feed = self.store.feed().await?;
        Ok(feed.map(|feed| {
            let (memory, lease) = (Arc::clone(&self.memory), Arc::clone(&self.lease));
            Follower::new(Arc::clone(&self.store), feed, memory, lease, Arc::clone(&self.clock))
        }))
    }

    /// Whether what is remembered is known to be current. If not, the database is asked each time.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.is_current_at(self.clock.uptime())
    }

    pub(super) fn is_current_at(&self, uptime: Duration) -> bool {
        self.lease.is_valid(uptime)
    }

    /// The present instant.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.clock.moment()
    }

    /// Prepares to be asked about these credentials: each of many costs less then.
    pub fn expect(&self, credentials: &[Credential]) {
        let keys = credentials.iter().filter_map(|one| CacheKey::of(*one));
        self.memory.touch(&keys.collect::<Vec<_>>());
    }

    /// What is behind the credential of a question, if that is remembered, without waiting for anything.
    /// `None`: it has to be looked up.
    #[must_use]
    pub fn recall(
        &self,
        question: &Question<'_>,
        consistency: Consistency,
        uptime: Duration,
    ) -> Option<Found> {
        if !question.identifiers.is_empty() || !self.may_recall(consistency) {
            return None;
        }
        let Some(key) = CacheKey::of(question.credential) else { return Some(Found::new(None)) };
        match self.recall_entry(&key, uptime) {
            Recalled::Known(entry) => Some(Found::new(Some(entry))),
            Recalled::Unknown => Some(Found::new(None)),
            Recalled::Nothing => None,
        }
    }

    /// Whether what is remembered is new enough.
    fn may_recall(&self, consistency: Consistency) -> bool {
        match consistency {
            Consistency::Bounded => true,
            Consistency::AtLeast(revision) => self.lease.knows(revision),
            Consistency::Full => false,
        }
    }

    /// What is remembered of a credential, and may be served.
    fn recall_entry(&self, key: &CacheKey, uptime: Duration) -> Recalled {
        if self.is_current_at(uptime) { self.memory.recall(key, uptime) } else { Recalled::Nothing }
    }

    /// What is behind the credential of a question.
    ///
    /// # Errors
    /// If it is not remembered and the database cannot be read: then nothing can be decided.
    pub async fn find(
        &self,
        question: &Question<'_>,
        consistency: Consistency,
    ) -> Result<Found, FindError> {
        let Some(key) = CacheKey::of(question.credential) else { return Ok(Found::new(None)) };
        let may_recall = self.may_recall(consistency);
        let recalled = if may_recall {
            self.recall_entry(&key, self.clock.uptime())
        } else {
            Recalled::Nothing
        };
        let entry = match recalled {
            Recalled::Known(entry) => Some(entry),
            Recalled::Unknown => None,
            Recalled::Nothing => {
                // Nobody else's look-up will do that began before.
                let max_age = if may_recall { self.lease.max_age() } else { Duration::ZERO };
                let looked_up = self.lookups.look_up(question.credential, key, max_age);
                looked_up.await.map_err(FindError)?
            }
        };
        let owns_identifiers = match &entry {
            Some(entry) if !question.identifiers.is_empty() => {
                let workspace = &entry.subject().tenant.workspace;
                let owned = self.lookups.own(workspace, question.identifiers);
                owned.await.map_err(FindError)?
            }
            _ => false,
        };
        Ok(Found { entry, owns_identifiers })
    }

    /// Decides on what was found, as of this instant, counts a request that is allowed against its rate limit,
    /// and notes that a key that is known was seen, whatever the verdict.
    #[must_use]
    pub fn decide<'f>(
        &self,
        question: &Question<'_>,
        found: &'f Found,
        now: Timestamp,
    ) -> Decision<'f> {
        let mut decision = decide(question, found.subject(), found.owns_identifiers, now);
        let Some(entry) = &found.entry else { return decision };
        if let Some((counter, limit)) = decision.limit.take() {
            let windows = &entry.subject().tenant.windows;
            let counted = windows.count(counter, limit, || self.clock.now());
            decision.verdict = counted.map(drop).map_err(|_| Denial::RateLimited);
            decision.rate_limit = Some(counted.unwrap_or_else(|used_up| used_up));
        }
        if decision.key.is_some() {
            self.last_seen.note(entry, now);
        }
        decision
    }

    /// Writes to the store when keys were last seen, of so many keys at the most. What is not written is
    /// kept for the next time.
    pub async fn write_last_seen(&self, mut at_most: usize) {
        while at_most > 0 {
            let some = self.last_seen.take_some();
            if some.is_empty() {
                return;
            }
            at_most = at_most.saturating_sub(some.values().map(Vec::len).sum());
            if let Err(error) = self.store.transact(WriteLastSeen::new(&some)).await {
                tracing::warn!(%error, "when keys were last seen is not written yet");
                self.last_seen.put_back(&some);
                return;
            }
        }
    }
}
