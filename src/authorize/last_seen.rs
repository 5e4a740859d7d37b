//! When keys were last presented.

use std::sync::atomic::Ordering;
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
/// How many keys are written in one transaction, so that it holds up no other for long.
const BATCH: usize = 500;

/// The keys of which it is to be written when they were last presented: a decision writes nothing.
#[derive(Debug, Default)]
pub(super) struct LastSeen([Mutex<Vec<Arc<Entry>>>; PARTS]);

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
        let part = &self.0[usize::from(key.id.as_bytes()[15]) % PARTS];
        let mut listed = part.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.len() < MAX_LISTED {
            listed.push(Arc::clone(entry));
        } else {
            entry.is_listed.store(false, Ordering::SeqCst);
        }
    }

    /// Takes out some keys, few enough for one transaction, and when each was last presented.
    pub(super) fn take_some(&self) -> Vec<(Arc<Entry>, Uuid, Timestamp)> {
        let mut some = Vec::new();
        for part in &self.0 {
            let mut listed = part.lock().unwrap_or_else(PoisonError::into_inner);
            let rest = listed.len().saturating_sub(BATCH - some.len());
            for entry in listed.drain(rest..) {
                // First: what is noted from here on is listed anew.
                entry.is_listed.store(false, Ordering::SeqCst);
                let seen = Timestamp::from_micros(entry.last_seen());
                if let (Some(key), Some(seen)) = (entry.subject().key(), seen) {
                    let id = key.id;
                    some.push((entry, id, seen));
                }
            }
        }
        // Two servers that write the same keys must not wait for each other.
        some.sort_unstable_by_key(|(_, id, _)| *id);
        some
    }

    /// Lists keys again that could not be written.
    pub(super) fn put_back(&self, some: Vec<Arc<Entry>>) {
        for entry in some {
            if !entry.is_listed.swap(true, Ordering::SeqCst) {
                self.list(&entry);
            }
        }
    }
}

/// Writes when keys were last presented.
pub(super) struct WriteLastSeen(pub(super) Vec<(Uuid, Timestamp)>);

impl UnitOfWork for WriteLastSeen {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &Transaction) -> Result<(), StoreError> {
        for (key, seen) in &self.0 {
            tx.keys().see(*key, *seen).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{a_tenant, an_empty_catalog, an_entry};
    use super::*;
    use crate::domain::Shared;

    fn entries(number: usize) -> Vec<Arc<Entry>> {
        let tenant = Arc::new(Shared::new(a_tenant(&an_empty_catalog())));
        (0..number).map(|number| an_entry(number, &tenant)).collect()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1_000).unwrap()
    }

    fn taken(seen: &LastSeen) -> Vec<(Uuid, Timestamp)> {
        seen.take_some().into_iter().map(|(_, id, seen)| (id, seen)).collect()
    }

    #[test]
    fn b8_last_seen_never_moves_backwards() {
        let (seen, entries) = (LastSeen::default(), entries(1));
        for millis in [5, 9, 7] {
            seen.note(&entries[0], at(millis));
        }
        assert_eq!(taken(&seen), [(Uuid::nil(), at(9))]);
        assert_eq!(taken(&seen), []);
        seen.note(&entries[0], at(8));
        assert_eq!(taken(&seen), [(Uuid::nil(), at(9))]);
    }

    #[test]
    fn b8_all_are_taken_in_batches_and_what_is_put_back_is_taken_again() {
        let (seen, entries) = (LastSeen::default(), entries(2 * BATCH + 1));
        for entry in &entries {
            seen.note(entry, at(1));
        }
        let first = seen.take_some();
        assert_eq!(first.len(), BATCH);
        assert!(first.is_sorted_by_key(|(_, id, _)| *id));
        seen.put_back(first.into_iter().map(|(entry, ..)| entry).collect());
        let sizes = std::iter::from_fn(|| Some(taken(&seen).len()).filter(|size| *size > 0));
        assert_eq!(sizes.collect::<Vec<_>>(), [BATCH, BATCH, 1]);
    }
}
