//! What is remembered of credentials, and the look-ups that are under way.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};
use tokio::sync::watch;

use super::entry::{CacheKey, Entry};
use crate::store::StoreError;

/// In how many parts the cache is locked.
const SHARDS: usize = 64;
/// How many unknown credentials each part remembers; of more, all are forgotten.
const MAX_UNKNOWN: usize = 1_024;
/// How long an unknown credential is remembered.
const UNKNOWN_TTL: Duration = Duration::from_secs(10);
/// Of how many entries, drawn by lot, the one that was not seen for the longest time goes when there is
/// no more room. That comes close to forgetting the oldest of all (Psounis and Prabhakar, "Efficient
/// randomized web-cache replacement schemes", 2002) and takes neither a list nor a lock on a hit.
const SAMPLE: usize = 8;

/// What a look-up came to.
pub(super) type Landed = Result<Option<Arc<Entry>>, Arc<StoreError>>;

/// What is remembered of a credential.
#[derive(Debug)]
pub(super) enum Recalled {
    /// It is known.
    Known(Arc<Entry>),
    /// It is the credential of nobody.
    Unknown,
    /// Nothing: it has to be looked up.
    Nothing,
}

/// A look-up that somebody has to make, or that is being made.
#[derive(Debug)]
pub(super) enum Joined {
    /// Nobody makes it yet.
    First(Ticket, watch::Receiver<Option<Landed>>),
    /// Somebody does.
    UnderWay(watch::Receiver<Option<Landed>>),
}

/// The right to say what a look-up came to. Lost without a word, everybody who waits is told.
#[derive(Debug)]
pub(super) struct Ticket {
    key: CacheKey,
    flight: u64,
    mark: u64,
    landed: watch::Sender<Option<Landed>>,
}

impl Ticket {
    /// What the registry's mark was when the look-up began.
    pub(super) fn mark(&self) -> u64 {
        self.mark
    }
}

#[derive(Debug)]
pub(super) struct Cache {
    shards: Box<[Shard]>,
    hasher: DefaultHashBuilder,
    capacity: usize,
    len: AtomicUsize,
    flights: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    known: RwLock<HashTable<Arc<Entry>>>,
    /// Locked before `known` where both are.
    misses: Mutex<Misses>,
}

#[derive(Debug, Default)]
struct Misses {
    flights: HashMap<CacheKey, Flight>,
    /// Until when each is.
    unknown: HashMap<CacheKey, Duration>,
}

#[derive(Debug)]
struct Flight {
    number: u64,
    /// What the registry's mark was when it began; see there.
    mark: u64,
    began: Duration,
    landed: watch::Receiver<Option<Landed>>,
}

