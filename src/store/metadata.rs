//! What is known of the database itself.

use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};
use uuid::Uuid;

use super::entity::metadata;
use super::{StoreError, Writer};
use crate::domain::Timestamp;

/// The one row of `metadata`.
#[derive(Debug)]
pub struct Metadata<'c, C>(pub(super) &'c C);

impl<C: ConnectionTrait> Metadata<'_, C> {
    /// Whether the first start has been completed.
    ///
    /// # Errors
    /// If the database cannot be read; health follows that.
    pub async fn is_initialized(&self) -> Result<bool, StoreError> {
        Ok(metadata::Entity::find_by_id(metadata::ONLY).one(self.0).await?.is_some())
    }
}

impl Metadata<'_, Writer> {
    /// Marks the first start as completed.
    ///
    /// # Errors
    /// If the database cannot be written, or was marked before.
    pub async fn initialize(&self, epoch: Uuid, now: Timestamp) -> Result<(), StoreError> {
        let row = metadata::ActiveModel {
            id: Set(metadata::ONLY),
            epoch: Set(epoch),
            create_time: Set(now.as_micros()),
            revision: Set(0),
        };
        metadata::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }
}
