//! How long what is remembered may be served.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::Revision;

/// The right to answer from memory. Whoever follows what changes renews it, each time by the moment from
/// which on it has missed nothing.
#[derive(Debug)]
pub(super) struct Lease {
    /// `None`: there is nobody to follow, because all that changes changes here.
    max_staleness: Option<Duration>,
    /// In microseconds of uptime, up to when everything is known; 0: nothing is.
    known_up_to: AtomicU64,
    /// The last revision of which everything is known.
    revision: Mutex<Option<Revision>>,
}

impl Lease {
    /// One that ends so long after it was renewed, and begins with that; `None`: one that never ends.
    pub(super) fn new(max_staleness: Option<Duration>) -> Self {
        Self { max_staleness, known_up_to: AtomicU64::new(0), revision: Mutex::new(None) }
    }

    /// Whether what is remembered may be served at this time of the machine.
    pub(super) fn is_valid(&self, uptime: Duration) -> bool {
        let Some(max_staleness) = self.max_staleness else { return true };
        let known_up_to = self.known_up_to.load(Ordering::Acquire);
        known_up_to > 0 && uptime < Duration::from_micros(known_up_to).saturating_add(max_staleness)
    }

    /// How old what is read from the database may become until it is served.
    pub(super) fn max_age(&self) -> Duration {
        self.max_staleness.unwrap_or(Duration::MAX)
    }

    /// Whether everything is known that had changed at this revision. Where nobody is
    /// followed that always is so: what changes here is known here before anybody can name it.
    pub(super) fn knows(&self, asked: Revision) -> bool {
        if self.max_staleness.is_none() {
            return true;
        }
        let known = *self.revision.lock().unwrap_or_else(PoisonError::into_inner);
        known.is_some_and(|known| known.epoch == asked.epoch && known.number >= asked.number)
    }

    /// Everything that had changed at this time of the machine, and at this revision, is known, and forgotten where it was remembered.
    pub(super) fn renew(&self, uptime: Duration, revision: Revision) {
        *self.revision.lock().unwrap_or_else(PoisonError::into_inner) = Some(revision);
        let micros = u64::try_from(uptime.as_micros()).unwrap_or(u64::MAX);
        self.known_up_to.fetch_max(micros, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    const KNOWN: Revision = Revision { epoch: Uuid::nil(), number: 7 };

    #[test]
    fn p2_ends_exactly_so_long_after_the_moment_that_it_was_renewed_by() {
        let lease = Lease::new(Some(Duration::from_secs(2)));
        let at = |micros| lease.is_valid(Duration::from_micros(micros));
        assert!(!at(0) && !at(1_999_999), "nothing is known yet");
        lease.renew(Duration::from_micros(5_000_000), KNOWN);
        assert!(at(5_000_000) && at(6_999_999));
        assert!(!at(7_000_000));
        lease.renew(Duration::from_micros(4_000_000), KNOWN);
        assert!(at(6_999_999), "an earlier moment counts for nothing");
        assert!(Lease::new(None).is_valid(Duration::MAX));
    }

    #[test]
    fn p2_knows_what_it_was_renewed_by_and_nothing_of_another_database() {
        let lease = Lease::new(Some(Duration::from_secs(2)));
        assert!(!lease.knows(KNOWN));
        lease.renew(Duration::from_secs(1), KNOWN);
        let other = Uuid::from_u128(1);
        for (epoch, number, known) in [
            (KNOWN.epoch, 6, true),
            (KNOWN.epoch, 7, true),
            (KNOWN.epoch, 8, false),
            (other, 6, false),
        ] {
            assert_eq!(lease.knows(Revision { epoch, number }), known, "{epoch} {number}");
        }
        assert!(Lease::new(None).knows(Revision { epoch: other, number: 8 }));
    }
}
