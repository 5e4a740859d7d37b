//! When keys were last presented.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::entry::Entry;
use crate::domain::Timestamp;
use crate::store::{StoreError, Transaction, UnitOfWork};

/// In how many parts the list is locked.
const PARTS: usize = 16;
/// How many keys each part lists until they are written. Of more, some are listed later: the next time
/// that they are presented.
const MAX_LISTED: usize = 1_000_000 / PARTS;
/// How many keys are written at once, so that no other transaction is held up for long.
const BATCH: usize = 500;

/// The keys of which it is to be written when they were last presented: a decision writes nothing.
#[derive(Debug, Default)]
pub(super) struct LastSeen {
    parts: [Mutex<VecDeque<Arc<Entry>>>; PARTS],
    /// From which part keys are taken next: each has its turn, and in it whoever was listed first.
    turn: AtomicUsize,
}

impl LastSeen {
    /// Notes that a key was presented. An instant that is older than one noted before counts for
    /// nothing.
    pub(super) fn note(&self, entry: &Arc<Entry>, now: Timestamp) {
        entry.see(now);
        // Listed once, however often it is presented.
        if !entry.is_listed.load(Ordering::SeqCst) && !entry.is_listed.swap(true, Ordering::SeqCst)
        {
            self.list(entry);
        }
    }

    fn list(&self, entry: &Arc<Entry>) {
        let Some(key) = entry.subject().key() else { return };
        // The last bytes of an id are random.
        let part = &self.parts[usize::from(key.id.as_bytes()[15]) % PARTS];
        let mut listed = part.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.len() < MAX_LISTED {
            listed.push_back(Arc::clone(entry));
        } else {
            entry.is_listed.store(false, Ordering::SeqCst);
        }
    }

    /// Takes out some keys, by when they were last presented.
    pub(super) fn take_some(&self) -> BTreeMap<Timestamp, Vec<Arc<Entry>>> {
        let mut some: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut room = BATCH;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        for part in (0..PARTS).map(|step| &self.parts[turn.wrapping_add(step) % PARTS]) {
            let mut listed = part.lock().unwrap_or_else(PoisonError::into_inner);
            let count = listed.len().min(room);
            for entry in listed.drain(..count) {
                // First: what is noted from here on is listed anew.
                entry.is_listed.store(false, Ordering::SeqCst);
                if let Some(seen) = Timestamp::from_micros(entry.last_seen()) {
                    some.entry(seen).or_default().push(entry);
                    room -= 1;
                }
            }
        }
        some
    }

    /// Lists keys again that could not be written.
    pub(super) fn put_back(&self, some: &BTreeMap<Timestamp, Vec<Arc<Entry>>>) {
        for entry in some.values().flatten() {
            if !entry.is_listed.swap(true, Ordering::SeqCst) {
                self.list(entry);
            }
        }
    }
}

/// Writes when keys were last presented.
pub(super) struct WriteLastSeen(Vec<(Timestamp, Vec<Uuid>)>);

impl WriteLastSeen {
    pub(super) fn new(some: &BTreeMap<Timestamp, Vec<Arc<Entry>>>) -> Self {
        let key = |entry: &Arc<Entry>| entry.subject().key().map(|key| key.id);
        let ids = |entries: &Vec<Arc<Entry>>| entries.iter().filter_map(key).collect();
        Self(some.iter().map(|(seen, entries)| (*seen, ids(entries))).collect())
    }
}

impl UnitOfWork for WriteLastSeen {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &Transaction) -> Result<(), StoreError> {
        tx.keys().see(&self.0).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::fixtures::{a_tenant, an_empty_catalog, an_entry};
    use super::*;
    use crate::domain::Shared;

    fn entries(number: usize) -> Vec<Arc<Entry>> {
        let tenant = Arc::new(Shared::new(a_tenant(&an_empty_catalog())));
        (0..number).map(|number| an_entry(number, &tenant)).collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    /// How many were last seen at each second.
    fn taken(seen: &LastSeen) -> Vec<(Timestamp, usize)> {
        seen.take_some().into_iter().map(|(seen, entries)| (seen, entries.len())).collect()
    }

    #[test]
    fn b8_last_seen_never_moves_backwards() {
        let (seen, entries) = (LastSeen::default(), entries(1));
        for seconds in [5, 9, 7] {
            seen.note(&entries[0], at(seconds));
        }
        assert_eq!(taken(&seen), [(at(9), 1)]);
        assert_eq!(taken(&seen), []);
        seen.note(&entries[0], at(8));
        assert_eq!(taken(&seen), [(at(9), 1)]);
        seen.note(&entries[0], at(10).saturating_add(std::time::Duration::from_millis(999)));
        assert_eq!(taken(&seen), [(at(10), 1)], "to the second");
    }

    #[test]
    fn b8_keys_that_are_always_in_use_keep_no_other_waiting() {
        let (seen, entries) = (LastSeen::default(), entries(4 * PARTS * BATCH));
        let mut waiting: HashSet<Uuid> = HashSet::new();
        for entry in &entries {
            seen.note(entry, at(1));
            waiting.extend(entry.subject().key().map(|key| key.id));
        }
        // As often as it takes to have all of them once, were none taken twice.
        for _ in 0..entries.len() / BATCH {
            for taken in seen.take_some().values() {
                for entry in taken {
                    seen.note(entry, at(2));
                    waiting.remove(&entry.subject().key().unwrap().id);
                }
            }
        }
        assert_eq!(waiting.len(), 0);
    }

    #[test]
    fn b8_all_are_taken_in_batches_and_what_is_put_back_is_taken_again() {
        let (seen, entries) = (LastSeen::default(), entries(2 * BATCH + 1));
        for (entry, second) in entries.iter().zip([1, 2].into_iter().cycle()) {
            seen.note(entry, at(second));
        }
        let first = seen.take_some();
        assert_eq!(first.values().map(Vec::len).sum::<usize>(), BATCH);
        seen.put_back(&first);
        let sizes = std::iter::from_fn(|| {
            let taken = taken(&seen);
            assert!(taken.len() <= 2, "{taken:?}");
            Some(taken.iter().map(|(_, count)| count).sum::<usize>()).filter(|size| *size > 0)
        });
        assert_eq!(sizes.collect::<Vec<_>>(), [BATCH, BATCH, 1]);
    }
}
