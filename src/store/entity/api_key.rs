//! `api_keys`.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use super::{read_json, read_time, write_json};
use crate::domain::{Key, KeyName, SecretDigest, Timestamp, WorkspaceId, fold_case};
use crate::store::StoreError;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: String,
    /// SHA-256 of the secret.
    pub digest: Vec<u8>,
    pub display_name: String,
    /// The display name as it is searched.
    pub display_name_folded: String,
    pub hint: String,
    /// Grants as JSON.
    pub permissions: String,
    /// Networks as JSON.
    pub allowed_ips: String,
    /// Network sets as JSON; absent in rows from before there were any.
    pub network_sets: Option<String>,
    /// Workspaces as JSON.
    pub workspace_scope: String,
    pub created_by: Option<String>,
    pub create_time: i64,
    pub last_seen_time: Option<i64>,
    pub expire_time: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Key {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let workspace = WorkspaceId::from_id(&row.workspace_id)
            .map_err(|_| StoreError::Corrupt("api_keys.workspace_id"))?;
        let time = |column, micros: Option<i64>| {
            micros.map(|micros| read_time(column, micros)).transpose()
        };
        Ok(Self {
            name: KeyName { workspace, id: row.id },
            display_name: row
                .display_name
                .parse()
                .map_err(|_| StoreError::Corrupt("api_keys.display_name"))?,
            hint: row.hint,
            permissions: read_json("api_keys.permissions", &row.permissions)?,
            allowed_ips: read_json("api_keys.allowed_ips", &row.allowed_ips)?,
            network_sets: match &row.network_sets {
                Some(sets) => read_json("api_keys.network_sets", sets)?,
                None => Vec::new(),
            },
            workspace_scope: read_json("api_keys.workspace_scope", &row.workspace_scope)?,
            created_by: row.created_by,
            create_time: read_time("api_keys.create_time", row.create_time)?,
            last_seen_time: time("api_keys.last_seen_time", row.last_seen_time)?,
            expire_time: time("api_keys.expire_time", row.expire_time)?,
        })
    }
}

/// The row of a new key.
pub(in crate::store) fn row(key: &Key, digest: &SecretDigest) -> Result<ActiveModel, StoreError> {
    let Key {
        name,
        display_name,
        hint,
        permissions,
        allowed_ips,
        network_sets,
        created_by,
        create_time,
        last_seen_time,
        expire_time,
        workspace_scope,
    } = key;
    Ok(ActiveModel {
        id: Set(name.id),
        workspace_id: Set(name.workspace.as_str().to_owned()),
        digest: Set(digest.as_bytes().to_vec()),
        display_name: Set(display_name.as_str().to_owned()),
        display_name_folded: Set(fold_case(display_name.as_str())),
        hint: Set(hint.clone()),
        permissions: Set(write_json("api_keys.permissions", permissions)?),
        allowed_ips: Set(write_json("api_keys.allowed_ips", allowed_ips)?),
        network_sets: Set(Some(write_json("api_keys.network_sets", network_sets)?)),
        workspace_scope: Set(write_json("api_keys.workspace_scope", workspace_scope)?),
        created_by: Set(created_by.clone()),
        create_time: Set(create_time.as_micros()),
        last_seen_time: Set(last_seen_time.map(Timestamp::as_micros)),
        expire_time: Set(expire_time.map(Timestamp::as_micros)),
    })
}
