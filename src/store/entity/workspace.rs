//! `workspaces`.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use super::{read_json, read_time, write_json};
use crate::domain::{CatalogId, InstanceId, Workspace, WorkspaceId};
use crate::store::StoreError;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workspaces")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub display_name: String,
    pub catalog_id: String,
    /// The instance that it lives on.
    pub instance: Option<String>,
    /// The policy as JSON.
    pub policy: String,
    pub public_key: Option<String>,
    pub create_time: i64,
    pub update_time: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Workspace {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: WorkspaceId::from_id(&row.id).map_err(|_| StoreError::Corrupt("workspaces.id"))?,
            display_name: row
                .display_name
                .parse()
                .map_err(|_| StoreError::Corrupt("workspaces.display_name"))?,
            catalog: CatalogId::from_id(&row.catalog_id)
                .map_err(|_| StoreError::Corrupt("workspaces.catalog_id"))?,
            instance: read_instance(row.instance.as_deref())?,
            policy: read_json("workspaces.policy", &row.policy)?,
            public_key: row
                .public_key
                .map(|key| key.parse())
                .transpose()
                .map_err(|_| StoreError::Corrupt("workspaces.public_key"))?,
            create_time: read_time("workspaces.create_time", row.create_time)?,
            update_time: read_time("workspaces.update_time", row.update_time)?,
        })
    }
}

pub(in crate::store) fn read_instance(
    instance: Option<&str>,
) -> Result<Option<InstanceId>, StoreError> {
    let instance = instance.map(str::parse).transpose();
    instance.map_err(|_| StoreError::Corrupt("workspaces.instance"))
}

impl TryFrom<&Workspace> for ActiveModel {
    type Error = StoreError;

    fn try_from(workspace: &Workspace) -> Result<Self, StoreError> {
        let Workspace {
            id,
            display_name,
            catalog,
            instance,
            policy,
            public_key,
            create_time,
            update_time,
        } = workspace;
        Ok(Self {
            id: Set(id.as_str().to_owned()),
            display_name: Set(display_name.as_str().to_owned()),
            catalog_id: Set(catalog.as_str().to_owned()),
            instance: Set(instance.as_ref().map(ToString::to_string)),
            policy: Set(write_json("workspaces.policy", policy)?),
            public_key: Set(public_key.as_ref().map(ToString::to_string)),
            create_time: Set(create_time.as_micros()),
            update_time: Set(update_time.as_micros()),
        })
    }
}
