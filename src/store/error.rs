//! What can go wrong with a database.

use std::path::PathBuf;
use std::sync::Arc;

use sea_orm::sqlx::Error as SqlxError;
use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// An operation that the database did not carry out, or whose outcome is not known.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer, or answered with an error.
    #[error("the database failed: {0}")]
    Database(#[from] DbErr),
    /// A row holds what this program never writes. Names the column, never the value.
    #[error("the database holds something unreadable in {0}")]
    Corrupt(&'static str),
    /// A transaction that several shared was not carried out, or its outcome is not known.
    #[error(transparent)]
    Shared(Arc<StoreError>),
    /// The task of a transaction ended without an answer.
    #[error("a transaction ended without an answer")]
    Interrupted,
}

/// The error of a database that does not answer in time.
pub(super) fn timed_out() -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(SqlxError::PoolTimedOut)))
}

impl StoreError {
    /// The database did not answer in time.
    pub(super) fn timed_out() -> Self {
        Self::Database(timed_out())
    }

    /// What went wrong, for those who only shared the transaction in which it did.
    pub(super) fn told_to_others(error: &DbErr) -> Self {
        Self::Database(DbErr::Custom(error.to_string()))
    }

    /// Whether the whole transaction may succeed, or find out why it cannot, if it is begun again: it
    /// lost against another.
    pub(super) fn is_conflict(&self) -> bool {
        let Self::Database(error) = self else { return false };
        // Another inserted what was not there when this one looked.
        if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) {
            return true;
        }
        // PostgreSQL: serialization failure, deadlock. MariaDB: deadlock (SQLSTATE 40001), lock wait.
        let conflicts = ["40001", "40P01", "1213", "1205"];
        code(error).is_some_and(|code| conflicts.contains(&code.as_str()))
    }
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{} is in use by another process: a SQLite database serves one server at a time",
        path.display()
    )]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// A file beside it, or its directory, cannot be made.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The database cannot be opened or migrated.
    #[error("cannot open the database: {0}")]
    Database(#[from] DbErr),
}

impl OpenError {
    /// Whether it may pass by itself: the server does not answer, or says that it cannot yet. A
    /// wrong password does not pass.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        let Self::Database(error) = self else { return false };
        if let Some(code) = code(error) {
            // PostgreSQL: starting up or going down, too many connections. MariaDB: the same.
            return ["57P01", "57P02", "57P03", "53300", "1040", "1053"].contains(&code.as_str());
        }
        matches!(
            cause(error),
            Some(
                SqlxError::Io(_)
                    | SqlxError::PoolTimedOut
                    | SqlxError::PoolClosed
                    | SqlxError::Protocol(_)
            )
        ) || matches!(error, DbErr::ConnectionAcquire(_))
    }
}

fn cause(error: &DbErr) -> Option<&SqlxError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// The code that the server gives: an SQLSTATE on PostgreSQL, a number on MariaDB.
fn code(error: &DbErr) -> Option<String> {
    let SqlxError::Database(error) = cause(error)? else { return None };
    let mysql = error.try_downcast_ref::<sea_orm::SqlxMySqlError>();
    mysql.map(|error| error.number().to_string()).or_else(|| error.code().map(Into::into))
}