impl Shard {
    fn misses(&self) -> MutexGuard<'_, Misses> {
        self.misses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    /// A cache of at most so many credentials that are known.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            capacity,
            len: AtomicUsize::new(0),
            flights: AtomicU64::new(0),
        }
    }

    fn shard(&self, key: &CacheKey) -> (&Shard, u64) {
        let (index, hash) = self.place(key);
        (&self.shards[index], hash)
    }

    /// In which part it is, and its hash there.
    fn place(&self, key: &CacheKey) -> (usize, u64) {
        let hash = self.hasher.hash_one(key);
        // The table takes its bits from both ends.
        ((hash >> 40) as usize % SHARDS, hash)
    }

    /// What is remembered of a credential at this time of the machine.
    pub(super) fn recall(&self, key: &CacheKey, uptime: Duration) -> Recalled {
        let (shard, hash) = self.shard(key);
        let known = shard.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.find(hash, |entry| entry.key() == key) {
            return if entry.is_current() {
                Recalled::Known(Arc::clone(entry))
            } else {
                Recalled::Nothing
            };
        }
        drop(known);
        match shard.misses().unknown.get(key) {
            Some(until) if uptime < *until => Recalled::Unknown,
            _ => Recalled::Nothing,
        }
    }

    /// Brings what is remembered of these credentials near the processor. A look-up waits for memory three
    /// times, one time after the other. Here all wait together, because each step is made for all of them
    /// before the next one, and nothing is written between.
    pub(super) fn touch(&self, keys: &[CacheKey]) {
        let places: Vec<(usize, u64)> = keys.iter().map(|key| self.place(key)).collect();
        let mut guards = [const { None }; SHARDS];
        for (index, _) in &places {
            if guards[*index].is_none() {
                // Whoever waited here, with other parts locked, could wait for ever: for somebody who writes to
                // this one, waits for those who read it, and they for one of those.
                guards[*index] = self.shards[*index].known.try_read().ok();
            }
        }
        let found: Vec<Option<&Arc<Entry>>> = places
            .iter()
            // Mostly it is the one. To compare them would be to wait for each.
            .map(|(index, hash)| guards[*index].as_ref()?.find(*hash, |_| true))
            .collect();
        found.into_iter().flatten().for_each(|entry| entry.touch());
    }

    /// Joins the look-up of a credential that is under way, or begins one. One that began at another
    /// `mark` may have read what has changed since, one that is older than `max_age` too much of it.
    pub(super) fn join(
        &self,
        key: CacheKey,
        mark: u64,
        uptime: Duration,
        max_age: Duration,
    ) -> Joined {
        let (shard, _) = self.shard(&key);
        let mut misses = shard.misses();
        if let Some(flight) = misses.flights.get(&key)
            && flight.mark == mark
            && uptime.saturating_sub(flight.began) < max_age
            // One that was given up never lands.
            && flight.landed.has_changed().is_ok()
        {
            return Joined::UnderWay(flight.landed.clone());
        }
        let (sender, landed) = watch::channel(None);
        let number = self.flights.fetch_add(1, Ordering::Relaxed);
        let flight = Flight { number, mark, began: uptime, landed: landed.clone() };
        misses.flights.insert(key, flight);
        Joined::First(Ticket { key, flight: number, mark, landed: sender }, landed)
    }

    /// Remembers what a look-up came to, unless its credential has changed meanwhile, and tells everybody
    /// who waits for it.
    pub(super) fn land(&self, ticket: &Ticket, landed: Landed, uptime: Duration) {
        let (shard, hash) = self.shard(&ticket.key);
        let mut misses = shard.misses();
        let current = misses.flights.get(&ticket.key).map(|flight| flight.number);
        if current == Some(ticket.flight) {
            misses.flights.remove(&ticket.key);
            match &landed {
                Ok(Some(entry)) => self.insert(shard, hash, Arc::clone(entry)),
                Ok(None) => {
                    self.remove(shard, hash, &ticket.key);
                    if misses.unknown.len() >= MAX_UNKNOWN {
                        misses.unknown.clear();
                    }
                    misses.unknown.insert(ticket.key, uptime + UNKNOWN_TTL);
                }
                Err(_) => {}
            }
        }
        drop(misses);
        ticket.landed.send_replace(Some(landed));
    }

    /// Forgets a credential, and with it what look-ups under way come to.
    pub(super) fn evict(&self, key: &CacheKey) {
        let (shard, hash) = self.shard(key);
        let mut misses = shard.misses();
        misses.flights.remove(key);
        misses.unknown.remove(key);
        self.remove(shard, hash, key);
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut misses = shard.misses();
            misses.flights.clear();
            misses.unknown.clear();
            let mut known = shard.known.write().unwrap_or_else(PoisonError::into_inner);
            self.len.fetch_sub(known.len(), Ordering::Relaxed);
            known.drain().for_each(|entry| entry.set_cached(false));
        }
    }

    fn insert(&self, shard: &Shard, hash: u64, entry: Arc<Entry>) {
        let mut known = shard.known.write().unwrap_or_else(PoisonError::into_inner);
        entry.set_cached(true);
        if let Some(found) = known.find_mut(hash, |found| found.key() == entry.key()) {
            std::mem::replace(found, entry).set_cached(false);
            return;
        }
        if self.len.load(Ordering::Relaxed) >= self.capacity && self.evict_one(&mut known, hash) {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
        known.insert_unique(hash, entry, |entry| self.hasher.hash_one(entry.key()));
        self.len.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes room for one, and says whether there was any.
    fn evict_one(&self, known: &mut HashTable<Arc<Entry>>, hash: u64) -> bool {
        let buckets = known.num_buckets();
        // From where the new one comes to stand: that is a lot, too.
        let drawn = (0..buckets)
            .filter_map(|step| known.get_bucket((hash as usize).wrapping_add(step) % buckets));
        let oldest = drawn.take(SAMPLE).min_by_key(|entry| entry.last_seen());
        let Some(key) = oldest.map(|entry| *entry.key()) else { return false };
        let hash = self.hasher.hash_one(key);
        known.find_entry(hash, |entry| *entry.key() == key).is_ok_and(|found| {
            found.remove().0.set_cached(false);
            true
        })
    }

    fn remove(&self, shard: &Shard, hash: u64, key: &CacheKey) {
        let mut known = shard.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Ok(found) = known.find_entry(hash, |entry| entry.key() == key) {
            found.remove().0.set_cached(false);
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{a_tenant, an_empty_catalog, an_entry, cache_key};
    use super::*;
    use crate::domain::{Shared, Timestamp};

    const NOW: Duration = Duration::from_secs(1);

    fn look_up(cache: &Cache, key: usize, landed: Landed) {
        match cache.join(cache_key(key), 0, NOW, Duration::MAX) {
            Joined::First(ticket, _) => cache.land(&ticket, landed, NOW),
            Joined::UnderWay(_) => panic!("nobody else looks it up"),
        }
    }

    fn is_known(cache: &Cache, key: usize) -> bool {
        matches!(cache.recall(&cache_key(key), NOW), Recalled::Known(_))
    }

    #[test]
    fn is_bounded_and_forgets_what_was_not_seen_for_long() {
        let tenant = Arc::new(Shared::new(a_tenant(&an_empty_catalog())));
        let cache = Cache::new(1_000);
        for number in 0..20_000 {
            let entry = an_entry(number, &tenant);
            // The first hundred are in use all the time.
            entry.see(
                Timestamp::from_micros(if number < 100 { i64::MAX / 100 } else { 1 }).unwrap(),
            );
            look_up(&cache, number, Ok(Some(entry)));
            let kept: usize =
                cache.shards.iter().map(|shard| shard.known.read().unwrap().len()).sum();
            assert_eq!(kept, cache.len.load(Ordering::Relaxed));
            // A part that is empty has nothing to forget.
            assert!(kept <= 1_000 + SHARDS, "{kept}");
        }
        let kept = (0..100).filter(|number| is_known(&cache, *number)).count();
        assert_eq!(kept, 100);
    }

    #[test]
    fn unknown_credentials_are_bounded_and_push_no_known_one_out() {
        let tenant = Arc::new(Shared::new(a_tenant(&an_empty_catalog())));
        let cache = Cache::new(100);
        (0..100).for_each(|number| look_up(&cache, number, Ok(Some(an_entry(number, &tenant)))));
        for number in 1_000..101_000 {
            look_up(&cache, number, Ok(None));
            assert!(matches!(cache.recall(&cache_key(number), NOW), Recalled::Unknown));
        }
        assert_eq!((0..100).filter(|number| is_known(&cache, *number)).count(), 100);
        assert!(cache.shards.iter().all(|shard| shard.misses().unknown.len() <= MAX_UNKNOWN));
        assert!(cache.shards.iter().all(|shard| shard.misses().flights.is_empty()));
    }

    #[test]
    fn p4_whoever_touches_many_waits_for_nobody() {
        let cache = Arc::new(Cache::new(1_000));
        let keys: Vec<CacheKey> = (0..SHARDS).map(cache_key).collect();
        let somebody_writes = cache.shard(&keys[0]).0.known.write().unwrap();
        let (done, is_done) = std::sync::mpsc::channel();
        let touching = Arc::clone(&cache);
        std::thread::spawn(move || {
            touching.touch(&keys);
            done.send(())
        });
        is_done.recv_timeout(Duration::from_secs(10)).expect("it waits for nobody");
        drop(somebody_writes);
    }

    #[test]
    fn an_unknown_credential_is_remembered_for_ten_seconds() {
        let cache = Cache::new(1);
        look_up(&cache, 1, Ok(None));
        let at = |uptime| cache.recall(&cache_key(1), uptime);
        assert!(matches!(at(NOW + UNKNOWN_TTL.mul_f32(0.999)), Recalled::Unknown));
        assert!(matches!(at(NOW + UNKNOWN_TTL), Recalled::Nothing));
    }

    #[test]
    fn p2_a_look_up_that_is_too_old_or_of_another_time_is_not_joined() {
        let cache = Cache::new(1);
        let max_age = Duration::from_secs(2);
        let join = |mark, uptime| cache.join(cache_key(1), mark, uptime, max_age);
        let Joined::First(first, _) = join(0, NOW) else { panic!("it is the first") };
        assert!(matches!(join(0, NOW + max_age.mul_f32(0.999)), Joined::UnderWay(_)));
        let Joined::First(second, _) = join(0, NOW + max_age) else { panic!("that is too old") };
        let Joined::First(third, _) = join(1, NOW + max_age) else { panic!("that may be old") };
        // Only the last one has anything to say.
        let tenant = Arc::new(Shared::new(a_tenant(&an_empty_catalog())));
        for overtaken in [first, second] {
            cache.land(&overtaken, Ok(Some(an_entry(1, &tenant))), NOW);
            assert!(matches!(cache.recall(&cache_key(1), NOW), Recalled::Nothing));
        }
        cache.land(&third, Ok(Some(an_entry(1, &tenant))), NOW);
        assert!(is_known(&cache, 1));
    }

    #[test]
    fn everybody_who_waits_learns_that_a_look_up_was_given_up() {
        let cache = Cache::new(1);
        let Joined::First(ticket, _) = cache.join(cache_key(1), 0, NOW, Duration::MAX) else {
            panic!("it is the first")
        };
        let Joined::UnderWay(mut landed) = cache.join(cache_key(1), 0, NOW, Duration::MAX) else {
            panic!("it is under way")
        };
        drop(ticket);
        assert!(landed.has_changed().is_err() && landed.borrow_and_update().is_none());
        let again = cache.join(cache_key(1), 0, NOW, Duration::MAX);
        assert!(matches!(again, Joined::First(..)), "nobody joins it any more");
    }
}
