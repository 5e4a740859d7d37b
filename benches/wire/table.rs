//! The table of results.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::load::{Check, Outcome};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Row {
    Stock,
    Hit,
    OneKey,
    AllKeys,
    ManyNetworks,
    AllPermissions,
    Denied,
    Unknown,
    Batch,
    Stream,
    StockLatency,
    HitLatency,
}

impl Row {
    fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock tonic, a constant",
            Self::Hit => "Authorize, hit, hot keys of all",
            Self::OneKey => "Authorize, hit, one key",
            Self::AllKeys => "Authorize, hit, uniform over all keys",
            Self::ManyNetworks => "Authorize, hit, 1,000 networks",
            Self::AllPermissions => "Authorize, hit, 91 permissions",
            Self::Denied => "Authorize, permission denied",
            Self::Unknown => "Authorize, unknown key",
            Self::Batch => "BatchAuthorize(32), decisions",
            Self::Stream => "StreamAuthorize, decisions",
            Self::StockLatency => "stock tonic, one at a time",
            Self::HitLatency => "Authorize, hit, one at a time",
        }
    }

    /// What it is compared with.
    fn base(self) -> Self {
        match self {
            Self::Stock | Self::Hit => Self::Stock,
            Self::StockLatency | Self::HitLatency => Self::StockLatency,
            Self::Batch | Self::Stream => Self::Hit,
            _ => Self::OneKey,
        }
    }

    /// Which answers are right.
    pub(crate) fn check(self) -> Check {
        // `allowed` is the first field, and left out where it is false.
        let allowed = !matches!(self, Self::Denied | Self::Unknown);
        Box::new(move |_, message| message.starts_with(&[0x08, 0x01]) == allowed)
    }
}

/// One measurement of one row.
struct Sample {
    rate: f64,
    cpu: Duration,
    p50: Duration,
    p99: Duration,
}

/// All measurements.
#[derive(Default)]
pub(crate) struct Table(BTreeMap<Row, Vec<Sample>>);

impl Table {
    /// Adds a measurement; each answer stands for so many decisions.
    pub(crate) fn add(&mut self, (row, outcome, decisions): (Row, Outcome, usize)) {
        let answered = outcome.answered as f64 * decisions as f64;
        let sample = Sample {
            rate: outcome.rate() * decisions as f64,
            cpu: outcome.observed_cpu.unwrap_or_default().div_f64(answered),
            p50: outcome.latency.quantile(0.5),
            p99: outcome.latency.quantile(0.99),
        };
        self.0.entry(row).or_default().push(sample);
    }

    fn median(&self, row: Row, value: impl Fn(&Sample) -> f64) -> f64 {
        let mut values: Vec<f64> = self.0[&row].iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    /// Prints the table, and writes it to a file.
    pub(crate) fn finish(&self, rounds: usize) -> Result<(), Box<dyn Error>> {
        let mut text = format!("Medians of {rounds} rounds, everything measured in turn.\n\n");
        writeln!(
            text,
            "| | per second | ÷ base | CPU µs each | ÷ base | p50 µs | p99 µs | base |"
        )?;
        writeln!(text, "|---|--:|--:|--:|--:|--:|--:|---|")?;
        let micros = |duration: Duration| duration.as_nanos() as f64 / 1_000.0;
        for row in self.0.keys() {
            let rate = |row| self.median(row, |sample| sample.rate);
            let cpu = |row| self.median(row, |sample| micros(sample.cpu));
            let p50 = self.median(*row, |sample| micros(sample.p50));
            let p99 = self.median(*row, |sample| micros(sample.p99));
            let base = row.base();
            writeln!(
                text,
                "| {} | {:.0} | {:.2} | {:.2} | {:.2} | {p50:.1} | {p99:.1} | {} |",
                row.name(),
                rate(*row),
                rate(*row) / rate(base),
                cpu(*row),
                cpu(*row) / cpu(base),
                base.name(),
            )?;
        }
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-wire.md");
        std::fs::write(&path, &text)?;
        println!("\n{text}\nAlso in {}", path.display());
        Ok(())
    }
}
