//! The outcome of a run.

use std::time::Duration;

use super::histogram::Histogram;

/// What came of a plan.
///
/// Only `answered`, `elapsed`, the CPU times and the latencies are of the measured time alone. All that went
/// wrong counts from the first request to the end of the last, because a wrong answer in the
/// warm-up makes the rest doubtful, too.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Requests that ended in the measured time with a good answer: one message that passed the check,
    /// then trailers. In a stream, messages that passed the check.
    pub answered: u64,
    /// Requests that ended in any other way, or not at all.
    pub wrong: u64,
    /// What was wrong with the first of them.
    pub first_wrong: Option<String>,
    /// `RST_STREAM` frames that came.
    pub resets: u64,
    /// `GOAWAY` frames that came.
    pub goaways: u64,
    /// Connections that ended before the run did. The others went on.
    pub lost_connections: usize,
    /// The measured time.
    pub elapsed: Duration,
    /// CPU time of the loader's thread in the measured time. Close to `elapsed`: the loader is the
    /// bottleneck, or spins.
    pub loader_cpu: Duration,
    /// CPU time of the observed process in the measured time.
    pub observed_cpu: Option<Duration>,
    /// The most requests that were under way at once, over all connections.
    pub most_under_way: u64,
    /// From when a request was encoded, just before it was written, to when the end of its answer was read,
    /// one value for each of `answered`. The clock is read once for all that is written or read at once:
    /// exact with one request under way, and with more the wait in the loader is part of it.
    pub latency: Histogram,
}

impl Outcome {
    /// Good answers per second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    pub fn rate(&self) -> f64 {
        if self.elapsed.is_zero() { 0.0 } else { self.answered as f64 / self.elapsed.as_secs_f64() }
    }
}
