//! Counts requests against their limits, in windows of one hour.
//!
//! Counts are this process's own: each of several servers on one database counts what it decides,
//! and a restart begins anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::{Counter, RateLimit, RequestsPerHour, Timestamp};

/// How long a window lasts. It begins with the first request that it counts.
const WINDOW: Duration = Duration::from_hours(1);
/// How many windows there are before those that are over are looked for.
const MIN_SWEPT: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct RateLimits(Mutex<Windows>);

#[derive(Debug, Default)]
struct Windows {
    open: HashMap<Counter, Window>,
    /// How many there were after those that were over went.
    swept: usize,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    end: Timestamp,
    counted: u64,
}

impl RateLimits {
    /// Counts a request if its limit has room for it, and says what is left: `Err` if it has none.
    ///
    /// A limit that changed counts at once, with what its window counted before.
    pub(super) fn count(
        &self,
        counter: Counter,
        limit: RequestsPerHour,
        clock: impl FnOnce() -> Timestamp,
    ) -> Result<RateLimit, RateLimit> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Not before: whoever waited for the lock must not bring an instant that is over.
        let now = clock();
        windows.sweep(now);
        let fresh = Window { end: now.saturating_add(WINDOW), counted: 0 };
        let window = windows.open.entry(counter).or_insert(fresh);
        if window.end <= now {
            *window = fresh;
        }
        // A clock that was fast, and was put right, must not make the window longer.
        window.end = window.end.min(fresh.end);
        let has_room = window.counted < limit.get();
        if has_room {
            window.counted += 1;
        }
        let remaining = limit.get().saturating_sub(window.counted);
        let state = RateLimit { limit, remaining, reset_time: window.end };
        if has_room { Ok(state) } else { Err(state) }
    }
}

impl Windows {
    /// Forgets the windows that are over, each time that there are twice as many as were left: what is
    /// kept is bounded by what is limited.
    fn sweep(&mut self, now: Timestamp) {
        if self.open.len() >= MIN_SWEPT.max(2 * self.swept) {
            self.open.retain(|_, window| window.end > now);
            self.swept = self.open.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::domain::WorkspaceId;

    fn counter(workspace: &str) -> Counter {
        let workspace = WorkspaceId::from_id(workspace).unwrap();
        Counter { workspace, public: false, permission: None }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + seconds * 1_000_000).unwrap()
    }

    fn limit(limit: u64) -> RequestsPerHour {
        NonZeroU64::new(limit).unwrap()
    }

    #[test]
    fn b12_a_window_begins_with_the_first_request_and_never_counts_one_more() {
        let limits = RateLimits::default();
        let count = |seconds| limits.count(counter("acme"), limit(2), || at(seconds));
        let state =
            |remaining, reset| RateLimit { limit: limit(2), remaining, reset_time: at(reset) };
        for (seconds, expected) in [
            (100, Ok(state(1, 3_700))),
            (200, Ok(state(0, 3_700))),
            (201, Err(state(0, 3_700))),
            (3_699, Err(state(0, 3_700))),
            (3_700, Ok(state(1, 7_300))),
            (3_701, Ok(state(0, 7_300))),
            (7_299, Err(state(0, 7_300))),
            // A silence begins nothing.
            (20_000, Ok(state(1, 23_600))),
        ] {
            assert_eq!(count(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_limit_that_changes_keeps_what_was_counted() {
        let limits = RateLimits::default();
        let remaining = |of: u64| {
            let counted = limits.count(counter("acme"), limit(of), || at(0));
            counted.map(|state| state.remaining).map_err(|state| state.remaining)
        };
        assert_eq!(remaining(3), Ok(2));
        assert_eq!(remaining(3), Ok(1));
        assert_eq!(remaining(1), Err(0));
        assert_eq!(remaining(10), Ok(7));
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_window_longer() {
        let limits = RateLimits::default();
        limits.count(counter("acme"), limit(1), || at(90_000)).unwrap();
        let used_up = limits.count(counter("acme"), limit(1), || at(1_000)).unwrap_err();
        assert_eq!(used_up.reset_time, at(4_600));
        assert!(limits.count(counter("acme"), limit(1), || at(4_599)).is_err());
        assert!(limits.count(counter("acme"), limit(1), || at(4_600)).is_ok());
    }

    #[test]
    fn windows_that_are_over_are_forgotten_and_open_ones_never() {
        let limits = RateLimits::default();
        let kept = || limits.0.lock().unwrap().open.len();
        for number in 0..MIN_SWEPT {
            limits.count(counter(&format!("old-{number}")), limit(1), || at(0)).unwrap();
        }
        limits.count(counter("open"), limit(1), || at(3_599)).unwrap();
        assert_eq!(kept(), MIN_SWEPT + 1);
        for number in 0..MIN_SWEPT {
            limits.count(counter(&format!("new-{number}")), limit(1), || at(3_600)).unwrap();
        }
        assert_eq!(kept(), MIN_SWEPT + 1, "the old ones went");
        assert!(limits.count(counter("open"), limit(1), || at(3_600)).is_err());
    }
}
