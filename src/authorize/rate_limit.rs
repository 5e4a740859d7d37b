//! Where requests are counted against their limits.
//!
//! Counts are this process's own: each of several servers on one database counts what it decides,
//! and a restart begins anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{Timestamp, Windows, WorkspaceId};

/// How many workspaces there are before those whose windows are over are looked for.
const MIN_SWEPT: usize = 1_024;

/// The windows of all workspaces. They outlive what is remembered of a workspace: a policy that changes
/// begins none anew.
#[derive(Debug, Default)]
pub(super) struct RateLimits(Mutex<Workspaces>);

#[derive(Debug, Default)]
struct Workspaces {
    windows: HashMap<WorkspaceId, Arc<Windows>>,
    /// How many there were after those that were over went.
    swept: usize,
}

impl RateLimits {
    /// Where the requests of this workspace are counted.
    pub(super) fn of(&self, workspace: &WorkspaceId, now: Timestamp) -> Arc<Windows> {
        let mut workspaces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        workspaces.sweep(now);
        Arc::clone(workspaces.windows.entry(workspace.clone()).or_default())
    }
}

impl Workspaces {
    /// Forgets those that nobody counts in and that are over, each time that there are twice as many as
    /// were left: what is kept is bounded by what is remembered and what is limited.
    fn sweep(&mut self, now: Timestamp) {
        if self.windows.len() >= MIN_SWEPT.max(2 * self.swept) {
            self.windows
                .retain(|_, windows| Arc::strong_count(windows) > 1 || !windows.are_over(now));
            self.swept = self.windows.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Counter, RequestsPerHour};

    const ALL: Counter<'_> = Counter { public: false, permission: None };

    fn workspace(id: &str) -> WorkspaceId {
        WorkspaceId::from_id(id).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + seconds * 1_000_000).unwrap()
    }

    #[test]
    fn windows_that_are_over_are_forgotten_and_open_or_used_ones_never() {
        let limits = RateLimits::default();
        let one = RequestsPerHour::MIN;
        let count = |id: &str, seconds| {
            limits.of(&workspace(id), at(seconds)).count(ALL, one, || at(seconds))
        };
        let used = limits.of(&workspace("used"), at(0));
        for number in 0..MIN_SWEPT {
            count(&format!("old-{number}"), 0).unwrap();
        }
        count("open", 3_599).unwrap();
        assert_eq!(limits.0.lock().unwrap().windows.len(), MIN_SWEPT + 2);
        for number in 0..MIN_SWEPT {
            count(&format!("new-{number}"), 3_600).unwrap();
        }
        assert_eq!(limits.0.lock().unwrap().windows.len(), MIN_SWEPT + 2, "the old ones went");
        count("open", 3_600).unwrap_err();
        used.count(ALL, one, || at(3_600)).unwrap();
        count("used", 3_600).unwrap_err();
    }
}
