//! Database engines: how each is reached and set up. What differs between them is here and in the
//! column types of `migration`.

use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use super::error::OpenError;
use super::lock::FileLock;
use super::{Store, migration};

/// How long an operation waits for a connection before it is `UNAVAILABLE`.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long SQLite waits for a lock of its own; only a foreign process, such as a backup, holds one.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);
/// Readers of a SQLite file: more do not read faster.
const SQLITE_READERS: u32 = 4;

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
}

/// A text that is not the URL of a database. Does not repeat it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `sqlite:` and the path of a file, as in `sqlite:/var/lib/claviger/claviger.db`")]
pub struct InvalidDatabaseUrl;

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(url: &str) -> Result<Self, InvalidDatabaseUrl> {
        let path = url.strip_prefix("sqlite:").ok_or(InvalidDatabaseUrl)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.starts_with(':') || path.contains('?') {
            return Err(InvalidDatabaseUrl);
        }
        Ok(Self::Sqlite(path.into()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

impl Store {
    /// Opens the database, creates it if there is none, and brings its tables up to date.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(url: &DatabaseUrl) -> Result<Self, OpenError> {
        let DatabaseUrl::Sqlite(path) = url;
        let path = &create_private(path)?;
        let lock = FileLock::beside(path)?;
        // The writer first: it makes the file a write-ahead log, which readers then find.
        let write = connect_sqlite(path, 1).await?;
        migration::run(&write).await?;
        let read = connect_sqlite(path, SQLITE_READERS).await?;
        Ok(Self { read, write, _lock: Some(lock) })
    }

    /// Closes every connection. What was committed is in the file.
    pub async fn close(&self) {
        for pool in [&self.read, &self.write] {
            if let Err(error) = pool.clone().close().await {
                tracing::warn!(%error, "a connection did not close cleanly");
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
        .acquire_timeout(ACQUIRE_TIMEOUT)
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
