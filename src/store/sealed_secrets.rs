//! Sealed secrets.

use sea_orm::prelude::*;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{Condition, ConnectionTrait, EntityTrait, QuerySelect};

use super::batch::{delete_in_batches, delete_some};
use super::entity::sealed_secret;
use super::{StoreError, Writer};
use crate::domain::{EncryptionKey, KeyName, SealedSecret, WorkspaceId};

/// The sealed secrets.
#[derive(Debug)]
pub struct SealedSecrets<'c, C>(pub(super) &'c C);

/// Those that are sealed with none of these keys: the ranges between them, which an index finds
/// without looking at the others.
fn under_none_of<'k>(keys: impl IntoIterator<Item = &'k EncryptionKey>) -> Condition {
    let column = sealed_secret::Column::EncryptionKey;
    let mut ids: Vec<&str> = keys.into_iter().map(|key| key.id().as_str()).collect();
    ids.sort_unstable();
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Condition::all() };
    let between = ids.windows(2).map(|pair| column.gt(pair[0]).and(column.lt(pair[1])));
    between.fold(Condition::any().add(column.lt(*first)), Condition::add).add(column.gt(*last))
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

    /// At most `limit` secrets, but for those of `without`, that are sealed with none of these
    /// encryption keys.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn under_other_keys<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k EncryptionKey>,
        without: &[KeyName],
        limit: u64,
    ) -> Result<Vec<(KeyName, SealedSecret)>, StoreError> {
        let rows = sealed_secret::Entity::find()
            .filter(under_none_of(keys))
            .filter(sealed_secret::Column::KeyId.is_not_in(without.iter().map(|name| name.id)))
            .limit(limit)
            .all(self.0)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

impl SealedSecrets<'_, Writer> {
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

    /// Erases at most a thousand secrets that are sealed with none of these encryption keys, and says how
    /// many.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn forget_under_other_keys<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k EncryptionKey>,
    ) -> Result<u64, StoreError> {
        let id = sealed_secret::Column::KeyId;
        delete_some::<sealed_secret::Entity, Uuid>(self.0, id, &under_none_of(keys)).await
    }

    /// Erases all sealed secrets of a workspace.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn delete_all(&self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        let matching =
            Condition::all().add(sealed_secret::Column::WorkspaceId.eq(workspace.as_str()));
        delete_in_batches::<sealed_secret::Entity, Uuid>(
            self.0,
            sealed_secret::Column::KeyId,
            matching,
        )
        .await
    }
}
