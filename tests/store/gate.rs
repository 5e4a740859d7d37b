//! A place where a unit of work stands still.

use std::time::Duration;

use tokio::sync::Notify;

/// Where a unit of work waits until the test lets it go on.
#[derive(Default)]
pub struct Gate {
    reached: Notify,
    pub open: Notify,
}

impl Gate {
    pub async fn pass(&self) {
        self.reached.notify_one();
        self.open.notified().await;
    }

    /// Waits until a unit of work stands at the gate; fails loudly if none comes.
    pub async fn reached(&self) {
        let reached = tokio::time::timeout(Duration::from_secs(10), self.reached.notified());
        reached.await.expect("a unit of work comes to the gate");
    }
}
