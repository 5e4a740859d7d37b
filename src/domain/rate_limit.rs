//! Rate limits, and the windows of one hour in which requests are counted against them.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::permission::PermissionName;
use super::timestamp::Timestamp;

/// How many requests may be made in a window of one hour.
pub type RequestsPerHour = NonZeroU64;

/// How long a window lasts. It begins with the first request that it counts.
const WINDOW: Duration = Duration::from_hours(1);

/// Requests of one workspace that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter<'a> {
    /// Whether they come with its public key, which is in everybody's hands and must not use up what
    /// the private keys have.
    pub public: bool,
    /// The permission, if it has a limit of its own.
    pub permission: Option<&'a PermissionName>,
}

/// The state of a limit after it counted a request, or refused to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per window.
    pub limit: RequestsPerHour,
    /// Requests left in this window.
    pub remaining: u64,
    /// When the window ends.
    pub reset_time: Timestamp,
}

/// Where the requests of one workspace are counted. Each counter has a lock of its own.
#[derive(Debug, Default)]
pub struct Windows {
    all: ByBearer,
    /// Of permissions that have limits of their own.
    permissions: RwLock<HashMap<PermissionName, ByBearer>>,
}

#[derive(Debug, Default)]
struct ByBearer {
    private: Mutex<Window>,
    public: Mutex<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    end: Timestamp,
    counted: u64,
}

/// One that is over.
impl Default for Window {
    fn default() -> Self {
        Self { end: Timestamp::MIN, counted: 0 }
    }
}

impl Windows {
    /// Counts a request if its limit has room for it, and says what is left: `Err` if it has none.
    ///
    /// A limit that changed counts at once, with what its window counted before.
    ///
    /// # Errors
    /// The state of the limit, if it has no room.
    pub fn count(
        &self,
        counter: Counter<'_>,
        limit: RequestsPerHour,
        clock: impl FnOnce() -> Timestamp,
    ) -> Result<RateLimit, RateLimit> {
        let Some(permission) = counter.permission else {
            return self.all.count(counter.public, limit, clock);
        };
        let permissions = self.permissions.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = permissions.get(permission) {
            return own.count(counter.public, limit, clock);
        }
        drop(permissions);
        let mut permissions = self.permissions.write().unwrap_or_else(PoisonError::into_inner);
        let own = permissions.entry(permission.clone()).or_default();
        own.count(counter.public, limit, clock)
    }

    /// Whether every window is over: then nothing is lost if all are forgotten.
    #[must_use]
    pub fn are_over(&self, now: Timestamp) -> bool {
        let permissions = self.permissions.read().unwrap_or_else(PoisonError::into_inner);
        self.all.are_over(now) && permissions.values().all(|own| own.are_over(now))
    }
}

impl ByBearer {
    fn count(
        &self,
        public: bool,
        limit: RequestsPerHour,
        clock: impl FnOnce() -> Timestamp,
    ) -> Result<RateLimit, RateLimit> {
        let window = if public { &self.public } else { &self.private };
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        // Not before: whoever waited for the lock must not bring an instant that is over.
        window.count(limit, clock())
    }

    fn are_over(&self, now: Timestamp) -> bool {
        [&self.private, &self.public]
            .map(|window| window.lock().unwrap_or_else(PoisonError::into_inner).end <= now)
            == [true, true]
    }
}

impl Window {
    fn count(&mut self, limit: RequestsPerHour, now: Timestamp) -> Result<RateLimit, RateLimit> {
        let fresh = Self { end: now.saturating_add(WINDOW), counted: 0 };
        if self.end <= now {
            *self = fresh;
        }
        // A clock that was fast, and was put right, must not make the window longer.
        self.end = self.end.min(fresh.end);
        let has_room = self.counted < limit.get();
        if has_room {
            self.counted += 1;
        }
        let remaining = limit.get().saturating_sub(self.counted);
        let state = RateLimit { limit, remaining, reset_time: self.end };
        if has_room { Ok(state) } else { Err(state) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Counter<'_> = Counter { public: false, permission: None };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + seconds * 1_000_000).unwrap()
    }

    fn limit(limit: u64) -> RequestsPerHour {
        NonZeroU64::new(limit).unwrap()
    }

    #[test]
    fn b12_a_window_begins_with_the_first_request_and_never_counts_one_more() {
        let limits = Windows::default();
        let count = |seconds| limits.count(ALL, limit(2), || at(seconds));
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
        let limits = Windows::default();
        let remaining = |of: u64| {
            let counted = limits.count(ALL, limit(of), || at(0));
            counted.map(|state| state.remaining).map_err(|state| state.remaining)
        };
        assert_eq!(remaining(3), Ok(2));
        assert_eq!(remaining(3), Ok(1));
        assert_eq!(remaining(1), Err(0));
        assert_eq!(remaining(10), Ok(7));
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_window_longer() {
        let limits = Windows::default();
        limits.count(ALL, limit(1), || at(90_000)).unwrap();
        let used_up = limits.count(ALL, limit(1), || at(1_000)).unwrap_err();
        assert_eq!(used_up.reset_time, at(4_600));
        assert!(limits.count(ALL, limit(1), || at(4_599)).is_err());
        assert!(limits.count(ALL, limit(1), || at(4_600)).is_ok());
    }

    #[test]
    fn b12_each_counter_counts_alone() {
        let limits = Windows::default();
        let track: PermissionName = "users.track".parse().unwrap();
        for public in [false, true] {
            for permission in [None, Some(&track)] {
                let counter = Counter { public, permission };
                limits.count(counter, limit(1), || at(0)).unwrap();
                limits.count(counter, limit(1), || at(0)).unwrap_err();
            }
        }
    }

    #[test]
    fn windows_are_over_when_the_last_one_is() {
        let limits = Windows::default();
        let track: PermissionName = "users.track".parse().unwrap();
        assert!(limits.are_over(at(0)));
        limits.count(ALL, limit(1), || at(0)).unwrap();
        let own = Counter { public: true, permission: Some(&track) };
        limits.count(own, limit(1), || at(60)).unwrap();
        for (seconds, over) in [(3_599, false), (3_600, false), (3_659, false), (3_660, true)] {
            assert_eq!(limits.are_over(at(seconds)), over, "{seconds}");
        }
    }
}
