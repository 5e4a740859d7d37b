//! Sealed secrets.

use sea_orm::prelude::*;
use sea_orm::{
    Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryOrder, QuerySelect,
};

use super::entity::sealed_secret;
use super::{Bounded, StoreError};
use crate::domain::{EncryptionKey, KeyName, SealedSecret, WorkspaceId};

/// How many rows are deleted at once where there may be very many.
const BATCH: u64 = 1_000;

/// The sealed secrets.
#[derive(Debug)]
pub struct SealedSecrets<'c, C>(pub(super) &'c C);

/// Those that are sealed with none of these keys.
fn under_none_of<'k>(keys: impl IntoIterator<Item = &'k EncryptionKey>) -> Condition {
    let ids: Vec<&str> = keys.into_iter().map(|key| key.id().as_str()).collect();
    if ids.is_empty() {
        return Condition::all();
    }
    Condition::all().add(sealed_secret::Column::EncryptionKey.is_not_in(ids))
}

impl<C: ConnectionTrait> SealedSecrets<'_, C> {
    /// The sealed secret of this key, if it can be revealed.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find(&self, name: &KeyName) -> Result<Option<SealedSecret>, StoreError> {
        let row = sealed_secret::Entity::find_by_id(name.id)
            .filter(sealed_secret::Column::WorkspaceId.eq(name.workspace.as_str()))
            .one(self.0)
            .await?;
        row.map(|row| <(KeyName, SealedSecret)>::try_from(row).map(|(_, sealed)| sealed))
            .transpose()
    }

    /// At most `limit` secrets that are sealed with none of these encryption keys.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn under_other_keys<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k EncryptionKey>,
        limit: u64,
    ) -> Result<Vec<(KeyName, SealedSecret)>, StoreError> {
        let rows = sealed_secret::Entity::find()
            .filter(under_none_of(keys))
            .order_by_asc(sealed_secret::Column::KeyId)
            .limit(limit)
            .all(self.0)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

impl SealedSecrets<'_, Bounded<DatabaseTransaction>> {
    /// Keeps the sealed secret of a key.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn insert(&self, name: &KeyName, sealed: &SealedSecret) -> Result<(), StoreError> {
        let row = sealed_secret::row(name, sealed);
        sealed_secret::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Replaces the sealed secret of a key. One that is gone stays gone.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn replace(&self, name: &KeyName, sealed: &SealedSecret) -> Result<(), StoreError> {
        sealed_secret::Entity::update_many()
            .set(sealed_secret::row(name, sealed))
            .filter(sealed_secret::Column::KeyId.eq(name.id))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// Erases all sealed secrets of a workspace.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn delete_all(&self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        // In batches: of a large workspace, one statement would take longer than any may.
        loop {
            let ids: Vec<Uuid> = sealed_secret::Entity::find()
                .select_only()
                .column(sealed_secret::Column::KeyId)
                .filter(sealed_secret::Column::WorkspaceId.eq(workspace.as_str()))
                .limit(BATCH)
                .into_tuple()
                .all(self.0)
                .await?;
            if ids.is_empty() {
                return Ok(());
            }
            sealed_secret::Entity::delete_many()
                .filter(sealed_secret::Column::KeyId.is_in(ids))
                .exec(self.0)
                .await?;
        }
    }
}
