//! The histogram of latencies.

use std::fmt;
use std::time::Duration;

/// Each power of two is divided into `2^PRECISION` buckets.
const PRECISION: u32 = 7;
const DIVISIONS: usize = 1 << PRECISION;
/// Values below `DIVISIONS` have a bucket each; then come the powers of two from there to 2^63.
const BUCKETS: usize = (64 - PRECISION as usize + 1) * DIVISIONS;

/// A log-linear histogram of durations: any number of nanoseconds to within 1 %.
#[derive(Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    /// Counts a duration of so many nanoseconds.
    pub fn record(&mut self, nanoseconds: u64) {
        self.buckets[bucket_of(nanoseconds)] += 1;
        self.count += 1;
        self.max = self.max.max(nanoseconds);
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly. Zero if there is none.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The shortest duration that at least this share of all durations does not exceed, rounded up by at most
    /// 1 %: `quantile(0.99)` is the 99th percentile. Zero if there is none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    #[expect(clippy::cast_sign_loss, reason = "neither factor is negative")]
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = ((self.count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(highest_in(bucket).min(self.max));
            }
        }
        Duration::ZERO
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, max: 0 }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Histogram")
            .field("count", &self.count)
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("p99.9", &self.quantile(0.999))
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

fn bucket_of(value: u64) -> usize {
    if value < DIVISIONS as u64 {
        return value as usize;
    }
    let shift = value.ilog2() - PRECISION;
    // The leading one of the shifted value is worth `DIVISIONS`, and steps over the row before.
    shift as usize * DIVISIONS + (value >> shift) as usize
}

fn highest_in(bucket: usize) -> u64 {
    if bucket < 2 * DIVISIONS {
        return bucket as u64;
    }
    let shift = bucket / DIVISIONS - 1;
    let lowest = ((bucket - shift * DIVISIONS) as u64) << shift;
    lowest + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_its_bucket() {
        for power in 0..64 {
            for value in [(1_u64 << power) - 1, 1 << power, (1 << power) + 1, (1 << power) / 3 * 4]
            {
                let bucket = bucket_of(value);
                assert!(bucket < BUCKETS);
                assert!(value <= highest_in(bucket), "{value} in bucket {bucket}");
                assert!(
                    bucket == 0 || value > highest_in(bucket - 1),
                    "{value} in bucket {bucket}"
                );
            }
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(highest_in(BUCKETS - 1), u64::MAX);
    }

    #[test]
    fn quantiles_are_within_one_percent() {
        let mut histogram = Histogram::default();
        (1..=100_000).for_each(|micros| histogram.record(micros * 1_000));
        assert_eq!(histogram.count(), 100_000);
        for (share, exact) in [(0.5, 50_000), (0.99, 99_000), (0.999, 99_900)] {
            let quantile = histogram.quantile(share).as_micros();
            assert!(quantile >= exact && quantile * 100 <= exact * 101, "{share}: {quantile} µs");
        }
        assert_eq!(histogram.quantile(1.0), Duration::from_millis(100));
        assert_eq!(histogram.max(), Duration::from_millis(100));
    }

    #[test]
    fn an_empty_one_has_only_zeros() {
        assert_eq!(Histogram::default().quantile(0.5), Duration::ZERO);
    }
}
