//! Identifiers.

use std::collections::HashSet;

use sea_orm::prelude::*;
use sea_orm::{Condition, ConnectionTrait, EntityTrait, QueryOrder, QuerySelect};

use super::batch::delete_in_batches;
use super::entity::identifier;
use super::search::contains;
use super::{StoreError, Writer};
use crate::domain::{Identifier, IdentifierFilter, IdentifierId, IdentifierName, WorkspaceId};

/// The identifiers.
#[derive(Debug)]
pub struct Identifiers<'c, C>(pub(super) &'c C);

impl<C: ConnectionTrait> Identifiers<'_, C> {
    /// Those of these identifiers that a workspace owns.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn owned(
        &self,
        workspace: &WorkspaceId,
        ids: &[IdentifierId],
    ) -> Result<HashSet<IdentifierId>, StoreError> {
        let rows: Vec<String> = identifier::Entity::find()
            .select_only()
            .column(identifier::Column::Id)
            .filter(identifier::Column::WorkspaceId.eq(workspace.as_str()))
            .filter(identifier::Column::Id.is_in(ids.iter().map(IdentifierId::as_str)))
            .into_tuple()
            .all(self.0)
            .await?;
        rows.iter()
            .map(|id| id.parse().map_err(|_| StoreError::Corrupt("identifiers.id")))
            .collect()
    }

    /// At most `limit` identifiers of a workspace behind this one, in the order of their ids.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list(
        &self,
        workspace: &WorkspaceId,
        filter: &IdentifierFilter,
        after: Option<&IdentifierId>,
        limit: u64,
    ) -> Result<Vec<Identifier>, StoreError> {
        let IdentifierFilter { kind, display_name_contains } = filter;
        let kind = kind.as_ref().map(|kind| identifier::Column::Kind.eq(kind.as_str()));
        let named = display_name_contains
            .as_ref()
            .map(|text| contains(identifier::Column::DisplayNameFolded, text));
        let behind = after.map(|after| identifier::Column::Id.gt(after.as_str()));
        let rows = identifier::Entity::find()
            .filter(identifier::Column::WorkspaceId.eq(workspace.as_str()))
            .filter(Condition::all().add_option(kind).add_option(named).add_option(behind))
            .order_by_asc(identifier::Column::Id)
            .limit(limit)
            .all(self.0)
            .await?;
        rows.into_iter().map(Identifier::try_from).collect()
    }
}

impl Identifiers<'_, Writer> {
    /// Adds an identifier.
    ///
    /// # Errors
    /// If the database cannot be written, or the workspace has one of this id.
    pub async fn insert(&self, identifier: &Identifier) -> Result<(), StoreError> {
        let row = identifier::ActiveModel::from(identifier);
        identifier::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Removes an identifier, and says whether it was there.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn delete(&self, name: &IdentifierName) -> Result<bool, StoreError> {
        let key = (name.workspace.as_str().to_owned(), name.id.as_str().to_owned());
        let deleted = identifier::Entity::delete_by_id(key).exec(self.0).await?;
        Ok(deleted.rows_affected > 0)
    }

    /// Removes all identifiers of a workspace.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn delete_all(&self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        let matching = Condition::all().add(identifier::Column::WorkspaceId.eq(workspace.as_str()));
        delete_in_batches::<identifier::Entity, String>(self.0, identifier::Column::Id, matching)
            .await
    }
}
