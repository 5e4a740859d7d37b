//! Database engines: how each is reached and set up. What differs between them is here, in the column
//! types of `migration`, and nowhere else.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use sea_orm::sqlx::pool::PoolOptions;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{Connection, Database as SqlxDatabase, Executor, MySql};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use super::bounded::{Bounded, STATEMENT_TIMEOUT};
use super::error::OpenError;
use super::group::{LANES, Lane};
use super::lock::FileLock;
use super::url::{DatabaseUrl, Remote};
use super::{Store, migration};

/// How long SQLite waits for a lock of its own; only a foreign process, such as a backup, holds one.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a change waits for its turn on SQLite, which has one writer: a crowd is no fault.
const SQLITE_QUEUE: Duration = Duration::from_secs(5);
/// Readers of a SQLite file: more do not read faster.
const SQLITE_READERS: u32 = 4;
/// Connections to a database server.
const REMOTE_CONNECTIONS: u32 = 16;
/// A connection that rested longer is asked whether it is still there before it is used.
const IDLE_BEFORE_PING: Duration = Duration::from_secs(1);
/// How long a migration may wait for another server's.
pub(super) const MIGRATION_TIMEOUT: Duration = Duration::from_secs(60);

impl Store {
    /// Opens a SQLite file, which is created if there is none, or makes ready to connect to a
    /// database server. The tables may not be there yet: see [`Self::migrate`].
    ///
    /// # Errors
    /// See [`OpenError`]. That a server does not answer is no error here.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, OpenError> {
        let (read, write, patience, lock) = match url {
            DatabaseUrl::Sqlite(path) => {
                let path = &create_private(path)?;
                let lock = FileLock::beside(path)?;
                // The writer first: it makes the file a write-ahead log, which readers then find.
                let write = connect_sqlite(path, 1).await?;
                (connect_sqlite(path, SQLITE_READERS).await?, write, SQLITE_QUEUE, Some(lock))
            }
            DatabaseUrl::Postgres(remote) | DatabaseUrl::MySql(remote) => {
                let pool = connect_remote(remote, REMOTE_CONNECTIONS).await?;
                (pool.clone(), pool, STATEMENT_TIMEOUT, None)
            }
        };
        let read = Bounded { connection: read, notes: () };
        let (revision, observer) = (Mutex::default(), OnceLock::new());
        let lanes = if lock.is_some() { 1 } else { LANES };
        let lanes = (0..lanes).map(|_| Lane::default()).collect();
        Ok(Self { url: url.clone(), read, write, patience, lanes, revision, observer, _lock: lock })
    }

    /// Brings the tables up to date. Of several servers that start at once, one does it.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::is_passing`] tells whether to try again.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        match &self.url {
            DatabaseUrl::Sqlite(_) => migration::run(&self.write).await?,
            // A connection of its own, because the lock belongs to the connection.
            DatabaseUrl::Postgres(remote) | DatabaseUrl::MySql(remote) => {
                let connection = connect_remote(remote, 1).await?;
                let migrated = migration::run(&connection).await;
                if let Err(error) = connection.close().await {
                    tracing::debug!(%error, "the migration's connection did not close cleanly");
                }
                migrated?;
            }
        }
        Ok(())
    }

    /// Whether the database may come and go while this process runs.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        !matches!(self.url, DatabaseUrl::Sqlite(_))
    }

    /// Closes every connection. What was committed is kept.
    pub async fn close(&self) {
        for pool in [&self.read.connection, &self.write] {
            // A server that is gone would not even answer this.
            match tokio::time::timeout(STATEMENT_TIMEOUT, pool.clone().close()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a connection did not close cleanly"),
                Err(_elapsed) => tracing::warn!("a connection did not close in time"),
            }
        }
    }
}

/// Creates the file, and its directory, for nobody but this user: digests and names are in there.
/// Returns its path without symbolic links: a lock beside a link would not be beside the file.
fn create_private(path: &Path) -> Result<PathBuf, OpenError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io(directory))?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).open(path).map_err(io(path))?;
    path.canonicalize().map_err(io(path))
}

async fn connect_sqlite(path: &Path, connections: u32) -> Result<DatabaseConnection, OpenError> {
    let file = path.to_owned();
    let mut options = ConnectOptions::new("sqlite:");
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(SQLITE_QUEUE)
        // Connections to a file do not go away.
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            options
                .filename(&file)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                // Without FULL a commit that was acknowledged may be lost with the power.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(BUSY_TIMEOUT)
        });
    Ok(Database::connect(options).await?)
}

pub(super) async fn connect_remote(
    remote: &Remote,
    connections: u32,
) -> Result<DatabaseConnection, OpenError> {
    let mut options = ConnectOptions::new(remote.expose());
    options
        .max_connections(connections)
        .acquire_timeout(STATEMENT_TIMEOUT)
        .test_before_acquire_if_idle_for(IDLE_BEFORE_PING)
        .connect_lazy(true)
        .sqlx_logging(false)
        .map_sqlx_postgres_pool_opts(give_up_on_lost)
        .map_sqlx_mysql_pool_opts(roll_back_or_give_up);
    Ok(Database::connect(options).await?)
}

/// On MariaDB a `BEGIN` that nobody waited for any more leaves a transaction open that the driver does not
/// know of, and in which no other can be begun. Asks whether the connection is still there, too.
fn roll_back_or_give_up(options: PoolOptions<MySql>) -> PoolOptions<MySql> {
    options.after_release(|connection, _| {
        Box::pin(async move {
            let rolled_back =
                tokio::time::timeout(STATEMENT_TIMEOUT, connection.execute("ROLLBACK"));
            rolled_back.await.map_err(|_elapsed| sea_orm::sqlx::Error::PoolTimedOut)?.map(|_| true)
        })
    })
}

/// A connection that does not answer when it is given back is dropped. Left to itself the pool would
/// wait for the answer until TCP gives up, which takes a quarter of an hour, and be short of a
/// connection all that time.
fn give_up_on_lost<DB: SqlxDatabase>(options: PoolOptions<DB>) -> PoolOptions<DB> {
    options.after_release(|connection, _| {
        Box::pin(async move {
            let answer = tokio::time::timeout(STATEMENT_TIMEOUT, connection.ping()).await;
            answer.map_err(|_elapsed| sea_orm::sqlx::Error::PoolTimedOut)?.map(|()| true)
        })
    })
}
