//! Transactions.

use std::future::Future;
use std::sync::Arc;

use sea_orm::{
    DatabaseTransaction, IsolationLevel, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tracing::Instrument;

use super::{Store, StoreError};

/// A transaction that is under way.
#[derive(Debug)]
pub struct Transaction {
    pub(super) inner: DatabaseTransaction,
}

/// What happens within one transaction: all of it, or nothing.
pub trait UnitOfWork: Send + Sync + 'static {
    /// What it comes to.
    type Output: Send + 'static;
    /// Why it may not be done.
    type Error: From<StoreError> + Send + 'static;

    /// Does the work. On an error everything is undone.
    fn run(
        &self,
        tx: &Transaction,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

impl Store {
    /// Carries out a unit of work.
    ///
    /// It runs to its end in a task of its own: a client that hangs up does not tear it.
    ///
    /// # Errors
    /// The work's own, or a [`StoreError`]. If that came of the commit, the outcome is unknown.
    pub async fn transact<W: UnitOfWork>(self: &Arc<Self>, work: W) -> Result<W::Output, W::Error> {
        let store = Arc::clone(self);
        let task = async move {
            let tx = store.begin().await?;
            let output = work.run(&tx).await?;
            tx.inner.commit().await.map_err(StoreError::from)?;
            Ok(output)
        };
        match tokio::spawn(task.in_current_span()).await {
            Ok(outcome) => outcome,
            Err(_panicked_or_shut_down) => Err(StoreError::Interrupted.into()),
        }
    }

    async fn begin(&self) -> Result<Transaction, StoreError> {
        let options = TransactionOptions {
            isolation_level: None::<IsolationLevel>,
            access_mode: None,
            // A deferred transaction that reads before it writes fails if another wrote meanwhile.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        };
        Ok(Transaction { inner: self.write.begin_with_options(options).await? })
    }
}
