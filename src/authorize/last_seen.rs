//! When keys were last presented.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::domain::Timestamp;
use crate::store::{StoreError, Transaction, UnitOfWork};

/// How many keys are remembered until they are written. Of more, some are seen later: the next time
/// that they are presented.
const MAX_REMEMBERED: usize = 1_000_000;
/// How many keys are written in one transaction, so that it holds up no other for long.
const BATCH: usize = 500;

/// When keys were last presented, as far as it is not written yet: a decision writes nothing.
#[derive(Debug, Default)]
pub(super) struct LastSeen(Mutex<HashMap<Uuid, Timestamp>>);

impl LastSeen {
    /// Notes that a key was presented. An instant that is older than one noted before counts for
    /// nothing.
    pub(super) fn note(&self, key: Uuid, seen: Timestamp) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < MAX_REMEMBERED || noted.contains_key(&key) {
            let last = noted.entry(key).or_insert(seen);
            *last = seen.max(*last);
        }
    }

    /// Takes out what was noted of some keys, few enough for one transaction.
    pub(super) fn take_some(&self) -> Vec<(Uuid, Timestamp)> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut some: Vec<Uuid> = noted.keys().copied().take(BATCH).collect();
        // Two servers that write the same keys must not wait for each other.
        some.sort_unstable();
        some.into_iter().filter_map(|key| noted.remove_entry(&key)).collect()
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
    use super::*;

    #[test]
    fn b8_last_seen_never_moves_backwards() {
        let seen = LastSeen::default();
        let (key, at) = (Uuid::nil(), |micros| Timestamp::from_micros(micros).unwrap());
        for micros in [5, 9, 7] {
            seen.note(key, at(micros));
        }
        assert_eq!(seen.take_some(), [(key, at(9))]);
        assert_eq!(seen.take_some(), []);
    }
}
