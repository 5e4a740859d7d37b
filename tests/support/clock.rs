//! A clock that stands still until it is told to move.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use claviger::clock::{Clock, SystemClock};
use claviger::domain::Timestamp;

#[derive(Debug)]
pub struct FakeClock(AtomicI64);

impl FakeClock {
    /// 2026-01-01T00:00:00Z.
    pub const START_SECONDS: i64 = 1_767_225_600;

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// An instant that lies so many seconds after the clock's start, as the wire has it.
    pub fn at(seconds: i64) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds: Self::START_SECONDS + seconds, nanos: 0 }
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self(AtomicI64::new(Self::START_SECONDS * 1_000_000))
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst)).unwrap()
    }

    /// The machine's own, and all that the clock was advanced by: leases run while tests do.
    fn uptime(&self) -> Duration {
        let advanced = self.0.load(Ordering::SeqCst) - Self::START_SECONDS * 1_000_000;
        SystemClock.uptime() + Duration::from_micros(u64::try_from(advanced).unwrap())
    }
}
