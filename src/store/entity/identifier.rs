//! `identifiers`.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use super::read_time;
use crate::domain::{Identifier, IdentifierName, WorkspaceId, fold_case};
use crate::store::StoreError;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "identifiers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub kind: String,
    pub display_name: String,
    /// The display name as it is searched.
    pub display_name_folded: String,
    pub create_time: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Identifier {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let workspace = WorkspaceId::from_id(&row.workspace_id)
            .map_err(|_| StoreError::Corrupt("identifiers.workspace_id"))?;
        let id = row.id.parse().map_err(|_| StoreError::Corrupt("identifiers.id"))?;
        Ok(Self {
            name: IdentifierName { workspace, id },
            kind: row.kind.parse().map_err(|_| StoreError::Corrupt("identifiers.kind"))?,
            display_name: row
                .display_name
                .parse()
                .map_err(|_| StoreError::Corrupt("identifiers.display_name"))?,
            create_time: read_time("identifiers.create_time", row.create_time)?,
        })
    }
}

impl From<&Identifier> for ActiveModel {
    fn from(identifier: &Identifier) -> Self {
        let Identifier { name, kind, display_name, create_time } = identifier;
        Self {
            workspace_id: Set(name.workspace.as_str().to_owned()),
            id: Set(name.id.as_str().to_owned()),
            kind: Set(kind.as_str().to_owned()),
            display_name: Set(display_name.as_str().to_owned()),
            display_name_folded: Set(fold_case(display_name.as_str())),
            create_time: Set(create_time.as_micros()),
        }
    }
}
