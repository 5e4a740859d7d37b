//! The calls of `CreateKey` that may be repeated.

use sea_orm::prelude::*;
use sea_orm::{ActiveValue::Set, Condition, EntityTrait};

use super::batch::{delete_in_batches, delete_some};
use super::entity::key_request;
use super::{StoreError, Writer};
use crate::domain::{Timestamp, WorkspaceId};

/// The calls of `CreateKey` that carried a `request_id`.
#[derive(Debug)]
pub struct KeyRequests<'c>(pub(super) &'c Writer);

/// One such call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// The caller's `request_id`.
    pub id: Uuid,
    /// SHA-256 of what was asked for.
    pub fingerprint: [u8; 32],
    /// The key that was created; it may be gone.
    pub key_id: Uuid,
    /// When it was created.
    pub create_time: Timestamp,
}

impl KeyRequests<'_> {
    /// The call that carried this `request_id`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find(
        &self,
        workspace: &WorkspaceId,
        id: Uuid,
    ) -> Result<Option<KeyRequest>, StoreError> {
        let row = key_request::Entity::find_by_id((workspace.as_str().to_owned(), id))
            .one(self.0)
            .await?;
        row.map(|row| {
            Ok(KeyRequest {
                id: row.request_id,
                fingerprint: row
                    .fingerprint
                    .try_into()
                    .map_err(|_| StoreError::Corrupt("key_requests.fingerprint"))?,
                key_id: row.key_id,
                create_time: super::entity::read_time("key_requests.create_time", row.create_time)?,
            })
        })
        .transpose()
    }

    /// Remembers a call.
    ///
    /// # Errors
    /// If the database cannot be written, or remembers a call of this `request_id`.
    pub async fn insert(
        &self,
        workspace: &WorkspaceId,
        request: &KeyRequest,
    ) -> Result<(), StoreError> {
        let row = key_request::ActiveModel {
            workspace_id: Set(workspace.as_str().to_owned()),
            request_id: Set(request.id),
            fingerprint: Set(request.fingerprint.to_vec()),
            key_id: Set(request.key_id),
            create_time: Set(request.create_time.as_micros()),
        };
        key_request::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Forgets the call that carried this `request_id`.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn forget(&self, workspace: &WorkspaceId, id: Uuid) -> Result<(), StoreError> {
        let key = (workspace.as_str().to_owned(), id);
        key_request::Entity::delete_by_id(key).exec(self.0).await?;
        Ok(())
    }

    /// Forgets calls of a workspace that were made before this instant: a thousand at the most, because
    /// this is done on the way of another call.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn forget_before(
        &self,
        workspace: &WorkspaceId,
        instant: Timestamp,
    ) -> Result<(), StoreError> {
        let matching = Condition::all()
            .add(key_request::Column::WorkspaceId.eq(workspace.as_str()))
            .add(key_request::Column::CreateTime.lt(instant.as_micros()));
        let id = key_request::Column::RequestId;
        delete_some::<key_request::Entity, Uuid>(self.0, id, &matching).await?;
        Ok(())
    }

    /// Forgets all calls of a workspace.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn forget_all(&self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        let matching =
            Condition::all().add(key_request::Column::WorkspaceId.eq(workspace.as_str()));
        let id = key_request::Column::RequestId;
        delete_in_batches::<key_request::Entity, Uuid>(self.0, id, matching).await
    }
}
