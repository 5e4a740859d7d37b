//! Keeps what is remembered up to date with what other servers change.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::lease::Lease;
use super::memory::Memory;
use crate::clock::Clock;
use crate::domain::Revision;
use crate::store::{Change, Feed, Observer, Store, StoreError};

/// How often the database is asked what has changed, unless the lease is so short that it must be more
/// often.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How many times it is asked while a lease lasts, at the least: some may fail.
const POLLS_PER_LEASE: u32 = 5;
/// How long it is left alone between two questions, however often it says that something has changed.
const REST: Duration = Duration::from_millis(5);
/// How often what every server has long read is removed.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// Reads what other servers change, forgets it here, and renews the lease.
#[derive(Debug)]
pub struct Follower {
    store: Arc<Store>,
    feed: Feed,
    memory: Arc<Memory>,
    lease: Arc<Lease>,
    clock: Arc<dyn Clock>,
    /// Up to where everything is known.
    known: Option<Revision>,
}

impl Follower {
    pub(super) fn new(
        store: Arc<Store>,
        feed: Feed,
        memory: Arc<Memory>,
        lease: Arc<Lease>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, feed, memory, lease, clock, known: None }
    }

    /// Follows what changes, for ever.
    pub async fn follow(mut self) {
        let interval = POLL_INTERVAL.min(self.lease.max_age() / POLLS_PER_LEASE);
        let hint = Arc::new(Notify::new());
        let (store, heard) = (Arc::clone(&self.store), Arc::clone(&hint));
        let _listening =
            AbortOnDropHandle::new(tokio::spawn(async move { store.listen(heard).await }));
        let mut prune_at = Instant::now() + PRUNE_INTERVAL;
        loop {
            if let Err(error) = self.catch_up().await {
                tracing::debug!(%error, "what other servers change cannot be read");
            } else if Instant::now() >= prune_at {
                prune_at = Instant::now() + PRUNE_INTERVAL;
                if let Err(error) = self.prune().await {
                    tracing::debug!(%error, "old changes are not removed yet");
                }
            }
            sleep(REST).await;
            // Whether somebody calls, or the time is over, comes to the same.
            let _ = timeout(interval, hint.notified()).await;
        }
    }

    /// Reads all that has changed.
    ///
    /// # Errors
    /// If the database cannot be read: then the lease runs out, unless a later call renews it.
    pub async fn catch_up(&mut self) -> Result<(), StoreError> {
        while !self.poll().await? {}
        Ok(())
    }

    /// Reads some of what has changed, and says whether that was all.
    async fn poll(&mut self) -> Result<bool, StoreError> {
        // What is committed from here on may be missed.
        let began = self.clock.uptime();
        // Before the changes: it is not further than they are.
        let current = self.feed.revision().await?;
        let known = self.known.filter(|known| {
            let is_same = known.epoch == current.epoch && known.number <= current.number;
            if !is_same {
                tracing::warn!("the database is another one, or was set back");
            }
            is_same
        });
        let Some(known) = known else {
            self.start_anew(current);
            self.lease.renew(began, current);
            return Ok(true);
        };
        let (changes, is_all) = self.feed.since(known.number).await?;
        let Some(number) = complete_up_to(known.number, &changes, is_all)
            .filter(|number| !is_all || *number >= current.number)
        else {
            tracing::info!("too much has changed to follow: everything is read anew");
            self.start_anew(current);
            return Ok(false);
        };
        let complete = changes.into_iter().filter(|(of, _)| *of <= number);
        self.memory.changed(&complete.map(|(_, change)| change).collect::<Vec<_>>());
        let now_known = Revision { epoch: current.epoch, number };
        self.known = Some(now_known);
        if is_all {
            self.lease.renew(began, now_known);
        }
        Ok(is_all)
    }

    /// Forgets everything: what is read from here on is not older than this.
    fn start_anew(&mut self, current: Revision) {
        self.memory.changed(&[Change::All]);
        self.known = Some(current);
    }

    /// Removes from the database what every server has long read.
    ///
    /// # Errors
    /// If the database cannot be written.
    async fn prune(&self) -> Result<(), StoreError> {
        match self.known {
            Some(known) => self.feed.prune(known.number).await,
            None => Ok(()),
        }
    }
}

/// The last revision of which these changes, read since `known`, hold everything. `None` if some are
/// missing: revisions have no gaps, so what stood in one was removed as too old.
fn complete_up_to(known: i64, changes: &[(i64, Change)], is_all: bool) -> Option<i64> {
    let mut last = known;
    for (revision, _) in changes {
        if *revision != last && *revision != last + 1 || *revision == known {
            return None;
        }
        last = *revision;
    }
    // Of the last one, some may not have fitted.
    let complete = if is_all { last } else { last - 1 };
    (is_all || complete > known).then_some(complete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p2_a_gap_between_revisions_is_noticed() {
        for (revisions, is_all, complete) in [
            (&[][..], true, Some(7)),
            (&[8], true, Some(8)),
            (&[8, 8, 9, 10, 10], true, Some(10)),
            // The rest of 10 did not fit.
            (&[8, 8, 9, 10, 10], false, Some(9)),
            // Not even one did.
            (&[8, 8, 8], false, None),
            (&[9], true, None),
            (&[8, 10], true, None),
            (&[8, 9, 8], true, None),
            (&[7], true, None),
        ] {
            let changes: Vec<_> = revisions.iter().map(|one| (*one, Change::All)).collect();
            assert_eq!(complete_up_to(7, &changes, is_all), complete, "{revisions:?} {is_all}");
        }
    }
}
