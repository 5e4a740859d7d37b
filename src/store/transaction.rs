//! Transactions.

use std::future::Future;
use std::sync::Arc;

use sea_orm::{
    DatabaseTransaction, DbBackend, IsolationLevel, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tracing::Instrument;

use super::bounded::{Bounded, bounded, within};
use super::{Store, StoreError};

/// How often a transaction is begun that loses against others.
const ATTEMPTS: usize = 5;

/// A transaction that is under way.
#[derive(Debug)]
pub struct Transaction {
    pub(super) inner: Bounded<DatabaseTransaction>,
}

/// What happens within one transaction: all of it, or nothing. May be run again from the beginning
/// if it lost against another.
pub trait UnitOfWork: Send + Sync + 'static {
    /// What it comes to.
    type Output: Send + 'static;
    /// Why it may not be done.
    type Error: From<StoreError> + AsStoreError + Send + 'static;

    /// Does the work. On an error everything is undone.
    fn run(
        &self,
        tx: &Transaction,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// An error that may be the database's.
pub trait AsStoreError {
    /// The database's error, if it is one.
    fn as_store_error(&self) -> Option<&StoreError>;
}

impl AsStoreError for StoreError {
    fn as_store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
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
            for _ in 1..ATTEMPTS {
                match store.attempt(&work).await {
                    Err(error) if is_conflict(&error) => {
                        tracing::debug!("a transaction lost against another and is begun again");
                    }
                    outcome => return outcome,
                }
            }
            store.attempt(&work).await
        };
        match tokio::spawn(task.in_current_span()).await {
            Ok(outcome) => outcome,
            Err(_panicked_or_shut_down) => Err(StoreError::Interrupted.into()),
        }
    }

    async fn attempt<W: UnitOfWork>(&self, work: &W) -> Result<W::Output, W::Error> {
        let tx = self.begin().await?;
        let output = work.run(&tx).await?;
        bounded(tx.inner.0.commit()).await.map_err(StoreError::from)?;
        Ok(output)
    }

    async fn begin(&self) -> Result<Transaction, StoreError> {
        let sqlite = self.write.get_database_backend() == DbBackend::Sqlite;
        let options = TransactionOptions {
            // Under MariaDB's REPEATABLE READ, what is read before a lock is taken makes what is
            // read behind it old. SQLite has one writer, and nothing to choose.
            isolation_level: (!sqlite).then_some(IsolationLevel::ReadCommitted),
            access_mode: None,
            // A deferred transaction that reads before it writes fails if another wrote meanwhile.
            sqlite_transaction_mode: sqlite.then_some(SqliteTransactionMode::Immediate),
        };
        let begun = within(self.patience, self.write.begin_with_options(options));
        let inner = begun.await?;
        Ok(Transaction { inner: Bounded(inner) })
    }
}

fn is_conflict(error: &impl AsStoreError) -> bool {
    error.as_store_error().is_some_and(StoreError::is_conflict)
}
