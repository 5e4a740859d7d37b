//! The lock that keeps a second server from a SQLite database.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::OpenError;

/// An exclusive lock on a file beside the database, given back by the operating system when the
/// process ends, however it ends.
#[derive(Debug)]
pub(super) struct FileLock(#[allow(dead_code, reason = "held, not read")] File);

impl FileLock {
    /// Locks `<database>.lock`.
    pub(super) fn beside(database: &Path) -> Result<Self, OpenError> {
        let path = database.with_added_extension("lock");
        let io = |source| OpenError::Io { path: path.clone(), source };
        // Whoever may open it may lock it, and keep the server from starting.
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: database.to_owned() }),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }
}
