//! Transactions.

use std::future::Future;
use std::sync::Arc;

use sea_orm::{
    DatabaseTransaction, DbBackend, IsolationLevel, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tracing::Instrument;

use super::bounded::{Bounded, bounded, within};
use super::changes::{Change, Noted};
use super::group::lane_of;
use super::{Store, StoreError};
use crate::domain::Revision;

/// How often a transaction is begun that loses against others.
const ATTEMPTS: usize = 5;

/// A transaction that is under way.
#[derive(Debug)]
pub struct Transaction {
    pub(super) inner: Writer,
}

/// The connection of a transaction, and what it has changed.
pub type Writer = Bounded<DatabaseTransaction, Noted>;

/// What happens within one transaction: all of it, or nothing. May be run again from the beginning
/// if it lost against another.
pub trait UnitOfWork: Send + Sync + 'static {
    /// What it comes to.
    type Output: Send + 'static;
    /// Why it may not be done.
    type Error: From<StoreError> + AsStoreError + Send + 'static;

    /// What it locks first, and nothing after that but what all share: then it is small, and may wait to
    /// be committed together with others. `None`: it is committed alone.
    fn group(&self) -> Option<&str> {
        None
    }

    /// Does the work. On an error everything is undone.
    fn run(
        &self,
        tx: &Transaction,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// What a transaction came to, once it is committed.
#[derive(Debug)]
pub struct Committed<T> {
    /// That.
    pub output: T,
    /// A revision at which it counts; `None` if no server was ever started on the database.
    pub revision: Option<Revision>,
}

impl<T> Committed<T> {
    /// The same of something else.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Committed<U> {
        Committed { output: of(self.output), revision: self.revision }
    }
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
    pub async fn transact<W: UnitOfWork>(
        self: &Arc<Self>,
        work: W,
    ) -> Result<Committed<W::Output>, W::Error> {
        if let Some(group) = work.group() {
            let lane = lane_of(group, self.lanes.len());
            return self.together(lane, work).await;
        }
        let store = Arc::clone(self);
        let task = async move { store.alone(&work).await };
        match tokio::spawn(task.in_current_span()).await {
            Ok(outcome) => outcome,
            Err(_panicked_or_shut_down) => Err(StoreError::Interrupted.into()),
        }
    }

    /// Carries out a unit of work in a transaction of its own.
    pub(super) async fn alone<W: UnitOfWork>(
        &self,
        work: &W,
    ) -> Result<Committed<W::Output>, W::Error> {
        for _ in 1..ATTEMPTS {
            match self.attempt(work).await {
                Err(error) if is_conflict(&error) => {
                    tracing::debug!("a transaction lost against another and is begun again");
                }
                outcome => return outcome,
            }
        }
        self.attempt(work).await
    }

    async fn attempt<W: UnitOfWork>(&self, work: &W) -> Result<Committed<W::Output>, W::Error> {
        let tx = self.begin().await?;
        let output = work.run(&tx).await?;
        let changes = tx.inner.notes.take();
        Ok(Committed { output, revision: self.publish_and_commit(tx, changes).await? })
    }

    /// Ends a transaction, and returns the last revision.
    pub(super) async fn publish_and_commit(
        &self,
        tx: Transaction,
        changes: Vec<Change>,
    ) -> Result<Option<Revision>, StoreError> {
        let revision = self.publish(&tx, &changes).await?;
        let committed = self.commit(tx).await;
        // Before anybody is told; and also if the outcome is unknown.
        if let Some(observer) = self.observer.get() {
            observer.changed(&changes);
        }
        committed?;
        revision.inspect(|revision| self.see_revision(*revision));
        Ok(self.seen_revision())
    }

    async fn commit(&self, tx: Transaction) -> Result<(), StoreError> {
        let commit = tx.inner.connection.commit();
        if self.is_remote() {
            // Left to itself it may still be carried out; then other servers learn of it, and this one
            // from them.
            bounded(commit).await?;
        } else {
            // There is nobody to learn from: the outcome is waited for.
            commit.await?;
        }
        Ok(())
    }

    pub(super) async fn begin(&self) -> Result<Transaction, StoreError> {
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
        Ok(Transaction { inner: Bounded { connection: inner, notes: Noted::default() } })
    }
}

fn is_conflict(error: &impl AsStoreError) -> bool {
    error.as_store_error().is_some_and(StoreError::is_conflict)
}
