//! Connections that do not wait for ever.

use std::future::Future;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};

use super::error::timed_out;

/// How long the database may take to answer one statement, and how long it may take until there is a
/// connection to send it on. A database that takes longer is as good as gone.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_millis(900);

/// A pool or a transaction whose every statement is answered in time, or is an error. A transaction
/// carries what it changes along, as `N`.
#[derive(Debug)]
pub struct Bounded<C, N = ()> {
    pub(super) connection: C,
    pub(super) notes: N,
}

/// What this comes to, or an error if it takes longer than a statement may.
pub(super) async fn bounded<T>(
    operation: impl Future<Output = Result<T, DbErr>> + Send,
) -> Result<T, DbErr> {
    within(STATEMENT_TIMEOUT, operation).await
}

/// What this comes to, or an error if it takes longer.
pub(super) async fn within<T>(
    time: Duration,
    operation: impl Future<Output = Result<T, DbErr>> + Send,
) -> Result<T, DbErr> {
    tokio::time::timeout(time, operation).await.map_err(|_elapsed| timed_out())?
}

#[async_trait::async_trait]
impl<C: ConnectionTrait, N: Send + Sync> ConnectionTrait for Bounded<C, N> {
    fn get_database_backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        bounded(self.connection.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        bounded(self.connection.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        bounded(self.connection.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        bounded(self.connection.query_all_raw(statement)).await
    }

    fn support_returning(&self) -> bool {
        self.connection.support_returning()
    }
}
