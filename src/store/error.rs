//! What can go wrong with a database.

use std::path::PathBuf;

use sea_orm::DbErr;

/// An operation that the database did not carry out, or whose outcome is not known.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer, or answered with an error.
    #[error("the database failed: {0}")]
    Database(#[from] DbErr),
    /// A row holds what this program never writes. Names the column, never the value.
    #[error("the database holds something unreadable in {0}")]
    Corrupt(&'static str),
    /// The task of a transaction ended without an answer.
    #[error("a transaction ended without an answer")]
    Interrupted,
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
