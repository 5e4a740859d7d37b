//! What changed: so that servers forget what they remember of it.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ConnectionTrait, DbBackend};

use super::entity::{change, metadata};
use super::transaction::Transaction;
use super::{Store, StoreError, Writer};
use crate::domain::{CatalogId, NetworkSetId, PublicKey, Revision, SecretDigest, WorkspaceId};

/// Something that is no longer what it was when a decision last read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The key whose secret has this digest. By the digest, because whoever reads a key that is going
    /// knows no more of it yet.
    Key(SecretDigest),
    /// The workspace that has this public key.
    PublicKey(PublicKey),
    /// What decisions need of this workspace, or all of its keys.
    Workspace(WorkspaceId),
    /// This catalogue.
    Catalog(CatalogId),
    /// This network set.
    NetworkSet(NetworkSetId),
    /// Perhaps anything.
    All,
}

/// Is told what changed.
pub trait Observer: fmt::Debug + Send + Sync {
    /// These have changed, or may have. Called before whoever changed them is told so. Must not wait.
    fn changed(&self, changes: &[Change]);
}

/// What a transaction has changed so far.
#[derive(Debug, Default)]
pub struct Noted(Mutex<HashSet<Change>>);

impl Noted {
    pub(super) fn take(&self) -> Vec<Change> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *noted).into_iter().collect()
    }
}

impl Writer {
    /// Notes that something changes.
    pub(super) fn note(&self, change: Change) {
        self.notes.0.lock().unwrap_or_else(PoisonError::into_inner).insert(change);
    }
}

impl Store {
    /// Tells this observer of every change that goes through this store, from now on and for ever. There
    /// is one at most; a second one is not told.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        let _first_stays = self.observer.set(observer);
    }

    /// Writes what a transaction has changed under a revision of its own, for the servers that share the
    /// database. The last that a transaction does: from here on no other one gets a revision.
    pub(super) async fn publish(
        &self,
        tx: &Transaction,
        changes: &[Change],
    ) -> Result<Option<Revision>, StoreError> {
        if changes.is_empty() {
            return Ok(None);
        }
        let writer = &tx.inner;
        metadata::Entity::update_many()
            .col_expr(metadata::Column::Revision, Expr::col(metadata::Column::Revision).add(1))
            .filter(metadata::Column::Id.eq(metadata::ONLY))
            .exec(writer)
            .await?;
        let revision = revision(writer).await?;
        // Nobody serves from a database that was never started on, and nobody else from a file.
        let Some(Revision { number, .. }) = revision.filter(|_| self.is_remote()) else {
            return Ok(revision);
        };
        for (batch, changes) in changes.chunks(BATCH).enumerate() {
            let position = |index| batch * BATCH + index;
            let row = |(index, one)| change::row(number, position(index), one);
            let rows = changes.iter().enumerate().map(row);
            change::Entity::insert_many(rows).exec_without_returning(writer).await?;
        }
        if writer.get_database_backend() == DbBackend::Postgres {
            writer.execute_unprepared(NOTIFY).await?;
        }
        Ok(revision)
    }

    /// Notes that the database has come so far.
    pub(super) fn see_revision(&self, seen: Revision) {
        let mut revision = self.revision.lock().unwrap_or_else(PoisonError::into_inner);
        let is_older = |known: &Revision| known.epoch == seen.epoch && known.number > seen.number;
        *revision = revision.filter(is_older).or(Some(seen));
    }

    /// The last revision that was seen; `None` before there was one.
    pub(super) fn seen_revision(&self) -> Option<Revision> {
        *self.revision.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks how far the database has come; `None` if no server was ever started on it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn read_revision(&self) -> Result<Option<Revision>, StoreError> {
        let revision = revision(&self.read).await?;
        revision.inspect(|revision| self.see_revision(*revision));
        Ok(revision)
    }
}

/// How many rows are written or read at once.
pub(super) const BATCH: usize = 1_000;
/// Where the servers listen on PostgreSQL.
pub(super) const CHANNEL: &str = "claviger_changes";
/// Wakes them. What changed they read.
const NOTIFY: &str = "NOTIFY claviger_changes";

/// How far the database has come; `None` if no server was ever started on it.
pub(super) async fn revision(
    connection: &impl ConnectionTrait,
) -> Result<Option<Revision>, StoreError> {
    let row = metadata::Entity::find_by_id(metadata::ONLY).one(connection).await?;
    Ok(row.map(|row| Revision { epoch: row.epoch, number: row.revision }))
}
