//! Following what other servers change on a shared database.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::prelude::*;
use sea_orm::sqlx::Error as SqlxError;
use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use sea_orm::{Condition, QueryOrder, QuerySelect};
use tokio::sync::Notify;

use super::bounded::{Bounded, STATEMENT_TIMEOUT};
use super::changes::{BATCH, CHANNEL, Change, revision};
use super::engine::connect_remote;
use super::entity::change;
use super::url::DatabaseUrl;
use super::{OpenError, Store, StoreError};
use crate::domain::Revision;

/// How many revisions are kept for servers that have not read them. One that is further behind forgets
/// everything.
const KEPT_REVISIONS: i64 = 100_000;
/// How long a listener that was cut off rests before it comes back.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// A connection of its own on which the changes of all servers are read: no look-up holds it up.
#[derive(Debug)]
pub struct Feed {
    connection: Bounded<DatabaseConnection>,
}

/// Changes, each with its revision.
type Changes = Vec<(i64, Change)>;

impl Store {
    /// The changes of all servers; `None` where there is only one.
    ///
    /// # Errors
    /// If the URL cannot be used. That the database does not answer is no error here.
    pub async fn feed(&self) -> Result<Option<Feed>, OpenError> {
        Ok(match &self.url {
            DatabaseUrl::Sqlite(_) => None,
            DatabaseUrl::Postgres(remote) | DatabaseUrl::MySql(remote) => {
                let connection = connect_remote(remote, 1).await?;
                Some(Feed { connection: Bounded { connection, notes: () } })
            }
        })
    }

    /// Notifies `hint` each time that another server may have changed something, where the database can
    /// tell. It is no more than a hint: one may be lost. Never ends.
    pub async fn listen(&self, hint: Arc<Notify>) {
        let DatabaseUrl::Postgres(remote) = &self.url else { return pending().await };
        loop {
            let Err(error) = listen_on(remote.expose(), &hint).await;
            tracing::debug!(%error, "not listening to what changes");
            // Something may have been missed.
            hint.notify_one();
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }
}

async fn listen_on(url: &str, hint: &Notify) -> Result<Infallible, SqlxError> {
    let connect = async {
        let options = PgPoolOptions::new().max_connections(1).acquire_timeout(STATEMENT_TIMEOUT);
        let mut listener = PgListener::connect_with(&options.connect(url).await?).await?;
        listener.listen(CHANNEL).await?;
        Ok::<_, SqlxError>(listener)
    };
    let timed_out = |_elapsed| SqlxError::PoolTimedOut;
    let connected = tokio::time::timeout(2 * STATEMENT_TIMEOUT, connect).await;
    let mut listener = connected.map_err(timed_out)??;
    loop {
        hint.notify_one();
        // `None`: the connection was lost; the next call would wait for another one.
        if listener.try_recv().await?.is_none() {
            return Err(SqlxError::PoolClosed);
        }
    }
}

impl Feed {
    /// How far the database has come.
    ///
    /// # Errors
    /// If it cannot be read, or no server was ever started on it.
    pub async fn revision(&self) -> Result<Revision, StoreError> {
        let revision = revision(&self.connection).await?;
        revision.ok_or(StoreError::Corrupt("metadata.id"))
    }

    /// What has changed since this revision, in order, and whether that is all.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn since(&self, revision: i64) -> Result<(Changes, bool), StoreError> {
        let rows = change::Entity::find()
            .filter(change::Column::Revision.gt(revision))
            .order_by_asc(change::Column::Revision)
            .order_by_asc(change::Column::Position)
            .limit(BATCH as u64)
            .all(&self.connection)
            .await?;
        let is_all = rows.len() < BATCH;
        Ok((rows.iter().map(|row| (row.revision, Change::from(row))).collect(), is_all))
    }

    /// Removes what every server that is not far behind has long read.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn prune(&self, revision: i64) -> Result<(), StoreError> {
        let old = change::Column::Revision.lte(revision - KEPT_REVISIONS);
        let first = change::Entity::find().order_by_asc(change::Column::Revision);
        let Some(first) = first.one(&self.connection).await? else { return Ok(()) };
        // Some at a time: of very many, one statement would take longer than any may.
        let some = change::Column::Revision.lt(first.revision + KEPT_REVISIONS / 10);
        let matching = Condition::all().add(old).add(some);
        change::Entity::delete_many().filter(matching).exec(&self.connection).await?;
        Ok(())
    }
}
