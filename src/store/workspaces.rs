//! Workspaces.

use sea_orm::prelude::*;
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryOrder,
    QuerySelect,
};

use super::entity::{workspace, write_json};
use super::select_one::SelectOne;
use super::tenant::{StoredTenant, TenantRow, with_tenant};
use super::{Change, StoreError, Writer};
use crate::domain::{CatalogId, PublicKey, Workspace, WorkspaceId, WorkspaceScope};

/// The workspaces.
#[derive(Debug)]
pub struct Workspaces<'c, C>(pub(super) &'c C);

#[derive(FromQueryResult)]
struct PublicKeyRow {
    id: String,
    #[sea_orm(nested)]
    tenant: TenantRow,
}

impl<C: ConnectionTrait> Workspaces<'_, C> {
    /// The workspace of this id.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find(&self, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        let row = workspace::Entity::find_by_id(id.as_str()).one(self.0).await?;
        row.map(Workspace::try_from).transpose()
    }

    /// The workspace that has this public key, as a decision needs it.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find_by_public_key(
        &self,
        key: &PublicKey,
    ) -> Result<Option<(WorkspaceId, StoredTenant)>, StoreError> {
        static WORKSPACE: SelectOne = SelectOne::new();
        let select = |key| {
            let workspaces = workspace::Entity::find().select_only().column(workspace::Column::Id);
            with_tenant(workspaces.filter(workspace::Column::PublicKey.eq(key)))
        };
        let row = WORKSPACE.by(key.to_string().into(), self.0, select).await?;
        let Some(PublicKeyRow { id, tenant }) = row else { return Ok(None) };
        let id = WorkspaceId::from_id(&id).map_err(|_| StoreError::Corrupt("workspaces.id"))?;
        Ok(Some((id, tenant.try_into()?)))
    }

    /// At most `limit` workspaces within a scope behind this one, in the order of their ids, without the
    /// reserved one.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list(
        &self,
        scope: &WorkspaceScope,
        after: Option<&WorkspaceId>,
        limit: u64,
    ) -> Result<Vec<Workspace>, StoreError> {
        let within = (!scope.is_all())
            .then(|| workspace::Column::Id.is_in(scope.iter().map(WorkspaceId::as_str)));
        let rows = workspace::Entity::find()
            .filter(workspace::Column::Id.ne(WorkspaceId::RESERVED))
            .filter(Condition::all().add_option(within))
            .filter(
                Condition::all()
                    .add_option(after.map(|after| workspace::Column::Id.gt(after.as_str()))),
            )
            .order_by_asc(workspace::Column::Id)
            .limit(limit)
            .all(self.0)
            .await?;
        rows.into_iter().map(Workspace::try_from).collect()
    }

    /// Whether a workspace uses this catalogue.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn use_catalog(&self, catalog: &CatalogId) -> Result<bool, StoreError> {
        let one = workspace::Entity::find()
            .filter(workspace::Column::CatalogId.eq(catalog.as_str()))
            .limit(1)
            .one(self.0)
            .await?;
        Ok(one.is_some())
    }

    /// All workspaces of a catalogue.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn of_catalog(&self, catalog: &CatalogId) -> Result<Vec<Workspace>, StoreError> {
        let rows = workspace::Entity::find()
            .filter(workspace::Column::CatalogId.eq(catalog.as_str()))
            .all(self.0)
            .await?;
        rows.into_iter().map(Workspace::try_from).collect()
    }
}

impl Workspaces<'_, Writer> {
    /// The workspace of this id, locked against every other change of it and of its keys until the transaction
    /// ends. That is what makes limits on its keys exact.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn lock(&self, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        let row = workspace::Entity::find_by_id(id.as_str()).lock_exclusive().one(self.0).await?;
        row.map(Workspace::try_from).transpose()
    }

    /// Adds a workspace.
    ///
    /// # Errors
    /// If the database cannot be written, or holds a workspace of this id or with this public key.
    pub async fn insert(&self, workspace: &Workspace) -> Result<(), StoreError> {
        // Somebody may have presented it before.
        if let Some(public_key) = workspace.public_key {
            self.0.note(Change::PublicKey(public_key));
        }
        let row = workspace::ActiveModel::try_from(workspace)?;
        workspace::Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Writes what may change of a workspace.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn update(&self, workspace: &Workspace) -> Result<(), StoreError> {
        self.0.note(Change::Workspace(workspace.id.clone()));
        let changes = workspace::ActiveModel {
            display_name: Set(workspace.display_name.as_str().to_owned()),
            instance: Set(workspace.instance.as_ref().map(ToString::to_string)),
            policy: Set(write_json("workspaces.policy", &workspace.policy)?),
            update_time: Set(workspace.update_time.as_micros()),
            ..Default::default()
        };
        workspace::Entity::update_many()
            .set(changes)
            .filter(workspace::Column::Id.eq(workspace.id.as_str()))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// Removes a workspace, which must have no keys any more.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn delete(&self, id: &WorkspaceId) -> Result<(), StoreError> {
        self.0.note(Change::Workspace(id.clone()));
        workspace::Entity::delete_by_id(id.as_str()).exec(self.0).await?;
        Ok(())
    }
}
