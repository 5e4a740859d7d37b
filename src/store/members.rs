//! Members.

use sea_orm::prelude::*;
use sea_orm::{Condition, ConnectionTrait, EntityTrait, QueryOrder, QuerySelect};

use super::batch::delete_in_batches;
use super::entity::member;
use super::{StoreError, Writer};
use crate::domain::{Actor, Email, Member, MemberName, Role, WorkspaceId};

/// The members.
#[derive(Debug)]
pub struct Members<'c, C>(pub(super) &'c C);

impl<C: ConnectionTrait> Members<'_, C> {
    /// The member of a workspace who has this address.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find_by_email(
        &self,
        workspace: &WorkspaceId,
        email: &Email,
    ) -> Result<Option<Member>, StoreError> {
        let row = member::Entity::find()
            .filter(member::Column::WorkspaceId.eq(workspace.as_str()))
            .filter(member::Column::Email.eq(email.as_str()))
            .one(self.0)
            .await?;
        row.map(Member::try_from).transpose()
    }

    /// What the person that a caller names is in a workspace, if they are a member of it.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn role_of(
        &self,
        workspace: &WorkspaceId,
        actor: &Actor,
    ) -> Result<Option<Role>, StoreError> {
        let Actor::Person(email) = actor else { return Ok(None) };
        let member = self.find_by_email(workspace, email).await?;
        Ok(member.map(|member| member.role))
    }

    /// At most `limit` members of a workspace behind this address, in the order of their addresses.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list(
        &self,
        workspace: &WorkspaceId,
        after: Option<&Email>,
        limit: u64,
    ) -> Result<Vec<Member>, StoreError> {
        let behind = after.map(|after| member::Column::Email.gt(after.as_str()));
        let rows = member::Entity::find()
            .filter(member::Column::WorkspaceId.eq(workspace.as_str()))
            .filter(Condition::all().add_option(behind))
            .order_by_asc(member::Column::Email)
            .limit(limit)
            .all(self.0)
            .await?;
        rows.into_iter().map(Member::try_from).collect()
    }
}

impl Members<'_, Writer> {
    /// Adds a member.
    ///
    /// # Errors
    /// If the database cannot be written, or the workspace has a member of this address.
    pub async fn insert(&self, member: &Member) -> Result<(), StoreError> {
        let row = member::ActiveModel::try_from(member)?;
        member::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Removes a member, and says whether they were there.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn delete(&self, name: &MemberName) -> Result<bool, StoreError> {
        let deleted = member::Entity::delete_many()
            .filter(member::Column::Id.eq(name.id))
            .filter(member::Column::WorkspaceId.eq(name.workspace.as_str()))
            .exec(self.0)
            .await?;
        Ok(deleted.rows_affected > 0)
    }

    /// Removes all members of a workspace.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn delete_all(&self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        let matching = Condition::all().add(member::Column::WorkspaceId.eq(workspace.as_str()));
        delete_in_batches::<member::Entity, Uuid>(self.0, member::Column::Id, matching).await
    }
}
