//! The harness: servers to test against, and builders for what they are asked.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of it")]

pub mod builders;
pub mod calls;
pub mod clock;
pub mod database;
pub mod database_server;
pub mod fire;
pub mod process;
pub mod products;
pub mod server;
pub mod status;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Waits until `probe` returns something; fails loudly after ten seconds.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, probe: impl Fn() -> F) -> T {
    let found = tokio::time::timeout(Duration::from_secs(10), async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            if let Some(found) = probe().await {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("not within ten seconds: {what}"))
}
