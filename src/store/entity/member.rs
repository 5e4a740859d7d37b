//! `members`.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use super::{read_time, read_word, write_word};
use crate::domain::{Member, MemberName, WorkspaceId};
use crate::store::StoreError;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "members")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: String,
    pub email: String,
    pub role: String,
    pub create_time: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Member {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let workspace = WorkspaceId::from_id(&row.workspace_id)
            .map_err(|_| StoreError::Corrupt("members.workspace_id"))?;
        Ok(Self {
            name: MemberName { workspace, id: row.id },
            email: row.email.parse().map_err(|_| StoreError::Corrupt("members.email"))?,
            role: read_word("members.role", &row.role)?,
            create_time: read_time("members.create_time", row.create_time)?,
        })
    }
}

impl TryFrom<&Member> for ActiveModel {
    type Error = StoreError;

    fn try_from(member: &Member) -> Result<Self, StoreError> {
        let Member { name, email, role, create_time } = member;
        Ok(Self {
            id: Set(name.id),
            workspace_id: Set(name.workspace.as_str().to_owned()),
            email: Set(email.as_str().to_owned()),
            role: Set(write_word("members.role", role)?),
            create_time: Set(create_time.as_micros()),
        })
    }
}
